//! A PostgreSQL server of one's own, for tests: on a loopback port that nobody else uses, in a temporary folder, with a password that
//! nobody else knows.
//!
//! It goes away with its [`Cluster`], and also when the process that started it is killed: a watcher holds one end of a pipe, and when
//! the other end is gone it stops the server and removes the folders. Both ways are the same one.
//!
//! Nothing here knows Parlour, and nothing here may: what a server of ours does to this one is for others to say.

mod certificate;
mod cluster;
mod programs;
mod setup;
mod watcher;

pub use cluster::Cluster;
pub use programs::Programs;
pub use setup::{Durability, Setup};
