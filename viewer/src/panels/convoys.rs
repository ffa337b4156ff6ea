//! The list of convoys.

use egui::{ScrollArea, Ui};
use gilscope_draw::{convoys, time};

use super::Shown;

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let model = shown.model();
    if model.convoys.is_empty() {
        ui.label("No convoy: no thread lost the GIL again and again around calls that were shorter than the way back.");
        return;
    }
    let mut order: Vec<u32> = (0..model.convoys.len() as u32).collect();
    order.sort_by_key(|&convoy| (model.convoys[convoy as usize].start, convoy));
    ui.horizontal(|ui| {
        ui.label(if order.len() == 1 {
            String::from("1 convoy")
        } else {
            format!("{} convoys", order.len())
        });
        if ui.button("Previous").on_hover_text("P").clicked() {
            shown.timeline.step_convoy(model, false);
        }
        if ui.button("Next").on_hover_text("N").clicked() {
            shown.timeline.step_convoy(model, true);
        }
    });
    let height = ui.text_style_height(&egui::TextStyle::Body);
    ScrollArea::vertical().id_salt("convoys").auto_shrink(false).show_rows(
        ui,
        height,
        order.len(),
        |ui, visible| {
            for &index in &order[visible] {
                let convoy = &model.convoys[index as usize];
                let begin = time::duration(convoy.start.saturating_sub(model.start));
                let text = format!("at {begin}  {}", convoys::caption(model, convoy));
                let selected = shown.timeline.selection.convoy == Some(index);
                let response = ui.add(egui::Button::selectable(selected, text).truncate());
                if response.clicked() {
                    shown.timeline.select_convoy(model, index);
                }
            }
        },
    );
}
