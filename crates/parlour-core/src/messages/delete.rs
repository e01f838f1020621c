use crate::access::admit;
use crate::{Caller, Core, Error, Result};
use parlour_store::{messages, threads};
use parlour_types::MessageId;
use parlour_types::model::MessageStatus;

/// Takes a message back (contract §2.6): in its first minute it disappears for everybody, later its text is replaced and its row
/// stays. Taking back a hidden message again changes nothing.
///
/// # Errors
/// [`Error::Forbidden`] for the other participant, [`Error::NotFound`] for everybody else and for what is already deleted.
pub async fn delete_message(core: &Core, caller: Caller, id: MessageId) -> Result<()> {
    let now = core.clock.now();
    let window = core.rules.delete_window_micros;
    core.store
        .write_at_once(move |tx| {
            admit(tx, caller)?;
            let find = || messages::find(tx, id, caller.user_id)?.ok_or(Error::NotFound);
            // Looked up again behind the lock: a message never changes its thread, and everything else of it may change.
            threads::lock(tx, find()?.message.thread_id)?;
            let found = find()?;
            let message = found.message;
            if message.status == MessageStatus::Deleted || message.seq <= found.member.cleared_seq() {
                return Err(Error::NotFound);
            }
            if message.sender_id != caller.user_id {
                return Err(Error::Forbidden("Only its sender can delete a message."));
            }
            if message.status == MessageStatus::Hidden {
                return Ok(());
            }
            if now.as_micros() - message.created_at.as_micros() < window {
                messages::delete(tx, &message, now)?;
            } else {
                messages::hide(tx, &message, now)?;
            }
            Ok(())
        })
        .await
}
