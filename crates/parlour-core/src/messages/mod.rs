//! Messages: sending, one by id, and taking one back.

mod delete;
mod get;
mod send;

pub use delete::delete_message;
pub use get::{OneMessage, get_message};
pub use send::{IdempotencyKey, SendRequest, SentMessage, SentMessages, send_message};
