//! From one thing to the next: convoys, stalls, holders, threads.

use gilscope_analysis::{Model, NONE, State, stall};
use gilscope_draw::View;

use super::Timeline;
use crate::selection::Selection;

impl Timeline {
    /// Selects a convoy and goes there.
    pub(crate) fn select_convoy(&mut self, model: &Model, convoy: u32) {
        let Some(this) = model.convoys.get(convoy as usize) else { return };
        self.show_span(this.start, this.end, Some(this.victim));
        self.selection = Selection {
            convoy: Some(convoy),
            thread: Some(this.victim),
            range: Some((this.start, this.end)),
            ..Selection::default()
        };
    }

    /// The convoy after the selected one, or after the middle of the view; the one before it if not `forward`. Goes round.
    pub(crate) fn step_convoy(&mut self, model: &Model, forward: bool) {
        let mut order: Vec<u32> = (0..model.convoys.len() as u32).collect();
        order.sort_by_key(|&convoy| (model.convoys[convoy as usize].start, convoy));
        let count = order.len();
        if count == 0 {
            return;
        }
        let selected =
            self.selection.convoy.and_then(|convoy| order.iter().position(|&other| other == convoy));
        let place = match (selected, forward) {
            (Some(place), true) => (place + 1) % count,
            (Some(place), false) => (place + count - 1) % count,
            (None, true) => order
                .iter()
                .position(|&convoy| model.convoys[convoy as usize].end > self.view.from)
                .unwrap_or(0),
            (None, false) => order
                .iter()
                .rposition(|&convoy| model.convoys[convoy as usize].start < self.view.until)
                .unwrap_or(count - 1),
        };
        self.select_convoy(model, order[place]);
    }

    /// Selects what a thread did at a time.
    pub(crate) fn select_at(&mut self, model: &Model, thread: u32, time: i64) {
        let lane = &model.threads[thread as usize].lane;
        let interval = lane.at(time).map(|place| lane.get(place));
        let stall = interval.filter(|interval| interval.state == State::Waiting).map(|interval| interval.arg);
        self.selection = Selection {
            thread: Some(thread),
            time: interval.map(|_| time),
            stall,
            convoy: None,
            range: self.selection.range,
        };
    }

    /// The interval that is selected, if it is not a stall.
    pub(crate) fn selected_interval(&self, model: &Model) -> Option<(u32, i64, i64)> {
        let (thread, time) = (self.selection.thread?, self.selection.time?);
        let lane = &model.threads.get(thread as usize)?.lane;
        let interval = lane.get(lane.at(time)?);
        let is_stall = self.selection.stall.is_some();
        (!is_stall).then_some((thread, interval.start, interval.end))
    }

    /// Selects a stall and brings it into sight.
    pub(crate) fn select_stall(&mut self, model: &Model, index: u32) {
        let Some(stall) = model.stalls.get(index as usize) else { return };
        self.remember();
        self.selection = Selection {
            thread: Some(stall.thread),
            time: Some(stall.start),
            stall: Some(index),
            convoy: None,
            range: None,
        };
        let from = if stall.release == i64::MIN { stall.start } else { stall.release };
        self.bring_into_sight(from, stall.end, Some(stall.thread));
    }

    /// The next or previous stall of the selected thread; of any thread if none is selected.
    pub(crate) fn step_stall(&mut self, model: &Model, forward: bool) {
        let thread = self.selection.thread;
        let fits = |index: &usize| {
            let stall = &model.stalls[*index];
            stall.flags & stall::VOID == 0 && thread.is_none_or(|thread| stall.thread == thread)
        };
        let start = match self.selection.stall {
            Some(stall) => stall as usize,
            None => {
                let time = self.selection.time.unwrap_or(self.view.from);
                let place = model.stalls.partition_point(|stall| stall.start < time);
                if forward { place.wrapping_sub(1) } else { place }
            }
        };
        let found = match forward {
            true => (start.wrapping_add(1)..model.stalls.len()).find(fits),
            false => (0..start.min(model.stalls.len())).rev().find(fits),
        };
        if let Some(index) = found {
            self.select_stall(model, index as u32);
        }
    }

    /// From the selected stall to who held the GIL longest meanwhile.
    pub(crate) fn go_to_holder(&mut self, model: &Model) {
        let Some(stall) = self.selection.stall.and_then(|stall| model.stalls.get(stall as usize)) else {
            return;
        };
        let Some(gil) = model.gils.get(stall.gil as usize) else { return };
        let culprit = match stall.culprit {
            // It still waits: whoever holds now.
            NONE => gil.holds.range(stall.start, stall.end).last().map(|hold| hold.thread),
            culprit => Some(culprit),
        };
        let Some(culprit) = culprit.filter(|&culprit| culprit != NONE) else { return };
        let longest = gil
            .holds
            .range(stall.start, stall.end)
            .filter(|hold| hold.thread == culprit)
            .max_by_key(|hold| hold.end.min(stall.end) - hold.start.max(stall.start));
        let Some(hold) = longest else { return };
        self.remember();
        let middle =
            hold.start.max(stall.start) + (hold.end.min(stall.end) - hold.start.max(stall.start)) / 2;
        self.select_at(model, culprit, middle);
        self.bring_into_sight(hold.start.max(stall.start), hold.end.min(stall.end), Some(culprit));
    }

    /// Selects the thread below the selected one; the first one if none is, or if it was the last.
    pub(crate) fn step_thread(&mut self) {
        let threads: Vec<u32> = self.rows.threads().collect();
        let place =
            self.selection.thread.and_then(|thread| threads.iter().position(|&other| other == thread));
        let next = place.map_or(0, |place| (place + 1) % threads.len().max(1));
        if let Some(&thread) = threads.get(next) {
            self.selection =
                Selection { thread: Some(thread), range: self.selection.range, ..Selection::default() };
            self.reveal(thread);
        }
    }

    /// Shows what is selected, or everything.
    pub(crate) fn fit_selection(&mut self, model: &Model) {
        let selection = self.selection;
        let interval = || {
            let lane = &model.threads.get(selection.thread? as usize)?.lane;
            let interval = lane.get(lane.at(selection.time?)?);
            Some((interval.start, interval.end))
        };
        let stall = || {
            let stall = model.stalls.get(selection.stall? as usize)?;
            Some((stall.start, stall.end))
        };
        match selection.range.or_else(stall).or_else(interval) {
            Some((from, until)) => self.show_span(from, until, selection.thread),
            None => self.fit_all(),
        }
    }

    /// Marks the time under the pointer, or that of the selection; a mark that is there already is removed.
    pub(crate) fn mark(&mut self) {
        let time = self
            .hovered
            .map(|hovered| hovered.time)
            .or(self.selection.time)
            .unwrap_or(self.view.from + self.view.span() / 2);
        let near = self.view.span() / 200;
        let before = self.marks.len();
        self.marks.retain(|mark| (mark - time).abs() > near);
        if self.marks.len() == before {
            self.marks.push(time);
            self.marks.sort_unstable();
        }
    }

    /// Goes to the next mark, or to the first one.
    pub(crate) fn next_mark(&mut self) {
        let view = self.destination();
        let middle = view.from + view.span() / 2;
        let near = view.span() / 200;
        let next = self.marks.iter().find(|&&mark| mark > middle + near).or(self.marks.first());
        if let Some(&mark) = next {
            self.remember();
            self.go(View::new(mark - view.span() / 2, mark + view.span() / 2));
        }
    }
}
