//! The timeline: overview, convoys, axis and lanes of the visible time, and what the pointer does over them.

mod find;
mod navigate;
mod overview;
mod pointer;
mod show;
mod tooltip;

use std::collections::BTreeSet;

use gilscope_analysis::Model;
use gilscope_draw::{Cache, Clock, RowOptions, Rows, TraceIndex, View};

use crate::{
    Settings,
    selection::{History, Selection},
};

/// What is shown, and where.
pub(crate) struct Timeline {
    pub(crate) view: View,
    /// Where the view is on its way to.
    target: Option<View>,
    /// The whole trace, as far as it is known.
    pub(crate) all: View,
    /// Whether the view was chosen by somebody, and not by the trace's growing.
    chosen: bool,
    /// Whether the view moves along with the end of a growing trace.
    pub(crate) pinned_to_end: bool,
    pub(crate) scroll: f32,
    pub(crate) selection: Selection,
    pub(crate) history: History,
    pub(crate) marks: Vec<i64>,
    pub(crate) filter: String,
    pub(crate) pinned: BTreeSet<u32>,
    /// The row and time under the pointer.
    pub(crate) hovered: Option<pointer::Hovered>,
    drag: Option<pointer::Drag>,
    overview_drag: Option<overview::Grip>,
    pub(crate) rows: Rows,
    rows_of: Option<(u64, f32, RowOptions)>,
    cache: Cache,
    lanes_width: f32,
    lanes_height: f32,
    /// Widgets of the last draw list, for tests.
    pub(crate) drawn: usize,
}

impl Timeline {
    pub(crate) fn new() -> Timeline {
        let nothing = View::new(0, 1_000_000_000);
        Timeline {
            view: nothing,
            target: None,
            all: nothing,
            chosen: false,
            pinned_to_end: false,
            scroll: 0.0,
            selection: Selection::default(),
            history: History::default(),
            marks: Vec::new(),
            filter: String::new(),
            pinned: BTreeSet::new(),
            hovered: None,
            drag: None,
            overview_drag: None,
            rows: Rows::default(),
            rows_of: None,
            cache: Cache::default(),
            lanes_width: 800.0,
            lanes_height: 400.0,
            drawn: 0,
        }
    }

    /// Takes in how far the trace reaches by now.
    pub(crate) fn grow(&mut self, model: &Model, following: bool) {
        if model.events == 0 {
            return;
        }
        let before = std::mem::replace(&mut self.all, View::new(model.start, model.end));
        // The last records come with the word that there are no more.
        if self.pinned_to_end && (following || self.all != before) {
            // Half a second of room at the right, so that the newest is not at the very edge.
            let span = self.view.span();
            if self.chosen {
                let until = model.end.saturating_add(span / 40);
                self.view = View::new(until.saturating_sub(span), until);
            } else {
                let from = model.start.max(model.end.saturating_sub(FOLLOWED));
                self.view = View::new(from, model.end.saturating_add((model.end - from) / 40));
            }
            self.target = None;
        } else if !self.chosen && !self.pinned_to_end {
            self.view = self.all;
        }
    }

    /// The rows, renewed if the trace or the choice of rows changed.
    fn renew_rows(&mut self, model: &Model, index: &TraceIndex, settings: &Settings) {
        let options = RowOptions {
            sort: settings.sort(),
            filter: self.filter.clone(),
            hide_idle: settings.hide_idle,
            pinned: self.pinned.clone(),
            only: BTreeSet::new(),
            lane_height: settings.lane_height,
        };
        let wanted = (index.version(), self.lanes_height, options);
        if self.rows_of.as_ref() != Some(&wanted) {
            self.rows = Rows::of(model, index, &wanted.2);
            let higher = (self.lanes_height - 10.0) / self.rows.height.max(1.0) * settings.lane_height;
            if settings.fill_height && higher > settings.lane_height + 1.0 {
                let lane_height = higher.min(HIGHEST).floor();
                self.rows = Rows::of(model, index, &RowOptions { lane_height, ..wanted.2.clone() });
            }
            self.rows_of = Some(wanted);
        }
        self.scroll = self.scroll.clamp(0.0, (self.rows.height - self.lanes_height).max(0.0));
    }

    /// Whether the view is on its way.
    pub(crate) fn is_moving(&self) -> bool {
        self.target.is_some()
    }
}

/// Lanes are not drawn higher than this to fill the room, points.
const HIGHEST: f32 = 56.0;
/// Time that is shown of a trace that is being followed until somebody chooses another, ns.
const FOLLOWED: i64 = 10_000_000_000;

/// What times are counted from.
pub(crate) fn clock(model: &Model, settings: &Settings) -> Clock {
    match settings.wall_clock && model.header.utc_offset != 0 {
        true => {
            let zone = local_offset(model.start.saturating_add(model.header.utc_offset));
            Clock::Wall { offset: model.header.utc_offset.saturating_add(zone) }
        }
        false => Clock::Relative { origin: model.start },
    }
}

/// Offset of the system's time zone at that time, ns; that of UTC if there is none.
fn local_offset(utc_nanos: i64) -> i64 {
    let Ok(timestamp) = jiff::Timestamp::from_nanosecond(i128::from(utc_nanos)) else { return 0 };
    let zone = jiff::tz::TimeZone::system();
    i64::from(zone.to_offset(timestamp).seconds()) * 1_000_000_000
}
