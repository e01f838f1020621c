//! Notifications: received messages, to be read without opening their threads (contract §3.6, §5.2 rows 19 and 20).

mod count;
mod list;
mod read;
mod trim;

pub use count::count_unseen;
pub use list::{ListedNotifications, list_notifications};
pub use read::read_notifications;
pub use trim::trim_events;
