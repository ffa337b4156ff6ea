//! The window without a screen, driven as a user drives it.

#![allow(clippy::allow_attributes, dead_code, reason = "each test uses a part")]

#[path = "../../../draw/tests/common/workload.rs"]
pub(crate) mod workload;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use egui::{Modifiers, PointerButton, Pos2};
use egui_kittest::{Harness, kittest::Queryable};
use gilscope_viewer::{App, Settings, open::Status};

pub(crate) type Window = Harness<'static, App>;

/// An empty window of the size that pictures are judged at.
pub(crate) fn window() -> Window {
    // The app wants the context that it will live in; one that is never shown serves to wake nobody.
    let app = App::new(&egui::Context::default(), Settings::default());
    Harness::builder()
        .with_size([1280.0, 800.0])
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, app: &mut App| app.show(ui), app)
}

/// A window that shows the trace, read and computed.
pub(crate) fn window_with(trace: &[u8]) -> (Window, tempfile::NamedTempFile) {
    let file = file_of(trace);
    let window = window_at(file.path(), false);
    (window, file)
}

/// A window that shows the file at `path`, read and computed.
pub(crate) fn window_at(path: &Path, follow: bool) -> Window {
    let mut window = window();
    window.state_mut().open(path, follow);
    settle(&mut window);
    window
}

/// A file of these bytes.
pub(crate) fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".gilscope").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// Steps until everything is read, computed and at rest.
pub(crate) fn settle(window: &mut Window) {
    window.step();
    until(window, "rest", |window| window.state().is_settled());
    window.step();
    until(window, "rest", |window| window.state().is_settled());
}

/// Steps until `is_reached`, which must come about within a time that no machine needs.
pub(crate) fn until(window: &mut Window, what: &str, is_reached: impl Fn(&Window) -> bool) {
    let begin = Instant::now();
    while !is_reached(window) {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what} does not come about");
        window.step();
        std::thread::yield_now();
    }
}

/// What stands in a line of the window's own account of itself.
pub(crate) fn line(window: &Window, name: &str) -> String {
    let text = window.state().describe();
    let found = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim();
    found.to_owned()
}

/// The visible range, ns since the begin of the trace.
pub(crate) fn view(window: &Window) -> (i64, i64) {
    let text = line(window, "view");
    let (from, until) = text.split_once("..").unwrap();
    (from.parse().unwrap(), until.parse().unwrap())
}

/// Where `time` (ns since the begin) lies in the lane of the thread of that name.
pub(crate) fn place(window: &Window, thread: &str, time: i64) -> Pos2 {
    let lanes = window.get_by_label("Timelines of the threads").rect();
    let name = window.get_by_label(&format!("thread {thread}")).rect();
    let (from, until) = view(window);
    let share = (time - from) as f32 / (until - from) as f32;
    Pos2::new(lanes.left() + share * lanes.width(), name.center().y)
}

pub(crate) fn press(window: &mut Window, key: egui::Key) {
    window.key_press(key);
    settle(window);
}

pub(crate) fn click(window: &mut Window, at: Pos2) {
    window.hover_at(at);
    window.step();
    button(window, at, true);
    button(window, at, false);
    settle(window);
}

pub(crate) fn drag(window: &mut Window, from: Pos2, to: Pos2) {
    window.hover_at(from);
    window.step();
    button(window, from, true);
    for step in 1..=4 {
        window.hover_at(from + (to - from) * (step as f32 / 4.0));
        window.step();
    }
    button(window, to, false);
    settle(window);
}

fn button(window: &mut Window, pos: Pos2, pressed: bool) {
    window.event(egui::Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    });
    window.step();
}

/// Whether a text that contains `part` is shown.
pub(crate) fn shows(window: &Window, part: &str) -> bool {
    window.query_all_by_label_contains(part).next().is_some() || window.query_all_by_value_contains(part)
}

/// Labels are values in the tree, not names.
trait Values {
    fn query_all_by_value_contains(&self, part: &str) -> bool;
}

impl Values for Window {
    fn query_all_by_value_contains(&self, part: &str) -> bool {
        self.query_all(egui_kittest::kittest::By::new().predicate({
            let part = part.to_owned();
            move |node| node.value().is_some_and(|value| value.contains(&part))
        }))
        .next()
        .is_some()
    }
}

pub(crate) fn status(window: &Window) -> Option<Status> {
    window.state().status()
}
