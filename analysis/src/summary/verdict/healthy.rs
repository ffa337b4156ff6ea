//! Nothing to complain of, and why.

use super::verdict;
use crate::{
    Report,
    report::{Severity, Verdict},
    words::{count, percent, plural, share, time},
};

/// Part of the GILs' time of which nothing is known that forbids to call a trace well.
const MOSTLY_UNKNOWN: f64 = 0.5;

pub(super) fn healthy(report: &Report) -> Verdict {
    let mut verdict = healthy_as_known(report);
    let unknown: i64 = report.gils.iter().map(|gil| gil.unknown_ns).sum();
    let lifetime: i64 = report.gils.iter().map(|gil| gil.lifetime_ns).sum();
    if share(unknown, lifetime) > MOSTLY_UNKNOWN {
        verdict.severity = Severity::Notice;
        verdict.title = String::from("As far as is known, the GIL stalls nobody");
        verdict.text += &format!(
            " But for {} of the time it is not known who held the GIL: no event told, as of a thread that computes alone from before \
             the recording began.",
            percent(share(unknown, lifetime)),
        );
    }
    verdict
}

fn healthy_as_known(report: &Report) -> Verdict {
    let waited: i64 = report.threads.iter().map(|thread| thread.waiting_ns).sum();
    let acquisitions: u64 = report.threads.iter().map(|thread| thread.acquisitions).sum();
    let contended: u64 = report.threads.iter().map(|thread| thread.contended).sum();
    let worst = report.threads.iter().max_by_key(|thread| thread.wait_ns.max);
    if contended == 0 {
        let text = format!(
            "None of {} of the GIL had to wait in the {} reported on.",
            plural(acquisitions, "acquisition", "acquisitions"),
            time(report.trace.duration_ns)
        );
        return verdict(Severity::Ok, "ok", String::from("The GIL stalls nobody"), text, "");
    }
    let mut text = format!(
        "Of {} of the GIL {} had to wait, {} in all, {} of the {} reported on",
        plural(acquisitions, "acquisition", "acquisitions"),
        count(contended),
        time(waited),
        percent(share(waited, report.trace.duration_ns)),
        time(report.trace.duration_ns),
    );
    match worst.filter(|thread| thread.wait_ns.max > 0) {
        Some(thread) => {
            text += &format!(
                "; the longest wait took {} ({}).",
                time(thread.wait_ns.max),
                report.label(thread.tid, &thread.name)
            )
        }
        None => text += "; nobody waited.",
    }
    if report.convoys_total == 0 {
        text += " There was no convoy.";
    }
    verdict(Severity::Ok, "ok", String::from("The GIL stalls nobody"), text, "")
}
