//! Moving the view.

use gilscope_draw::{RowKind, View};

use super::Timeline;
use crate::selection::Place;

/// How much of the way to its target the view goes in a frame of 16 ms.
const GLIDE: f64 = 0.35;

impl Timeline {
    /// The view that was last chosen, be it shown or still on the way.
    pub(crate) fn destination(&self) -> View {
        self.target.unwrap_or(self.view)
    }

    /// Goes to `view`, in a few frames so that the eye can follow.
    pub(crate) fn go(&mut self, view: View) {
        self.chosen = true;
        self.pinned_to_end = false;
        self.target = Some(view.within(self.all));
    }

    /// Goes to `view` at once.
    pub(crate) fn jump(&mut self, view: View) {
        self.go(view);
        self.view = self.destination();
        self.target = None;
    }

    /// Zooms, keeping the time under the pointer, or the middle, where it is.
    pub(crate) fn zoom(&mut self, factor: f64) {
        let pinned = self.pinned_to_end;
        let view = self.destination();
        let middle = view.from + view.span() / 2;
        let around = self.hovered.map_or(middle, |hovered| hovered.time);
        self.go(view.zoomed(factor, around));
        if pinned {
            // Zooming does not let go of the end.
            self.pinned_to_end = true;
            self.view = self.destination();
            self.target = None;
        }
    }

    /// Moves by a share of the visible time.
    pub(crate) fn pan(&mut self, share: f64) {
        let view = self.destination();
        self.go(view.moved((view.span() as f64 * share) as i64));
    }

    /// Shows the whole trace.
    pub(crate) fn fit_all(&mut self) {
        self.remember();
        self.go(self.all);
        self.chosen = false;
    }

    /// Goes to the end and stays there.
    pub(crate) fn go_to_end(&mut self) {
        let span = self.view.span();
        self.go(View::new(self.all.until.saturating_sub(span), self.all.until));
        self.pinned_to_end = true;
    }

    /// Shows `from..until` with room on both sides, and the thread's lane.
    pub(crate) fn show_span(&mut self, from: i64, until: i64, thread: Option<u32>) {
        self.remember();
        self.go(View::around(from, until));
        if let Some(thread) = thread {
            self.reveal(thread);
        }
    }

    /// Moves so that `from..until` is in sight, changing the length of the view only if it must.
    pub(crate) fn bring_into_sight(&mut self, from: i64, until: i64, thread: Option<u32>) {
        let view = self.destination();
        if until - from > view.span() || (until - from) < view.span() / 400 {
            let room = (until - from).max(1) * 4;
            self.go(View::new(from.saturating_sub(room), until.saturating_add(room)));
        } else if from < view.from || until > view.until {
            let middle = from + (until - from) / 2;
            self.go(View::new(middle - view.span() / 2, middle + view.span() / 2));
        }
        if let Some(thread) = thread {
            self.reveal(thread);
        }
    }

    /// Scrolls so that the lane of a thread is in sight.
    pub(crate) fn reveal(&mut self, thread: u32) {
        let Some(row) = self.rows.rows.iter().find(|row| row.kind == RowKind::Thread(thread)) else { return };
        if row.y < self.scroll {
            self.scroll = (row.y - 40.0).max(0.0);
        } else if row.y + row.h > self.scroll + self.lanes_height {
            self.scroll = row.y + row.h + 40.0 - self.lanes_height;
        }
    }

    /// Remembers where one is, to come back to.
    pub(crate) fn remember(&mut self) {
        self.history.push(Place { view: self.destination(), scroll: self.scroll, selection: self.selection });
    }

    /// Goes back to where one was.
    pub(crate) fn back(&mut self) {
        if let Some(place) = self.history.pop() {
            self.go(place.view);
            self.scroll = place.scroll;
            self.selection = place.selection;
        }
    }

    /// Goes a part of the way to the target. `seconds` is the time since the last frame.
    pub(crate) fn glide(&mut self, seconds: f32) -> bool {
        let Some(target) = self.target else { return false };
        let part = 1.0 - (1.0 - GLIDE).powf(f64::from(seconds.clamp(0.001, 0.25)) * 60.0);
        let step = |from: i64, to: i64| from.saturating_add((to.saturating_sub(from) as f64 * part) as i64);
        let next = View::new(step(self.view.from, target.from), step(self.view.until, target.until));
        let rest =
            (next.from - target.from).saturating_abs().max((next.until - target.until).saturating_abs());
        if rest.saturating_mul(500) < target.span() || next == self.view {
            self.view = target;
            self.target = None;
        } else {
            self.view = next;
        }
        true
    }
}
