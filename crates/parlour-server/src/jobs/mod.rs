//! What the server does by itself, beside answering.

mod remove_files;
mod trim_events;
mod watch_members;

pub(crate) use remove_files::remove_files;
pub(crate) use trim_events::trim_events;
pub(crate) use watch_members::watch_members;
