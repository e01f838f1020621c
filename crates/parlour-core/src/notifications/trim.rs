use crate::{Core, Result};
use parlour_store::{Read, notifications};
use parlour_types::{Timestamp, UserId};

/// Members looked at in one go.
const MEMBERS: i64 = 500;

/// Events removed by one transaction at the most.
const EVENTS: i64 = 500;

/// Removes from every member's log what happened before `older_than`, but for the newest of it; what the removed ones notified of counts as
/// read. Answers how many events went. Small transactions, so that callers get their turn in between; several servers may do so at once.
///
/// # Errors
/// A failure of the store; what is left is old again the next time.
pub async fn trim_events(core: &Core, older_than: Timestamp) -> Result<u64> {
    let (mut gone, mut after) = (0, 0);
    loop {
        let ask = move |read: &Read<'_>| notifications::with_old_events(read, after, older_than, MEMBERS);
        let (members, last): (Vec<UserId>, _) = core.store.read_long(ask).await?;
        let Some(last) = last else { return Ok(gone) };
        after = last;
        for user in members {
            gone += trim_log(core, user, older_than).await?;
        }
    }
}

async fn trim_log(core: &Core, user: UserId, older_than: Timestamp) -> Result<u64> {
    let mut gone = 0;
    loop {
        let now = core.clock.now();
        let step =
            core.store.write_at_once(move |tx| notifications::trim_events(tx, user, older_than, EVENTS, now)).await?;
        gone += step;
        if step < EVENTS.unsigned_abs() {
            return Ok(gone);
        }
    }
}
