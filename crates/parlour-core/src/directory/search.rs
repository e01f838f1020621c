use crate::access::{Viewer, can_send, search_scope};
use crate::limits::{Action, Allowance};
use crate::{Caller, Card, Core, Result};
use parlour_store::users::Account;
use parlour_types::{Page, Window};
use std::net::IpAddr;
use std::sync::Arc;

/// Whom the caller could write to, by a part of their name in any case (contract §2.9): the caller's followers, or everybody for a
/// caller with a role; nobody whom [`can_send`] refuses. An empty term finds nobody. Also answers where this leaves the caller with the
/// limit, if there is one.
///
/// # Errors
/// [`Error::TooOften`](crate::Error::TooOften).
pub async fn search_users(
    core: &Core,
    (caller, address): (Caller, Option<IpAddr>),
    term: &str,
    window: Window,
) -> Result<(Page<Arc<Card>>, Option<Allowance>)> {
    let allowance = core.limits.count(Action::Search, caller, address, 1)?;
    let term = term.trim().to_lowercase();
    let cards = Arc::clone(&core.cards);
    let page = core
        .store
        .read_long(move |read| {
            let viewer = Viewer::admit(read, &cards, caller)?;
            if term.is_empty() {
                return Ok::<_, crate::Error>(Page { count: 0, rows: Vec::new() });
            }
            let searcher = Account::from(&viewer.card.user);
            let mut found = parlour_store::users::search(read, searcher.id, search_scope(&searcher), &term)?;
            found.retain(|candidate| can_send(&searcher, &candidate.account, candidate.relation));
            let (skip, take) =
                (usize::try_from(window.offset).unwrap_or(usize::MAX), usize::try_from(window.limit).unwrap_or(0));
            let rows = found.iter().skip(skip).take(take).map(|candidate| viewer.cards.known(candidate.account.id));
            Ok(Page { count: found.len() as i64, rows: rows.collect::<Result<_, _>>()? })
        })
        .await?;
    Ok((page, allowance))
}
