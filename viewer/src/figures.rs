//! Figures of a range of time, computed off the window's thread: the report, the heat of the overview, counters over time.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use gilscope_analysis::{Model, NONE, Query, Report, summarize};
use gilscope_draw::{View, overview::Heat};

use crate::open::{Session, Wake};

/// Steps of the counters.
const STEPS: usize = 240;
/// Longest stalls that are listed.
const TOP: usize = 50;

/// Longest rest between two computations.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// What the figures are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// Version of the index.
    pub(crate) version: u64,
    /// The range of the report; the whole trace if there is none.
    pub(crate) range: Option<(i64, i64)>,
    /// The range of the counters.
    pub(crate) view: View,
}

/// What was computed.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) wanted: Wanted,
    pub(crate) report: Arc<Report>,
    pub(crate) heat: Arc<Heat>,
    pub(crate) counters: Counters,
}

/// Counters over a range, in equal steps.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) from: i64,
    pub(crate) step: f64,
    /// Threads that wait, in the mean.
    pub(crate) waiters: Vec<f64>,
    /// Acquisitions by another thread than the one before, per second.
    pub(crate) handovers: Vec<f64>,
    /// Share of time in which a GIL is held, in percent, the mean over GILs.
    pub(crate) held: Vec<f64>,
}

/// The thread that computes.
pub(crate) struct Worker {
    ask: Sender<Wanted>,
    asked: Option<Wanted>,
    answer: Arc<Mutex<Option<Arc<Figures>>>>,
}

impl Worker {
    pub(crate) fn new(session: Arc<Session>, wake: Wake) -> Worker {
        let (ask, asked) = channel();
        let answer = Arc::new(Mutex::new(None));
        let out = answer.clone();
        std::thread::spawn(move || work(&session, &asked, &out, &wake));
        Worker { ask, asked: None, answer }
    }

    /// Asks for figures, unless these were the last ones asked for.
    pub(crate) fn ask(&mut self, wanted: Wanted) {
        if self.asked != Some(wanted) {
            self.asked = Some(wanted);
            // The worker is gone only if it panicked, which was reported.
            let _ = self.ask.send(wanted);
        }
    }

    /// The last figures, of whatever was asked for then.
    pub(crate) fn latest(&self) -> Option<Arc<Figures>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last figures are those asked for last.
    pub(crate) fn is_settled(&self) -> bool {
        self.latest().is_some_and(|figures| Some(figures.wanted) == self.asked)
    }
}

fn work(session: &Session, asked: &Receiver<Wanted>, out: &Mutex<Option<Arc<Figures>>>, wake: &Wake) {
    let mut last: Option<Arc<Figures>> = None;
    while let Ok(mut wanted) = asked.recv() {
        let begin = Instant::now();
        // Only the latest counts.
        while let Ok(newer) = asked.try_recv() {
            wanted = newer;
        }
        let trace = session.read();
        let (model, version) = (trace.model(), trace.index.version());
        let same = last.as_ref().filter(|last| last.wanted.version == version);
        let report = match same.filter(|last| last.wanted.range == wanted.range) {
            Some(last) => last.report.clone(),
            None => {
                let (from, to) = wanted.range.unwrap_or((i64::MIN, i64::MAX));
                Arc::new(summarize(model, &Query { from, to, top: TOP, ..Query::default() }))
            }
        };
        let heat = match same {
            Some(last) => last.heat.clone(),
            None => Arc::new(Heat::of(model, &trace.index)),
        };
        let counters = Counters::of(model, wanted.view);
        drop(trace);
        let figures = Arc::new(Figures { wanted, report, heat, counters });
        last = Some(figures.clone());
        *out.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
        wake();
        // A trace that grows asks anew with every batch: half of the time is left to others.
        std::thread::sleep(begin.elapsed().min(LONGEST_REST));
    }
}

impl Counters {
    /// The counters of `view`.
    pub(crate) fn of(model: &Model, view: View) -> Counters {
        let step = view.span() as f64 / STEPS as f64;
        let mut counters = Counters {
            from: view.from,
            step,
            waiters: vec![0.0; STEPS],
            handovers: vec![0.0; STEPS],
            held: vec![0.0; STEPS],
        };
        for (_, stall) in model.stalls_in(view.from, view.until) {
            spread(&mut counters.waiters, view, step, stall.start, stall.end);
        }
        for gil in &model.gils {
            let mut before = NONE;
            for hold in gil.holds.range(view.from, view.until) {
                spread(&mut counters.held, view, step, hold.start, hold.end);
                if before != NONE && hold.thread != before && hold.start >= view.from {
                    let place = (((hold.start - view.from) as f64 / step) as usize).min(STEPS - 1);
                    counters.handovers[place] += 1.0;
                }
                before = hold.thread;
            }
        }
        let gils = model.gils.len().max(1) as f64;
        counters.held.iter_mut().for_each(|share| *share = *share * 100.0 / gils);
        counters.handovers.iter_mut().for_each(|count| *count = *count * 1e9 / step);
        counters
    }
}

/// Adds to each step the share of it that `start..end` covers.
fn spread(steps: &mut [f64], view: View, step: f64, start: i64, end: i64) {
    let from = (start.max(view.from) - view.from) as f64 / step;
    let until = (end.min(view.until) - view.from) as f64 / step;
    let mut at = from;
    while at < until {
        let place = at as usize;
        let next = (place as f64 + 1.0).min(until);
        let Some(slot) = steps.get_mut(place) else { return };
        *slot += next - at;
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_spread_over_the_steps_that_it_covers() {
        let mut steps = vec![0.0; 4];
        spread(&mut steps, View::new(0, 400), 100.0, 50, 250);
        assert_eq!(steps, [0.5, 1.0, 0.5, 0.0]);
        spread(&mut steps, View::new(0, 400), 100.0, -1000, 1000);
        assert_eq!(steps, [1.5, 2.0, 1.5, 1.0]);
    }
}
