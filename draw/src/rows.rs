//! Which rows there are, in which order and at which height.

use std::{cmp::Reverse, collections::BTreeSet};

use gilscope_analysis::Model;

use crate::TraceIndex;

/// The order of the lanes of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    /// Victims and culprits of convoys first, then by waiting time.
    #[default]
    Trouble,
    /// By time waited, longest first.
    Waiting,
    /// By time held, longest first.
    Holding,
    /// By name.
    Name,
    /// As they appeared.
    Appearance,
}

impl Sort {
    /// All, in the order of a menu.
    pub const ALL: [Sort; 5] = [Sort::Trouble, Sort::Waiting, Sort::Holding, Sort::Name, Sort::Appearance];

    /// Its name in a menu.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Trouble => "convoys first",
            Sort::Waiting => "waiting time",
            Sort::Holding => "holding time",
            Sort::Name => "name",
            Sort::Appearance => "appearance",
        }
    }
}

/// How rows are chosen.
#[derive(Clone, PartialEq, Debug)]
pub struct RowOptions {
    /// The order of the lanes.
    pub sort: Sort,
    /// Only threads whose name, TID or PID contains this, whatever the case; all if empty.
    pub filter: String,
    /// Whether threads that never used a GIL are left out.
    pub hide_idle: bool,
    /// Threads, by index in the model, that stay on top.
    pub pinned: BTreeSet<u32>,
    /// Only these threads, if there are any.
    pub only: BTreeSet<u32>,
    /// Height of a lane, points.
    pub lane_height: f32,
}

impl Default for RowOptions {
    fn default() -> Self {
        RowOptions {
            sort: Sort::default(),
            filter: String::new(),
            hide_idle: true,
            pinned: BTreeSet::new(),
            only: BTreeSet::new(),
            lane_height: 26.0,
        }
    }
}

/// What a row shows. The numbers are indices into the model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RowKind {
    /// The heading of a process.
    Process(u32),
    /// Who owned a GIL.
    Owner(u32),
    /// The lane of a thread.
    Thread(u32),
}

/// A row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// What it shows.
    pub kind: RowKind,
    /// Its upper edge, points from that of the first row.
    pub y: f32,
    /// Its height.
    pub h: f32,
}

/// All rows, from the top.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// Height of all together.
    pub height: f32,
    /// Threads that are not shown, because they are idle or do not match.
    pub hidden: usize,
    /// Place in `rows` by thread; `u32::MAX` if not shown.
    places: Vec<u32>,
}

impl Rows {
    /// The rows of `model`.
    pub fn of(model: &Model, index: &TraceIndex, options: &RowOptions) -> Rows {
        let mut rows = Rows { places: vec![u32::MAX; model.threads.len()], ..Rows::default() };
        let filter = options.filter.trim().to_lowercase();
        // Where no thread used a GIL, leaving those out would leave nothing.
        let hide_idle = options.hide_idle && model.threads.iter().any(|thread| thread.uses_gil);
        let options = &RowOptions { hide_idle, ..options.clone() };
        let mut shown: Vec<u32> = (0..model.threads.len() as u32)
            .filter(|thread| is_shown(model, *thread, &filter, options))
            .collect();
        rows.hidden = model.threads.len() - shown.len();
        sort(&mut shown, model, index, options.sort);

        for &thread in shown.iter().filter(|thread| options.pinned.contains(thread)) {
            rows.push(RowKind::Thread(thread), options.lane_height);
        }
        shown.retain(|thread| !options.pinned.contains(thread));
        let mut processes: Vec<u32> = (0..model.processes.len() as u32).collect();
        if options.sort != Sort::Appearance {
            // The process of the first thread first.
            let first = |process: &u32| {
                shown.iter().position(|&thread| model.threads[thread as usize].process == *process)
            };
            processes.sort_by_key(|process| first(process).unwrap_or(usize::MAX));
        }
        for process in processes {
            let of_process = |thread: &&u32| model.threads[**thread as usize].process == process;
            let gils: Vec<u32> = (0..model.gils.len() as u32)
                .filter(|&gil| model.gils[gil as usize].process == process)
                .collect();
            let has_threads = shown.iter().any(|thread| of_process(&thread));
            if !has_threads && (gils.is_empty() || !filter.is_empty() || !options.only.is_empty()) {
                continue;
            }
            if model.processes.len() > 1 {
                rows.push(RowKind::Process(process), 24.0);
            }
            // Threads that never used a GIL, or one of another process, come last.
            let groups = gils.iter().map(|&gil| Some(gil)).chain([None]);
            for group in groups {
                if let Some(gil) = group {
                    rows.push(RowKind::Owner(gil), options.lane_height);
                }
                let home = |thread: &u32| {
                    index
                        .threads
                        .get(*thread as usize)
                        .and_then(|thread| thread.gil())
                        .filter(|gil| gils.contains(gil))
                };
                for &thread in shown.iter().filter(of_process).filter(|thread| home(thread) == group) {
                    rows.push(RowKind::Thread(thread), options.lane_height);
                }
            }
        }
        rows
    }

    fn push(&mut self, kind: RowKind, h: f32) {
        if let RowKind::Thread(thread) = kind {
            self.places[thread as usize] = self.rows.len() as u32;
        }
        self.rows.push(Row { kind, y: self.height, h });
        self.height += h + GAP;
    }

    /// The row of a thread.
    pub fn of_thread(&self, thread: u32) -> Option<&Row> {
        self.places.get(thread as usize).and_then(|&place| self.rows.get(place as usize))
    }

    /// The rows that are at least partly between `top` and `bottom`.
    pub fn between(&self, top: f32, bottom: f32) -> &[Row] {
        let first = self.rows.partition_point(|row| row.y + row.h <= top);
        let last = self.rows.partition_point(|row| row.y < bottom).max(first);
        &self.rows[first..last]
    }

    /// The row at height `y`.
    pub fn at(&self, y: f32) -> Option<&Row> {
        let place = self.rows.partition_point(|row| row.y <= y).checked_sub(1)?;
        self.rows.get(place).filter(|row| y < row.y + row.h)
    }

    /// The threads that are shown, from the top.
    pub fn threads(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().filter_map(|row| match row.kind {
            RowKind::Thread(thread) => Some(thread),
            _ => None,
        })
    }
}

/// Space between two rows, points.
pub const GAP: f32 = 3.0;

fn is_shown(model: &Model, thread: u32, filter: &str, options: &RowOptions) -> bool {
    let this = &model.threads[thread as usize];
    if !options.only.is_empty() && !options.only.contains(&thread) {
        return false;
    }
    if options.pinned.contains(&thread) {
        return true;
    }
    if options.hide_idle && !this.uses_gil {
        return false;
    }
    filter.is_empty()
        || this.name().to_lowercase().contains(filter)
        || this.tid.to_string().contains(filter)
        || model.pid(thread).to_string() == filter
}

fn sort(threads: &mut [u32], model: &Model, index: &TraceIndex, sort: Sort) {
    let of = |thread: u32| index.threads.get(thread as usize);
    let waiting = |thread: u32| of(thread).map_or(0, |thread| thread.waiting());
    let holding = |thread: u32| of(thread).map_or(0, |thread| thread.holding());
    match sort {
        Sort::Trouble => threads.sort_by_cached_key(|&thread| {
            Reverse((index.trouble(thread as usize), waiting(thread), holding(thread)))
        }),
        Sort::Waiting => threads.sort_by_cached_key(|&thread| Reverse(waiting(thread))),
        Sort::Holding => threads.sort_by_cached_key(|&thread| Reverse(holding(thread))),
        Sort::Name => threads.sort_by_cached_key(|&thread| {
            (model.threads[thread as usize].name().to_lowercase(), model.threads[thread as usize].tid)
        }),
        Sort::Appearance => {}
    }
}
