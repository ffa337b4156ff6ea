//! The index for drawing: a lane of millions of intervals as the few pieces that a screen can show.
//!
//! [`Intervals`] is a thread's sequence of states, or the holds of a GIL. A [`Forest`] stands beside it: an implicit
//! segment tree over blocks of intervals, 16 bytes a node of six classes, that tells for any node which states occur below it and what
//! share of its time each class of states takes. [`Forest::pieces`] answers a view: intervals at least a bucket long come
//! one by one, with their exact ends; what is shorter is merged, bucket by bucket. Buckets are powers of two of a
//! nanosecond and aligned to time zero, so what a bucket shows does not change when the view is moved.
//!
//! Nothing is averaged away: a merged piece says every state that occurs in it, however short.

mod forest;
mod intervals;
mod pieces;

pub use forest::{Classes, Forest};
pub use intervals::{Intervals, MAX_STATES};
pub use pieces::{Bucket, Piece};

#[cfg(test)]
mod tests;
