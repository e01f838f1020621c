//! What the server does by itself, beside answering.

mod remove_files;

pub(crate) use remove_files::remove_files;
