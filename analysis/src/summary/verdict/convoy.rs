//! Convoys: whom they stall, what that costs, and what to do.

use super::{NOTICE, PROBLEM, long_holds::is_proven, names, verdict};
use crate::{
    Report,
    report::{LongHold, Severity, Thread, Verdict, Victim},
    words::{count, list, percent, plural, rate, share, time},
};

/// What the stalls allow. On several processors the victim often has the GIL back before a woken thread runs, so not every release
/// stalls; the two kinds differ by orders of magnitude, and their mean says nothing.
fn ceiling(victim: &Victim) -> String {
    let (calls, requests) = (rate(victim.calls_per_second), rate(victim.calls_per_second / 2.0));
    let stalling = share(victim.stalls as i64, victim.releases as i64);
    if stalling >= 0.5 {
        return format!(
            "This caps it at {calls} such calls a second, so a request of one receive and one send at {requests} a second."
        );
    }
    format!(
        "One release in {} stalls. While each does, as happens when processors are scarce, that caps it at {calls} such calls \
         a second, so a request of one receive and one send at {requests} a second.",
        rate(1.0 / stalling)
    )
}

/// Most verdicts on convoys; what is beyond is in the tables.
const MAX_VICTIMS: usize = 3;

/// A verdict for each name of a victim: a pool that makes a thread a task has many threads of a name.
pub(super) fn convoys(report: &Report) -> Vec<Verdict> {
    let mut merged: Vec<(Victim, i64)> = Vec::new();
    for victim in &report.victims {
        let mut same = report
            .threads
            .iter()
            .filter(|thread| thread.pid == victim.pid && thread.name == victim.victim.name);
        let lifetime = same
            .find(|thread| thread.tid == victim.victim.tid)
            .map_or(report.trace.duration_ns, |thread| thread.lifetime_ns);
        let is_same = |other: &Victim| {
            let names = |victim: &Victim| victim.culprits.first().map(|culprit| culprit.name.clone());
            other.pid == victim.pid
                && other.victim.name == victim.victim.name
                && names(other) == names(victim)
        };
        // Threads of a name that lived at the same time stay apart.
        match merged
            .iter_mut()
            .find(|(other, sum)| is_same(other) && *sum + lifetime <= report.trace.duration_ns)
        {
            None => merged.push((victim.clone(), lifetime)),
            Some((all, sum)) => {
                *sum += lifetime;
                all.stalls += victim.stalls;
                all.releases += victim.releases;
                all.stalled_ns += victim.stalled_ns;
                all.io_ns += victim.io_ns;
                all.share = share(all.stalled_ns, *sum);
                all.calls_per_second = crate::words::per_second(all.stalls, all.stalled_ns);
            }
        }
    }
    let mut all: Vec<Verdict> = merged.iter().filter_map(|(victim, _)| convoy(report, victim)).collect();
    all.sort_by_key(|verdict| std::cmp::Reverse(verdict.severity));
    all.truncate(MAX_VICTIMS);
    all
}

fn convoy(report: &Report, victim: &Victim) -> Option<Verdict> {
    let severity = match victim.share {
        _ if share(victim.stalled_ns, report.trace.duration_ns) < NOTICE => return None,
        share if share >= PROBLEM => Severity::Problem,
        share if share >= NOTICE => Severity::Notice,
        _ => return None,
    };
    let name = &report.label(victim.victim.tid, &victim.victim.name);
    // Who held the GIL for a little beside one who held it for most is told in the text, but it is not his work that has to move.
    let most = victim.culprits.first().map_or(0.0, |culprit| culprit.share);
    let culprits: Vec<String> = victim
        .culprits
        .iter()
        .filter(|culprit| culprit.share >= most / 4.0)
        .map(|culprit| report.label(culprit.tid, &culprit.name))
        .collect();
    let title = format!("{name} is stalled in a convoy behind {}", list(&culprits));
    let thread =
        report.threads.iter().find(|thread| (thread.pid, thread.tid) == (victim.pid, victim.victim.tid));
    // Workers of a cluster have threads of the same names, and their event loops run in what is called the main thread.
    let process = report.processes.iter().find(|process| process.pid == victim.pid);
    let polls = |thread: &Thread| thread.syscalls.iter().any(|call| call.name.starts_with("epoll_"));
    let whose = if thread.is_some_and(polls) { ", whose event loop it runs" } else { "" };
    let place = match process.map(|process| (process.role.as_deref(), process.address.as_deref())) {
        Some((Some(role), Some(address))) => format!("In the {role} at {address}{whose}, "),
        Some((Some(role), None)) => format!("In the {role}{whose}, "),
        _ => String::new(),
    };
    let mut text = format!(
        "{place}{} of its {} for a system call ended in a wait of {} (median) to get the GIL back, while those calls took {} \
         together. Of {} that cost {}, {} of its time. Meanwhile the GIL was held by {}. {}",
        count(victim.stalls),
        plural(victim.releases, "release", "releases"),
        time(victim.stall_p50_ns),
        time(victim.io_ns),
        time(report.trace.duration_ns),
        time(victim.stalled_ns),
        percent(victim.share),
        list(&names(report, &victim.culprits)),
        ceiling(victim),
    );
    let victim_waited = thread.map_or(0.0, |thread| share(thread.waiting_ns, thread.lifetime_ns));
    if victim_waited > victim.share + PROBLEM {
        text += &format!(
            " In all it waited {} of its time for the GIL; the rest followed turns of computing, sleeps or locks, or stood alone.",
            percent(victim_waited)
        );
    }
    if let Some(code) = victim.code.first() {
        text += &format!(
            " The holders ran {} for {} of the stall time ({}).",
            code.told(),
            percent(code.share),
            plural(code.samples, "sample", "samples"),
        );
    }
    let role = process.and_then(|process| process.role.as_deref());
    let advice = advice(report, victim, &culprits, role);
    Some(verdict(severity, "convoy", title, text, advice))
}

fn advice(report: &Report, victim: &Victim, culprits: &[String], role: Option<&str>) -> String {
    let is_culprit = |hold: &&LongHold| {
        hold.gil == victim.gil && victim.culprits.iter().any(|culprit| culprit.tid == hold.tid)
    };
    let deaf: Vec<&LongHold> = report.long_holds.iter().filter(is_culprit).collect();
    let deaf_ns: i64 = deaf.iter().map(|hold| hold.stalled_ns).sum();
    if let Some(hold) = deaf.first()
        && deaf_ns > victim.stalled_ns / 2
        && is_proven(deaf.iter().copied())
    {
        return format!(
            "Most of these stalls outlast the switch interval, so a shorter interval will not help: make the C code that {} runs \
             release the GIL, or move it to a process.",
            report.label(hold.tid, &hold.name)
        );
    }
    let mut advice = match role {
        Some("dask worker") => String::from(
            "Give the workers more processes and fewer threads (dask worker --nworkers 8 --nthreads 1): each process has a GIL of its \
             own. Threads are for tasks that release it, as numpy and pandas do.",
        ),
        _ => format!(
            "Move the CPU work of {} to a process (concurrent.futures.ProcessPoolExecutor).",
            list(culprits)
        ),
    };
    let gil = report.gils.iter().find(|gil| gil.id == victim.gil);
    if let Some(us) = gil.and_then(|gil| gil.switch_interval_us)
        && us > 1000
    {
        advice += &format!(
            " Until then sys.setswitchinterval({}) shortens each stall from {} to about {}, at the price of more switches.",
            us as f64 / 1e7,
            time(us as i64 * 1000),
            time(us as i64 * 100),
        );
    }
    advice
}
