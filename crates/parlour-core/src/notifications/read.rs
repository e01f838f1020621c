use crate::rules::MAX_MARKED;
use crate::{Caller, Core, Error, Result};
use parlour_store::notifications;
use parlour_types::{ErrorCode, MessageId};

/// Marks notifications as read, named by their messages, and whatever came earlier in the same threads. What is no notification of the caller's
/// is passed over, so that nobody learns whether it is one of somebody else's.
///
/// # Errors
/// [`Error::Invalid`] for none and for too many.
pub async fn read_notifications(core: &Core, caller: Caller, sids: Vec<MessageId>) -> Result<()> {
    if sids.is_empty() {
        return Err(Error::field("sids", ErrorCode::Required, "This field is required."));
    }
    if sids.len() > MAX_MARKED {
        return Err(Error::field("sids", ErrorCode::TooMany, format!("At most {MAX_MARKED} notifications.")));
    }
    let found = core.ask(caller, move |read, viewer| Ok(notifications::find(read, viewer.id(), &sids)?)).await?;
    if !found.is_empty() {
        let now = core.clock.now();
        core.store
            .write_at_once(move |tx| Ok::<_, Error>(notifications::mark_read(tx, caller.user_id, &found, now)?))
            .await?;
    }
    Ok(())
}
