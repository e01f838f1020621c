//! Sockets: `/ws/notify` for the official client (contract §4), `/ws/stream` for those that want more.
//!
//! [`upgrade`] refuses before there is a socket, [`session`] decides what to do, [`socket`] does it. What is told comes from
//! [`live`](crate::live). What a client sends is never kept, and nothing it sends can change anything.

mod metered;
mod notify;
mod session;
mod socket;
mod stream;
mod upgrade;

pub(crate) use notify::notify;
pub(crate) use stream::stream;
