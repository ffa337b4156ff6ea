//! Two traces side by side.

use std::fmt::Write;

use anstyle::Style;
use gilscope_analysis::{
    compare::{Change, Comparison},
    words::{percent, rate, time},
};

use super::{
    BOLD, GREEN, NARROW, Page, RED, WIDTH, fit, fit_end, heading,
    table::{Cell, Column, table},
    wrap,
};

/// The comparison, for a terminal of so many columns.
pub(crate) fn comparison(comparison: &Comparison, columns: usize) -> String {
    let mut out = Page::new(columns.clamp(NARROW, WIDTH));
    for (word, trace) in [("before", &comparison.before), ("after", &comparison.after)] {
        let room = out.width - 20;
        let _ = writeln!(
            out,
            "{BOLD}{word:<7}{BOLD:#} {} ({})",
            fit_end(&trace.path, room),
            time(trace.duration_ns)
        );
    }
    let _ = writeln!(out);
    for sentence in &comparison.sentences {
        wrap(&mut out, 0, sentence);
    }
    heading(&mut out, "Whole trace", "");
    rows(&mut out, &comparison.totals);
    for thread in &comparison.threads {
        let aside = match (thread.before, thread.after) {
            (true, true) => "",
            (true, false) => "only before",
            (false, _) => "only after",
        };
        heading(&mut out, &fit(&thread.name, 60), aside);
        rows(&mut out, &thread.changes);
    }
    out.text
}

fn rows(out: &mut Page, changes: &[Change]) {
    let columns = [
        Column::Left("", 40),
        Column::Right("before", 12),
        Column::Right("after", 12),
        Column::Right("change", 14),
    ];
    let rows = changes.iter().map(|change| {
        let show = |value: f64| match change.unit.as_str() {
            "share" => percent(value),
            "ns" => time(value as i64),
            _ => rate(value),
        };
        let style = match change.better() {
            Some(true) => GREEN,
            Some(false) => RED,
            None => Style::new(),
        };
        let factor = Cell::styled(change.words(), style);
        vec![change.figure.clone().into(), show(change.before).into(), show(change.after).into(), factor]
    });
    table(out, &columns, rows);
}
