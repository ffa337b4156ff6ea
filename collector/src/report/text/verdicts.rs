//! The verdicts, first in the report.

use std::fmt::Write;

use gilscope_analysis::report::{Severity, Verdict};

use super::{BOLD, GREEN, Page, RED, YELLOW, wrap};

pub(super) fn verdicts(out: &mut Page, verdicts: &[Verdict]) {
    for verdict in verdicts {
        let style = match verdict.severity {
            Severity::Problem => RED,
            Severity::Notice => YELLOW,
            Severity::Ok => GREEN,
        }
        .bold();
        let word = verdict.severity.name();
        let mut title = Page::new(out.width);
        wrap(&mut title, 10, &verdict.title);
        let _ = writeln!(out, "\n{style}{word:<8}{style:#}  {BOLD}{}{BOLD:#}", title.text.trim());
        wrap(out, 10, &verdict.text);
        if !verdict.advice.is_empty() {
            wrap(out, 10, &format!("→ {}", verdict.advice));
        }
    }
}
