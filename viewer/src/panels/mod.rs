//! What stands beside the timeline: verdict, convoys, figures of the range, details of the selection, and the dialogs.

pub(crate) mod arrangement;
pub(crate) mod bar;
mod blame;
mod code;
mod convoys;
mod counters;
mod details;
pub(crate) mod dialog;
pub(crate) mod help;
mod threads;
mod verdict;
mod waits;
pub(crate) mod welcome;

use egui::{Color32, Ui, WidgetText};
use egui_tiles::{SimplificationOptions, TileId, Tree, UiResponse};
use gilscope_analysis::Model;
use gilscope_draw::Palette;
use serde::{Deserialize, Serialize};

use crate::{Settings, figures::Figures, open::Trace, selection::Selection, timeline::Timeline};

/// One panel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Panel {
    Verdict,
    Convoys,
    Threads,
    Blame,
    Details,
    Waits,
    Counters,
    Code,
}

impl Panel {
    pub(crate) const ALL: [Panel; 8] = [
        Panel::Verdict,
        Panel::Convoys,
        Panel::Threads,
        Panel::Blame,
        Panel::Details,
        Panel::Waits,
        Panel::Counters,
        Panel::Code,
    ];

    fn title(self) -> &'static str {
        match self {
            Panel::Verdict => "Verdict",
            Panel::Convoys => "Convoys",
            Panel::Threads => "Threads",
            Panel::Blame => "Blame",
            Panel::Details => "Selection",
            Panel::Waits => "Waits",
            Panel::Counters => "Counters",
            Panel::Code => "Code",
        }
    }
}

/// All panels, in tabs that can be rearranged.
pub(crate) struct Panels {
    tree: Tree<Panel>,
    shown: Selection,
    threads: threads::Order,
}

impl Panels {
    /// Panels as they were left, or as they are at first.
    pub(crate) fn new(kept: Option<Tree<Panel>>) -> Panels {
        Panels {
            tree: arrangement::kept(kept),
            shown: Selection::default(),
            threads: threads::Order::default(),
        }
    }

    /// How they are arranged now.
    pub(crate) fn arrangement(&self) -> &Tree<Panel> {
        &self.tree
    }

    pub(crate) fn show(
        &mut self,
        ui: &mut Ui,
        trace: &Trace,
        figures: Option<&Figures>,
        timeline: &mut Timeline,
        settings: &Settings,
    ) {
        // A new selection brings its details to the front.
        let selection = timeline.selection;
        if selection != self.shown {
            if selection.time.is_some() && selection.time != self.shown.time {
                let details = self.tree.tiles.find_pane(&Panel::Details);
                self.tree.make_active(|id, _| Some(id) == details);
            }
            self.shown = selection;
        }
        let palette = Palette::of(settings.theme());
        let mut behavior = Behavior {
            context: Shown { trace, figures, timeline, settings, palette: &palette },
            order: &mut self.threads,
        };
        self.tree.ui(&mut behavior, ui);
    }
}

/// What panels show, and what they move.
pub(crate) struct Shown<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) figures: Option<&'a Figures>,
    pub(crate) timeline: &'a mut Timeline,
    pub(crate) settings: &'a Settings,
    pub(crate) palette: &'a Palette,
}

impl<'a> Shown<'a> {
    pub(crate) fn model(&self) -> &'a Model {
        self.trace.model()
    }

    /// The thread of that ID; of several that had it one after the other the last.
    fn thread_of(&self, pid: i32, tid: i32) -> Option<u32> {
        let model = self.model();
        (0..model.threads.len() as u32)
            .rev()
            .find(|&thread| model.threads[thread as usize].tid == tid && model.pid(thread) == pid)
    }
}

struct Behavior<'a> {
    context: Shown<'a>,
    order: &'a mut threads::Order,
}

impl egui_tiles::Behavior<Panel> for Behavior<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, panel: &mut Panel) -> UiResponse {
        let context = &mut self.context;
        egui::Frame::new().inner_margin(8.0).show(ui, |ui| match panel {
            Panel::Verdict => verdict::show(context, ui),
            Panel::Convoys => convoys::show(context, ui),
            Panel::Threads => threads::show(context, self.order, ui),
            Panel::Blame => blame::show(context, ui),
            Panel::Details => details::show(context, ui),
            Panel::Waits => waits::show(context, ui),
            Panel::Counters => counters::show(context, ui),
            Panel::Code => code::show(context, ui),
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, panel: &Panel) -> WidgetText {
        panel.title().into()
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..SimplificationOptions::default() }
    }

    fn tab_bar_color(&self, visuals: &egui::Visuals) -> Color32 {
        visuals.extreme_bg_color
    }
}

/// What is shown while figures are computed.
fn waiting(ui: &mut Ui) {
    ui.weak("Computing…");
}
