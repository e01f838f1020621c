//! The crate as a server uses it, on files in memory: one module a subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;
mod hostile;
mod sniff;
mod strip;
mod thumbnail;
