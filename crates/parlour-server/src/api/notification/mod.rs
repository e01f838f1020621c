//! Notifications (contract §3.6, §5.2 rows 19 and 20).

mod count_unseen_notifications;
mod list_notifications;
mod read_notifications;

pub use count_unseen_notifications::*;
pub use list_notifications::*;
pub use read_notifications::*;
