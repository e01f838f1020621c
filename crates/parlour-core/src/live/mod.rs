//! What happens to a member, as it happens: the member's event log, read from a cursor on.
//!
//! The log is the only source: whatever a member is told stands in it already, in the order in which it was committed. Nothing here may keep
//! a place in it on a member's behalf; clients do, by their cursors.

mod feed;
mod signals;
mod standings;

pub use feed::{Feed, FeedEvent, Happened, LiveThread, MAX_EVENTS, positions, read_feed};
pub use parlour_store::signals::Receipt;
pub use signals::{Receipts, Typing, begin_typing, get_receipts, mark_seen, presence_audience, visible_presence};
pub use standings::{Standings, standing, standings};
