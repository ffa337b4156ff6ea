//! The lane of a thread: pieces become rectangles, and text where it fits.

use gilscope_analysis::{Interval, Model, State, index::Piece, state};
use gilscope_trace::syscalls;

use crate::{Anchor, Cache, Layer, Look, Palette, Rgba, Row, Scene, look::class, text, time};

/// Height of the strip that shows a severe state in a merged piece, of the lane's. A stall is seen however short it is.
const STRIP_STALLED: f32 = 0.45;
const STRIP_WAITING: f32 = 0.2;
const STRIP_OTHER: f32 = 0.1;
/// How much merged pieces are drawn back towards the background, so that they look merged.
const MERGED_DIM: f32 = 0.22;
/// Merged pieces are inset by this much of the lane's height above and below; intervals that stand for themselves are not.
const MERGED_INSET: f32 = 0.1;
/// Narrowest bar that can carry text, points.
const TEXT_WIDTH: f32 = 34.0;
/// Lowest row that can carry text, points.
const TEXT_HEIGHT: f32 = 13.0;

pub(crate) fn row(scene: &Scene<'_>, cache: &mut Cache, thread: u32, row: &Row, layer: &mut Layer) {
    let y = row.y - scene.scroll;
    let this = &scene.model.threads[thread as usize];
    // Before it began and after it ended a thread has no lane.
    if let Some((x, w)) = scene.stretch(this.lane.start(), this.lane.end()) {
        layer.rect(x, y, w, row.h, scene.palette.lane);
        // Off the GIL is what shows where nothing else does: one line for the whole lane instead of one for each interval.
        let h = row.h * Look::Off.height();
        layer.rect(x, y + (row.h - h) / 2.0, w, h, scene.palette.look(Look::Off));
    }
    let bucket = scene.bucket();
    let pieces = cache.thread(scene.model, scene.index, thread, scene.view, bucket);
    let mut painter = Bars { scene, layer, y, h: row.h, last: None };
    for piece in pieces {
        match piece.state() {
            Some(look) => painter.interval(thread, piece, Look::from_u8(look)),
            None => painter.merged(piece),
        }
    }
    painter.flush();
    ticks(scene, thread, y, row.h, layer);
}

/// Paints the bars of one lane from left to right.
struct Bars<'a, 's> {
    scene: &'a Scene<'s>,
    layer: &'a mut Layer,
    y: f32,
    h: f32,
    /// A merged stretch that the next one may continue.
    last: Option<Merged>,
}

#[derive(Clone, Copy, PartialEq)]
struct Merged {
    x: f32,
    right: f32,
    base: Look,
    strip: Option<Look>,
    /// Height of the strip, points.
    height: f32,
}

impl Bars<'_, '_> {
    fn interval(&mut self, thread: u32, piece: &Piece<{ class::COUNT }>, look: Look) {
        self.flush();
        let scene = self.scene;
        let x = scene.x(piece.start).max(-2.0);
        let mut w = scene.x(piece.end).min(scene.width + 2.0) - x;
        if look >= Look::Waiting {
            w = w.max(1.0);
        } else if w > 3.0 {
            // Neighbours of one colour stay apart.
            w -= 0.5;
        }
        let h = self.h * look.height();
        let color = scene.palette.look(look);
        if look != Look::Lost && look != Look::Off {
            self.layer.rect(x, self.y + (self.h - h) / 2.0, w, h, color);
        }
        if w >= TEXT_WIDTH && self.h >= TEXT_HEIGHT && look >= Look::Poll && look != Look::Lost {
            let interval = scene.model.threads[thread as usize].lane.get(piece.first);
            let (left, right) = (x.max(0.0), (x + w).min(scene.width));
            let room = right - left - 8.0;
            let on = match look.height() < 1.0 {
                true => scene.palette.faint,
                false => scene.palette.text_on(color),
            };
            // Thin bars have their text above the bar's own height, on the lane.
            let size = (self.h * 0.5).clamp(9.0, 12.0);
            let at = [left + 4.0, self.y + self.h / 2.0];
            if let Some(text) = caption_within(scene.model, thread, &interval, room, size) {
                self.layer.label(at, Anchor::Left, text, size, on);
            }
        }
    }

    fn merged(&mut self, piece: &Piece<{ class::COUNT }>) {
        let scene = self.scene;
        let x = scene.x(piece.start);
        let right = scene.x(piece.end).max(x + 1.0);
        let base = dominant(&piece.shares);
        let strip = severest(piece).filter(|&look| look > base);
        let height = match strip {
            None => 0.0,
            Some(look) => {
                let (share, least) = match look {
                    Look::Stalled => (piece.shares[class::STALLED], STRIP_STALLED),
                    Look::Waiting => (piece.shares[class::WAITING], STRIP_WAITING),
                    _ => (piece.shares[class::DESCHEDULED], STRIP_OTHER),
                };
                // In steps, so that neighbours that are nearly alike become one rectangle.
                let share = (share.max(least) * 8.0).ceil() / 8.0;
                (self.h * share).max(3.0).min(self.h)
            }
        };
        let next = Merged { x, right, base, strip, height };
        match &mut self.last {
            Some(last)
                if last.base == base
                    && last.strip == strip
                    && last.height == height
                    && x - last.right < 0.5 =>
            {
                last.right = right;
            }
            _ => {
                self.flush();
                self.last = Some(next);
            }
        }
    }

    fn flush(&mut self) {
        let Some(merged) = self.last.take() else { return };
        let palette = self.scene.palette;
        let (x, w) = (merged.x.max(-2.0), merged.right.min(self.scene.width + 2.0) - merged.x.max(-2.0));
        let full = merged.base.height();
        let inset = if full < 1.0 { 0.0 } else { MERGED_INSET * 2.0 };
        let h = self.h * (full - inset);
        if merged.base != Look::Off {
            let color = merged_color(palette, merged.base);
            self.layer.rect(x, self.y + (self.h - h) / 2.0, w, h, color);
        }
        if let Some(strip) = merged.strip {
            let inset = self.h * MERGED_INSET;
            let height = merged.height.min(self.h - 2.0 * inset);
            let y = self.y + self.h - inset - height;
            self.layer.rect(x, y, w, height, palette.look(strip));
        }
    }
}

/// Merged pieces are somewhat fainter than single intervals.
fn merged_color(palette: &Palette, look: Look) -> Rgba {
    palette.look(look).towards(palette.lane, MERGED_DIM)
}

/// The class that takes most of the time.
fn dominant(shares: &[f32; class::COUNT]) -> Look {
    const LOOKS: [Look; class::COUNT] =
        [Look::Stalled, Look::Waiting, Look::Holding, Look::Descheduled, Look::Socket, Look::Poll];
    let rest = 1.0 - shares.iter().sum::<f32>();
    let mut most = (rest, Look::Off);
    for (&share, look) in shares.iter().zip(LOOKS) {
        if share > most.0 {
            most = (share, look);
        }
    }
    most.1
}

/// The most severe state that occurs at all, if any is severe.
fn severest(piece: &Piece<{ class::COUNT }>) -> Option<Look> {
    [Look::Stalled, Look::Waiting, Look::Descheduled].into_iter().find(|&look| piece.has(look as u8))
}

/// What an interval says inside its bar.
pub fn caption(model: &Model, thread: u32, interval: &Interval) -> String {
    let length = time::duration(interval.duration());
    match interval.state {
        State::Syscall => {
            let (nr, fd) = (state::call_nr(interval.arg), state::call_fd(interval.arg));
            let name = syscalls::name(nr);
            match peer(model, thread, fd, interval.start) {
                Some(peer) => format!("{name} {peer} · {length}"),
                None if fd >= 0 => format!("{name}({fd}) · {length}"),
                None => format!("{name} · {length}"),
            }
        }
        State::Waiting => {
            let culprit = model
                .stalls
                .get(interval.arg as usize)
                .and_then(|stall| stall.culprit())
                .and_then(|culprit| model.threads.get(culprit));
            match culprit {
                Some(culprit) => format!("waits {length} for {}", culprit.name()),
                None => format!("waits {length}"),
            }
        }
        State::Holding => format!("holds {length}"),
        State::Descheduled => format!("not running {length}"),
        State::Limbo => format!("limbo {length}"),
        State::OffGil | State::Unknown => length,
    }
}

/// Narrowest bars in which a caption with a name, and one with a word and a length, can fit, in ems. What cannot is not made:
/// at a thousand bars a frame it would be seen in the time of the frame.
const ROOM_FOR_ALL: f32 = 5.0;
const ROOM_FOR_TWO: f32 = 4.0;

/// What an interval says inside a bar with so much room: all of it, or else what matters most. Nothing is cut, since a number
/// that is cut would be another one.
fn caption_within(model: &Model, thread: u32, interval: &Interval, room: f32, size: f32) -> Option<String> {
    let fits = |text: &String| text::width(text, size) <= room;
    let whole = || Some(caption(model, thread, interval)).filter(fits);
    let length = || time::duration(interval.duration());
    let name = || syscalls::name(state::call_nr(interval.arg));
    let two = || match interval.state {
        State::Waiting => Some(format!("waits {}", length())).filter(fits),
        State::Syscall => Some(format!("{} · {}", name(), length())).filter(fits),
        _ => None,
    };
    let one = || match interval.state {
        State::Syscall => Some(name().into_owned()).filter(fits),
        _ => Some(length()).filter(fits),
    };
    let wide = room >= ROOM_FOR_ALL * size;
    let middling = room >= ROOM_FOR_TWO * size;
    wide.then(whole).flatten().or_else(|| middling.then(two).flatten()).or_else(one)
}

/// What a descriptor of a thread's process was: the peer of a socket, the path of a file.
pub fn peer(model: &Model, thread: u32, fd: i32, time: i64) -> Option<String> {
    let process = model.threads.get(thread as usize)?.process;
    let descriptor = model.processes.get(process as usize)?.descriptor(fd, time)?;
    descriptor.peer.clone().or_else(|| descriptor.path.clone()).filter(|text| !text.is_empty())
}

/// Marks at the lower edge where the thread's Python stack is known.
fn ticks(scene: &Scene<'_>, thread: u32, y: f32, h: f32, layer: &mut Layer) {
    let samples = scene.model.threads[thread as usize].samples.range(scene.view.from, scene.view.until);
    let mut last = f32::NEG_INFINITY;
    let color = scene.palette.text.alpha(0.7);
    for sample in samples {
        let x = scene.x(sample.time);
        // So close together that they would be a line, they say nothing more.
        if x - last >= 3.0 {
            layer.rect(x - 0.5, y + h - 4.0, 1.0, 4.0, color);
            last = x;
        }
    }
}
