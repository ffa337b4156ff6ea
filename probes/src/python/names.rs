//! Which threads `threading` knows, by which name, and which are foreign.
//!
//! A thread that is missing from `threading` once proves little: Python's own threads have a thread state a little before `threading`
//! knows them, and the dictionary that is read may be changing. So a thread is foreign when it was missing twice,
//! [`CONFIRM_NANOS`] apart, and until then it is neither known nor foreign.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

/// A thread registers itself in `threading` as the first thing that it does; even on a crowded GIL it is there after this long.
pub(super) const CONFIRM_NANOS: i64 = 100_000_000;
/// How long a thread that has gone is remembered: foreign ones make and destroy a thread state for every call into Python.
const FORGET_NANOS: i64 = 60_000_000_000;

/// What is known of a thread's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// `threading`'s.
    Known(String),
    /// `threading` knows it only because it called in from outside: a `_DummyThread`.
    Dummy(String),
    /// `threading` does not know it.
    Foreign,
    /// Not found out, or not yet.
    Unknown,
}

/// A thread as far as names are concerned: `pthread_t`, and the kernel's id, since the former is used again.
pub(super) type ThreadKey = (u64, Option<i32>);

/// Names of the threads of one process.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: FxHashMap<u64, String>,
    /// First and last time that a thread was missing.
    missing: FxHashMap<ThreadKey, (i64, i64)>,
}

impl Names {
    /// Takes in one look into `threading`: name by `pthread_t`. An empty look is a failed one, since `threading` knows the main thread.
    pub(super) fn update(&mut self, look: HashMap<u64, String>, present: &[ThreadKey], now_nanos: i64) {
        if look.is_empty() {
            return;
        }
        self.known = look.into_iter().collect();
        for &key in present {
            if self.known.contains_key(&key.0) {
                self.missing.remove(&key);
            } else {
                self.missing.entry(key).or_insert((now_nanos, now_nanos)).1 = now_nanos;
            }
        }
        self.missing.retain(|_, &mut (_, last)| now_nanos - last < FORGET_NANOS);
    }

    /// What is known of a thread.
    pub(super) fn of(&self, key: ThreadKey) -> Name {
        match (self.known.get(&key.0), self.missing.get(&key)) {
            (Some(name), _) if is_dummy(name) => Name::Dummy(name.clone()),
            (Some(name), _) => Name::Known(name.clone()),
            (None, Some((first, last))) if last - first >= CONFIRM_NANOS => Name::Foreign,
            (None, _) => Name::Unknown,
        }
    }

    /// Whether another look, [`CONFIRM_NANOS`] after the last, would tell more of these threads.
    pub(super) fn is_unsettled(&self, present: &[ThreadKey]) -> bool {
        present.iter().any(|&key| self.of(key) == Name::Unknown)
    }
}

/// Whether a name is one that `threading` gives to threads that it did not make: `Dummy-1` (3.8 to 3.15, `threading._DummyThread`).
fn is_dummy(name: &str) -> bool {
    name.strip_prefix("Dummy-")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(names: &[(u64, &str)]) -> HashMap<u64, String> {
        names.iter().map(|&(id, name)| (id, name.to_owned())).collect()
    }

    const MAIN: ThreadKey = (1, Some(10));
    const OTHER: ThreadKey = (2, Some(20));

    #[test]
    fn a_thread_is_foreign_when_it_was_missing_twice_and_unknown_until_then() {
        //  time      0    50   100 ms
        //  other     -    -    -         - missing from threading: unknown, unknown, foreign
        let mut names = Names::default();
        let mut states = Vec::new();
        for now in [0, CONFIRM_NANOS / 2, CONFIRM_NANOS] {
            names.update(look(&[(1, "MainThread")]), &[MAIN, OTHER], now);
            states.push(names.of(OTHER));
        }
        assert_eq!(states, [Name::Unknown, Name::Unknown, Name::Foreign]);
        assert_eq!(names.of(MAIN), Name::Known("MainThread".into()));
    }

    #[test]
    fn a_thread_that_registers_late_is_never_foreign() {
        //  time      0    100 ms
        //  other     -    n         n its name
        let mut names = Names::default();
        names.update(look(&[(1, "MainThread")]), &[MAIN, OTHER], 0);
        assert!(names.is_unsettled(&[MAIN, OTHER]));
        names.update(look(&[(1, "MainThread"), (2, "worker")]), &[MAIN, OTHER], CONFIRM_NANOS);
        assert_eq!(names.of(OTHER), Name::Known("worker".into()));
        assert!(!names.is_unsettled(&[MAIN, OTHER]));
    }

    #[test]
    fn a_failed_look_changes_nothing() {
        let mut names = Names::default();
        names.update(look(&[(1, "MainThread"), (2, "worker")]), &[MAIN, OTHER], 0);
        names.update(HashMap::new(), &[MAIN, OTHER], CONFIRM_NANOS);
        names.update(HashMap::new(), &[MAIN, OTHER], 3 * CONFIRM_NANOS);
        assert_eq!(names.of(OTHER), Name::Known("worker".into()));
    }

    #[test]
    fn a_foreign_thread_stays_foreign_from_one_call_into_python_to_the_next() {
        //  time      0    100   200   300 ms
        //  other     -    gone  gone  -        its thread state lives only while it is in Python
        let mut names = Names::default();
        names.update(look(&[(1, "MainThread")]), &[MAIN, OTHER], 0);
        names.update(look(&[(1, "MainThread")]), &[MAIN], CONFIRM_NANOS);
        names.update(look(&[(1, "MainThread")]), &[MAIN], 2 * CONFIRM_NANOS);
        names.update(look(&[(1, "MainThread")]), &[MAIN, OTHER], 3 * CONFIRM_NANOS);
        assert_eq!(names.of(OTHER), Name::Foreign);
    }

    #[test]
    fn a_reused_pthread_is_another_thread() {
        let mut names = Names::default();
        names.update(look(&[(1, "MainThread")]), &[OTHER], 0);
        names.update(look(&[(1, "MainThread")]), &[OTHER], CONFIRM_NANOS);
        assert_eq!(names.of((OTHER.0, Some(21))), Name::Unknown);
    }

    #[test]
    fn dummies_are_told_by_the_name_that_threading_gives_them() {
        assert!(is_dummy("Dummy-1") && is_dummy("Dummy-42"));
        assert!(!is_dummy("Dummy-") && !is_dummy("Dummy-x") && !is_dummy("Thread-1"));
    }
}
