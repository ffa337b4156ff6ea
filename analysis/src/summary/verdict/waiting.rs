//! Threads that wait for the GIL without a convoy, C code or taking turns by request to explain it: what holds it lets go by itself,
//! but there is too much of it.

use super::{CONTENDED, PROBLEM, verdict};
use crate::{
    Report,
    report::{Severity, Thread, Verdict},
    summary::stalls::Stalls,
    words::{count, list, percent, share, time},
};

/// Samples from which on one line is worth advice.
const MIN_SAMPLES: u64 = 10;

pub(super) fn waiting(report: &Report, stalls: &Stalls, has_contention: bool) -> Option<Verdict> {
    let of_victims: i64 = report.victims.iter().map(|victim| victim.stalled_ns).sum();
    let by_long_holds: i64 = report.long_holds.iter().map(|hold| hold.stalled_ns).sum();
    let in_turns = if has_contention { stalls.forced_ns } else { 0 };
    let explained = of_victims + by_long_holds + in_turns;
    if share(explained, stalls.stalled_ns) > 0.5 {
        return None;
    }
    let part = |thread: &Thread| share(thread.waiting_ns, thread.lifetime_ns);
    let mut waiters: Vec<&Thread> = report
        .threads
        .iter()
        .filter(|thread| {
            thread.lifetime_ns > report.trace.duration_ns / 100
                && part(thread) >= PROBLEM
                && !has_part_in_convoy(report, thread)
        })
        .collect();
    waiters.sort_by(|a, b| b.waiting_ns.cmp(&a.waiting_ns).then(a.tid.cmp(&b.tid)));
    let worst = *waiters.first()?;
    waiters.retain(|thread| thread.pid == worst.pid);
    let names: Vec<String> = waiters.iter().map(|thread| report.label(thread.tid, &thread.name)).collect();
    let blamed: Vec<_> =
        report.blame.iter().filter(|blame| blame.pid == worst.pid && blame.waiter_tid == worst.tid).collect();
    let holders: Vec<String> = blamed
        .iter()
        .filter(|blame| blame.ns > worst.waiting_ns / 10)
        .filter_map(|blame| {
            Some(format!("{} ({})", report.label(blame.holder_tid?, &blame.holder), time(blame.ns)))
        })
        .collect();
    let mut text = format!(
        "{} waited {} of its time for the GIL: {} in {} waits, half of them over {}, the longest {}.",
        names[0],
        percent(part(worst)),
        time(worst.waiting_ns),
        count(worst.contended),
        time(worst.wait_ns.p50),
        time(worst.wait_ns.max),
    );
    if !holders.is_empty() {
        text += &format!(" Meanwhile it was held by {}.", list(&holders));
    }
    let free = blamed.iter().find(|blame| blame.holder_tid.is_none() && blame.holder == "(free)");
    let free = free.map_or(0, |blame| blame.ns);
    if share(free, worst.waiting_ns) > CONTENDED {
        text += &format!(
            " For {} it was free: whoever was woken to take it did not run yet, as happens when processors are scarce.",
            time(free)
        );
    }
    let code = report.code.first().filter(|code| code.share >= 0.5 && code.samples >= MIN_SAMPLES);
    if let Some(code) = code {
        text += &format!(
            " The holders ran {} for {} of the stall time that was sampled.",
            code.told(),
            percent(code.share)
        );
    }
    let advice = match code {
        _ if share(free, worst.waiting_ns) > 0.5 => String::from(
            "Most of this is waiting for a processor: look at the CPU quota of the process (cgroup cpu.max, container limits) and at \
             what else runs on these processors. Fewer threads that take the GIL less often help too.",
        ),
        Some(code) => format!(
            "Move what {} does to a process (concurrent.futures.ProcessPoolExecutor), or have it done by a library that releases \
             the GIL.",
            code.own()
        ),
        None => String::new(),
    };
    let verb = if names.len() == 1 { "waits" } else { "wait" };
    let title = format!("{} {verb} for the GIL", list(&names));
    Some(verdict(Severity::Notice, "waiting", title, text, advice))
}

/// Whether a convoy explains why the thread waits: as its victim, or since the victim holds the GIL in turn.
fn has_part_in_convoy(report: &Report, thread: &Thread) -> bool {
    report.victims.iter().any(|victim| {
        let is_victim = victim.victim.tid == thread.tid;
        let has_part = is_victim || victim.culprits.iter().any(|culprit| culprit.tid == thread.tid);
        victim.pid == thread.pid
            && has_part
            && (victim.stalled_ns > thread.waiting_ns / 2 || (is_victim && victim.share >= PROBLEM))
    })
}
