//! The palette as egui's visuals.

use egui::{Color32, CornerRadius, Stroke, Visuals};
use gilscope_draw::{Look, Palette, Rgba, Theme};

/// A colour of the draw list as egui's.
#[inline]
pub(crate) fn color(color: Rgba) -> Color32 {
    let [r, g, b, a] = color.0;
    Color32::from_rgba_unmultiplied(r, g, b, a)
}

/// Dresses egui in the colours of `theme`.
pub(crate) fn apply(ctx: &egui::Context, theme: Theme) {
    let palette = Palette::of(theme);
    let (mut visuals, egui_theme) = match theme {
        Theme::Dark => (Visuals::dark(), egui::Theme::Dark),
        Theme::Light => (Visuals::light(), egui::Theme::Light),
    };
    visuals.panel_fill = color(palette.background);
    visuals.window_fill = color(palette.raised);
    visuals.extreme_bg_color = color(palette.lane);
    visuals.faint_bg_color = color(palette.lane);
    visuals.override_text_color = Some(color(palette.text));
    visuals.window_stroke = Stroke::new(1.0, color(palette.line));
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, color(palette.line));
    visuals.selection.bg_fill = color(palette.thread(0).alpha(0.35));
    visuals.selection.stroke = Stroke::new(1.0, color(palette.text));
    // Links and warnings are text: on a light ground they need the darker colours.
    visuals.hyperlink_color = color(match theme {
        Theme::Dark => palette.thread(0),
        Theme::Light => palette.look(Look::File),
    });
    if theme == Theme::Light {
        visuals.warn_fg_color = color(Rgba::hex(0x9a4400));
    }
    for widget in [
        &mut visuals.widgets.inactive,
        &mut visuals.widgets.hovered,
        &mut visuals.widgets.active,
        &mut visuals.widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(3);
    }
    ctx.set_theme(egui_theme);
    ctx.set_visuals_of(egui_theme, visuals);
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = egui::vec2(8.0, 4.0);
        // The window is a tool: nothing glides in.
        style.animation_time = 0.0;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two colours, as the guidelines for accessible pages compute it: 1 to 21.
    fn contrast(one: Color32, other: Color32) -> f32 {
        let luminance = |color: Color32| {
            let [r, g, b, _] = egui::Rgba::from(color).to_array();
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn links_and_warnings_can_be_read_in_both_themes() {
        for (theme, egui_theme) in [(Theme::Dark, egui::Theme::Dark), (Theme::Light, egui::Theme::Light)] {
            let ctx = egui::Context::default();
            apply(&ctx, theme);
            let visuals = ctx.style_of(egui_theme).visuals.clone();
            for text in [visuals.hyperlink_color, visuals.warn_fg_color] {
                let contrast = contrast(text, visuals.panel_fill);
                assert!(contrast >= 4.5, "{theme:?} {text:?}: {contrast}");
            }
        }
    }
}
