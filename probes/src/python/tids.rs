//! The kernel's thread ids of Python's threads.
//!
//! From 3.11 a thread state has its `native_thread_id`. Before, there is only the `pthread_t`, on glibc the address of `struct pthread`,
//! which has the id too. Both count as the target's PID namespace does, and are translated by what `/proc` says of each thread.
//! An id is believed only if the process has such a thread.

use std::fs;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{memory::Memory, walk::RawThread};
use crate::process;

/// `offsetof(struct pthread, tid)` on x86-64: verified with glibc 2.36, 2.41 and 2.43.
const PTHREAD_TID: u64 = 0x2d0;
/// Where to look for it if it is elsewhere: `struct pthread` has the TCB before, and the thread's lists and locks behind.
const PTHREAD_SEARCH: std::ops::Range<u64> = 0x80..0x600;

/// What makes a thread another: its address and id, and its `pthread_t`, which it gets late.
type Key = (u64, u64, u64, Option<i32>);

/// Remembers what it resolved: threads come and go far more rarely than they are asked for.
#[derive(Debug)]
pub(super) struct Tids {
    pid: i32,
    pthread_tid: u64,
    searched: bool,
    known: FxHashMap<Key, i32>,
}

impl Tids {
    pub(super) fn new(pid: i32) -> Tids {
        Tids { pid, pthread_tid: PTHREAD_TID, searched: false, known: FxHashMap::default() }
    }

    /// The kernel's id of each thread, as in `/proc/PID/task`; `None` for one that is just being made or already gone.
    pub(super) fn resolve(&mut self, memory: &Memory, threads: &[RawThread]) -> Vec<Option<i32>> {
        let key = |thread: &RawThread| (thread.address, thread.id, thread.pthread, thread.native);
        if threads.iter().any(|thread| !self.known.contains_key(&key(thread))) {
            let tasks = Tasks::of(self.pid);
            if !self.searched && !threads.iter().all(|thread| thread.native.is_some()) {
                self.searched = true;
                self.search(memory, threads, &tasks);
            }
            let mut fresh = FxHashMap::default();
            for thread in threads {
                let tid = self.known.get(&key(thread)).copied().filter(|tid| tasks.host.contains(tid));
                if let Some(tid) = tid.or_else(|| self.look_up(memory, thread, &tasks)) {
                    fresh.insert(key(thread), tid);
                }
            }
            self.known = fresh;
        }
        threads.iter().map(|thread| self.known.get(&key(thread)).copied()).collect()
    }

    fn look_up(&self, memory: &Memory, thread: &RawThread, tasks: &Tasks) -> Option<i32> {
        let noted = thread.native.and_then(|native| tasks.translate(native));
        // After a fork some versions leave the parent's id in the thread state; glibc always puts its own right.
        noted.or_else(|| {
            let tid =
                (thread.pthread != 0).then(|| memory.int(thread.pthread.checked_add(self.pthread_tid)?).ok());
            tasks.translate(tid??)
        })
    }

    /// Makes sure of the offset in `struct pthread`: if it does not fit, finds the one that fits all threads.
    fn search(&mut self, memory: &Memory, threads: &[RawThread], tasks: &Tasks) {
        let started: FxHashSet<u64> =
            threads.iter().map(|thread| thread.pthread).filter(|&it| it != 0).collect();
        let length = usize::try_from(PTHREAD_SEARCH.end).unwrap_or(0);
        let blocks: Vec<Vec<i32>> = started
            .into_iter()
            .filter_map(|pthread| {
                let mut bytes = vec![0; length];
                memory.read(pthread, &mut bytes).ok()?;
                let (ints, _) = bytes.as_chunks::<4>();
                Some(ints.iter().map(|int| i32::from_ne_bytes(*int)).collect())
            })
            .collect();
        if let Some(offset) = find_tid_offset(&blocks, PTHREAD_TID, &|tid| tasks.translate(tid).is_some()) {
            self.pthread_tid = offset;
        }
    }
}

/// The byte offset at which every block has the id of a thread, no two the same; the expected one before all others.
fn find_tid_offset(blocks: &[Vec<i32>], expected: u64, is_thread: &dyn Fn(i32) -> bool) -> Option<u64> {
    let fits = |offset: &u64| {
        let mut seen = FxHashSet::default();
        let index = usize::try_from(offset / 4).unwrap_or(usize::MAX);
        blocks.iter().all(|block| block.get(index).is_some_and(|&tid| is_thread(tid) && seen.insert(tid)))
    };
    if blocks.is_empty() {
        return None;
    }
    std::iter::once(expected).chain(PTHREAD_SEARCH.step_by(4)).find(fits)
}

/// The threads of a process, by the ids of our PID namespace and of its own.
struct Tasks {
    host: FxHashSet<i32>,
    /// From its own id to ours; empty if they are the same.
    inner: FxHashMap<i32, i32>,
}

impl Tasks {
    fn of(pid: i32) -> Tasks {
        let host: FxHashSet<i32> = process::threads(pid).into_iter().collect();
        let is_elsewhere = innermost_id(&format!("/proc/{pid}/status")).is_some_and(|inner| inner != pid);
        let inner = if is_elsewhere {
            host.iter()
                .filter_map(|&tid| Some((innermost_id(&format!("/proc/{pid}/task/{tid}/status"))?, tid)))
                .collect()
        } else {
            FxHashMap::default()
        };
        Tasks { host, inner }
    }

    fn translate(&self, tid: i32) -> Option<i32> {
        if self.inner.is_empty() { self.host.get(&tid).copied() } else { self.inner.get(&tid).copied() }
    }
}

/// The id in the innermost PID namespace (`NSpid` of `/proc/PID/status`: one id per namespace, ours first).
fn innermost_id(path: &str) -> Option<i32> {
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_right_when_it_gives_a_different_thread_for_every_block() {
        //  offset   0x2c8  0x2cc  0x2d0  0x2d4
        //  thread a    70     71      7     71       70 to 72 are threads;
        //  thread b    70     72      7     72       0x2c8 gives the same twice, 0x2d0 none, so 0x2cc it is
        let block = |tid: i32| {
            let mut ints = vec![0; 0x600 / 4];
            ints[0x2c8 / 4..=0x2d4 / 4].copy_from_slice(&[70, tid, 7, tid]);
            ints
        };
        let is_thread = |tid: i32| (70..=72).contains(&tid);
        assert_eq!(find_tid_offset(&[block(71), block(72)], PTHREAD_TID, &is_thread), Some(0x2cc));
    }

    #[test]
    fn the_expected_offset_wins_where_it_fits() {
        let mut ints = vec![0; 0x600 / 4];
        ints[0x100 / 4] = 70;
        ints[0x2d0 / 4] = 70;
        assert_eq!(find_tid_offset(&[ints], PTHREAD_TID, &|tid| tid == 70), Some(PTHREAD_TID));
        assert_eq!(find_tid_offset(&[], PTHREAD_TID, &|_| true), None);
    }
}
