//! The timelines as a draw list: plain data computed from a model, its index, a view and a size; and its writers.
//!
//! Preprocess → draw list → paint. The first two are here and know nothing of a window. The viewer paints a [`DrawList`] with
//! a mesh, [`svg()`] writes it as a document, [`png()`] fills pixels.
//!
//! - [`TraceIndex`]: the forests of all lanes, kept up to date as a model grows.
//! - [`Rows`]: which rows there are, in which order.
//! - [`Scene`] and [`rows`]: the rows of a view as a draw list, with a [`Cache`] of what the last frame found.
//! - [`overview`], [`axis`], [`convoys`], [`names`]: what surrounds them.
//! - [`picture`]: all of it in one picture, for reports.

pub mod axis;
mod cache;
mod color;
pub mod convoys;
mod index;
mod lanes;
mod list;
mod look;
mod lost;
pub mod names;
mod overlay;
pub mod overview;
mod owners;
mod picture;
mod png;
mod rows;
mod scene;
mod svg;
pub mod text;
pub mod time;
mod view;

pub use cache::Cache;
pub use color::{Palette, Rgba, THREAD_COLORS, Theme};
pub use index::{ThreadIndex, TraceIndex};
pub use lanes::{caption, peer};
pub use list::{Anchor, DrawList, Label, Layer, Line, Rect, STRIPE, stripes};
pub use look::{Look, Looks, Owners, class, look_classes};
pub use picture::{PictureOptions, draw, legend, picture, picture_png};
pub use png::{PictureError, encode_png, png};
pub use rows::{GAP, Row, RowKind, RowOptions, Rows, Sort};
pub use scene::{Emphasis, Scene, rows};
pub use svg::{arrowhead, escape, svg};
pub use time::Clock;
pub use view::{MIN_SPAN, View};
