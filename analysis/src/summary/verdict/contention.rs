//! Threads that compute in turns.

use super::{CONTENDED, verdict};
use crate::{
    Report,
    report::{Severity, Verdict},
    summary::stalls::Stalls,
    words::{count, list, percent, rate, share},
};

pub(super) fn contention(report: &Report, stalls: &Stalls) -> Option<Verdict> {
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
