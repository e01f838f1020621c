//! The events of a member as JSON: the same objects in answers, on sockets and in event streams.

use super::show;
use crate::app::App;
use parlour_core::live::{Feed, FeedEvent, Happened};
use parlour_types::view::{LinkMaker, Message, Snippet};
use parlour_types::{EventCursor, MessageId, ThreadId, Timestamp, UserId};
use serde::Serialize;

/// Something that a client is told. Threads and messages are as they are when the client is told, which may be later than the event: whatever
/// happened since follows. Clients must pass over types that they do not know.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = StreamEvent)]
pub enum StreamEvent<'a> {
    /// The stream begins, behind this cursor.
    #[schema(title = "ready")]
    Ready {
        /// Where the stream begins.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
    },
    /// Events were missed for good: the log no longer reaches back that far, or the database was restored. Fetch threads and messages anew,
    /// then go on from this cursor.
    #[schema(title = "reload")]
    Reload {
        /// Where to go on.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
    },
    /// The client did not take what it was told: the stream ends. Come back with the last cursor.
    #[schema(title = "resync")]
    Resync {},
    /// A message came, or was sent by the member on whichever device.
    #[schema(title = "message_created")]
    MessageCreated {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
        /// The thread's id.
        thread_id: ThreadId,
        /// The message.
        message: Box<Message<'a>>,
        /// The thread in the member's inbox.
        thread: Box<Snippet<'a>>,
    },
    /// A message was taken back after its first minute: its row stays, its text is gone.
    #[schema(title = "message_changed")]
    MessageChanged {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
        /// The thread's id.
        thread_id: ThreadId,
        /// The message as it is now.
        message: Box<Message<'a>>,
        /// The thread in the member's inbox.
        thread: Box<Snippet<'a>>,
    },
    /// A message was deleted in its first minute, as if it had never been.
    #[schema(title = "message_deleted")]
    MessageDeleted {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
        /// The thread's id.
        thread_id: ThreadId,
        /// Which message it was.
        message_id: MessageId,
        /// The thread in the member's inbox; `null` when it is not in it any more.
        thread: Option<Box<Snippet<'a>>>,
    },
    /// The member saw a thread, on whichever device.
    #[schema(title = "thread_seen")]
    ThreadSeen {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
        /// The thread's id.
        thread_id: ThreadId,
        /// Messages of others in it that the member has not seen.
        unread_count: i64,
    },
    /// The member deleted a thread for themselves, on whichever device.
    #[schema(title = "thread_deleted")]
    ThreadDeleted {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
        /// The thread's id.
        thread_id: ThreadId,
    },
    /// The other one has seen a thread, up to this message and every earlier one. Only while both share read receipts.
    #[schema(title = "thread_read")]
    ThreadRead {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
        /// The thread's id.
        thread_id: ThreadId,
        /// Who has seen it.
        user_id: UserId,
        /// Up to which message.
        message_id: MessageId,
    },
    /// The member read notifications without opening their threads. What is left follows in `unread`.
    #[schema(title = "notifications_read")]
    NotificationsRead {
        /// Just behind this event.
        #[schema(value_type = String, example = "7-12-9f86d081")]
        cursor: EventCursor,
        /// When it happened.
        at: Timestamp,
    },
    /// The other one is writing. Told, and never stored.
    #[schema(title = "typing")]
    Typing {
        /// In which thread.
        thread_id: ThreadId,
        /// Who.
        user_id: UserId,
        /// Show it for so many seconds, unless a message comes or it is told again.
        expires_in: u32,
    },
    /// Somebody came or went. Told to those of their latest 100 conversations, and never stored; ask for anybody else.
    #[schema(title = "presence")]
    Presence {
        /// Who.
        user_id: UserId,
        /// Whether they are there.
        is_online: bool,
    },
    /// What is unread in all. Follows the events that changed it.
    #[schema(title = "unread")]
    Unread(Totals),
}

/// What a member has not seen, in all.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = UnreadTotals)]
pub struct Totals {
    /// Threads with something that the member has not seen.
    pub unread_threads: i64,
    /// Messages of others that the member has not seen.
    pub unread_messages: i64,
    /// Notifications that the member has not read: at most as many.
    pub unseen_notifications: i64,
}

impl From<parlour_core::Totals> for Totals {
    fn from(totals: parlour_core::Totals) -> Self {
        Self {
            unread_threads: totals.unread_threads,
            unread_messages: totals.unread_messages,
            unseen_notifications: totals.unseen_notifications,
        }
    }
}

/// A piece of the log as a client is told it. `link` makes the links of the member whose log it is.
pub(crate) fn events_of<'a>(app: &'a App, feed: &'a Feed, link: LinkMaker<'a>) -> Vec<StreamEvent<'a>> {
    if feed.is_gone {
        return vec![StreamEvent::Reload { cursor: feed.cursor }];
    }
    let mut events: Vec<_> = feed.events.iter().map(|event| event_of(app, event, link)).collect();
    if !events.is_empty() {
        events.push(StreamEvent::Unread(feed.totals.into()));
    }
    events
}

pub(super) fn event_of<'a>(app: &'a App, event: &'a FeedEvent, link: LinkMaker<'a>) -> StreamEvent<'a> {
    let FeedEvent { cursor, at, happened } = event;
    let (cursor, at) = (*cursor, *at);
    match happened {
        Happened::MessageCreated { message, thread } => StreamEvent::MessageCreated {
            cursor,
            at,
            thread_id: thread.entry.thread_id,
            message: Box::new(show::message(app, message, link)),
            thread: Box::new(show::thread(app, thread)),
        },
        Happened::MessageChanged { message, thread } => StreamEvent::MessageChanged {
            cursor,
            at,
            thread_id: thread.entry.thread_id,
            message: Box::new(show::message(app, message, link)),
            thread: Box::new(show::thread(app, thread)),
        },
        Happened::MessageDeleted { thread_id, message_id, thread, .. } => StreamEvent::MessageDeleted {
            cursor,
            at,
            thread_id: *thread_id,
            message_id: *message_id,
            thread: thread.as_ref().map(|thread| Box::new(show::thread(app, thread))),
        },
        Happened::ThreadSeen { thread_id, unread_count } => {
            StreamEvent::ThreadSeen { cursor, at, thread_id: *thread_id, unread_count: *unread_count }
        }
        Happened::ThreadDeleted { thread_id } => StreamEvent::ThreadDeleted { cursor, at, thread_id: *thread_id },
        Happened::ThreadRead { thread_id, user_id, message_id } => {
            StreamEvent::ThreadRead { cursor, at, thread_id: *thread_id, user_id: *user_id, message_id: *message_id }
        }
        Happened::NotificationsRead => StreamEvent::NotificationsRead { cursor, at },
    }
}
