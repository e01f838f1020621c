use crate::{Caller, Core, Result};
use parlour_store::users;

/// How many notifications the caller has not read. The cost does not grow with them.
///
/// # Errors
/// [`UnknownCaller`](crate::Error::UnknownCaller).
pub async fn count_unseen(core: &Core, caller: Caller) -> Result<i64> {
    core.ask(caller, |read, viewer| Ok(users::totals(read, viewer.id())?.unseen_notifications)).await
}
