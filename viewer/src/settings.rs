//! What is kept between runs.

use std::path::PathBuf;

use gilscope_draw::{Sort, Theme};
use serde::{Deserialize, Serialize};

/// Where the settings stand in eframe's storage.
pub(crate) const KEY: &str = "gilscope.settings";
/// Files that are remembered.
const RECENT: usize = 8;

/// What is kept between runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Dark text on a light background.
    pub light: bool,
    /// The same, for this run only.
    #[serde(skip)]
    pub light_now: bool,
    /// Height of a lane, points.
    pub lane_height: f32,
    /// Whether few lanes are drawn higher, to use the room there is.
    pub fill_height: bool,
    /// Times of day instead of times since the begin.
    pub wall_clock: bool,
    /// Whether threads that never used a GIL are left out.
    pub hide_idle: bool,
    /// Number of the order of lanes, in [`Sort::ALL`].
    pub sort: usize,
    /// Width of the column of names, points.
    pub names_width: f32,
    /// Whether the panels below the timeline are shown.
    pub show_panels: bool,
    /// Files opened last, the latest first.
    pub recent: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            light: false,
            light_now: false,
            lane_height: 26.0,
            fill_height: true,
            wall_clock: false,
            hide_idle: true,
            sort: 0,
            names_width: 210.0,
            show_panels: true,
            recent: Vec::new(),
        }
    }
}

impl Settings {
    /// The theme.
    pub fn theme(&self) -> Theme {
        if self.light || self.light_now { Theme::Light } else { Theme::Dark }
    }

    /// Changes to the other theme, for good.
    pub fn switch_theme(&mut self) {
        self.light = self.theme() == Theme::Dark;
        self.light_now = false;
    }

    /// The order of lanes.
    pub fn sort(&self) -> Sort {
        Sort::ALL.get(self.sort).copied().unwrap_or_default()
    }

    /// Puts a file on top of the recent ones.
    pub fn remember(&mut self, file: PathBuf) {
        self.recent.retain(|other| *other != file);
        self.recent.insert(0, file);
        self.recent.truncate(RECENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_for_this_run_is_not_kept_and_a_switch_is() {
        let mut settings = Settings { light_now: true, ..Settings::default() };
        let kept = |settings: &Settings| -> Settings {
            serde_json::from_str(&serde_json::to_string(settings).unwrap()).unwrap()
        };
        assert_eq!((settings.theme(), kept(&settings).theme()), (Theme::Light, Theme::Dark));
        settings.switch_theme();
        assert_eq!(settings.theme(), Theme::Dark);
        settings.switch_theme();
        assert_eq!(kept(&settings).theme(), Theme::Light);
    }
}
