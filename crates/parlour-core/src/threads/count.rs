use crate::{Caller, Core, Result, Totals};
use parlour_store::users;

/// How many threads have something that the caller has not seen, and how many messages of others that is. The cost does not grow with either.
///
/// # Errors
/// [`UnknownCaller`](crate::Error::UnknownCaller).
pub async fn count_unread(core: &Core, caller: Caller) -> Result<Totals> {
    core.ask(caller, |read, viewer| Ok(users::totals(read, viewer.id())?)).await
}
