use crate::{Caller, Card, Core, Error, Result};
use parlour_store::messages;
use parlour_types::model::{Message, MessageStatus};
use parlour_types::view::ThreadStatus;
use parlour_types::{MessageId, Timestamp};
use std::sync::Arc;

/// A message, with whom it is between.
pub struct OneMessage {
    /// The message.
    pub message: Message,
    /// Who wrote it.
    pub sender: Arc<Card>,
    /// The other participant.
    pub receiver: Arc<Card>,
    /// When the thread's newest message came.
    pub last_message_at: Timestamp,
    /// The viewer's read state of the thread.
    pub thread_status: ThreadStatus,
}

/// One message (contract §2.4, §8 no. 12). Marks nothing as seen. A message deleted in its first minute is still answered to its
/// sender, without text.
///
/// # Errors
/// [`Error::NotFound`] for a message that the caller does not see.
pub async fn get_message(core: &Core, caller: Caller, id: MessageId) -> Result<OneMessage> {
    core.ask(caller, move |read, viewer| {
        let found = messages::find(read, id, viewer.id())?.ok_or(Error::NotFound)?;
        let (message, member) = (found.message, found.member);
        let gone = message.status == MessageStatus::Deleted && message.sender_id != viewer.id();
        if gone || message.seq <= member.cleared_seq() {
            return Err(Error::NotFound);
        }
        Ok(OneMessage {
            sender: viewer.cards.known(message.sender_id)?,
            receiver: viewer.cards.known(member.thread().partner_of(message.sender_id))?,
            last_message_at: member.thread().last_message_at,
            thread_status: if member.unread_count() > 0 { ThreadStatus::New } else { ThreadStatus::Seen },
            message,
        })
    })
    .await
}
