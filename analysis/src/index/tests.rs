//! The forest against the plain reading of the lane.

use proptest::prelude::*;

use super::*;

const CLASSES: usize = 6;

/// The plain form of intervals.
#[derive(Clone, Copy)]
struct Lane<'a> {
    starts: &'a [i64],
    states: &'a [u8],
    end: i64,
}

impl Intervals for Lane<'_> {
    fn len(self) -> usize {
        self.starts.len()
    }
    fn start(self, index: usize) -> i64 {
        self.starts[index]
    }
    fn state(self, index: usize) -> u8 {
        self.states[index]
    }
    fn end(self) -> i64 {
        self.end
    }
    fn first_after(self, time: i64) -> usize {
        self.starts.partition_point(|&start| start <= time)
    }
}

/// A lane drawn as one character for each nanosecond: the same letters in a row are one interval.
fn drawn(timeline: &str) -> (Vec<i64>, Vec<u8>, i64) {
    let mut starts = Vec::new();
    let mut states: Vec<u8> = Vec::new();
    for (time, letter) in timeline.bytes().enumerate() {
        let state = letter - b'a';
        if states.last() != Some(&state) {
            starts.push(time as i64);
            states.push(state);
        }
    }
    (starts, states, timeline.len() as i64)
}

fn classes() -> Classes<CLASSES> {
    Classes::new(|state| (state < 4).then_some(state))
}

fn pieces(timeline: &str, bucket: i64) -> Vec<(i64, i64, usize, u16)> {
    let (starts, states, end) = drawn(timeline);
    let lane = Lane { starts: &starts, states: &states, end };
    let mut out = Vec::new();
    Forest::of(classes(), lane).pieces(lane, 0, end, Bucket::at_least(bucket as f64), &mut out);
    out.iter().map(|piece| (piece.start, piece.end, piece.count, piece.mask)).collect()
}

#[test]
fn an_interval_as_long_as_a_bucket_stands_for_itself_with_its_exact_ends() {
    //  buckets  |   |   |   |
    assert_eq!(pieces("aabbbbbaaaaa", 4), [(0, 2, 1, 1), (2, 7, 1, 2), (7, 12, 1, 1)]);
}

#[test]
fn what_is_shorter_is_merged_bucket_by_bucket_and_says_every_state() {
    //  buckets  |   |   |
    assert_eq!(pieces("abacabab", 4), [(0, 4, 4, 0b111), (4, 8, 4, 0b011)]);
}

#[test]
fn a_bucket_is_the_next_power_of_two() {
    assert_eq!(Bucket::at_least(0.0).nanos(), 1);
    assert_eq!(Bucket::at_least(5_000.0).nanos(), 8192);
    assert_eq!(Bucket::at_least(8192.0).nanos(), 8192);
    assert_eq!(Bucket::at_least(1000.0).start_of(-1), -1024);
}

#[test]
fn the_interval_at_a_time_is_the_one_that_covers_it() {
    let (starts, states, end) = drawn("aabbb");
    let lane = Lane { starts: &starts, states: &states, end };
    let at = |time| lane.at(time);
    assert_eq!([at(-1), at(0), at(1), at(2), at(4), at(5)], [None, Some(0), Some(0), Some(1), Some(1), None]);
}

/// Lengths that reach from none to far more than a block together.
fn lengths() -> impl Strategy<Value = Vec<(i64, u8)>> {
    let length = prop_oneof![8 => 0_i64..40, 1 => 0_i64..5_000, 1 => Just(0_i64)];
    prop::collection::vec((length, 0_u8..6), 1..1500)
}

fn lane_of(intervals: &[(i64, u8)], begin: i64) -> (Vec<i64>, Vec<u8>, i64) {
    let mut time = begin;
    let mut starts = Vec::new();
    for (length, _) in intervals {
        starts.push(time);
        time += length;
    }
    (starts, intervals.iter().map(|interval| interval.1).collect(), time)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pieces_say_what_the_intervals_below_them_say(
        intervals in lengths(),
        begin in -10_000_i64..10_000,
        shift in 0_u32..14,
        (a, b) in (0.0_f64..1.0, 0.0_f64..1.0),
    ) {
        let (starts, states, end) = lane_of(&intervals, begin);
        let lane = Lane { starts: &starts, states: &states, end };
        let bucket = Bucket::at_least(f64::from(1 << shift));
        let span = (end - begin) as f64;
        let from = begin + (span * a.min(b)) as i64;
        let until = (begin + (span * a.max(b)) as i64).max(from + 1);
        let mut out = Vec::new();
        Forest::of(classes(), lane).pieces(lane, from, until, bucket, &mut out);

        for pair in out.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start, "no gap");
            prop_assert_eq!(pair[0].first + pair[0].count, pair[1].first, "no interval twice or never");
        }
        if begin < end {
            prop_assert!(out[0].start <= from);
            prop_assert!(out[out.len() - 1].end >= until.min(end));
        }
        let buckets = (until - bucket.start_of(from)) / bucket.nanos() + 3;
        prop_assert!(out.len() as i64 <= 2 * buckets, "{} pieces for {} buckets", out.len(), buckets);
        for piece in &out {
            let below = piece.first..piece.first + piece.count;
            prop_assert_eq!(piece.start, starts[piece.first]);
            prop_assert_eq!(piece.end, lane.end_of(below.end - 1));
            let mask = below.clone().fold(0, |mask, index| mask | 1_u16 << states[index]);
            prop_assert_eq!(piece.mask, mask);
            let long = below.clone().any(|index| lane.end_of(index) - starts[index] >= bucket.nanos());
            prop_assert!(!long || piece.count == 1, "a long interval stands for itself");
            prop_assert!(long || piece.end - piece.start <= 2 * bucket.nanos());
            for class in 0..CLASSES {
                let nanos: i64 = below
                    .clone()
                    .filter(|&index| usize::from(states[index]) == class && class < 4)
                    .map(|index| lane.end_of(index) - starts[index])
                    .sum();
                let share = nanos as f32 / (piece.end - piece.start).max(1) as f32;
                prop_assert!((piece.shares[class] - share).abs() < 0.02, "{} {}", piece.shares[class], share);
            }
        }
    }

    #[test]
    fn a_bucket_shows_the_same_wherever_the_view_is(
        intervals in lengths(), shift in 0_u32..12, first in 0.0_f64..0.5, second in 0.0_f64..0.5,
    ) {
        let (starts, states, end) = lane_of(&intervals, 0);
        let lane = Lane { starts: &starts, states: &states, end };
        let forest = Forest::of(classes(), lane);
        let bucket = Bucket::at_least(f64::from(1 << shift));
        let view = |from: f64| {
            let mut out = Vec::new();
            let from = (end as f64 * from) as i64;
            forest.pieces(lane, from, from + end / 2 + 1, bucket, &mut out);
            out
        };
        let (one, other) = (view(first), view(second));
        // The outermost buckets may be cut by the view.
        let inner = |out: &[Piece<CLASSES>], against: &[Piece<CLASSES>]| -> Vec<Piece<CLASSES>> {
            let from = against.first().map_or(0, |piece| piece.start + 2 * bucket.nanos());
            let until = against.last().map_or(0, |piece| piece.end - 2 * bucket.nanos());
            let own_from = out.first().map_or(0, |piece| piece.start + 2 * bucket.nanos());
            let own_until = out.last().map_or(0, |piece| piece.end - 2 * bucket.nanos());
            out.iter()
                .filter(|piece| piece.start >= from.max(own_from) && piece.end <= until.min(own_until))
                .copied()
                .collect()
        };
        prop_assert_eq!(inner(&one, &other), inner(&other, &one));
    }

    #[test]
    fn a_forest_that_grew_answers_like_one_built_at_once(
        intervals in lengths(), shift in 0_u32..12, cuts in prop::collection::vec(0.0_f64..1.0, 0..5),
    ) {
        let (starts, states, end) = lane_of(&intervals, 0);
        let whole = Lane { starts: &starts, states: &states, end };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * starts.len() as f64) as usize).collect();
        cuts.sort_unstable();
        let mut grown = Forest::new(classes());
        for cut in cuts {
            // So far the last interval lasts to wherever the trace had come.
            let end = starts.get(cut).copied().unwrap_or(end);
            grown.extend(Lane { starts: &starts[..cut], states: &states[..cut], end });
        }
        grown.extend(whole);
        let bucket = Bucket::at_least(f64::from(1 << shift));
        let (mut one, mut other) = (Vec::new(), Vec::new());
        grown.pieces(whole, 0, end, bucket, &mut one);
        Forest::of(classes(), whole).pieces(whole, 0, end, bucket, &mut other);
        prop_assert_eq!(one, other);
    }
}
