//! Files that grow, are damaged, or are no traces at all.

mod common;

use std::io::Write;

use common::{file_of, line, settle, shows, status, until, view, window_at, window_with, workload};
use gilscope_viewer::open::Status;

const SECOND: i64 = 1_000_000_000;

fn failed(window: &common::Window) -> String {
    match status(window) {
        Some(Status::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn stopped(window: &common::Window) -> String {
    match status(window) {
        Some(Status::Stopped(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let window = window_at("/nowhere/to/be/found.gilscope".as_ref(), false);
    assert!(failed(&window).contains("No such file"), "{}", failed(&window));
    assert!(shows(&window, "This trace cannot be shown"));
}

#[test]
fn an_empty_file_a_foreign_one_and_a_folder_are_told_apart() {
    let (window, _file) = window_with(b"");
    assert!(failed(&window).contains("nothing was recorded"), "{}", failed(&window));
    let (window, _file) = window_with(b"\x7fELF and more of a program than a trace begins with");
    assert!(failed(&window).contains("not a gilscope trace"), "{}", failed(&window));
    let folder = tempfile::tempdir().unwrap();
    failed(&window_at(folder.path(), false));
}

#[test]
fn a_trace_of_a_later_format_names_the_remedy() {
    let mut bytes = workload::alone(SECOND / 100);
    let place = bytes.windows(7).position(|window| window == b"\x03\0\0\x001.0").unwrap();
    bytes[place + 4] = b'9';
    let (window, _file) = window_with(&bytes);
    assert!(failed(&window).contains("update gilscope"), "{}", failed(&window));
}

#[test]
fn of_a_truncated_trace_what_can_be_shown_is_shown() {
    let bytes = workload::crowd(60, 6 * SECOND);
    let (window, _file) = window_with(&bytes[..bytes.len() - 100]);
    assert!(
        stopped(&window).contains("cut off") || stopped(&window).contains("did not end"),
        "{}",
        stopped(&window)
    );
}

#[test]
fn damage_in_the_middle_leaves_what_came_before() {
    let mut bytes = workload::crowd(20, SECOND * 2);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xa5);
    let (window, _file) = window_with(&bytes);
    // Damage is found where a message or its content contradicts itself; until there everything is shown.
    assert!(matches!(status(&window), Some(Status::Stopped(_) | Status::Complete)), "{:?}", status(&window));
}

#[test]
fn a_file_that_is_removed_while_it_is_followed_stays_on_the_screen() {
    let bytes = workload::convoy(SECOND);
    // The end-of-stream mark is cut off: the collector is still at work.
    let file = file_of(&bytes[..bytes.len() - 8]);
    let path = file.path().to_owned();
    let mut window = window_at(&path, true);
    assert_eq!(status(&window), Some(Status::Following));
    drop(file);
    until(&mut window, "the end", |window| matches!(status(window), Some(Status::Stopped(_))));
    assert!(stopped(&window).contains("removed"), "{}", stopped(&window));
    assert_eq!(line(&window, "rows"), "3");
}

#[test]
fn a_growing_file_is_followed_from_nothing_to_its_end() {
    // Several batches: the writer makes one of every 65 536 rows.
    let bytes = workload::crowd(60, 6 * SECOND);
    let file = file_of(b"");
    let mut window = common::window();
    window.state_mut().open(file.path(), true);
    for _ in 0..5 {
        window.step();
    }
    assert_eq!(
        status(&window),
        Some(Status::Loading),
        "nothing is there yet, which is no error while following"
    );
    let mut out = std::fs::OpenOptions::new().append(true).open(file.path()).unwrap();
    let mut seen = Vec::new();
    for part in bytes.chunks(bytes.len().div_ceil(4)) {
        out.write_all(part).unwrap();
        let before = seen.last().copied().unwrap_or(0);
        until(&mut window, "growth", |window| {
            !matches!(status(window), Some(Status::Loading)) && view(window).1 > before + SECOND / 100
                || status(window) == Some(Status::Complete)
        });
        seen.push(view(&window).1);
    }
    until(&mut window, "the end", |window| status(window) == Some(Status::Complete));
    settle(&mut window);
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
    assert!(*seen.last().unwrap() > 5 * SECOND, "the view is at the end: {seen:?}");
}

#[test]
fn looking_back_lets_go_of_the_end_of_a_growing_trace() {
    let bytes = workload::crowd(60, 6 * SECOND);
    let file = file_of(&bytes[..bytes.len() / 2]);
    let mut window = window_at(file.path(), true);
    common::press(&mut window, egui::Key::W);
    common::press(&mut window, egui::Key::A);
    let looked_at = view(&window);
    let mut out = std::fs::OpenOptions::new().append(true).open(file.path()).unwrap();
    out.write_all(&bytes[bytes.len() / 2..]).unwrap();
    until(&mut window, "the end", |window| status(window) == Some(Status::Complete));
    settle(&mut window);
    assert_eq!(view(&window), looked_at);
}

#[test]
fn the_end_of_a_trace_is_in_sight_when_it_is_complete() {
    let bytes = workload::crowd(60, 6 * SECOND);
    let file = file_of(&bytes[..bytes.len() / 2]);
    let mut window = window_at(file.path(), true);
    // A view that somebody chose, then the end again.
    for key in [egui::Key::W, egui::Key::A, egui::Key::End] {
        common::press(&mut window, key);
    }
    let length = view(&window).1 - view(&window).0;
    let mut out = std::fs::OpenOptions::new().append(true).open(file.path()).unwrap();
    out.write_all(&bytes[bytes.len() / 2..]).unwrap();
    // The window shows no frame between the last records and the word that there are no more.
    while status(&window) != Some(Status::Complete) {
        std::thread::yield_now();
    }
    settle(&mut window);
    let (from, end) = view(&window);
    assert!(end > 5 * SECOND, "{from}..{end}");
    assert!((end - from - length).abs() < SECOND / 100, "and as much is shown as before");
}

#[test]
fn a_trace_without_a_single_event_is_shown_as_such() {
    let bytes = gilscope_trace::Writer::new(Vec::new(), &workload::header()).unwrap().finish().unwrap();
    let mut window = common::window();
    let file = file_of(&bytes);
    window.state_mut().open(file.path(), false);
    until(&mut window, "the end", |window| status(window) == Some(Status::Complete));
    window.step();
    assert!(shows(&window, "Nothing has been recorded"));
}
