//! The check that proves the probes: on one GIL, acquire and release alternate, and the releaser is the holder.
//!
//! A pure function of events. The collector runs it while it records and writes the outcome into the trace; anyone can run it
//! again over the file.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{
    Event, Kind,
    detail::{Check, Lost},
};

/// Exceptions that are remembered, in case a loss turns out to explain them. A loss becomes known with the next record on its
/// processor, mostly within a round of the collector.
const REMEMBERED: usize = 1 << 16;

/// Who holds a GIL, as far as the events tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    /// Before the first event, or after lost records: the next event decides.
    Unknown,
    Free,
    Thread(i32),
}

/// The running check of a stream of events in order of time.
#[derive(Clone, Default, Debug)]
pub struct Pairing {
    holders: FxHashMap<(i32, u64), Holder>,
    check: Check,
    /// The last exceptions, with their times.
    exceptions: VecDeque<(i64, Exception)>,
}

/// One way to break the alternation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exception {
    AcquiredWhileHeld,
    ReleasedWhileFree,
    ReleasedByOther,
}

impl Pairing {
    /// A check that has seen nothing.
    pub fn new() -> Pairing {
        Pairing::default()
    }

    /// Takes the next event into account.
    pub fn observe(&mut self, event: &Event) {
        match event.kind {
            Kind::Wait => self.check.waits += 1,
            Kind::Acquire => {
                self.check.acquisitions += 1;
                let holder = self.holder(event);
                if let Holder::Thread(_) = holder {
                    self.except(event.time, Exception::AcquiredWhileHeld);
                }
                self.set_holder(event, Holder::Thread(event.tid));
            }
            Kind::Release => {
                self.check.releases += 1;
                match self.holder(event) {
                    Holder::Free => self.except(event.time, Exception::ReleasedWhileFree),
                    Holder::Thread(tid) if tid != event.tid => {
                        self.except(event.time, Exception::ReleasedByOther)
                    }
                    Holder::Thread(_) | Holder::Unknown => {}
                }
                self.set_holder(event, Holder::Free);
            }
            // The program image is new (or gone), and its GILs with it.
            Kind::Process | Kind::ProcessEnd => self.holders.retain(|&(pid, _), _| pid != event.pid),
            _ => {}
        }
    }

    /// Records were lost. What follows proves nothing about what came before; and exceptions during the loss are its doing, since
    /// the records of other processors went on meanwhile.
    pub fn observe_lost(&mut self, lost: &Lost) {
        self.check.lost += lost.records;
        self.holders.values_mut().for_each(|holder| *holder = Holder::Unknown);
        let check = &mut self.check;
        self.exceptions.retain(|(time, exception)| {
            let explained = (lost.from..=lost.until).contains(time);
            if explained {
                *exception.count(check) -= 1;
            }
            !explained
        });
    }

    /// The outcome so far.
    pub fn check(&self) -> &Check {
        &self.check
    }

    fn except(&mut self, time: i64, exception: Exception) {
        *exception.count(&mut self.check) += 1;
        if self.exceptions.len() >= REMEMBERED {
            self.exceptions.pop_front();
        }
        self.exceptions.push_back((time, exception));
    }

    fn holder(&self, event: &Event) -> Holder {
        self.holders.get(&(event.pid, event.gil)).copied().unwrap_or(Holder::Unknown)
    }

    fn set_holder(&mut self, event: &Event, holder: Holder) {
        self.holders.insert((event.pid, event.gil), holder);
    }
}

impl Exception {
    /// Where it is counted.
    fn count(self, check: &mut Check) -> &mut u64 {
        match self {
            Exception::AcquiredWhileHeld => &mut check.acquired_while_held,
            Exception::ReleasedWhileFree => &mut check.released_while_free,
            Exception::ReleasedByOther => &mut check.released_by_other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(from: i64, until: i64) -> Lost {
        Lost { from, until, cpu: None, records: 1 }
    }

    /// Runs the check over one character an event: `a` acquire, `r` release, `w` wait; lower case thread 1, upper case thread 2.
    fn check(timeline: &str) -> Check {
        let mut pairing = Pairing::new();
        for (time, character) in timeline.chars().enumerate() {
            let kind = match character.to_ascii_lowercase() {
                'a' => Kind::Acquire,
                'r' => Kind::Release,
                'w' => Kind::Wait,
                '!' => {
                    pairing.observe_lost(&lost(time as i64, time as i64));
                    continue;
                }
                _ => continue,
            };
            let tid = if character.is_ascii_lowercase() { 1 } else { 2 };
            pairing.observe(&Event::new(time as i64, kind, 1, tid).of_gil(0x1000));
        }
        pairing.check().clone()
    }

    #[test]
    fn alternating_acquisitions_and_releases_are_paired() {
        let outcome = check("r A w R a r a W r A");
        assert_eq!((outcome.acquisitions, outcome.releases, outcome.waits), (4, 4, 2));
        assert_eq!(outcome.unpaired(), 0);
    }

    #[test]
    fn the_first_event_of_a_gil_may_be_either() {
        assert_eq!(check("r a").unpaired(), 0);
        assert_eq!(check("a r").unpaired(), 0);
    }

    #[test]
    fn each_way_to_break_the_alternation_is_counted_by_name() {
        assert_eq!(check("a A").acquired_while_held, 1);
        assert_eq!(check("a r r").released_while_free, 1);
        assert_eq!(check("a R").released_by_other, 1);
    }

    #[test]
    fn lost_records_are_counted_but_never_blamed_on_the_pairing() {
        let outcome = check("a ! a ! r r");
        assert_eq!(outcome.lost, 2);
        assert_eq!(outcome.unpaired(), 1, "only the last release has no excuse");
    }

    #[test]
    fn exceptions_during_a_loss_are_its_doing() {
        //  processor 0   a..........!      the ring is full: 1's release is lost
        //  processor 1       A R           meanwhile 2 acquires what 1 seems to hold
        let event = |time, kind, tid| Event::new(time, kind, 1, tid).of_gil(0x1000);
        let mut pairing = Pairing::new();
        for event in [event(0, Kind::Acquire, 1), event(5, Kind::Acquire, 2), event(7, Kind::Release, 2)] {
            pairing.observe(&event);
        }
        assert_eq!(pairing.check().acquired_while_held, 1, "as long as nothing is known of a loss");
        pairing.observe_lost(&lost(1, 12));
        assert_eq!((pairing.check().unpaired(), pairing.check().lost), (0, 1));
        pairing.observe(&event(20, Kind::Acquire, 1));
        pairing.observe(&event(21, Kind::Acquire, 2));
        pairing.observe_lost(&lost(22, 23));
        assert_eq!(pairing.check().unpaired(), 1, "this one came before the loss");
    }

    #[test]
    fn two_gils_are_checked_apart() {
        let mut pairing = Pairing::new();
        for (gil, tid) in [(0x1000, 1), (0x2000, 2)] {
            pairing.observe(&Event::new(0, Kind::Acquire, 1, tid).of_gil(gil));
        }
        assert_eq!(pairing.check().unpaired(), 0);
    }
}
