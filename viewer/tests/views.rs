//! The main views as text: what stands where, in the words that a screen reader says. Fonts are bundled and the size is fixed,
//! so positions are stable.

mod common;

use common::{Window, click, place, press, window_with, workload};
use egui::Key;
use egui_kittest::{Node, kittest::NodeT};

const SECOND: i64 = 1_000_000_000;

/// A line for each node that has a name or a value.
fn view_of(window: &Window) -> String {
    let mut lines = Vec::new();
    collect(window.root(), 0, &mut lines);
    // The file's name is another one in each run.
    lines.retain(|line| !line.contains(".gilscope"));
    lines.join("\n")
}

fn collect(node: Node<'_>, depth: usize, lines: &mut Vec<String>) {
    let access = node.accesskit_node();
    let text = access.label().or(access.value());
    let mut deeper = depth;
    // Runs of text repeat their label.
    let is_run = access.role() == egui::accesskit::Role::TextRun;
    if let Some(text) = text.filter(|text| !is_run && !text.trim().is_empty()) {
        let rect = node.rect();
        // What the verdict says is the analysis's affair.
        if rect.left() < 430.0 && rect.top() > 540.0 {
            return;
        }
        lines.push(format!(
            "{:indent$}{:?} {:?} at {:.0},{:.0}",
            "",
            access.role(),
            text,
            rect.left(),
            rect.top(),
            indent = depth * 2
        ));
        deeper += 1;
    }
    for child in node.children() {
        collect(child, deeper, lines);
    }
}

#[test]
fn the_whole_trace() {
    let (window, _file) = window_with(&workload::convoy(SECOND));
    insta::assert_snapshot!(view_of(&window));
}

#[test]
fn a_selected_stall() {
    let (mut window, _file) = window_with(&workload::convoy(SECOND));
    let at = place(&window, "MainThread", SECOND / 2);
    click(&mut window, at);
    press(&mut window, Key::F);
    insta::assert_snapshot!(view_of(&window));
}

#[test]
fn the_help_page() {
    let (mut window, _file) = window_with(&workload::alone(SECOND / 100));
    press(&mut window, Key::Questionmark);
    insta::assert_snapshot!(view_of(&window));
}
