//! What happens to a member, on its way to their devices.

pub(crate) mod show;
mod stream;

pub use stream::StreamEvent;
pub(crate) use stream::events_of;
