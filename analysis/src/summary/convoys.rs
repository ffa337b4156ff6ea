//! The convoys of the range, one by one and by victim.

use rustc_hash::FxHashMap;

use super::{
    View, code, lanes,
    stalls::{Stalls, Sums},
    words::{per_second, share},
};
use crate::{Convoy, holds, report};

pub(super) fn convoys(view: &View, stalls: &Stalls) -> (Vec<report::Convoy>, Vec<report::Victim>) {
    let mut rows: Vec<(i64, report::Convoy)> = Vec::new();
    let mut victims: FxHashMap<(u32, u32), (Sums, report::Victim)> = FxHashMap::default();
    let (code, code_of_victims) = code::sides(view);
    for (index, (convoy, sums)) in view.model.convoys.iter().zip(&stalls.convoys).enumerate() {
        let concerned = view.has_thread(convoy.victim)
            || sums.culprits.iter().any(|&(thread, _)| view.has_thread(thread));
        if sums.stalls == 0 || !concerned {
            continue;
        }
        let (from, to) = view.clip(convoy.start, convoy.end);
        let releases = releases(view, convoy, from, to).max(sums.stalls);
        let (code, victim_code) = code.get(&(index as u32)).map(|sides| sides.rows(view)).unwrap_or_default();
        rows.push((
            sums.stalled_ns,
            report::Convoy {
                gil: view.model.gil_name(convoy.gil),
                pid: view.model.pid(convoy.victim),
                start_ns: view.relative(from),
                end_ns: view.relative(to),
                victim: view.who(convoy.victim),
                culprits: sums.shares(view),
                stalls: sums.stalls,
                releases,
                stalls_per_release: sums.stalls as f64 / releases as f64,
                stalled_ns: sums.stalled_ns,
                io_ns: sums.io_ns,
                calls_per_second: per_second(releases, sums.stalled_ns),
                observed_calls_per_second: per_second(releases, to - from),
                code,
                victim_code,
            },
        ));
        let (all, victim) = victims.entry((convoy.victim, convoy.gil)).or_default();
        all.merge(sums);
        victim.convoys += 1;
        victim.convoy_ns += to - from;
        victim.releases += releases;
    }
    rows.sort_by_key(|(stalled_ns, convoy)| (-stalled_ns, convoy.start_ns, convoy.victim.tid));
    let mut victims: Vec<report::Victim> = victims
        .into_iter()
        .map(|((thread, gil), (mut sums, victim))| {
            sums.durations.sort_unstable();
            let lane = &view.model.threads[thread as usize].lane;
            let (from, to) = view.clip(lane.start(), lane.end());
            let sides = code_of_victims.get(&(thread, gil));
            let (code, victim_code) = sides.map(|sides| sides.rows(view)).unwrap_or_default();
            report::Victim {
                gil: view.model.gil_name(gil),
                pid: view.model.pid(thread),
                victim: view.who(thread),
                culprits: sums.shares(view),
                stalls: sums.stalls,
                stalled_ns: sums.stalled_ns,
                io_ns: sums.io_ns,
                stall_p50_ns: lanes::percentiles(&sums.durations).p50,
                share: share(sums.stalled_ns, to - from),
                calls_per_second: per_second(victim.releases, sums.stalled_ns),
                observed_calls_per_second: per_second(victim.releases, victim.convoy_ns),
                code,
                victim_code,
                ..victim
            }
        })
        .collect();
    victims.sort_by_key(|victim| (-victim.stalled_ns, victim.victim.tid));
    (rows.into_iter().map(|(_, convoy)| convoy).collect(), victims)
}

/// Voluntary releases by the victim inside `from..=to`.
fn releases(view: &View, convoy: &Convoy, from: i64, to: i64) -> u64 {
    if from == convoy.start && to == convoy.end {
        return convoy.releases;
    }
    let holds = &view.model.gils[convoy.gil as usize].holds;
    let voluntary = holds.range(from.saturating_sub(1), to).filter(|hold| {
        hold.thread == convoy.victim && hold.has(holds::VOLUNTARY) && hold.end >= from && hold.end <= to
    });
    voluntary.count() as u64
}
