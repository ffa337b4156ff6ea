//! Stall time by what the holders ran meanwhile, for flame graphs.
//!
//! As in the report: a piece of a stall in which its holder was sampled is divided among those samples; pieces without a sample
//! are divided like the samples that the same holder has in other pieces. What is left is told without a stack. The sum is the
//! time that somebody else held the GIL during stalls, to the nanosecond.

use std::collections::BTreeMap;

use gilscope_analysis::stream::{Lived, Record};

/// Stall time of one victim, caused by one holder.
#[derive(Default)]
struct Share {
    by_stack: BTreeMap<u32, i64>,
    unsampled_ns: i64,
}

/// Adds up stall time. Grows with the number of pairs of threads and of distinct stacks.
#[derive(Default)]
pub(super) struct Blamed {
    /// By victim and holder.
    shares: BTreeMap<(u32, u32), Share>,
    /// Samples of each holder during stalls, by stack.
    samples: BTreeMap<u32, BTreeMap<u32, u64>>,
}

impl Blamed {
    pub(super) fn add(&mut self, record: &Record) {
        let Record::State(Lived { thread, stall: Some(stall), .. }) = record else { return };
        for &(holder, ns) in &stall.holders {
            self.shares.entry((*thread, holder)).or_default().unsampled_ns += ns;
        }
        for piece in stall.pieces.iter().filter(|piece| !piece.stacks.is_empty()) {
            let share = self.shares.entry((*thread, piece.thread)).or_default();
            let mut rest = piece.duration();
            share.unsampled_ns -= rest;
            for (place, &stack) in piece.stacks.iter().enumerate() {
                let part = rest / (piece.stacks.len() - place) as i64;
                rest -= part;
                *share.by_stack.entry(stack).or_default() += part;
                *self.samples.entry(piece.thread).or_default().entry(stack).or_default() += 1;
            }
        }
    }

    /// Tells (victim, holder, stack or `None`, ns) of all stall time, in a stable order.
    pub(super) fn tell(&self, mut tell: impl FnMut(u32, u32, Option<u32>, i64)) {
        for (&(victim, holder), share) in &self.shares {
            let mut stacks = share.by_stack.clone();
            let mut rest = share.unsampled_ns;
            let none = BTreeMap::new();
            let samples = self.samples.get(&holder).unwrap_or(&none);
            let mut count: u64 = samples.values().sum();
            for (&stack, &of) in samples {
                let part = (i128::from(rest) * i128::from(of) / i128::from(count)) as i64;
                (rest, count) = (rest - part, count - of);
                *stacks.entry(stack).or_default() += part;
            }
            for (stack, ns) in stacks.into_iter().filter(|&(_, ns)| ns > 0) {
                tell(victim, holder, Some(stack), ns);
            }
            if rest > 0 {
                tell(victim, holder, None, rest);
            }
        }
    }

    /// What the user should know about it.
    pub(super) fn notes(&self) -> Vec<String> {
        if self.shares.is_empty() {
            return vec![
                "no thread stalled while another held the GIL: there is no stall time to show".into(),
            ];
        }
        if self.samples.is_empty() {
            return vec![
                "no holder was sampled during a stall: stall time is by thread, without Python stacks".into(),
            ];
        }
        Vec::new()
    }
}
