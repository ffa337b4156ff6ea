//! The visible stretch of time, and how times and positions map onto each other.

use gilscope_analysis::index::Bucket;

/// Shortest span that can be shown, ns: a hundredth of the shortest hold.
pub const MIN_SPAN: i64 = 100;

/// A stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct View {
    /// Left end, ns of the trace clock.
    pub from: i64,
    /// Right end, exclusive.
    pub until: i64,
}

impl View {
    /// The stretch from `from` to `until`, at least [`MIN_SPAN`] long.
    pub fn new(from: i64, until: i64) -> View {
        View { from, until: until.max(from.saturating_add(MIN_SPAN)) }
    }

    /// Its length in ns.
    pub fn span(&self) -> i64 {
        self.until.saturating_sub(self.from)
    }

    /// How many ns a point stands for, on a picture `width` points wide.
    pub fn nanos_per_point(&self, width: f32) -> f64 {
        self.span() as f64 / f64::from(width.max(1.0))
    }

    /// Where `time` lies on a picture `width` points wide.
    ///
    /// The view's origin is subtracted before anything becomes a float: days of nanoseconds do not fit into 24 bits.
    #[inline]
    pub fn x(&self, time: i64, width: f32) -> f32 {
        let offset = time.saturating_sub(self.from) as f64;
        (offset / self.span() as f64 * f64::from(width)) as f32
    }

    /// The time at `x` on a picture `width` points wide.
    pub fn time(&self, x: f32, width: f32) -> i64 {
        let share = f64::from(x) / f64::from(width.max(1.0));
        self.from.saturating_add((share * self.span() as f64) as i64)
    }

    /// The grain of a picture `width` points wide: a bucket of one to two points.
    pub fn bucket(&self, width: f32) -> Bucket {
        Bucket::at_least(self.nanos_per_point(width))
    }

    /// The view `factor` times as long, in which `around` stays where it is.
    pub fn zoomed(&self, factor: f64, around: i64) -> View {
        let span = ((self.span() as f64 * factor) as i64).clamp(MIN_SPAN, i64::MAX / 4);
        let share = around.saturating_sub(self.from) as f64 / self.span() as f64;
        let from = around.saturating_sub((share * span as f64) as i64);
        View::new(from, from.saturating_add(span))
    }

    /// The view moved by `nanos`.
    pub fn moved(&self, nanos: i64) -> View {
        View::new(self.from.saturating_add(nanos), self.until.saturating_add(nanos))
    }

    /// The nearest view that does not leave `all` by more than half of itself and is not longer than it, with a margin.
    pub fn within(&self, all: View) -> View {
        let span = self.span().min(all.span().saturating_add(all.span() / 10)).max(MIN_SPAN);
        let slack = span / 2;
        let low = all.from.saturating_sub(slack);
        let high = all.until.saturating_add(slack).saturating_sub(span).max(low);
        let from = self.from.clamp(low, high);
        View::new(from, from.saturating_add(span))
    }

    /// A view that shows `from..until` with some room on both sides.
    pub fn around(from: i64, until: i64) -> View {
        let margin = until.saturating_sub(from).max(MIN_SPAN) / 8 + 1;
        View::new(from.saturating_sub(margin), until.saturating_add(margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_again_at_its_position() {
        let view = View::new(1_000_000_000_000_000, 1_000_000_000_001_000);
        for time in [view.from, view.from + 1, view.from + 777, view.until] {
            assert!((view.time(view.x(time, 1920.0), 1920.0) - time).abs() <= 1);
        }
    }

    #[test]
    fn zooming_keeps_the_time_under_the_pointer_in_place() {
        let view = View::new(0, 1_000_000);
        let zoomed = view.zoomed(0.5, 250_000);
        assert_eq!(zoomed, View::new(125_000, 625_000));
        assert_eq!(zoomed.zoomed(2.0, 250_000), view);
    }

    #[test]
    fn a_view_cannot_leave_the_trace_out_of_sight() {
        let all = View::new(0, 1_000);
        let lost = View::new(50_000, 50_500).within(all);
        assert!(lost.from < all.until, "{lost:?}");
        assert!(View::new(-9_000_000, 9_000_000).within(all).span() <= 1_100);
    }
}
