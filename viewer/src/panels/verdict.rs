//! The sentences of the report, each with a way to its evidence.

use egui::{RichText, ScrollArea, Ui};
use gilscope_analysis::{
    Report,
    report::{Severity, Verdict},
};

use super::Shown;
use crate::theme::color;

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let Some(figures) = shown.figures else { return super::waiting(ui) };
    let report = figures.report.clone();
    ScrollArea::vertical().id_salt("verdict").auto_shrink(false).show(ui, |ui| {
        if shown.timeline.selection.range.is_some() {
            ui.weak("of the selected range");
        }
        for (place, verdict) in report.verdicts.iter().enumerate() {
            let mark = match verdict.severity {
                Severity::Problem => shown.palette.look(gilscope_draw::Look::Stalled),
                Severity::Notice => shown.palette.look(gilscope_draw::Look::Waiting),
                Severity::Ok => shown.palette.look(gilscope_draw::Look::Holding),
            };
            ui.horizontal_wrapped(|ui| {
                ui.label(
                    RichText::new(verdict.severity.name())
                        .color(color(shown.palette.text_on(mark)))
                        .background_color(color(mark)),
                );
                ui.label(RichText::new(&verdict.title).strong());
            });
            ui.label(&verdict.text);
            if !verdict.advice.is_empty() {
                ui.label(RichText::new(&verdict.advice).italics());
            }
            if let Some(evidence) = evidence(shown, &report, verdict) {
                let response = ui.link("Show it on the timeline");
                response.widget_info(|| {
                    egui::WidgetInfo::labeled(
                        egui::Role::Link,
                        true,
                        format!("Show on the timeline: {}", verdict.title),
                    )
                });
                if response.clicked() {
                    follow(shown, evidence);
                }
            }
            if place + 1 < report.verdicts.len() {
                ui.separator();
            }
        }
        for note in &report.notes {
            ui.weak(note);
        }
    });
}

/// Where a verdict can be seen.
enum Evidence {
    Convoy(u32),
    /// A stretch, ns of the trace clock, in the lane of a thread.
    Stretch(i64, i64, Option<u32>),
}

fn evidence(shown: &Shown<'_>, report: &Report, verdict: &Verdict) -> Option<Evidence> {
    let model = shown.model();
    let convoy = || {
        // The report lists the gravest first; the same one in the model.
        let first = report.convoys.first()?;
        let start = model.start.saturating_add(first.start_ns);
        let found = model.convoys.iter().position(|convoy| {
            convoy.end > start
                && model
                    .threads
                    .get(convoy.victim as usize)
                    .is_some_and(|thread| thread.tid == first.victim.tid)
        });
        found.map(|convoy| Evidence::Convoy(convoy as u32))
    };
    let stretch = |start_ns, ns, thread| {
        let start = model.start.saturating_add(start_ns);
        Evidence::Stretch(start, start.saturating_add(ns), thread)
    };
    let hold = || {
        let hold = report.long_holds.first()?;
        Some(stretch(hold.longest_start_ns, hold.longest_ns, shown.thread_of(hold.pid, hold.tid)))
    };
    let stall = || {
        let stall = report.stalls.first()?;
        Some(stretch(stall.start_ns, stall.duration_ns, shown.thread_of(stall.pid, stall.tid)))
    };
    let lost = || model.lost.first().map(|lost| Evidence::Stretch(lost.start, lost.end, None));
    match verdict.kind.as_str() {
        "convoy" => convoy().or_else(stall),
        "long-holds" => hold().or_else(stall),
        "contention" | "descheduled" | "waiting" => stall(),
        "incomplete" => lost(),
        _ => None,
    }
}

fn follow(shown: &mut Shown<'_>, evidence: Evidence) {
    let model = shown.model();
    match evidence {
        Evidence::Convoy(convoy) => shown.timeline.select_convoy(model, convoy),
        Evidence::Stretch(from, until, thread) => {
            shown.timeline.show_span(from, until, thread);
            if let Some(thread) = thread {
                shown.timeline.select_at(model, thread, from);
            }
        }
    }
}
