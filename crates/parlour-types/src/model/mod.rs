//! Facts: what is true, whoever asks. What one viewer may see of them is in [`crate::view`].

mod file;
mod message;
mod thread;
mod user;

pub use file::{Attachment, FileLink, LinkSubject, Purpose};
pub use message::{Message, MessageRef, MessageStatus};
pub use thread::{InboxEntry, InboxRef, Thread};
pub use user::{Gender, Profile, Role, Settings, SettingsChange, User, UserChange, UserStatus};
