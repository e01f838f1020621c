//! The event log and the streams of it, from outside.

mod events;
mod signals;
