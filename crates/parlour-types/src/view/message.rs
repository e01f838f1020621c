use super::UserJson;
use crate::model::{self, MessageStatus, Purpose};
use crate::text::{Html, HtmlExcerpt};
use crate::{FileUuid, MessageId, ThreadId, Timestamp, UserId};
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
    /// The first 150 characters of the text, or of the file's name where there is no text, escaped.
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
    pub file: Option<File>,
}

/// A file attached to a message (contract §3.2).
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct File {
    /// The file's id.
    #[schema(value_type = String, format = "uuid")]
    pub uuid: FileUuid,
    /// The name that its uploader gave it.
    pub filename: String,
    /// Bytes.
    pub filesize: i64,
    /// What its bytes are.
    pub mimetype: String,
    /// Seconds, as its uploader says.
    pub duration: Option<i64>,
    /// Opens it, for this viewer and for a while; `null` when its content was lost.
    #[schema(format = "uri")]
    pub url: Option<String>,
    /// Opens a picture of it; `null` when there is none.
    #[schema(format = "uri")]
    pub thumbnail: Option<String>,
}

/// Makes the links to the files of messages, for one viewer.
pub type LinkMaker<'a> = &'a dyn Fn(MessageId, Purpose) -> String;

impl File {
    /// What a viewer sees of the file of message `id`.
    #[must_use]
    pub fn of_message(file: &model::Attachment, id: MessageId, link: LinkMaker<'_>) -> Self {
        let open = |purpose| file.has(purpose).then(|| link(id, purpose));
        Self {
            uuid: file.uuid,
            filename: file.filename.clone(),
            filesize: file.size,
            mimetype: file.mimetype.clone(),
            duration: file.duration,
            url: open(Purpose::File),
            thumbnail: open(Purpose::Thumbnail),
        }
    }
}

/// What stands around a message where it is shown.
#[derive(Clone, Copy)]
pub struct MessageContext<'a> {
    /// Who wrote it.
    pub sender: &'a UserJson,
    /// The other participant.
    pub receiver: &'a UserJson,
    /// When the thread's newest message came.
    pub last_message_at: Timestamp,
    /// The viewer's own read state of the thread.
    pub thread_status: ThreadStatus,
    /// What stands in for the text of a message that was taken back (contract §2.6).
    pub hidden_text: &'a str,
    /// The viewer's links.
    pub link: LinkMaker<'a>,
}

impl<'a> Message<'a> {
    /// What a participant sees of `message`.
    #[must_use]
    pub fn for_participant(message: &'a model::Message, context: MessageContext<'a>) -> Self {
        let MessageContext { sender, receiver, last_message_at, thread_status, hidden_text, link } = context;
        let text = if message.status == MessageStatus::Hidden { hidden_text } else { &message.text };
        let file = message.file.as_ref();
        let file_name = file.map(|file| &*file.filename);
        Self {
            id: message.id,
            thread_id: message.thread_id,
            sender,
            sender_id: message.sender_id,
            receiver,
            group: None,
            message: Html(text),
            headline: HtmlExcerpt(file_name.filter(|_| text.is_empty()).unwrap_or(text)),
            created_at: message.created_at,
            last_message_at,
            status: message.status,
            thread_status,
            file: file.map(|file| File::of_message(file, message.id, link)),
        }
    }
}
