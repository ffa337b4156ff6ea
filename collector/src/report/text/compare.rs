//! Two traces side by side.

use std::fmt::Write;

use gilscope_analysis::{
    compare::{Change, Comparison},
    words::{percent, rate, time},
};

use super::{
    BOLD, GREEN, RED, WIDTH, fit, fit_end, heading,
    table::{Cell, Column, table},
    wrap,
};

pub(crate) fn comparison(comparison: &Comparison) -> String {
    let mut out = String::new();
    for (word, trace) in [("before", &comparison.before), ("after", &comparison.after)] {
        let _ = writeln!(
            out,
            "{BOLD}{word:<7}{BOLD:#} {} ({})",
            fit_end(&trace.path, WIDTH - 20),
            time(trace.duration_ns)
        );
    }
    out.push('\n');
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
    out
}

fn rows(out: &mut String, changes: &[Change]) {
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
        let factor: Cell = change.words().into();
        let factor = match change.better() {
            Some(true) => factor.styled(GREEN),
            Some(false) => factor.styled(RED),
            None => factor,
        };
        vec![change.figure.clone().into(), show(change.before).into(), show(change.after).into(), factor]
    });
    table(out, &columns, rows);
}
