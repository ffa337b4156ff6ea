//! What is under the pointer, in short.

use gilscope_analysis::{Interval, Model, NONE, State};
use gilscope_draw::{RowKind, caption, peer, time};
use gilscope_trace::syscalls;

use super::Timeline;
use crate::open::Trace;

impl Timeline {
    /// Lines about what is under the pointer.
    pub(crate) fn tooltip(&self, trace: &Trace) -> Vec<String> {
        let model = trace.model();
        let Some(hovered) = self.hovered else { return Vec::new() };
        match hovered.row {
            Some(RowKind::Thread(thread)) => self.lane_lines(model, thread, hovered.time),
            Some(RowKind::Owner(gil)) => {
                let Some(gil) = model.gils.get(gil as usize) else { return Vec::new() };
                match gil.holds.range(hovered.time, hovered.time.saturating_add(1)).next() {
                    Some(hold) if hold.thread != NONE => vec![
                        format!("{} owns the GIL", model.threads[hold.thread as usize].name()),
                        format!("for {}", time::duration(hold.duration())),
                    ],
                    _ => vec![String::from("nobody owns the GIL")],
                }
            }
            _ => Vec::new(),
        }
    }

    fn lane_lines(&self, model: &Model, thread: u32, at: i64) -> Vec<String> {
        let this = &model.threads[thread as usize];
        let mut lines = vec![format!("{} · {}", this.name(), this.tid)];
        let grain = self.view.bucket(self.lanes_width).nanos();
        let Some(place) = this.lane.at(at) else {
            lines.push(String::from("not alive"));
            return lines;
        };
        let interval = this.lane.get(place);
        if interval.duration() >= grain {
            lines.push(what(model, thread, &interval));
            return lines;
        }
        // Merged: what is in the bucket, up to a point where counting would take long.
        let from = at.div_euclid(grain).saturating_mul(grain);
        let mut count = 0;
        let mut waited = 0;
        for interval in this.lane.range(from, from.saturating_add(grain)).take(10_000) {
            count += 1;
            if interval.state == State::Waiting {
                waited += interval.end.min(from + grain) - interval.start.max(from);
            }
        }
        lines.push(format!("{count} intervals within {}", time::duration(grain)));
        if waited > 0 {
            lines.push(format!("waiting {:.0} % of it", 100.0 * waited as f64 / grain as f64));
        }
        lines.push(String::from("zoom in to tell them apart"));
        lines
    }
}

fn what(model: &Model, thread: u32, interval: &Interval) -> String {
    match interval.state {
        State::OffGil => format!("off the GIL for {}", time::duration(interval.duration())),
        State::Unknown if interval.arg == gilscope_analysis::state::LOST => {
            String::from("not known: records were lost")
        }
        State::Unknown => String::from("not known: no event yet"),
        State::Syscall => {
            let fd = gilscope_analysis::state::call_fd(interval.arg);
            let name = syscalls::name(gilscope_analysis::state::call_nr(interval.arg));
            let peer =
                peer(model, thread, fd, interval.start).map_or(String::new(), |peer| format!(" to {peer}"));
            format!("{name}, descriptor {fd}{peer}, {}", time::duration(interval.duration()))
        }
        _ => caption(model, thread, interval),
    }
}
