//! What happened to the caller: the event log, and the streams of it.

mod list_events;
mod stream_events;

pub use list_events::*;
pub use stream_events::*;
