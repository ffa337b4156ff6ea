//! What a process is to a framework that runs many of them.
//!
//! Today [`dask`]. A framework's room finds its processes by what `/proc` tells and says of each what it is.

pub mod dask;
