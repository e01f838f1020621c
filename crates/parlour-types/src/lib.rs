//! The floor that every other room stands on: the words of private messages.
//!
//! Ids, time, the rules a well-formed text obeys, facts ([`model`]) and what one viewer may see of them ([`view`]).
//! Nothing here does I/O, reads a clock, speaks SQL or HTTP, and nothing of that kind may be added.

pub mod cursor;
pub mod error_code;
pub mod id;
pub mod model;
pub mod page;
pub mod text;
pub mod time;
pub mod view;

pub use cursor::EventCursor;
pub use error_code::ErrorCode;
pub use id::{EventPosition, FileUuid, MessageId, Seq, ThreadId, UserId};
pub use page::{Page, Window};
pub use time::Timestamp;
