//! Colours, and the two fixed palettes.
//!
//! States have the colours of Okabe and Ito, which stay apart in all common forms of colour blindness and differ in
//! lightness too. Threads have colours of their own, for the ownership rows.

use crate::Look;

/// A colour: red, green, blue, opacity; 0 to 255 each, not premultiplied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rgba(pub [u8; 4]);

impl Rgba {
    /// An opaque colour as `0xrrggbb`.
    pub const fn hex(rgb: u32) -> Rgba {
        Rgba([(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, 255])
    }

    /// The same colour with opacity `alpha` of 1.
    pub const fn alpha(self, alpha: f32) -> Rgba {
        let [r, g, b, _] = self.0;
        Rgba([r, g, b, (alpha * 255.0) as u8])
    }

    /// The colour `amount` of the way from this one to `other`.
    pub fn towards(self, other: Rgba, amount: f32) -> Rgba {
        let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * amount).round() as u8;
        Rgba(std::array::from_fn(|part| mix(self.0[part], other.0[part])))
    }

    /// How light it looks, 0 to 1.
    pub fn lightness(self) -> f32 {
        let [r, g, b, _] = self.0.map(f32::from);
        (0.299 * r + 0.587 * g + 0.114 * b) / 255.0
    }
}

/// Light on dark, or dark on light.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Theme {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

/// Number of colours for threads. Past it they repeat.
pub const THREAD_COLORS: usize = 14;

/// All colours of a theme.
#[derive(Clone, PartialEq, Debug)]
pub struct Palette {
    /// Behind everything.
    pub background: Rgba,
    /// Behind a lane.
    pub lane: Rgba,
    /// Behind every other lane, and behind headings.
    pub raised: Rgba,
    /// Lines between rooms.
    pub line: Rgba,
    /// Faint lines, such as those of the time axis through the lanes.
    pub grid: Rgba,
    /// Text.
    pub text: Rgba,
    /// Text of less weight.
    pub faint: Rgba,
    /// Convoys: bands, brackets, badges.
    pub convoy: Rgba,
    /// What is selected.
    pub selection: Rgba,
    /// Marks set by the user.
    pub mark: Rgba,
    /// Stripes over lost records.
    pub lost: Rgba,
    looks: [Rgba; Look::ALL.len()],
    threads: [Rgba; THREAD_COLORS],
}

// Okabe, Ito: Color Universal Design (2008).
const ORANGE: Rgba = Rgba::hex(0xe69f00);
const SKY_BLUE: Rgba = Rgba::hex(0x56b4e9);
const BLUISH_GREEN: Rgba = Rgba::hex(0x009e73);
const YELLOW: Rgba = Rgba::hex(0xf0e442);
const BLUE: Rgba = Rgba::hex(0x0072b2);
const VERMILLION: Rgba = Rgba::hex(0xd55e00);
const REDDISH_PURPLE: Rgba = Rgba::hex(0xcc79a7);

impl Palette {
    /// The palette of `theme`.
    pub fn of(theme: Theme) -> Palette {
        match theme {
            Theme::Dark => Palette {
                background: Rgba::hex(0x0f1217),
                lane: Rgba::hex(0x161a21),
                raised: Rgba::hex(0x1d222b),
                line: Rgba::hex(0x323a47),
                grid: Rgba::hex(0x232933),
                text: Rgba::hex(0xe8ecf2),
                faint: Rgba::hex(0x98a2b3),
                convoy: Rgba::hex(0xff5c8a),
                selection: Rgba::hex(0xffffff),
                mark: YELLOW,
                lost: Rgba::hex(0xe8ecf2),
                looks: Self::looks(Rgba::hex(0x3a4352), Rgba::hex(0x2f3b4d), Rgba::hex(0x3d5a80)),
                threads: Self::threads(),
            },
            Theme::Light => Palette {
                background: Rgba::hex(0xffffff),
                lane: Rgba::hex(0xf6f7f9),
                raised: Rgba::hex(0xe9ecf1),
                line: Rgba::hex(0xc3cad5),
                grid: Rgba::hex(0xe3e7ed),
                text: Rgba::hex(0x1a1f27),
                faint: Rgba::hex(0x5d6878),
                convoy: Rgba::hex(0xc2185b),
                selection: Rgba::hex(0x000000),
                mark: Rgba::hex(0x8a6d00),
                lost: Rgba::hex(0x1a1f27),
                looks: Self::looks(Rgba::hex(0xb7bfca), Rgba::hex(0xc9d0da), Rgba::hex(0xa3bfdd)),
                threads: Self::threads(),
            },
        }
    }

    const fn looks(unknown: Rgba, off: Rgba, poll: Rgba) -> [Rgba; Look::ALL.len()] {
        let mut looks = [unknown; Look::ALL.len()];
        looks[Look::Off as usize] = off;
        looks[Look::Poll as usize] = poll;
        looks[Look::Socket as usize] = SKY_BLUE;
        looks[Look::File as usize] = BLUE;
        looks[Look::Call as usize] = Rgba::hex(0x8fb8d0);
        looks[Look::Holding as usize] = BLUISH_GREEN;
        looks[Look::Descheduled as usize] = YELLOW;
        looks[Look::Limbo as usize] = REDDISH_PURPLE;
        looks[Look::Waiting as usize] = ORANGE;
        looks[Look::Stalled as usize] = VERMILLION;
        looks
    }

    /// Neighbours differ in hue and in lightness.
    const fn threads() -> [Rgba; THREAD_COLORS] {
        [
            Rgba::hex(0x6ea6ff),
            Rgba::hex(0xf2b950),
            Rgba::hex(0x43b597),
            Rgba::hex(0xd98cc4),
            Rgba::hex(0xa8d05f),
            Rgba::hex(0x9a86e8),
            Rgba::hex(0x5ed0e0),
            Rgba::hex(0xe07f5c),
            Rgba::hex(0xc5c9d6),
            Rgba::hex(0x4d8f4a),
            Rgba::hex(0xf09db0),
            Rgba::hex(0x3f7cc0),
            Rgba::hex(0xd3b58a),
            Rgba::hex(0xb05fa8),
        ]
    }

    /// The colour of a state.
    pub fn look(&self, look: Look) -> Rgba {
        self.looks[look as usize]
    }

    /// The colour of a thread, by its index in the model.
    pub fn thread(&self, thread: usize) -> Rgba {
        self.threads[thread % THREAD_COLORS]
    }

    /// Text that can be read on `color`.
    pub fn text_on(&self, color: Rgba) -> Rgba {
        if color.lightness() > 0.42 { Rgba::hex(0x10141a) } else { Rgba::hex(0xffffff) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colours_of_states_that_matter_stay_apart_without_hue() {
        // Who sees no red, or no green, still sees lightness: holding, waiting, stalled and a socket call differ in it.
        let palette = Palette::of(Theme::Dark);
        let looks = [Look::Holding, Look::Waiting, Look::Socket, Look::Descheduled, Look::Off];
        for (place, &one) in looks.iter().enumerate() {
            for &other in &looks[place + 1..] {
                let (one, other) = (palette.look(one), palette.look(other));
                let apart: i32 =
                    one.0.iter().zip(other.0).map(|(&a, b)| (i32::from(a) - i32::from(b)).abs()).sum();
                assert!(apart > 60, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn text_on_a_bar_contrasts_with_it() {
        let palette = Palette::of(Theme::Dark);
        for look in Look::ALL {
            let bar = palette.look(look);
            assert!((palette.text_on(bar).lightness() - bar.lightness()).abs() > 0.3, "{look:?}");
        }
    }
}
