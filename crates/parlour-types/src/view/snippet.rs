use super::{ThreadStatus, UserJson};
use crate::model::{InboxRef, MessageStatus};
use crate::text::{Html, HtmlExcerpt};
use crate::{ThreadId, Timestamp};
use serde::Serialize;

/// A conversation in a member's list (contract §3.3).
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Snippet)]
pub struct Snippet<'a> {
    /// The thread's id.
    pub id: ThreadId,
    /// The thread's id again.
    pub thread_id: ThreadId,
    /// The first 150 characters of the newest message, or of its file's name where there is no text, escaped.
    #[schema(value_type = String)]
    pub headline: HtmlExcerpt<'a>,
    /// The newest message's text, escaped.
    #[schema(value_type = String)]
    pub message: Html<'a>,
    /// Who began the conversation.
    #[schema(value_type = super::User)]
    pub sender: &'a UserJson,
    /// The other one; `null` in a group.
    #[schema(value_type = Option<super::User>)]
    pub receiver: &'a UserJson,
    /// The group; `null` in a one-to-one thread.
    pub group: Option<()>,
    /// When the conversation began.
    pub created_at: Timestamp,
    /// When its newest message came.
    pub last_message_at: Timestamp,
    /// `new` while somebody else's message is unseen.
    pub thread_status: ThreadStatus,
    /// How many messages of others are unseen, exactly.
    pub unread_count: i64,
}

impl<'a> Snippet<'a> {
    /// What the owner of `entry` sees of it.
    #[must_use]
    pub fn for_member(entry: &InboxRef<'a>, creator: &'a UserJson, other: &'a UserJson, hidden_text: &'a str) -> Self {
        let text = if entry.message_status == MessageStatus::Hidden { hidden_text } else { entry.text };
        Self {
            id: entry.thread_id,
            thread_id: entry.thread_id,
            headline: HtmlExcerpt(entry.file_name.filter(|_| text.is_empty()).unwrap_or(text)),
            message: Html(text),
            sender: creator,
            receiver: other,
            group: None,
            created_at: entry.created_at,
            last_message_at: entry.last_message_at,
            thread_status: if entry.unread_count > 0 { ThreadStatus::New } else { ThreadStatus::Seen },
            unread_count: entry.unread_count,
        }
    }
}
