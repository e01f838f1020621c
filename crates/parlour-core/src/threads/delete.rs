use super::{ThreadRef, resolve};
use crate::access::admit;
use crate::{Caller, Core, Result};
use parlour_store::threads::{clear, lock};

/// Deletes a thread for the caller alone (contract §2.7): what is in it now is never shown to them again; a later message brings
/// the thread back with that message only. Nothing to delete is no error.
///
/// # Errors
/// [`NotFound`](crate::Error::NotFound) for a thread that the caller is not in and for a user who does not exist.
pub async fn delete_thread(core: &Core, caller: Caller, thread: ThreadRef) -> Result<()> {
    let now = core.clock.now();
    core.store
        .write_at_once(move |tx| {
            admit(tx, caller)?;
            let Some(member) = resolve(tx, caller.user_id, thread)? else { return Ok(()) };
            lock(tx, member.thread().id)?;
            // Again behind the lock: it may have changed meanwhile.
            match resolve(tx, caller.user_id, thread)? {
                Some(member) => Ok(clear(tx, &member, now)?),
                None => Ok(()),
            }
        })
        .await
}
