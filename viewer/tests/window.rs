//! The window, driven by keys and pointer.

mod common;

use common::{click, drag, line, place, press, settle, shows, view, window_with, workload};
use egui::Key;
use egui_kittest::kittest::Queryable;

const SECOND: i64 = 1_000_000_000;

//  0 s      0.2 s                                0.8 s     1 s
//  MainThread   h.h.h.  hswwwwwwwwhswwwwwwwwhswwwwwwww  h.h.h.     h hold, s call, w wait
//  spinner              hhhhhhhhhh hhhhhhhhhh hhhhhhhh
//  asyncio_0    h    h    h    h    h    h    h    h
fn convoy() -> Vec<u8> {
    workload::convoy(SECOND)
}

#[test]
fn an_opened_trace_shows_its_threads_its_convoy_and_the_verdict() {
    let (window, _file) = window_with(&convoy());
    for thread in ["MainThread", "spinner", "asyncio_0"] {
        window.get_by_label(&format!("thread {thread}"));
    }
    assert!(shows(&window, "MainThread is stalled in a convoy behind spinner"));
    let (from, until) = view(&window);
    assert_eq!(from, 0);
    assert!(until > SECOND * 9 / 10, "the whole trace is shown: {until}");
}

#[test]
fn w_zooms_in_s_zooms_out_and_home_shows_everything() {
    let (mut window, _file) = window_with(&convoy());
    let whole = view(&window);
    press(&mut window, Key::W);
    let zoomed = view(&window);
    assert!(zoomed.1 - zoomed.0 < (whole.1 - whole.0) * 4 / 5);
    press(&mut window, Key::D);
    assert!(view(&window).0 > zoomed.0);
    press(&mut window, Key::A);
    assert!((view(&window).0 - zoomed.0).abs() < 1_000_000);
    press(&mut window, Key::S);
    press(&mut window, Key::Home);
    assert_eq!(view(&window), whole);
}

#[test]
fn ctrl_and_wheel_zoom_at_the_pointer() {
    let (mut window, _file) = window_with(&convoy());
    let time = SECOND / 2;
    let at = place(&window, "MainThread", time);
    window.hover_at(at);
    window.step();
    window.event(egui::Event::Zoom(2.0));
    settle(&mut window);
    let (from, until) = view(&window);
    assert!(until - from < SECOND * 6 / 10, "{from}..{until}");
    let after = place(&window, "MainThread", time);
    assert!((after.x - at.x).abs() < 2.0, "the time under the pointer stays there: {at} {after}");
}

#[test]
fn a_click_selects_the_stall_and_the_panel_says_what_happened() {
    let (mut window, _file) = window_with(&convoy());
    let at = place(&window, "MainThread", SECOND / 2);
    click(&mut window, at);
    assert_ne!(line(&window, "stall"), "None");
    assert!(shows(&window, "MainThread waited"));
    assert!(shows(&window, "Convoy stall"));
    assert!(shows(&window, "127.0.0.1:52114") || shows(&window, "epoll"), "the peer of the call is told");
    assert!(shows(&window, "spinner:"), "and who held the GIL");
}

#[test]
fn from_a_stall_one_key_leads_to_the_holder_and_another_back() {
    let (mut window, _file) = window_with(&convoy());
    let at = place(&window, "MainThread", SECOND / 2);
    click(&mut window, at);
    let (victim, stall) = (line(&window, "thread"), line(&window, "stall"));
    press(&mut window, Key::CloseBracket);
    assert_ne!(line(&window, "thread"), victim);
    assert!(shows(&window, "holds"), "the holder's interval is selected");
    press(&mut window, Key::OpenBracket);
    assert_eq!((line(&window, "thread"), line(&window, "stall")), (victim, stall));
}

#[test]
fn the_next_stall_of_a_thread_follows_the_selected_one() {
    let (mut window, _file) = window_with(&convoy());
    let at = place(&window, "MainThread", SECOND / 2);
    click(&mut window, at);
    let number =
        |text: String| text.trim_start_matches("Some(").trim_end_matches(')').parse::<u32>().unwrap();
    let first = number(line(&window, "stall"));
    let thread = line(&window, "thread");
    press(&mut window, Key::Period);
    let next = number(line(&window, "stall"));
    assert!(next > first);
    assert_eq!(line(&window, "thread"), thread);
    press(&mut window, Key::Comma);
    assert_eq!(number(line(&window, "stall")), first);
}

#[test]
fn n_and_p_step_through_the_convoys_and_go_round() {
    let (mut window, _file) = window_with(&convoy());
    let mut seen = Vec::new();
    for _ in 0..3 {
        press(&mut window, Key::N);
        seen.push(line(&window, "convoy"));
    }
    assert_eq!(seen[0], seen[2], "there are two, one before and one after the lost records: {seen:?}");
    assert_ne!(seen[0], seen[1]);
    press(&mut window, Key::P);
    assert_eq!(line(&window, "convoy"), seen[1]);
    let (from, until) = view(&window);
    assert!(until - from < SECOND * 9 / 10, "it is brought into sight");
}

#[test]
fn searching_leaves_the_threads_that_match() {
    let (mut window, _file) = window_with(&convoy());
    assert_eq!(line(&window, "rows"), "3");
    press(&mut window, Key::Slash);
    window.get_by_label("Search threads").type_text("SPIN");
    settle(&mut window);
    assert_eq!(line(&window, "rows"), "1");
    window.get_by_label("thread spinner");
    press(&mut window, Key::Escape);
    press(&mut window, Key::Escape);
    assert_eq!(line(&window, "rows"), "3");
}

#[test]
fn dragging_selects_a_range_and_the_figures_are_those_of_it() {
    let (mut window, _file) = window_with(&convoy());
    let from = place(&window, "MainThread", SECOND / 100);
    let to = place(&window, "MainThread", SECOND * 18 / 100);
    drag(&mut window, from, to);
    assert!(shows(&window, "of the selected range"));
    assert!(!shows(&window, "is stalled in a convoy"), "before the spinner began there is no convoy");
    press(&mut window, Key::Escape);
    assert!(shows(&window, "is stalled in a convoy"));
}

#[test]
fn a_verdict_leads_to_its_evidence() {
    let (mut window, _file) = window_with(&convoy());
    let links: Vec<_> = window.query_all_by_label_contains("Show on the timeline").collect();
    assert!(!links.is_empty());
    links[0].click();
    drop(links);
    settle(&mut window);
    assert_ne!(line(&window, "convoy"), "None");
}

#[test]
fn marks_are_set_found_and_removed() {
    let (mut window, _file) = window_with(&convoy());
    let at = place(&window, "MainThread", SECOND / 3);
    window.hover_at(at);
    window.step();
    press(&mut window, Key::M);
    assert_eq!(line(&window, "marks"), "1");
    press(&mut window, Key::M);
    assert_eq!(line(&window, "marks"), "0");
}

#[test]
fn every_command_is_on_the_help_page() {
    let (mut window, _file) = window_with(&convoy());
    press(&mut window, Key::Questionmark);
    for entry in gilscope_viewer::commands::COMMANDS {
        assert!(shows(&window, entry.name), "{}", entry.name);
    }
}

#[test]
fn no_command_brings_the_window_down_whatever_is_shown() {
    let traces = [workload::alone(SECOND / 50), convoy(), workload::crowd(40, SECOND / 5)];
    for trace in traces {
        let (mut window, _file) = window_with(&trace);
        for entry in gilscope_viewer::commands::COMMANDS.iter().chain(gilscope_viewer::commands::COMMANDS) {
            for shortcut in entry.keys.iter().filter(|shortcut| !shortcut.ctrl) {
                let modifiers = egui::Modifiers { shift: shortcut.shift, ..egui::Modifiers::NONE };
                window.key_press_modifiers(modifiers, shortcut.key);
                window.step();
            }
        }
        for _ in 0..60 {
            window.key_press(Key::W);
            window.step();
        }
        for _ in 0..120 {
            window.key_press(Key::S);
            window.step();
        }
    }
}

#[test]
fn a_trace_of_a_millisecond_of_ten_hours_or_of_two_thousand_threads_is_usable() {
    let hours = 10 * 3600 * SECOND;
    for (trace, threads, length) in [
        (workload::alone(SECOND / 1000), 1, SECOND / 1000),
        (workload::sleepy(hours), 2, hours),
        (workload::crowd(2000, SECOND / 10), 2000, SECOND / 10),
    ] {
        let (mut window, _file) = window_with(&trace);
        let (from, until) = view(&window);
        assert_eq!(from, 0);
        assert!((until - length).abs() < length / 4 + 1_000_000, "{until} of {length}");
        assert_eq!(line(&window, "rows"), threads.to_string());
        for key in [Key::W, Key::W, Key::D, Key::Period, Key::F, Key::Home, Key::N, Key::T] {
            press(&mut window, key);
        }
    }
}

#[test]
fn the_open_dialog_takes_the_keyboard_and_leaves_what_is_behind_it_alone() {
    let (mut window, _file) = window_with(&convoy());
    let whole = view(&window);
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::O);
    settle(&mut window);
    assert!(window.get_by_label("Path of a trace").is_focused(), "a path can be typed at once");
    for key in [Key::W, Key::D, Key::N] {
        press(&mut window, key);
    }
    assert_eq!(view(&window), whole);
    press(&mut window, Key::Escape);
    assert!(!shows(&window, "Path of a trace"), "Esc closes it");
    press(&mut window, Key::W);
    assert_ne!(view(&window), whole);
}

#[test]
fn a_path_typed_into_the_open_dialog_is_opened() {
    let file = common::file_of(&convoy());
    let mut window = common::window();
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::O);
    window.step();
    window.step();
    window.get_by_label("Path of a trace").type_text(&file.path().to_string_lossy());
    window.step();
    window.key_press(Key::Enter);
    window.step();
    settle(&mut window);
    assert!(window.state().has_lanes());
    assert!(window.query_by_label("Path of a trace").is_none(), "the dialog is closed");
}

#[test]
fn a_search_that_finds_nobody_says_so_and_an_empty_trace_computes_nothing() {
    let (mut window, _file) = window_with(&convoy());
    press(&mut window, Key::Slash);
    window.get_by_label("Search threads").type_text("nobody");
    settle(&mut window);
    assert_eq!(line(&window, "rows"), "0");
    let (window, _file) = window_with(&workload::nothing());
    assert!(shows(&window, "Nothing has been recorded yet"));
    assert!(!shows(&window, "Computing"), "no panel waits for figures that never come");
}

#[test]
fn every_control_has_a_name() {
    use egui::accesskit::Role;
    use egui_kittest::kittest::NodeT;
    let (mut window, _file) = window_with(&convoy());
    let at = place(&window, "MainThread", SECOND / 2);
    click(&mut window, at);
    // The scroll bars of panels are egui's own; their role is all that they say.
    let panels = ["Verdict", "Convoys", "Threads", "Blame", "Code", "Waits", "Counters", "Selection"];
    for panel in panels {
        window.get_by_role_and_label(Role::Button, panel).click();
        settle(&mut window);
        let unnamed: Vec<String> = window
            .query_all(egui_kittest::kittest::By::new().predicate(|node| {
                let named = |text: Option<String>| text.is_some_and(|text| !text.trim().is_empty());
                let acts = [
                    Role::Button,
                    Role::CheckBox,
                    Role::TextInput,
                    Role::ComboBox,
                    Role::Slider,
                    Role::Link,
                    Role::Canvas,
                    Role::Splitter,
                ]
                .contains(&node.role());
                acts && !named(node.label()) && !named(node.value())
            }))
            .map(|node| format!("{:?} at {:?}", node.accesskit_node().role(), node.rect()))
            .collect();
        assert!(unnamed.is_empty(), "{panel}: {unnamed:?}");
    }
}
