//! Holders that did not run.

use super::{NOTICE, PROBLEM, verdict};
use crate::{
    Report,
    report::{LongHold, Severity, Verdict},
    summary::View,
    words::{percent, share, time},
};

/// Part of the stall time in which the holder had no processor that is worth a word.
const DESCHEDULED: f64 = 0.1;

pub(super) fn descheduled(view: &View, report: &Report, contended_ns: &[(i64, i64)]) -> Option<Verdict> {
    let (mut preempted, mut blocked) = (0, 0);
    let mut worst = (0, 0_u32);
    let threads = contended_ns.iter().zip(&view.model.threads).enumerate();
    for (thread, (&(by_others, by_itself), _)) in
        threads.filter(|(_, (_, this))| view.has_process(this.process))
    {
        preempted += by_others;
        blocked += by_itself;
        worst = worst.max((by_others + by_itself, thread as u32));
    }
    let total = preempted + blocked;
    let contended: i64 = report.gils.iter().map(|gil| gil.contended_ns).sum();
    let part = share(total, contended);
    if part < DESCHEDULED || share(total, report.trace.duration_ns) < NOTICE {
        return None;
    }
    let severity = match share(total, report.trace.duration_ns) {
        of_all if of_all >= PROBLEM && part >= 0.25 => Severity::Problem,
        _ => Severity::Notice,
    };
    let name = report.label(view.tid(worst.1), &view.name(worst.1));
    let text = format!(
        "For {} of the {} in which a thread waited, the holder itself did not run: {} it was preempted and {} it slept with the \
         GIL in its hands. Most of it: {name} ({}).",
        percent(part),
        time(contended),
        time(preempted),
        time(blocked),
        time(worst.0),
    );
    // Only a hold that did not let go has a line of its own.
    let slept_at =
        report.long_holds.iter().find(|hold| hold.tid == view.tid(worst.1)).and_then(LongHold::own);
    let advice = match preempted >= blocked {
        true => {
            "The process lacks processor time, not only the GIL: look at its CPU quota (cgroup cpu.max, container limits) and at what \
             else runs on these processors."
        }
        false => match slept_at {
            Some(location) => &*format!(
                "It blocks inside C code called at {location}: page faults, a lock, or I/O done without releasing the GIL."
            ),
            None => {
                "The holder blocks inside C code: page faults, a lock, or I/O done without releasing the GIL."
            }
        },
    };
    Some(verdict(
        severity,
        "descheduled",
        format!("{name} holds the GIL while it does not run"),
        text,
        advice,
    ))
}
