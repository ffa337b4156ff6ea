//! Two reports side by side: what changed. Threads are matched by name; figures are per second or shares, since traces differ
//! in length.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Report,
    report::{REPORT_VERSION, Severity, Thread, Trace},
    words::{per_second, percent, rate, share, time},
};

/// What changed from one trace to another.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The first trace.
    pub before: Trace,
    /// The second trace.
    pub after: Trace,
    /// What changed, in words.
    pub sentences: Vec<String>,
    /// Figures of the whole traces.
    pub totals: Vec<Change>,
    /// Figures by thread name, most stalled first; of threads that waited or held for a hundredth of the time.
    pub threads: Vec<ThreadChange>,
}

/// One figure in both traces.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Change {
    /// What it is.
    pub figure: String,
    /// `share` (0 to 1), `ns` or `per_second`.
    pub unit: String,
    /// In the first trace.
    pub before: f64,
    /// In the second trace.
    pub after: f64,
    /// Whether less of it is better; absent where neither is.
    pub less_is_better: Option<bool>,
}

/// The figures of the threads of one name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ThreadChange {
    /// The name.
    pub name: String,
    /// Whether the first trace has it.
    pub before: bool,
    /// Whether the second trace has it.
    pub after: bool,
    /// The figures.
    pub changes: Vec<Change>,
}

impl Change {
    /// `÷ 12`, `× 1.50`, `new`, `gone`, `=`.
    pub fn words(&self) -> String {
        let (before, after) = (self.before, self.after);
        match after / before {
            _ if (before - after).abs() <= f64::EPSILON * before.abs() => String::from("="),
            _ if before == 0.0 => String::from("new"),
            _ if after == 0.0 => String::from("gone"),
            factor if (0.995..1.005).contains(&factor) => String::from("="),
            factor if factor >= 10.0 => format!("× {factor:.0}"),
            factor if factor > 1.0 => format!("× {factor:.2}"),
            factor if factor > 0.1 => format!("÷ {:.2}", 1.0 / factor),
            factor => format!("÷ {:.0}", 1.0 / factor),
        }
    }

    /// Whether it got better by more than a tenth; `None` if it is neither better nor worse.
    pub fn better(&self) -> Option<bool> {
        let less = self.less_is_better?;
        let (small, large) = (self.before.min(self.after), self.before.max(self.after));
        (large - small > large / 10.0).then_some(less == (self.after < self.before))
    }
}

/// What changed from `before` to `after`.
pub fn compare(before: &Report, after: &Report) -> Comparison {
    let (old, new) = (threads(before), threads(after));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let nothing = Figures::default();
    let mut changes: Vec<(f64, ThreadChange)> = names
        .into_iter()
        .map(|name| (name, old.get(name), new.get(name)))
        .filter(|(_, a, b)| a.is_some_and(Figures::matters) || b.is_some_and(Figures::matters))
        .map(|(name, a, b)| {
            let (old, new) = (a.unwrap_or(&nothing), b.unwrap_or(&nothing));
            let thread = ThreadChange {
                name: name.clone(),
                before: a.is_some(),
                after: b.is_some(),
                changes: old.changes(new),
            };
            (old.waiting.max(new.waiting), thread)
        })
        .collect();
    changes.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    let totals = totals(before, after);
    Comparison {
        version: REPORT_VERSION,
        before: before.trace.clone(),
        after: after.trace.clone(),
        sentences: sentences(before, after, &totals),
        totals,
        threads: changes.into_iter().map(|(_, thread)| thread).collect(),
    }
}

fn change(figure: &str, unit: &str, before: f64, after: f64, less_is_better: Option<bool>) -> Change {
    Change { figure: figure.to_owned(), unit: unit.to_owned(), before, after, less_is_better }
}

fn totals(before: &Report, after: &Report) -> Vec<Change> {
    let both = |figure: &str, unit: &str, of: &dyn Fn(&Report) -> f64, less: Option<bool>| {
        change(figure, unit, of(before), of(after), less)
    };
    let part = |report: &Report, ns: i64| share(ns, report.trace.duration_ns);
    let waited = |r: &Report| part(r, r.threads.iter().map(|thread| thread.waiting_ns).sum());
    let in_convoys = |r: &Report| part(r, r.victims.iter().map(|victim| victim.stalled_ns).sum());
    let convoys = |r: &Report| per_second(r.convoys_total, r.trace.duration_ns);
    let deaf = |r: &Report| part(r, r.long_holds.iter().map(|hold| hold.stalled_ns).sum());
    let stalls = |r: &Report| per_second(r.threads.iter().map(|t| t.contended).sum(), r.trace.duration_ns);
    let handovers =
        |r: &Report| per_second(r.gils.iter().map(|gil| gil.handovers).sum(), r.trace.duration_ns);
    let calls = |r: &Report| {
        let calls = r.threads.iter().flat_map(|thread| &thread.syscalls).map(|call| call.calls);
        per_second(calls.sum(), r.trace.duration_ns)
    };
    vec![
        both("waiting, all threads", "share", &waited, Some(true)),
        both("stalls a second", "per_second", &stalls, Some(true)),
        both("stalled in convoys", "share", &in_convoys, Some(true)),
        both("convoys a second", "per_second", &convoys, Some(true)),
        both("stalled by holds that did not let go", "share", &deaf, Some(true)),
        both("hand-overs a second", "per_second", &handovers, None),
        both("system calls a second", "per_second", &calls, Some(false)),
    ]
}

/// The threads of one name together.
#[derive(Default)]
struct Figures {
    holding: f64,
    waiting: f64,
    convoy: f64,
    acquisitions: f64,
    stalls: f64,
    calls: f64,
    p50: i64,
    p99: i64,
}

impl Figures {
    fn matters(&self) -> bool {
        self.holding >= 0.01 || self.waiting >= 0.01
    }

    fn changes(&self, new: &Figures) -> Vec<Change> {
        vec![
            change("waiting", "share", self.waiting, new.waiting, Some(true)),
            change("stalled in convoys", "share", self.convoy, new.convoy, Some(true)),
            change("holding", "share", self.holding, new.holding, None),
            change("acquisitions a second", "per_second", self.acquisitions, new.acquisitions, None),
            change("stalls a second", "per_second", self.stalls, new.stalls, Some(true)),
            change("median wait", "ns", self.p50 as f64, new.p50 as f64, Some(true)),
            change("99th percentile of waits", "ns", self.p99 as f64, new.p99 as f64, Some(true)),
            change("system calls a second", "per_second", self.calls, new.calls, Some(false)),
        ]
    }
}

fn threads(report: &Report) -> BTreeMap<String, Figures> {
    let mut all: BTreeMap<String, Figures> = BTreeMap::new();
    let ns = report.trace.duration_ns;
    for thread in &report.threads {
        let figures = all.entry(name(thread)).or_default();
        figures.holding += share(thread.held_ns + thread.descheduled_holding_ns, ns);
        figures.waiting += share(thread.waiting_ns, ns);
        figures.acquisitions += per_second(thread.acquisitions, ns);
        figures.stalls += per_second(thread.contended, ns);
        figures.calls += per_second(thread.syscalls.iter().map(|call| call.calls).sum(), ns);
        // Of several threads of one name that which waited longest speaks.
        figures.p50 = figures.p50.max(thread.wait_ns.p50);
        figures.p99 = figures.p99.max(thread.wait_ns.p99);
    }
    for victim in &report.victims {
        if let Some(figures) = all.get_mut(&victim.victim.name) {
            figures.convoy += share(victim.stalled_ns, ns);
        }
    }
    all
}

/// Threads without a name have one number or another in each run: they are compared together.
fn name(thread: &Thread) -> String {
    match thread.name.strip_prefix("thread ").is_some_and(|rest| rest.parse::<i32>().is_ok()) {
        true => String::from("(threads without a name)"),
        false => thread.name.clone(),
    }
}

fn sentences(before: &Report, after: &Report, totals: &[Change]) -> Vec<String> {
    let mut all = Vec::new();
    for old in &before.victims {
        let name = &old.victim.name;
        match after.victims.iter().find(|new| new.victim.name == *name) {
            None => all.push(format!(
                "{name} is no longer stalled in convoys; before, that took {} of its time.",
                percent(old.share)
            )),
            Some(new) => all.push(format!(
                "{name} spends {} of its time stalled in convoys instead of {}, and is capped at {} calls a second instead of {}.",
                percent(new.share),
                percent(old.share),
                rate(new.calls_per_second),
                rate(old.calls_per_second)
            )),
        }
    }
    for new in &after.victims {
        if !before.victims.iter().any(|old| old.victim.name == new.victim.name) {
            all.push(format!(
                "{} is now stalled in convoys, {} of its time, with a median stall of {}.",
                new.victim.name,
                percent(new.share),
                time(new.stall_p50_ns)
            ));
        }
    }
    let worst = |report: &Report| {
        report.verdicts.iter().map(|verdict| verdict.severity).max().unwrap_or(Severity::Ok)
    };
    all.push(format!("Gravest verdict: {} before, {} after.", worst(before).name(), worst(after).name()));
    if totals.iter().all(|total| total.better().is_none()) {
        all.push(String::from("No figure of the whole trace changed by more than a tenth."));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Query, drawn::Drawing, summarize};

    #[test]
    fn a_convoy_that_went_is_said_to_be_gone() {
        let of = |text| summarize(&Drawing::new(text).repeated(40).model(), &Query::default());
        let with = of("io   hhswwwww\ncpu  wwhhhhhh\n");
        let without = of("io   hhshhshh\n");
        let gone = compare(&with, &without);
        assert!(gone.sentences[0].contains("io is no longer stalled in convoys"), "{:?}", gone.sentences);
        let io = gone.threads.iter().find(|thread| thread.name == "io").unwrap();
        assert_eq!(io.changes[0].better(), Some(true));
        assert_eq!(io.changes[0].words(), "gone");
        let same = compare(&with, &with);
        assert!(same.totals.iter().all(|total| total.words() == "="));
    }
}
