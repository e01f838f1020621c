//! What happens to a member, on its way to their devices.
//!
//! [`hub`] knows who is connected, [`pump`] reads the log for them, [`outbox`] holds what one client has yet to take, and a [`Reader`] is one
//! client's way through the log. Doors (sockets, event streams, requests that wait) stand elsewhere and take what their reader gives.

mod hub;
mod official;
mod outbox;
mod pump;
mod reader;
mod render;
pub(crate) mod show;
mod signals;
mod stream;

pub(crate) use hub::Door;
pub use hub::Hub;
pub(crate) use official::status_frame;
pub(crate) use outbox::{Ending, Frame, Next};
pub(crate) use reader::Reader;
pub use signals::Signals;
pub(crate) use signals::tell_presence;
pub use stream::StreamEvent;
pub(crate) use stream::events_of;
