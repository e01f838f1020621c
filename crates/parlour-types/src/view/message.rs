use super::UserJson;
use crate::model::{self, MessageStatus};
use crate::text::{Html, HtmlExcerpt};
use crate::{MessageId, ThreadId, Timestamp, UserId};
use serde::Serialize;

/// Whether the viewer has seen everything in a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThreadStatus {
    /// Somebody else wrote something that the viewer has not seen.
    New,
    /// Nothing unseen.
    Seen,
}

/// A message, the same superset everywhere it appears (contract §3.4): every field of the seed page's example row, of the
/// message and of the thread row.
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Message)]
pub struct Message<'a> {
    /// The message's id.
    pub id: MessageId,
    /// The thread it stands in.
    pub thread_id: ThreadId,
    /// Who wrote it.
    #[schema(value_type = super::User)]
    pub sender: &'a UserJson,
    /// Who wrote it, as a number.
    pub sender_id: UserId,
    /// The other participant; `null` in a group.
    #[schema(value_type = Option<super::User>)]
    pub receiver: &'a UserJson,
    /// The group; `null` in a one-to-one thread.
    pub group: Option<()>,
    /// The text, escaped: insert it as HTML and it reads as typed.
    #[schema(value_type = String)]
    pub message: Html<'a>,
    /// The first 150 characters of the text, escaped.
    #[schema(value_type = String)]
    pub headline: HtmlExcerpt<'a>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the thread's newest message came.
    pub last_message_at: Timestamp,
    /// `created`, `hidden` or `deleted`.
    pub status: MessageStatus,
    /// The viewer's own read state of the thread.
    pub thread_status: ThreadStatus,
    /// The attachment; `null` when there is none.
    pub file: Option<()>,
}

impl<'a> Message<'a> {
    /// What a participant sees of `message`, between `sender` and `receiver`. `thread_status` is that participant's own;
    /// `hidden_text` stands in for the text of a message that was taken back (contract §2.6).
    #[must_use]
    pub fn for_participant(
        message: &'a model::Message,
        (sender, receiver): (&'a UserJson, &'a UserJson),
        last_message_at: Timestamp,
        thread_status: ThreadStatus,
        hidden_text: &'a str,
    ) -> Self {
        let text = if message.status == MessageStatus::Hidden { hidden_text } else { &message.text };
        Self {
            id: message.id,
            thread_id: message.thread_id,
            sender,
            sender_id: message.sender_id,
            receiver,
            group: None,
            message: Html(text),
            headline: HtmlExcerpt(text),
            created_at: message.created_at,
            last_message_at,
            status: message.status,
            thread_status,
            file: None,
        }
    }
}
