use crate::{MessageId, Seq, ThreadId, Timestamp, UserId};

use super::MessageStatus;

/// A one-to-one conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread {
    /// Its id, which is also the snippet's id (contract §0.3 no. 8).
    pub id: ThreadId,
    /// Who wrote first: the `sender` of the snippet, for both sides and for ever (contract §2.2).
    pub creator_id: UserId,
    /// The other one: the `receiver` of the snippet.
    pub other_id: UserId,
    /// When the first message came.
    pub created_at: Timestamp,
    /// The highest sequence number issued; 0 before the first message.
    pub last_seq: Seq,
    /// How many sequence numbers no longer show a message, because it was deleted in its first minute.
    pub deleted_count: i64,
    /// When the newest message that is still shown came.
    pub last_message_at: Timestamp,
}

impl Thread {
    /// The participant who is not `user`.
    #[must_use]
    pub fn partner_of(&self, user: UserId) -> UserId {
        if user == self.creator_id { self.other_id } else { self.creator_id }
    }
}

/// One row of a member's inbox: a conversation and its newest message, the text borrowed from where it was read.
#[derive(Clone, Copy)]
pub struct InboxRef<'a> {
    /// The conversation.
    pub thread_id: ThreadId,
    /// Who wrote first.
    pub creator_id: UserId,
    /// The other one.
    pub other_id: UserId,
    /// When the conversation began.
    pub created_at: Timestamp,
    /// When its newest visible message came.
    pub last_message_at: Timestamp,
    /// Messages of others that this member has not seen.
    pub unread_count: i64,
    /// The newest visible message.
    pub message_id: MessageId,
    /// Whether it still has its text.
    pub message_status: MessageStatus,
    /// Its text.
    pub text: &'a str,
    /// The name of its file.
    pub file_name: Option<&'a str>,
}

/// The same, kept for itself.
#[derive(Clone)]
pub struct InboxEntry {
    /// The conversation.
    pub thread_id: ThreadId,
    /// Who wrote first.
    pub creator_id: UserId,
    /// The other one.
    pub other_id: UserId,
    /// When the conversation began.
    pub created_at: Timestamp,
    /// When its newest visible message came.
    pub last_message_at: Timestamp,
    /// Messages of others that this member has not seen.
    pub unread_count: i64,
    /// The newest visible message.
    pub message_id: MessageId,
    /// Whether it still has its text.
    pub message_status: MessageStatus,
    /// Its text.
    pub text: String,
    /// The name of its file.
    pub file_name: Option<String>,
}

impl InboxEntry {
    /// Whether `user` takes part in it.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        user == self.creator_id || user == self.other_id
    }

    /// The row, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> InboxRef<'_> {
        InboxRef {
            thread_id: self.thread_id,
            creator_id: self.creator_id,
            other_id: self.other_id,
            created_at: self.created_at,
            last_message_at: self.last_message_at,
            unread_count: self.unread_count,
            message_id: self.message_id,
            message_status: self.message_status,
            text: &self.text,
            file_name: self.file_name.as_deref(),
        }
    }
}

impl From<InboxRef<'_>> for InboxEntry {
    fn from(row: InboxRef<'_>) -> Self {
        Self {
            thread_id: row.thread_id,
            creator_id: row.creator_id,
            other_id: row.other_id,
            created_at: row.created_at,
            last_message_at: row.last_message_at,
            unread_count: row.unread_count,
            message_id: row.message_id,
            message_status: row.message_status,
            text: row.text.to_owned(),
            file_name: row.file_name.map(str::to_owned),
        }
    }
}

impl std::fmt::Debug for InboxEntry {
    /// Without the text: message text is private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InboxEntry(thread {}, message {})", self.thread_id, self.message_id)
    }
}
