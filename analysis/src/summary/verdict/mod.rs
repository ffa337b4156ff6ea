//! The judgement in plain sentences: each with the figures behind it, and advice only where the trace holds its evidence.

mod incomplete;
mod waiting;

use self::{incomplete::incomplete, waiting::waiting};
use super::{View, stalls::Stalls};
use crate::{
    Report,
    report::{LongHold, Severity, Share, Verdict, Victim},
    words::{count, list, percent, plural, rate, share, time},
};

/// Part of the victim's time that stalls must take to be a problem, and to be worth a word.
const PROBLEM: f64 = 0.05;
const NOTICE: f64 = 0.01;
/// Part of the time that a GIL must be contended for contention alone to be worth a word.
const CONTENDED: f64 = 0.2;
/// Part of the stall time in which the holder had no processor that is worth a word.
const DESCHEDULED: f64 = 0.1;

/// Part of the GILs' time of which nothing is known that forbids to call a trace well.
const MOSTLY_UNKNOWN: f64 = 0.5;

pub(super) fn verdicts(view: &View, report: &Report, stalls: &Stalls) -> Vec<Verdict> {
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
    all.extend(descheduled(view, report, stalls));
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
fn convoys(report: &Report) -> Vec<Verdict> {
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
    // Workers of a cluster have threads of the same names.
    let process = report.processes.iter().find(|process| process.pid == victim.pid);
    let place = match process.map(|process| (process.role.as_deref(), process.address.as_deref())) {
        Some((Some(role), Some(address))) => format!("In the {role} at {address}, "),
        Some((Some(role), None)) => format!("In the {role}, "),
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
    let victim_waited = report
        .threads
        .iter()
        .find(|thread| (thread.pid, thread.tid) == (victim.pid, victim.victim.tid))
        .map_or(0.0, |thread| share(thread.waiting_ns, thread.lifetime_ns));
    if victim_waited > victim.share + PROBLEM {
        text += &format!(
            " In all it waited {} of its time for the GIL; the rest followed turns of computing, sleeps or locks, or stood alone.",
            percent(victim_waited)
        );
    }
    if let Some(code) = victim.code.first() {
        text += &format!(
            " The holders ran {} for {} of the stall time ({}).",
            code.location,
            percent(code.share),
            plural(code.samples, "sample", "samples"),
        );
    }
    let deaf: Vec<&LongHold> = report
        .long_holds
        .iter()
        .filter(|hold| {
            hold.gil == victim.gil && victim.culprits.iter().any(|culprit| culprit.tid == hold.tid)
        })
        .collect();
    let deaf_ns: i64 = deaf.iter().map(|hold| hold.stalled_ns).sum();
    let gil = report.gils.iter().find(|gil| gil.id == victim.gil);
    let interval = gil.and_then(|gil| gil.switch_interval_us);
    let advice = match (deaf.first(), interval) {
        (Some(hold), _) if deaf_ns > victim.stalled_ns / 2 && is_proven(deaf.iter().copied()) => format!(
            "Most of these stalls outlast the switch interval, so a shorter interval will not help: make the C code that {} runs \
             release the GIL, or move it to a process.",
            report.label(hold.tid, &hold.name)
        ),
        (_, Some(us)) if us > 1000 => format!(
            "Move the CPU work of {} to a process (concurrent.futures.ProcessPoolExecutor). Until then \
             sys.setswitchinterval({}) shortens each stall from {} to about {}, at the price of more switches.",
            list(&culprits),
            us as f64 / 1e7,
            time(us as i64 * 1000),
            time(us as i64 * 100),
        ),
        _ => format!(
            "Move the CPU work of {} to a process (concurrent.futures.ProcessPoolExecutor).",
            list(&culprits)
        ),
    };
    Some(verdict(severity, "convoy", title, text, advice))
}

/// Whether long holds are more than a virtual processor that was stopped now and then, unseen by its own kernel. That hits any line,
/// for a tenth of a second at most; C code is called by the same one again, or for long.
fn is_proven<'a>(mut holds: impl Iterator<Item = &'a LongHold>) -> bool {
    const LONG: i64 = 200_000_000;
    holds.any(|hold| hold.holds >= 3 || (hold.samples >= 3 && hold.longest_ns >= LONG))
}

fn long_holds(report: &Report, stalls: &Stalls) -> Option<Verdict> {
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
    if let Some(location) = &worst.location {
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
    let advice = match &worst.location {
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

fn contention(report: &Report, stalls: &Stalls) -> Option<Verdict> {
    // Stalls after a forced release are those of threads that compute: nothing else was going on.
    let part = share(stalls.forced_ns, report.trace.duration_ns);
    let gil = report.gils.iter().max_by_key(|gil| gil.contended_ns)?;
    let contended = share(gil.contended_ns, gil.lifetime_ns);
    if part < CONTENDED || contended < CONTENDED {
        return None;
    }
    let mut computing: Vec<_> = report
        .threads
        .iter()
        .filter(|thread| thread.pid == gil.pid && thread.forced_releases > gil.forced / 20)
        .collect();
    if computing.len() < 2 {
        // Beside a thread that does I/O only the one that computes is forced.
        return None;
    }
    computing.sort_by_key(|thread| -thread.waiting_ns);
    let shown: Vec<String> = computing.iter().map(|thread| report.label(thread.tid, &thread.name)).collect();
    let waited: Vec<String> = computing
        .iter()
        .map(|thread| {
            format!(
                "{} {}",
                report.label(thread.tid, &thread.name),
                percent(share(thread.waiting_ns, thread.lifetime_ns))
            )
        })
        .collect();
    let text = format!(
        "The GIL was held {} and wanted by a second thread {} of the time. It changed hands {} times a second, {} on request \
         after a switch interval. Time spent waiting: {}. Together these threads get one processor's worth of Python.",
        percent(share(gil.held_ns, gil.lifetime_ns)),
        percent(contended),
        rate(gil.handovers_per_second),
        count(gil.forced),
        list(&waited),
    );
    let advice = "More threads will not make this faster: move the work to processes, to sub-interpreters with a GIL of their own (3.12 \
                  and later), or to code that releases the GIL.";
    let title = format!("{} compute in turns on one GIL", list(&shown));
    Some(verdict(Severity::Notice, "contention", title, text, advice))
}

fn descheduled(view: &View, report: &Report, stalls: &Stalls) -> Option<Verdict> {
    let lanes = super::lanes::lanes(view, stalls);
    let (mut preempted, mut blocked) = (0, 0);
    let mut worst = (0, 0_u32);
    for (thread, lane) in
        lanes.iter().enumerate().filter(|&(thread, _)| view.has_process(view.model.threads[thread].process))
    {
        preempted += lane.descheduled_contended.0;
        blocked += lane.descheduled_contended.1;
        worst = worst.max((lane.descheduled_contended.0 + lane.descheduled_contended.1, thread as u32));
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
    let slept_at = report
        .long_holds
        .iter()
        .find(|hold| hold.tid == view.tid(worst.1))
        .and_then(|hold| hold.location.as_ref());
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

fn healthy(report: &Report) -> Verdict {
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
