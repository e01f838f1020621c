//! What happened to the caller: the event log, and the streams of it.

mod list_events;

pub use list_events::*;
