//! The timelines of one view: what all painters of rows need to know.

use gilscope_analysis::{Model, index::Bucket};

use crate::{
    Cache, Clock, DrawList, Palette, Row, RowKind, Rows, TraceIndex, View, axis, convoys, lanes, lost, names,
    overlay, owners,
};

/// A view of a model, of a certain size.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What happened.
    pub model: &'a Model,
    /// Its index.
    pub index: &'a TraceIndex,
    /// The colours.
    pub palette: &'a Palette,
    /// The rows.
    pub rows: &'a Rows,
    /// The visible time.
    pub view: View,
    /// Width, points.
    pub width: f32,
    /// Height, points.
    pub height: f32,
    /// How far the rows are scrolled up, points.
    pub scroll: f32,
    /// What times are counted from.
    pub clock: Clock,
}

impl Scene<'_> {
    /// Where `time` lies.
    #[inline]
    pub fn x(&self, time: i64) -> f32 {
        self.view.x(time, self.width)
    }

    /// The rows in sight.
    pub fn visible(&self) -> &[Row] {
        self.rows.between(self.scroll, self.scroll + self.height)
    }

    /// The grain of the pieces: a bucket of one to two points, or of two to four where many rows are in sight. There a mesh of
    /// finer ones costs more than the eye gains: at 64 dense lanes of 1 920 points each point is a hundred thousand rectangles.
    pub fn bucket(&self) -> Bucket {
        let points = if self.visible().len() > MANY_ROWS { 2.0 } else { 1.0 };
        self.view.bucket(self.width / points)
    }

    /// Where the row of a thread lies, if it is among the rows: its upper edge and its height.
    pub fn row_of(&self, thread: u32) -> Option<(f32, f32)> {
        self.rows.of_thread(thread).map(|row| (row.y - self.scroll, row.h))
    }

    /// The stretch from `start` to `end`, cut to just beyond the picture: left edge and width. `None` if it is out of sight.
    pub fn stretch(&self, start: i64, end: i64) -> Option<(f32, f32)> {
        if end < self.view.from || start > self.view.until {
            return None;
        }
        let left = self.x(start).max(-4.0);
        let right = self.x(end).min(self.width + 4.0);
        Some((left, (right - left).max(0.0)))
    }
}

/// Rows in sight from which on the grain is coarser.
const MANY_ROWS: usize = 24;

/// What is emphasised in a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Emphasis {
    /// An interval: the thread, from when to when.
    pub interval: Option<(u32, i64, i64)>,
    /// A stall: index into the model's.
    pub stall: Option<u32>,
    /// A convoy: index into the model's.
    pub convoy: Option<u32>,
    /// A selected stretch of time.
    pub range: Option<(i64, i64)>,
}

/// All rows of a scene.
pub fn rows(scene: &Scene<'_>, cache: &mut Cache, emphasis: Emphasis) -> DrawList {
    let mut list = DrawList::new(scene.width, scene.height);
    let clip = Some([0.0, 0.0, scene.width, scene.height]);
    cache.begin_frame();
    let layer = list.layer(clip);
    axis::grid(scene, layer);
    for row in scene.visible() {
        match row.kind {
            RowKind::Process(process) => names::heading(scene, process, row, layer),
            RowKind::Owner(gil) => owners::row(scene, cache, gil, row, layer),
            RowKind::Thread(thread) => lanes::row(scene, cache, thread, row, layer),
        }
    }
    lost::rows(scene, layer);
    convoys::bands(scene, emphasis.convoy, list.layer(clip));
    overlay::emphasis(scene, emphasis, list.layer(clip));
    list
}
