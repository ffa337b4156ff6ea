//! `gilscope export`: each format is read by the reader that its users have.

mod docs;
mod formats;
mod live;
mod memory;
mod output;
mod strangers;
mod support;
