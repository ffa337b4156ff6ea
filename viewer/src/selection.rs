//! What is selected, where one was, and what is marked.

use gilscope_draw::View;

/// What is selected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Selection {
    /// A thread: index into the model's.
    pub(crate) thread: Option<u32>,
    /// The interval of that thread at this time.
    pub(crate) time: Option<i64>,
    /// A stall: index into the model's.
    pub(crate) stall: Option<u32>,
    /// A convoy: index into the model's.
    pub(crate) convoy: Option<u32>,
    /// A stretch of time, ns of the trace clock.
    pub(crate) range: Option<(i64, i64)>,
}

/// A place to come back to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Place {
    pub(crate) view: View,
    pub(crate) scroll: f32,
    pub(crate) selection: Selection,
}

/// Places that are remembered.
const HISTORY: usize = 100;

/// The way that was gone.
#[derive(Debug, Default)]
pub(crate) struct History {
    places: Vec<Place>,
}

impl History {
    pub(crate) fn push(&mut self, place: Place) {
        if self.places.last() == Some(&place) {
            return;
        }
        if self.places.len() == HISTORY {
            self.places.remove(0);
        }
        self.places.push(place);
    }

    pub(crate) fn pop(&mut self) -> Option<Place> {
        self.places.pop()
    }
}
