//! Holds that do not let go: C code that keeps the GIL, or what looks like it.

use super::{NOTICE, PROBLEM, verdict};
use crate::{
    Report,
    report::{LongHold, Severity, Verdict},
    summary::stalls::Stalls,
    words::{list, percent, plural, share, time},
};

/// Whether long holds are more than a virtual processor that was stopped now and then, unseen by its own kernel. That hits any line,
/// for a tenth of a second at most; C code is called by the same one again, or for long.
pub(super) fn is_proven<'a>(mut holds: impl Iterator<Item = &'a LongHold>) -> bool {
    const LONG: i64 = 200_000_000;
    holds.any(|hold| hold.holds >= 3 || (hold.samples >= 3 && hold.longest_ns >= LONG))
}

pub(super) fn long_holds(report: &Report, stalls: &Stalls) -> Option<Verdict> {
    let caused: i64 = report.long_holds.iter().map(|hold| hold.stalled_ns).sum();
    let worst = report.long_holds.first()?;
    let holder = report.label(worst.tid, &worst.name);
    let part = share(caused, report.trace.duration_ns);
    let severity = match part {
        part if part >= PROBLEM && is_proven(report.long_holds.iter()) => Severity::Problem,
        part if part >= NOTICE => Severity::Notice,
        _ => return None,
    };
    let holds: u64 = report.long_holds.iter().map(|hold| hold.holds).sum();
    let mut text = format!(
        "{} lasted longer than the switch interval although a thread waited, up to {}, and caused {} of stall time ({} of \
         all). The interpreter lets go when it is asked, so the holder was in C code that does not release the GIL. Most of it: {}",
        plural(holds, "hold", "holds"),
        time(report.long_holds.iter().map(|hold| hold.longest_ns).max().unwrap_or(0)),
        time(caused),
        percent(share(caused, stalls.stalled_ns)),
        holder,
    );
    if let Some(location) = worst.told() {
        text += &format!(", at {location} ({})", plural(worst.samples, "sample", "samples"));
    }
    text.push('.');
    let waited: Vec<String> = report
        .blame
        .iter()
        .filter(|blame| {
            blame.pid == worst.pid && blame.holder_tid == Some(worst.tid) && share(blame.ns, caused) > 0.01
        })
        .map(|blame| format!("{} ({})", report.label(blame.waiter_tid, &blame.waiter), time(blame.ns)))
        .collect();
    if !waited.is_empty() {
        text += &format!(" In all these waited while {holder} held it: {}.", list(&waited));
    }
    if !is_proven(report.long_holds.iter()) {
        text += " So few may also be a virtual processor that its host stopped, which no record shows.";
    }
    if worst.syscall_ns > worst.longest_ns / 4
        && let Some(call) = &worst.syscall
    {
        text += &format!(" It spent {} in {call} with the GIL in its hands.", time(worst.syscall_ns));
    }
    let advice = match worst.own() {
        _ if !is_proven(report.long_holds.iter()) => {
            String::from("Record again, for longer: holds of C code come back, at the same line.")
        }
        Some(location) => format!(
            "Cut what {location} does at once into pieces, or move it to a process; an extension of your own that is called there \
             should release the GIL (Py_BEGIN_ALLOW_THREADS, nogil). If that line calls nothing of the kind, it may be where garbage \
             is collected or a large object freed."
        ),
        None => String::from(
            "Find the call: record with --stacks to see its line. Then have that extension release the GIL \
             (Py_BEGIN_ALLOW_THREADS, nogil), cut its work into pieces, or move it to a process.",
        ),
    };
    let title = format!("{holder} holds the GIL without letting go");
    Some(verdict(severity, "long-holds", title, text, advice))
}
