use crate::access::{Viewer, admitted};
use crate::messages::OneMessage;
use crate::{Caller, Card, Core, Error, Result};
use parlour_store::events::{self, Event, EventKind, Piece, Subjects};
use parlour_store::{Read, StoreError, Totals, users};
use parlour_types::model::{InboxEntry, Message};
use parlour_types::view::ThreadStatus;
use parlour_types::{ErrorCode, EventCursor, EventPosition, MessageId, ThreadId, Timestamp, UserId};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Events that one reading answers at the most.
pub const MAX_EVENTS: usize = 256;

/// A piece of a member's event log.
pub struct Feed {
    /// What happened, oldest first. Events whose message is gone by now are left out: what became of it follows.
    pub events: Vec<FeedEvent>,
    /// Where to go on.
    pub cursor: EventCursor,
    /// Whether there is nothing more for now.
    pub is_at_end: bool,
    /// Whether the log no longer reaches back to where it was asked from, or is another one since: then there are no events, `cursor` is its
    /// end, and the client must fetch its state anew.
    pub is_gone: bool,
    /// The totals of the member's inbox, of the same snapshot.
    pub totals: Totals,
}

impl Feed {
    /// Ends behind the event with which the texts come to `bytes`: what was cut off is read the next time. At least one event stays.
    pub fn cut(&mut self, bytes: usize) {
        let mut sum = 0;
        let end = self.events.iter().position(|event| {
            sum += event.happened.text_bytes();
            sum >= bytes
        });
        if let Some(last) = end
            && last + 1 < self.events.len()
        {
            self.events.truncate(last + 1);
            self.cursor = self.events[last].cursor;
            self.is_at_end = false;
        }
    }
}

impl Happened {
    fn text_bytes(&self) -> usize {
        match self {
            Self::MessageCreated { message, thread } | Self::MessageChanged { message, thread } => {
                message.message.text.len() + thread.entry.text.len()
            }
            Self::MessageDeleted { thread: Some(thread), .. } => thread.entry.text.len(),
            _ => 0,
        }
    }
}

/// Something that happened to a member.
pub struct FeedEvent {
    /// Just behind it.
    pub cursor: EventCursor,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub happened: Happened,
}

/// What happened. Threads and messages are as they are now, which may be later than the event.
pub enum Happened {
    /// A message came, or was sent by the member.
    MessageCreated {
        /// The message.
        message: OneMessage,
        /// Its thread, in the member's inbox.
        thread: LiveThread,
    },
    /// A message was taken back and its row stays.
    MessageChanged {
        /// The message.
        message: OneMessage,
        /// Its thread, in the member's inbox.
        thread: LiveThread,
    },
    /// A message was deleted in its first minute.
    MessageDeleted {
        /// Where it stood.
        thread_id: ThreadId,
        /// Which it was.
        message_id: MessageId,
        /// Who had written it.
        sender_id: UserId,
        /// Its thread, if anything is left of it in the member's inbox.
        thread: Option<LiveThread>,
    },
    /// The member saw a thread, on whichever device.
    ThreadSeen {
        /// Which.
        thread_id: ThreadId,
        /// Messages of others in it that the member has not seen.
        unread_count: i64,
    },
    /// The member deleted a thread for themselves.
    ThreadDeleted {
        /// Which.
        thread_id: ThreadId,
    },
    /// The other one has seen a thread.
    ThreadRead {
        /// Which.
        thread_id: ThreadId,
        /// Who.
        user_id: UserId,
        /// Up to which message.
        message_id: MessageId,
    },
    /// The member read notifications without opening their threads.
    NotificationsRead,
}

/// A thread as its row in a member's inbox shows it.
#[derive(Clone)]
pub struct LiveThread {
    /// The row.
    pub entry: InboxEntry,
    /// Who wrote first.
    pub creator: Arc<Card>,
    /// The other one.
    pub other: Arc<Card>,
}

/// What happened to the caller after `after`, at most `limit` events (1 to [`MAX_EVENTS`]); without `after`, nothing, and the cursor of now.
///
/// # Errors
/// [`Error::Invalid`] naming `after` for a cursor of another member, and for one of the future. [`Error::UnknownCaller`].
pub async fn read_feed(core: &Core, caller: Caller, after: Option<EventCursor>, limit: usize) -> Result<Feed> {
    if after.is_some_and(|after| after.user_id != caller.user_id) {
        return Err(Error::field("after", ErrorCode::Invalid, "This cursor is another member's."));
    }
    let limit = limit.clamp(1, MAX_EVENTS) as i64;
    let (cards, user) = (Arc::clone(&core.cards), caller.user_id);
    let question = move |read: &Read<'_>| {
        let piece = match after {
            Some(after) => events::read_from(read, user, after.position, limit)?,
            None => end_of(read, user)?,
        };
        // To whom nothing happened, nobody is shown: thousands may wait who need no place among the rendered users.
        let viewer = if piece.events.is_empty() {
            admitted(users::account(read, user)?)?;
            None
        } else {
            Some(Viewer::admit(read, &cards, caller)?)
        };
        if let Some(after) = after {
            if after.position > piece.end {
                return Err(Error::field("after", ErrorCode::Invalid, "This cursor is of the future."));
            }
            if !leads_on(&after, &piece) {
                return Ok(Feed { is_gone: true, ..at_end(user, &end_of(read, user)?) });
            }
        }
        viewer.map_or_else(|| Ok(at_end(user, &piece)), |viewer| shown(read, &viewer, &piece))
    };
    core.store.read(question).await
}

/// Where the logs of these members end; members to whom nothing happened yet are left out.
///
/// # Errors
/// A failure of the store.
pub async fn positions(core: &Core, users: Vec<UserId>) -> Result<Vec<(UserId, EventPosition)>> {
    core.store.read(move |read| Ok(events::positions(read, &users)?)).await
}

/// The end of the log, with no events.
fn end_of(read: &Read<'_>, user: UserId) -> Result<Piece, StoreError> {
    let end = events::positions(read, &[user])?.first().map_or(0, |(_, end)| *end);
    events::read_from(read, user, end, 1)
}

/// Whether what follows in the log follows the cursor: nothing in between was removed, and the log is the same.
fn leads_on(after: &EventCursor, piece: &Piece) -> bool {
    match piece.at {
        Some(at) => check_of(&at) == after.check,
        None => after.position == 0 && after.check == 0 && piece.events.first().is_none_or(|(first, _)| *first == 1),
    }
}

/// Four bytes of what is the same for an event for ever, and hardly the same for another.
fn check_of(event: &Event) -> u32 {
    let mut hash = Sha256::new();
    for part in [event.thread_id.get(), event.seq, event.created_at.as_micros()] {
        hash.update(part.to_be_bytes());
    }
    let digest = hash.finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The end of the log, where nothing is shown.
fn at_end(user_id: UserId, piece: &Piece) -> Feed {
    let cursor = EventCursor { user_id, position: piece.end, check: piece.at.as_ref().map_or(0, check_of) };
    Feed { events: Vec::new(), cursor, is_at_end: true, is_gone: false, totals: piece.totals }
}

/// Shows a piece of the log that follows its cursor.
fn shown(read: &Read<'_>, viewer: &Viewer<'_>, piece: &Piece) -> Result<Feed> {
    let user_id = viewer.id();
    let subjects = Subjects::of(read, user_id, piece.events.iter().map(|(_, event)| event))?;
    let mut feed = at_end(user_id, piece);
    for (position, event) in &piece.events {
        feed.cursor = EventCursor { user_id, position: *position, check: check_of(event) };
        if let Some(happened) = happened(viewer, &subjects, event)? {
            feed.events.push(FeedEvent { cursor: feed.cursor, at: event.created_at, happened });
        }
    }
    Ok(Feed { is_at_end: feed.cursor.position >= piece.end, ..feed })
}

/// What an event says to the member now; `None` where it says nothing any more.
fn happened(viewer: &Viewer<'_>, subjects: &Subjects, event: &Event) -> Result<Option<Happened>> {
    let thread_id = event.thread_id;
    let member = subjects
        .member(thread_id)
        .ok_or(StoreError::Inconsistent { table: "events", what: "absence of the member's thread" })?;
    let thread = || subjects.entry(thread_id).map(|entry| live_thread(viewer, entry)).transpose();
    let message = || -> Result<Option<(OneMessage, LiveThread)>> {
        let (Some(message), Some(thread)) = (subjects.message(event), thread()?) else { return Ok(None) };
        let status = if member.unread_count() > 0 { ThreadStatus::New } else { ThreadStatus::Seen };
        Ok(Some((one_message(viewer, message, &thread, status)?, thread)))
    };
    Ok(match event.kind {
        EventKind::MessageCreated | EventKind::OwnMessageCreated => {
            message()?.map(|(message, thread)| Happened::MessageCreated { message, thread })
        }
        EventKind::MessageHidden => message()?.map(|(message, thread)| Happened::MessageChanged { message, thread }),
        EventKind::MessageDeleted => {
            let gone = subjects.gone(event);
            let gone = gone
                .ok_or(StoreError::Inconsistent { table: "deleted_messages", what: "absence of a deleted message" })?;
            let (message_id, sender_id) = (gone.id, gone.sender_id);
            Some(Happened::MessageDeleted { thread_id, message_id, sender_id, thread: thread()? })
        }
        EventKind::ThreadSeen => Some(Happened::ThreadSeen { thread_id, unread_count: member.unread_count() }),
        EventKind::ThreadCleared => Some(Happened::ThreadDeleted { thread_id }),
        EventKind::SeenByOther => {
            let user_id = member.thread().partner_of(viewer.id());
            subjects.seen(event).map(|message_id| Happened::ThreadRead { thread_id, user_id, message_id })
        }
        EventKind::NotificationsRead => Some(Happened::NotificationsRead),
    })
}

fn live_thread(viewer: &Viewer<'_>, entry: &InboxEntry) -> Result<LiveThread> {
    Ok(LiveThread {
        creator: viewer.cards.known(entry.creator_id)?,
        other: viewer.cards.known(entry.other_id)?,
        entry: entry.clone(),
    })
}

fn one_message(
    viewer: &Viewer<'_>,
    message: &Message,
    thread: &LiveThread,
    thread_status: ThreadStatus,
) -> Result<OneMessage> {
    let sender = viewer.cards.known(message.sender_id)?;
    let receiver = if message.sender_id == thread.entry.creator_id { &thread.other } else { &thread.creator };
    let (receiver, last_message_at) = (Arc::clone(receiver), thread.entry.last_message_at);
    Ok(OneMessage { message: message.clone(), sender, receiver, last_message_at, thread_status })
}
