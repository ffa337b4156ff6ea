//! The judgement in plain sentences: each with the figures behind it, and advice only where the trace holds its evidence.

mod contention;
mod convoy;
mod descheduled;
mod healthy;
mod incomplete;
mod long_holds;
mod waiting;

use self::{
    contention::contention, convoy::convoys, healthy::healthy, incomplete::incomplete,
    long_holds::long_holds, waiting::waiting,
};
use super::{View, stalls::Stalls};
use crate::{
    Report,
    report::{Severity, Share, Verdict},
    words::{percent, plural, time},
};

/// Part of the victim's time that stalls must take to be a problem, and to be worth a word.
const PROBLEM: f64 = 0.05;
const NOTICE: f64 = 0.01;
/// Part of the time that a GIL must be contended for contention alone to be worth a word.
const CONTENDED: f64 = 0.2;

/// The verdicts, gravest first. `descheduled` has for each thread how long others waited while it held a GIL without running:
/// because it was preempted, and because it slept, ns.
pub(super) fn verdicts(
    view: &View,
    report: &Report,
    stalls: &Stalls,
    descheduled: &[(i64, i64)],
) -> Vec<Verdict> {
    let mut all = Vec::new();
    if report.trace.gil_events == 0 {
        all.push(no_gil(report));
        all.extend(incomplete(report));
        return all;
    }
    let convoys = convoys(report);
    let contention = contention(report, stalls);
    let waiting = waiting(report, stalls, contention.is_some());
    all.extend(convoys);
    all.extend(long_holds(report, stalls));
    all.extend(contention);
    all.extend(waiting);
    all.extend(descheduled::descheduled(view, report, descheduled));
    let found_nothing = all.is_empty();
    all.extend(incomplete(report));
    if found_nothing {
        all.push(healthy(report));
    }
    all.sort_by_key(|verdict| std::cmp::Reverse(verdict.severity));
    all
}

fn verdict(
    severity: Severity,
    kind: &str,
    title: String,
    text: String,
    advice: impl Into<String>,
) -> Verdict {
    Verdict { severity, kind: kind.to_owned(), title, text, advice: advice.into() }
}

fn no_gil(report: &Report) -> Verdict {
    let text = format!(
        "The trace holds {} over {}, but no wait, acquisition or release. A process with a single busy Python thread that never \
         blocks makes none, and neither does one that sleeps: nothing is known about who held the GIL.",
        plural(report.trace.events, "event", "events"),
        time(report.trace.duration_ns),
    );
    let advice = "Record while the program is under load; if it was, `gilscope doctor` says whether the probes fit its interpreter.";
    verdict(Severity::Notice, "no-gil", String::from("No GIL was used while this was recorded"), text, advice)
}

fn names(report: &Report, culprits: &[Share]) -> Vec<String> {
    let label = |culprit: &Share| report.label(culprit.tid, &culprit.name);
    culprits.iter().map(|culprit| format!("{} ({})", label(culprit), percent(culprit.share))).collect()
}
