//! A whole picture without a window: title, overview, convoys, axis, rows, legend.

use std::collections::BTreeSet;

use gilscope_analysis::Model;

use crate::{
    Anchor, Cache, Clock, DrawList, Emphasis, Look, Palette, PictureError, RowOptions, Rows, Scene, Theme,
    TraceIndex, View, axis, convoys, names, overview, png, scene, svg,
};

/// What a picture shows.
#[derive(Clone, PartialEq, Debug)]
pub struct PictureOptions {
    /// Begin of the visible time, ns after the begin of the recording; its begin if `None`.
    pub from: Option<i64>,
    /// End of the visible time, ns after the begin of the recording; its end if `None`.
    pub until: Option<i64>,
    /// Width, points.
    pub width: f32,
    /// Light or dark.
    pub theme: Theme,
    /// Only threads whose name or ID contains one of these; all if empty.
    pub threads: Vec<String>,
    /// Rows at most; what does not fit is counted in the legend.
    pub max_threads: usize,
    /// Names the trace, above the picture; without it there is no heading.
    pub title: Option<String>,
}

impl Default for PictureOptions {
    fn default() -> Self {
        PictureOptions {
            from: None,
            until: None,
            width: 1280.0,
            theme: Theme::default(),
            threads: Vec::new(),
            max_threads: 60,
            title: None,
        }
    }
}

const NAMES: f32 = 220.0;
const TITLE: f32 = 30.0;
const LEGEND: f32 = 30.0;

/// The picture of `model` as SVG.
pub fn picture(model: &Model, options: &PictureOptions) -> String {
    let palette = Palette::of(options.theme);
    let title = options.title.as_deref().unwrap_or("gilscope timeline");
    svg::svg(&draw(model, options), palette.background, title)
}

/// The picture of `model` as PNG, `scale` pixels a point.
pub fn picture_png(model: &Model, options: &PictureOptions, scale: f32) -> Result<Vec<u8>, PictureError> {
    png::png(&draw(model, options), Palette::of(options.theme).background, scale)
}

/// The picture of `model` as a draw list.
pub fn draw(model: &Model, options: &PictureOptions) -> DrawList {
    let index = TraceIndex::of(model);
    let palette = Palette::of(options.theme);
    let view = View::new(
        options.from.map_or(model.start, |from| model.start.saturating_add(from)),
        options.until.map_or(model.end, |until| model.start.saturating_add(until)),
    );
    let (rows, left_out) = rows(model, &index, options);
    let width = options.width.max(NAMES + 100.0);
    let lanes = width - NAMES;
    let clock = Clock::Relative { origin: model.start };
    let scene = Scene {
        model,
        index: &index,
        palette: &palette,
        rows: &rows,
        view,
        width: lanes,
        height: rows.height.max(20.0),
        scroll: 0.0,
        clock,
    };
    let head = if options.title.is_some() { TITLE } else { 0.0 };
    let track = if model.convoys.is_empty() { 0.0 } else { convoys::TRACK };
    let rows_y = head + overview::HEIGHT + track + axis::HEIGHT + 4.0;
    let mut list = DrawList::new(width, rows_y + scene.height + LEGEND);

    if let Some(title) = &options.title {
        let layer = list.layer(None);
        layer.label_within([10.0, TITLE / 2.0], Anchor::Left, title, width - 20.0, 15.0, palette.text);
    }
    let whole = view.from <= model.start && view.until >= model.end;
    let heat = overview::Heat::of(model, &index);
    list.place(overview::overview(model, &heat, &palette, lanes, (!whole).then_some(view)), NAMES, head);
    let mut bars = DrawList::new(lanes, track + axis::HEIGHT);
    if track > 0.0 {
        convoys::track(&scene, None, bars.layer(Some([0.0, 0.0, lanes, track])));
    }
    let mut ruler = DrawList::new(lanes, axis::HEIGHT);
    axis::axis(&palette, view, lanes, clock, ruler.layer(None));
    bars.place(ruler, 0.0, track);
    list.place(bars, NAMES, head + overview::HEIGHT);
    let layer = list.layer(None);
    let y = head + overview::HEIGHT / 2.0;
    layer.label([10.0, y], Anchor::Left, "whole trace", 12.0, palette.faint);
    if track > 0.0 {
        layer.label(
            [10.0, head + overview::HEIGHT + track / 2.0],
            Anchor::Left,
            "convoys",
            12.0,
            palette.convoy,
        );
    }
    let mut column = DrawList::new(NAMES, scene.height);
    names::names(&scene, NAMES, &[], column.layer(Some([0.0, 0.0, NAMES, scene.height])));
    list.place(column, 0.0, rows_y);
    list.place(scene::rows(&scene, &mut Cache::default(), Emphasis::default()), NAMES, rows_y);
    legend(&palette, width, left_out, &mut list, rows_y + scene.height);
    if model.threads.is_empty() {
        let at = [width / 2.0, rows_y + 10.0];
        list.layer(None).label(at, Anchor::Middle, "no threads were recorded", 13.0, palette.faint);
    }
    list
}

/// The rows, and how many threads there was no room for.
fn rows(model: &Model, index: &TraceIndex, options: &PictureOptions) -> (Rows, usize) {
    let mut chosen = RowOptions::default();
    let wanted: Vec<String> = options.threads.iter().map(|name| name.to_lowercase()).collect();
    if !wanted.is_empty() {
        let is_wanted = |thread: &&u32| {
            let this = &model.threads[**thread as usize];
            let name = this.name().to_lowercase();
            wanted.iter().any(|wanted| name.contains(wanted) || this.tid.to_string() == *wanted)
        };
        let all: Vec<u32> = (0..model.threads.len() as u32).collect();
        chosen.only = all.iter().filter(is_wanted).copied().collect();
        chosen.hide_idle = false;
        if chosen.only.is_empty() {
            // Nobody has such a name: a thread that does not exist stands for the empty choice.
            chosen.only = BTreeSet::from([u32::MAX]);
        }
    }
    let rows = Rows::of(model, index, &chosen);
    let shown: Vec<u32> = rows.threads().collect();
    if shown.len() <= options.max_threads {
        return (rows, 0);
    }
    // The most troubled ones, wherever their process stands.
    let mut ranked = shown.clone();
    ranked.sort_by_cached_key(|&thread| {
        let waiting = index.threads.get(thread as usize).map_or(0, |thread| thread.waiting());
        std::cmp::Reverse((index.trouble(thread as usize), waiting))
    });
    ranked.truncate(options.max_threads);
    chosen.only = ranked.into_iter().collect();
    let left_out = shown.len() - chosen.only.len();
    (Rows::of(model, index, &chosen), left_out)
}

/// What the colours mean, in one line.
pub fn legend(palette: &Palette, width: f32, left_out: usize, list: &mut DrawList, y: f32) {
    const SHOWN: [Look; 9] = [
        Look::Stalled,
        Look::Waiting,
        Look::Holding,
        Look::Descheduled,
        Look::Limbo,
        Look::Socket,
        Look::File,
        Look::Poll,
        Look::Off,
    ];
    let layer = list.layer(None);
    let middle = y + LEGEND / 2.0;
    let mut x = 10.0;
    let mut entry = |text: &str, layer: &mut crate::Layer, color: Option<crate::Rgba>| {
        let w = crate::text::width(text, 11.5) + 34.0;
        if x + w > width {
            return;
        }
        match color {
            Some(color) => layer.rect(x, middle - 5.0, 14.0, 10.0, color),
            None => layer.hatch(x, middle - 5.0, 14.0, 10.0, palette.lost.alpha(0.65)),
        }
        layer.label([x + 19.0, middle], Anchor::Left, text, 11.5, palette.faint);
        x += w;
    };
    entry("convoy", layer, Some(palette.convoy));
    for look in SHOWN {
        entry(look.name(), layer, Some(palette.look(look)));
    }
    entry(Look::Lost.name(), layer, None);
    if left_out > 0 {
        let text = format!("{left_out} more threads");
        layer.label([width - 10.0, middle], Anchor::Right, text, 11.5, palette.text);
    }
}
