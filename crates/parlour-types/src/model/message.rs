use super::Attachment;
use crate::{MessageId, Seq, ThreadId, Timestamp, UserId};
use serde::Serialize;

/// Where a message is in its life (contract §2.6). Only these three words; a read state never stands here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// As it was sent.
    Created,
    /// Taken back after the first minute: the row stays, its text is gone.
    Hidden,
    /// Taken back within the first minute: gone from the thread; only its sender can still ask for it by id.
    Deleted,
}

/// One message of a thread.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The thread it stands in.
    pub thread_id: ThreadId,
    /// Its place in the thread.
    pub seq: Seq,
    /// Who wrote it.
    pub sender_id: UserId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub status: MessageStatus,
    /// The text as typed; empty once it was taken back, and where a file says it all.
    pub text: String,
    /// The file attached to it; gone once it was taken back.
    pub file: Option<Attachment>,
}

/// One message of a page, its text borrowed from where it was read.
#[derive(Clone, Copy)]
pub struct MessageRef<'a> {
    /// Its id.
    pub id: MessageId,
    /// Its place in the thread.
    pub seq: Seq,
    /// Who wrote it.
    pub sender_id: UserId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub status: MessageStatus,
    /// The text as typed; empty once it was taken back, and where a file says it all.
    pub text: &'a str,
    /// The file attached to it; gone once it was taken back.
    pub file: Option<&'a Attachment>,
}

impl<'a> MessageRef<'a> {
    /// The same with this file attached.
    #[must_use]
    pub const fn with(self, file: Option<&'a Attachment>) -> Self {
        Self { file, ..self }
    }
}

impl std::fmt::Debug for Message {
    /// Without the text: message text is private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({}, thread {}, seq {}, {:?})", self.id, self.thread_id, self.seq, self.status)
    }
}
