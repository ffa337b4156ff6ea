//! What is selected, in full.

use egui::{Grid, ScrollArea, Ui};
use gilscope_analysis::{Blame, Model, NONE, Stall, State, stall, state};
use gilscope_draw::{caption, peer, time};
use gilscope_trace::syscalls;

use super::Shown;
use crate::timeline;

/// Holders that are listed.
const HOLDERS: usize = 12;
/// Frames of a stack that are listed.
const FRAMES: usize = 16;

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let model = shown.model();
    let selection = shown.timeline.selection;
    ScrollArea::vertical().id_salt("details").auto_shrink(false).show(ui, |ui| {
        if let Some((from, until)) = selection.range {
            ui.label(format!("Range of {}", time::duration(until - from)));
        }
        if let Some(index) = selection.stall
            && let Some(stall) = model.stalls.get(index as usize)
        {
            stall_ui(shown, ui, stall);
            return;
        }
        let Some(thread) = selection.thread else {
            ui.label("Click a bar on the timeline to see what happened there.");
            return;
        };
        let this = &model.threads[thread as usize];
        ui.strong(this.name());
        ui.label(format!("thread {} of process {}", this.tid, model.pid(thread)));
        if this.detail.foreign == Some(true) {
            ui.label("made outside of Python: threading does not know it");
        }
        if let Some(place) = selection.time.and_then(|time| this.lane.at(time)) {
            let interval = this.lane.get(place);
            ui.label(caption(model, thread, &interval));
            ui.label(format!("{} at {}", interval.state.name(), at(shown, interval.start)));
            if interval.state == State::Syscall {
                call_ui(model, ui, thread, interval.arg, interval.start);
            }
            stack_ui(model, ui, "Its Python stack", thread, interval.start, interval.end);
        }
    });
}

fn at(shown: &Shown<'_>, moment: i64) -> String {
    time::point(moment, 1_000, timeline::clock(shown.model(), shown.settings))
}

fn stall_ui(shown: &mut Shown<'_>, ui: &mut Ui, stall: &Stall) {
    let model = shown.model();
    let victim = model.threads[stall.thread as usize].name();
    // First, so that the buttons stay where they are from stall to stall.
    ui.horizontal(|ui| {
        if ui.button("Holder").on_hover_text("Go to who held the GIL: ]").clicked() {
            shown.timeline.go_to_holder(model);
        }
        if ui.button("Previous stall").on_hover_text(",").clicked() {
            shown.timeline.step_stall(model, false);
        }
        if ui.button("Next stall").on_hover_text(".").clicked() {
            shown.timeline.step_stall(model, true);
        }
    });
    ui.strong(format!("{victim} waited {} for the GIL", time::duration(stall.duration())));
    if stall.has(stall::CONVOY) {
        let call = time::duration(i64::from(stall.io_ns));
        let text = match stall.call {
            NONE => {
                String::from("Convoy stall: the way back to the GIL took longer than what it was let go for.")
            }
            _ => {
                format!("Convoy stall: a call of {call} cost a wait of {}.", time::duration(stall.duration()))
            }
        };
        ui.colored_label(crate::theme::color(shown.palette.convoy), text);
    }
    story_ui(shown, ui, stall);
    let blame = model.blame(stall, i64::MIN, i64::MAX);
    holders_ui(shown, ui, stall, &blame);
    if let Some(&(holder, _)) = blame.holders.first() {
        let title = format!("What {} was running", model.threads[holder as usize].name());
        stack_ui(model, ui, &title, holder, stall.start, stall.end);
    }
    stack_ui(model, ui, &format!("Where {victim} waited"), stall.thread, stall.start, stall.end);
}

/// What happened, one after the other: the release, the call, the wait.
fn story_ui(shown: &Shown<'_>, ui: &mut Ui, stall: &Stall) {
    let model = shown.model();
    let has_release = stall.release != i64::MIN;
    let begin = if has_release { stall.release } else { stall.start };
    let after = |moment: i64| format!("+ {}", time::duration(moment.saturating_sub(begin)));
    Grid::new("stall").num_columns(2).spacing([10.0, 2.0]).show(ui, |ui| {
        let mut row = |when: String, what: String| {
            ui.weak(when);
            ui.label(what);
            ui.end_row();
        };
        if has_release {
            let why = match (stall.has(stall::AFTER_VOLUNTARY), stall.has(stall::AFTER_FORCED)) {
                (true, _) => " of its own accord",
                (_, true) => " on request of another thread",
                _ => "",
            };
            row(at(shown, stall.release), format!("released the GIL{why}"));
        }
        if stall.call != NONE {
            let (nr, fd) = (state::call_nr(stall.call), state::call_fd(stall.call));
            let peer = peer(model, stall.thread, fd, stall.start)
                .map_or(String::new(), |peer| format!(" to {peer}"));
            let descriptor = if fd >= 0 { format!(", descriptor {fd}") } else { String::new() };
            let took = time::duration(i64::from(stall.io_ns));
            row(String::new(), format!("{}{peer}{descriptor}, took {took}", syscalls::name(nr)));
        }
        let asked = if has_release { after(stall.start) } else { at(shown, stall.start) };
        row(asked, String::from("asked for the GIL"));
        let end = match stall.has(stall::OPEN_END) {
            true => "still had not got it when the records end",
            false => "got it back",
        };
        row(after(stall.end), String::from(end));
    });
}

/// Who held the GIL meanwhile: a bar of their colours, and a link to each.
fn holders_ui(shown: &mut Shown<'_>, ui: &mut Ui, stall: &Stall, blame: &Blame) {
    let model = shown.model();
    let whole = stall.duration().max(1) as f32;
    ui.add_space(4.0);
    ui.label("Meanwhile the GIL was with");
    let (bar, _) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 10.0), egui::Sense::hover());
    ui.painter().rect_filled(bar, 2.0, crate::theme::color(shown.palette.line));
    let mut left = bar.left();
    for &(thread, ns) in &blame.holders {
        let right = (left + bar.width() * ns as f32 / whole).min(bar.right());
        let part = egui::Rect::from_x_y_ranges(left..=right, bar.y_range());
        ui.painter().rect_filled(part, 2.0, crate::theme::color(shown.palette.thread(thread as usize)));
        left = right;
    }
    for &(thread, ns) in blame.holders.iter().take(HOLDERS) {
        let share = 100.0 * ns as f32 / whole;
        let name = model.threads[thread as usize].name();
        ui.horizontal(|ui| {
            let (swatch, _) = ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
            ui.painter().rect_filled(swatch, 2.0, crate::theme::color(shown.palette.thread(thread as usize)));
            if ui.link(format!("{name}: {} ({share:.0} %)", time::duration(ns))).clicked() {
                shown.timeline.remember();
                shown.timeline.select_at(model, thread, stall.start + stall.duration() / 2);
                shown.timeline.reveal(thread);
            }
        });
    }
    if blame.holders.len() > HOLDERS {
        ui.weak(format!("and {} more", blame.holders.len() - HOLDERS));
    }
    if blame.free_ns > 0 {
        ui.weak(format!("nobody: {} (hand-over)", time::duration(blame.free_ns)));
    }
}

fn call_ui(model: &Model, ui: &mut Ui, thread: u32, arg: u32, start: i64) {
    let fd = state::call_fd(arg);
    ui.label(format!("{}, descriptor {fd}", syscalls::name(state::call_nr(arg))));
    if let Some(peer) = peer(model, thread, fd, start) {
        ui.label(format!("peer {peer}"));
    }
}

/// The stack of a thread: the sample inside the span, or else the last one within 50 ms before it.
fn stack_ui(model: &Model, ui: &mut Ui, title: &str, thread: u32, from: i64, until: i64) {
    const NEAR: i64 = 50_000_000;
    let samples = &model.threads[thread as usize].samples;
    let inside = samples.range(from, until).first().copied();
    let sample = inside.or_else(|| samples.before(from).filter(|sample| from - sample.time <= NEAR));
    let Some(sample) = sample else { return };
    ui.add_space(4.0);
    let when = match inside {
        Some(_) => String::new(),
        None => format!(" ({} before)", time::duration(from - sample.time)),
    };
    ui.strong(format!("{title}{when}"));
    let frames = model.stacks.stack(sample.stack);
    for frame in frames.iter().take(FRAMES).filter_map(|&frame| model.stacks.frame(frame)) {
        ui.monospace(format!("{}  {}:{}", frame.function, frame.file, frame.line));
    }
    if frames.len() > FRAMES {
        ui.weak(format!("and {} more frames", frames.len() - FRAMES));
    }
}
