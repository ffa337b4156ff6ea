//! Dask's processes on this machine: schedulers, nannies, workers, and clusters inside the process of their client.
//!
//! - [`command`] reads what a command line says, as `dask worker` does;
//! - [`members`] concludes from parents and open connections what the command line does not say: a nanny's child is a worker, a
//!   program whose children talk to its own listening port is a cluster with its client;
//! - [`find`] reads `/proc`, and does nothing else.

mod command;
mod find;
mod members;

pub use self::{
    find::{Found, Users, find},
    members::{Member, Role},
};
