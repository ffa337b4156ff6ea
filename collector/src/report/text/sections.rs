//! The tables, in the order in which they are read.

use std::fmt::Write;

use gilscope_analysis::{
    Report,
    report::{Code, Process, Share, Thread},
    words::{count, percent, plural, rate, share, time},
};

use super::{
    BOLD, DIM, GREEN, Page, RED, YELLOW, fit, fit_end, fit_name, heading, more,
    table::{Cell, Column, bar, spark, table},
    wrap,
};

/// Characters of a command that are worth to stand beside its process; fewer go below it.
const LEAST_COMMAND: usize = 20;

pub(super) fn head(out: &mut Page, report: &Report, top: usize) {
    let trace = &report.trace;
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}", fit_end(&trace.path, out.width));
    let mut line = format!("{}, {} events", time(trace.trace_duration_ns), count(trace.events));
    if !trace.host.is_empty() {
        let _ = write!(line, ", recorded on {} ({}, {} processors)", trace.host, trace.arch, trace.cpus);
    }
    if trace.start_utc_ns > 0
        && let Ok(start) = jiff::Timestamp::from_nanosecond(i128::from(trace.start_utc_ns))
    {
        let _ = write!(line, ", {}", start.strftime("%Y-%m-%d %H:%M:%S UTC"));
    }
    wrap(out, 0, &line);
    if trace.duration_ns != trace.trace_duration_ns {
        let range = (trace.from_ns as f64 / 1e9, trace.to_ns as f64 / 1e9);
        let _ = writeln!(out, "of which {:.6} s to {:.6} s, {}", range.0, range.1, time(trace.duration_ns));
    }
    // A launcher's helpers, as shells and shims start them, did nothing that is reported.
    let is_helper = |process: &&Process| process.python.is_none() && process.threads.is_empty();
    let helpers = report.processes.iter().filter(is_helper).count();
    let hidden = if helpers < report.processes.len() { helpers } else { 0 };
    let shown: Vec<_> =
        report.processes.iter().filter(|process| hidden == 0 || !is_helper(process)).collect();
    for process in shown.iter().take(top) {
        let mut line = format!("process {}", process.pid);
        if let Some(role) = &process.role {
            let _ = write!(line, ", {role}");
        }
        if let Some(address) = &process.address {
            let _ = write!(line, " at {address}");
        }
        match &process.python {
            Some(python) => _ = write!(line, ", CPython {python}"),
            None => line += ", no CPython",
        }
        if let Some(sites) = &process.sites {
            let _ = write!(line, " (sites: {sites})");
        }
        let room = out.width.saturating_sub(line.chars().count() + 2);
        if room >= LEAST_COMMAND || process.command.chars().count() <= room {
            let _ = writeln!(out, "{line}: {}", fit(&process.command, room));
        } else {
            wrap(out, 0, &line);
            let _ = writeln!(out, "  {}", fit(&process.command, out.width - 2));
        }
    }
    more(out, shown.len(), top);
    if hidden > 0 {
        let _ = writeln!(out, "and {} that used no GIL", plural(hidden as u64, "process", "processes"));
    }
    let pairing = &report.pairing;
    let _ = writeln!(
        out,
        "{} acquisitions, {} unpaired, {} records lost",
        count(pairing.acquisitions),
        count(pairing.unpaired),
        count(trace.lost)
    );
}

pub(super) fn gils(out: &mut Page, report: &Report, top: usize) {
    // Of the many of a program that starts processes, those that somebody waited for, and then those that were used.
    let mut shown: Vec<usize> = (0..report.gils.len()).collect();
    shown.sort_by_key(|&place| {
        let gil = &report.gils[place];
        std::cmp::Reverse((gil.contended_ns, gil.held_ns))
    });
    shown.truncate(top);
    shown.sort_unstable();
    for gil in shown.iter().map(|&place| &report.gils[place]) {
        let interval = match gil.switch_interval_us {
            Some(us) => time(us.min(1 << 40) as i64 * 1000),
            None => String::from("not known, taken as 5.00 ms"),
        };
        let mut aside = format!("switch interval {interval}");
        if let Some(interpreter) = gil.interpreter.filter(|&interpreter| interpreter != 0) {
            let _ = write!(aside, ", interpreter {interpreter}");
        }
        heading(out, &format!("GIL {}", gil.id.trim_start_matches("gil ")), &aside);
        let mut line = |name: &str, ns: i64, style: anstyle::Style, note: String| {
            let part = share(ns, gil.lifetime_ns);
            // Beside it stands a note.
            let room = out.width.saturating_sub(70).clamp(10, 30);
            let bar = bar(part, room);
            let pad = " ".repeat(if note.is_empty() { 0 } else { room + 2 - bar.chars().count() });
            let _ = writeln!(out, "  {name:<10} {:>6}  {style}{bar}{style:#}{pad}{note}", percent(part));
        };
        let descheduled = match gil.descheduled_ns {
            0 => String::new(),
            ns => format!("of it {} by a thread that did not run", time(ns)),
        };
        line("held", gil.held_ns, GREEN, descheduled);
        let free = format!("free meanwhile for {}", time(gil.handover_ns));
        line("waited for", gil.contended_ns, RED, if gil.handover_ns > 0 { free } else { String::new() });
        line("idle", gil.idle_ns, DIM, String::new());
        if gil.unknown_ns > 0 {
            line("unknown", gil.unknown_ns, YELLOW, String::new());
        }
        let line = format!(
            "{} hand-overs, {} a second; releases: {} forced, {} voluntary; {} in forced-switch limbo",
            count(gil.handovers),
            rate(gil.handovers_per_second),
            count(gil.forced),
            count(gil.voluntary),
            time(gil.limbo_ns),
        );
        wrap(out, 2, &line);
    }
    if report.gils.len() > top {
        heading(out, "Other GILs", &format!("{} that were waited for less", report.gils.len() - top));
    }
}

/// The name of a thread in a list that does not show its ID.
fn name_of(report: &Report, thread: &Thread) -> String {
    report.label(thread.tid, &thread.name)
}

/// The name of a thread, and whether `threading` does not know it.
fn with_kind(thread: &Thread) -> String {
    match thread.foreign {
        Some(true) => format!("{} (foreign)", fit_name(&thread.name, 10)),
        _ => thread.name.clone(),
    }
}

pub(super) fn threads(out: &mut Page, report: &Report, top: usize) {
    heading(out, "Threads", "█ holding  ▓ waiting  ░ in a system call  · off the GIL  ? unknown");
    let columns = [
        Column::Name("thread", 20),
        Column::Right("tid", 8),
        Column::Left("", 22),
        Column::Right("holding", 7),
        Column::Right("waiting", 7),
        Column::Right("in call", 7),
        Column::Right("off", 7),
        Column::Right("stopped", 7),
    ];
    let rows = report.threads.iter().take(top).map(|thread| {
        let of = |ns: i64| share(ns, thread.lifetime_ns);
        let plain = anstyle::Style::new();
        let bar = Cell::Stacked(vec![
            (of(thread.held_ns + thread.descheduled_holding_ns), '█', GREEN),
            (of(thread.waiting_ns), '▓', RED),
            (of(thread.syscall_ns), '░', plain),
            (of(thread.offgil_ns + thread.limbo_ns), '·', DIM),
            (of(thread.unknown_ns), '?', YELLOW),
        ]);
        vec![
            with_kind(thread).into(),
            thread.tid.to_string().into(),
            bar,
            percent(of(thread.held_ns)).into(),
            percent(of(thread.waiting_ns)).into(),
            percent(of(thread.syscall_ns)).into(),
            percent(of(thread.offgil_ns + thread.limbo_ns)).into(),
            percent(of(thread.descheduled_holding_ns)).into(),
        ]
    });
    table(out, &columns, rows);
    more(out, report.threads.len(), top);
}

pub(super) fn waits(out: &mut Page, report: &Report, top: usize) {
    heading(out, "Acquisitions", "and how long those took that had to wait");
    let columns = [
        Column::Name("thread", 20),
        Column::Right("acquired", 10),
        Column::Right("waited", 10),
        Column::Right("forced", 8),
        Column::Right("voluntary", 10),
        Column::Right("p50", 8),
        Column::Right("p90", 8),
        Column::Right("p99", 8),
        Column::Right("max", 8),
    ];
    let rows = report.threads.iter().take(top).map(|thread| {
        let waits = &thread.wait_ns;
        vec![
            name_of(report, thread).into(),
            count(thread.acquisitions).into(),
            count(thread.contended).into(),
            count(thread.forced_releases).into(),
            count(thread.voluntary_releases).into(),
            time(waits.p50).into(),
            time(waits.p90).into(),
            time(waits.p99).into(),
            time(waits.max).into(),
        ]
    });
    table(out, &columns, rows);
    more(out, report.threads.len(), top);
}

/// Who made thread states: a foreign thread that makes one for each entry into Python pays for it each time.
pub(super) fn thread_states(out: &mut Page, report: &Report, top: usize) {
    let makers: Vec<_> =
        report.threads.iter().filter(|thread| thread.states_made + thread.states_destroyed > 0).collect();
    if makers.is_empty() {
        return;
    }
    heading(out, "Thread states", "made and destroyed by the thread");
    let columns = [
        Column::Name("thread", 20),
        Column::Right("acquired", 10),
        Column::Right("made", 10),
        Column::Right("destroyed", 10),
    ];
    let rows = makers.iter().take(top).map(|thread| {
        vec![
            with_kind(thread).into(),
            count(thread.acquisitions).into(),
            count(thread.states_made).into(),
            count(thread.states_destroyed).into(),
        ]
    });
    table(out, &columns, rows);
    more(out, makers.len(), top);
}

/// Columns of the histogram: powers of two from 1 µs to 8 s, what is shorter or longer in the outermost.
const BUCKETS: usize = 24;

pub(super) fn histogram(out: &mut Page, report: &Report, top: usize) {
    let waited: Vec<_> =
        report.threads.iter().filter(|thread| !thread.wait_histogram.is_empty()).take(top).collect();
    if waited.is_empty() {
        return;
    }
    heading(out, "Waits by length", "each column twice as long as the one before");
    // 1 µs, 1 ms and 1 s are ten columns apart.
    let _ = writeln!(out, "  {DIM}{:<20} <1µs      1ms       1s{DIM:#}", "thread");
    for thread in waited {
        let mut counts = [0; BUCKETS];
        for bucket in &thread.wait_histogram {
            let place = (bucket.from_ns / 1000).checked_ilog2().map_or(0, |log| log as usize + 1);
            counts[place.min(BUCKETS - 1)] += bucket.count;
        }
        let _ =
            writeln!(out, "  {:<20} {}", fit_name(&name_of(report, thread), 20), spark(&counts).trim_end());
    }
}

pub(super) fn syscalls(out: &mut Page, report: &Report, top: usize) {
    let mut rows: Vec<_> =
        report.threads.iter().flat_map(|t| t.syscalls.iter().map(move |call| (t, call))).collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(_, call)| -(call.kernel_ns + call.reacquire_ns));
    heading(out, "System calls", "per call: in the kernel, then back to the GIL");
    let columns = [
        Column::Name("thread", 20),
        Column::Left("call", 13),
        Column::Right("calls", 9),
        Column::Right("kernel", 8),
        Column::Right("to GIL", 8),
        Column::Right("in all", 8),
        Column::Right("to GIL", 8),
        Column::Right("runnable", 8),
        Column::Right("with GIL", 8),
    ];
    let all = rows.len();
    let rows = rows.into_iter().take(top).map(|(thread, call)| {
        let each = |ns: i64| time(ns / call.calls.max(1) as i64);
        vec![
            name_of(report, thread).into(),
            call.name.as_str().into(),
            count(call.calls).into(),
            each(call.kernel_ns).into(),
            each(call.reacquire_ns).into(),
            time(call.kernel_ns).into(),
            time(call.reacquire_ns).into(),
            time(call.runnable_ns).into(),
            time(call.held_ns).into(),
        ]
    });
    table(out, &columns, rows);
    more(out, all, top);
}

pub(super) fn blame(out: &mut Page, report: &Report, top: usize) {
    let Some(most) = report.blame.first() else {
        return;
    };
    heading(out, "Blame", "how long each thread waited while another held the GIL");
    let columns = [
        Column::Name("waited", 22),
        Column::Name("while it was held by", 26),
        Column::Right("for", 9),
        Column::Left("", 30),
    ];
    let rows = report.blame.iter().take(top).map(|blame| {
        let holder = match blame.holder_tid {
            Some(tid) => report.label(tid, &blame.holder),
            None => blame.holder.clone(),
        };
        vec![
            report.label(blame.waiter_tid, &blame.waiter).into(),
            holder.into(),
            time(blame.ns).into(),
            Cell::Bar(share(blame.ns, most.ns), RED),
        ]
    });
    table(out, &columns, rows);
    more(out, report.blame.len(), top);
}

/// Those whose names fit into `width` columns; of the first one what fits.
fn culprits(report: &Report, shares: &[Share], width: usize) -> String {
    let mut text = String::new();
    for culprit in shares {
        let part = percent(culprit.share);
        let label = report.label(culprit.tid, &culprit.name);
        if text.is_empty() {
            let room = width.saturating_sub(part.chars().count() + 1);
            text = format!("{} {part}", fit_name(&label, room));
            continue;
        }
        let more = format!(", {label} {part}");
        if text.chars().count() + more.chars().count() > width {
            break;
        }
        text += &more;
    }
    text
}

pub(super) fn convoys(out: &mut Page, report: &Report, top: usize) {
    if report.convoys.is_empty() {
        return;
    }
    let aside = format!("{} in all, the most costly first", count(report.convoys_total));
    heading(out, "Convoys", &aside);
    let columns = [
        Column::Left("from", 9),
        Column::Left("to", 9),
        Column::Name("victim", 16),
        Column::Right("stalls", 7),
        Column::Right("releases", 8),
        Column::Right("stalled", 8),
        Column::Right("I/O", 8),
        Column::Right("cap/s", 7),
        Column::Left("culprits", 17),
    ];
    let rows = report.convoys.iter().take(top).map(|convoy| {
        vec![
            format!("{:.3} s", convoy.start_ns as f64 / 1e9).into(),
            format!("{:.3} s", convoy.end_ns as f64 / 1e9).into(),
            report.label(convoy.victim.tid, &convoy.victim.name).into(),
            count(convoy.stalls).into(),
            count(convoy.releases).into(),
            time(convoy.stalled_ns).into(),
            time(convoy.io_ns).into(),
            rate(convoy.calls_per_second).into(),
            culprits(report, &convoy.culprits, 17).into(),
        ]
    });
    table(out, &columns, rows);
    more(out, report.convoys_total as usize, top);
}

/// A line of a library stands before the line of the program that called it.
fn line(location: &str, caller: Option<&str>) -> String {
    caller.map_or_else(|| location.to_owned(), |caller| format!("{location} ← {caller}"))
}

fn code_rows(out: &mut Page, code: &[Code], top: usize) {
    if code.is_empty() {
        return;
    }
    let columns = [
        Column::Right("share", 7),
        Column::Right("stalled", 8),
        Column::Right("samples", 7),
        Column::LeftEnd("line", 70),
    ];
    let rows = code.iter().take(top).map(|code| {
        vec![
            percent(code.share).into(),
            time(code.stalled_ns).into(),
            count(code.samples).into(),
            line(&code.location, code.caller.as_deref()).into(),
        ]
    });
    table(out, &columns, rows);
}

pub(super) fn code(out: &mut Page, report: &Report, top: usize) {
    let Some(sampling) = &report.sampling else {
        return;
    };
    if sampling.stalled_ns == 0 {
        return;
    }
    let aside = format!(
        "by {} samples, {} a second; they account for {} of {}",
        count(sampling.samples),
        rate(sampling.achieved_hz),
        time(sampling.attributed_ns),
        time(sampling.stalled_ns),
    );
    heading(out, "What the holders ran during stalls", &aside);
    code_rows(out, &report.code, top);
    for victim in report.victims.iter().filter(|victim| !victim.victim_code.is_empty()).take(3) {
        heading(
            out,
            &format!("Where {} stalled", fit_name(&report.label(victim.victim.tid, &victim.victim.name), 40)),
            "",
        );
        code_rows(out, &victim.victim_code, 3);
    }
}

pub(super) fn long_holds(out: &mut Page, report: &Report, top: usize) {
    if report.long_holds.is_empty() {
        return;
    }
    heading(out, "Holds that did not let go when asked", "C code that keeps the GIL");
    let columns = [
        Column::Name("thread", 18),
        Column::Right("holds", 7),
        Column::Right("longest", 8),
        Column::Right("caused", 8),
        Column::LeftEnd("line", 52),
    ];
    let rows = report.long_holds.iter().take(top).map(|hold| {
        let place = match (&hold.location, &hold.syscall) {
            (Some(location), _) => line(location, hold.caller.as_deref()),
            (None, Some(call)) => format!("in {call} for {}", time(hold.syscall_ns)),
            (None, None) => String::from("not sampled"),
        };
        vec![
            report.label(hold.tid, &hold.name).into(),
            count(hold.holds).into(),
            time(hold.longest_ns).into(),
            time(hold.stalled_ns).into(),
            place.into(),
        ]
    });
    table(out, &columns, rows);
    more(out, report.long_holds.len(), top);
}

pub(super) fn stalls(out: &mut Page, report: &Report, top: usize) {
    if report.stalls.is_empty() {
        return;
    }
    heading(out, "Longest stalls", "and who held the GIL, in order");
    let columns = [
        Column::Left("at", 11),
        Column::Name("thread", 18),
        Column::Right("took", 9),
        Column::Left("after", 12),
        Column::Left("held by", 42),
    ];
    let rows = report.stalls.iter().take(top).map(|stall| {
        let mut holders: Vec<(i32, &str, i64)> = Vec::new();
        for held in &stall.holders {
            match holders.last_mut() {
                Some((tid, _, ns)) if *tid == held.tid => *ns += held.duration_ns,
                _ => holders.push((held.tid, &held.name, held.duration_ns)),
            }
        }
        let holders: Vec<String> = holders
            .iter()
            .map(|&(tid, name, ns)| format!("{} {}", fit_name(&report.label(tid, name), 16), time(ns)))
            .collect();
        let took = format!("{}{}", if stall.open { "≥" } else { "" }, time(stall.duration_ns));
        vec![
            format!("{:.6} s", stall.start_ns as f64 / 1e9).into(),
            report.label(stall.tid, &stall.name).into(),
            took.into(),
            stall.after_call.as_deref().unwrap_or("-").into(),
            holders.join(", ").into(),
        ]
    });
    table(out, &columns, rows);
}

pub(super) fn notes(out: &mut Page, report: &Report) {
    if !report.notes.is_empty() {
        heading(out, "Notes", "");
        for note in &report.notes {
            wrap(out, 2, note);
        }
    }
}
