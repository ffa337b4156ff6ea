//! What is missing in the trace.

use super::verdict;
use crate::{
    Report,
    report::{Severity, Verdict},
    words::{count, list, percent, plural, share, time},
};

pub(super) fn incomplete(report: &Report) -> Vec<Verdict> {
    let mut all = Vec::new();
    let mut add = |title: &str, text: String, advice: &str| {
        all.push(verdict(Severity::Notice, "incomplete", title.to_owned(), text, advice));
    };
    if report.trace.lost > 0 {
        let unknown: i64 = report.threads.iter().map(|thread| thread.unknown_ns).sum();
        let lifetime: i64 = report.threads.iter().map(|thread| thread.lifetime_ns).sum();
        add(
            "Records were lost",
            format!(
                "The kernel could not deliver {}; what the threads concerned did meanwhile is shown as unknown ({} of all thread \
                 time is unknown).",
                plural(report.trace.lost, "record", "records"),
                percent(share(unknown, lifetime)),
            ),
            "Record fewer kinds of system calls (--syscalls), or with larger buffers.",
        );
    }
    if report.pairing.unpaired > 0 {
        add(
            "Acquisitions and releases do not pair up",
            format!(
                "{} of {} have no counterpart, so some holds are longer or shorter than they were.",
                plural(report.pairing.unpaired, "event", "events"),
                count(report.pairing.acquisitions + report.pairing.releases),
            ),
            "`gilscope doctor` shows which probe sites were used.",
        );
    }
    let fallback: Vec<String> = report
        .processes
        .iter()
        .filter(|process| process.sites.as_deref() == Some("fallback"))
        .map(|process| process.pid.to_string())
        .collect();
    if !fallback.is_empty() {
        add(
            "Fallback probe sites",
            format!(
                "In process {} the GIL's own code was not found; only the entry to and the return from blocking calls were \
                 probed. Forced switches, and which GIL it was, are not known.",
                list(&fallback)
            ),
            "",
        );
    }
    if !report.trace.complete {
        add(
            "The recording was cut off",
            format!(
                "The trace has no end mark: its collector still writes, or was killed. What is reported covers the {} that \
                 reached the file.",
                time(report.trace.trace_duration_ns)
            ),
            "",
        );
    }
    all
}
