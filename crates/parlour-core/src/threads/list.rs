use crate::{Caller, Card, Core, Result};
use parlour_store::threads::{InboxCursor, inbox};
use parlour_types::Page;
use parlour_types::model::InboxEntry;
use std::sync::Arc;

/// A page of a member's conversations.
pub struct SnippetPage {
    /// The conversations, latest activity first, each with the cards of who began it and of the other one.
    pub page: Page<(InboxEntry, Arc<Card>, Arc<Card>)>,
    /// Whether more follow.
    pub more: bool,
}

/// The caller's conversations (contract §2.2): at most `limit` after skipping `skip` rows below `below`. Marks nothing as seen.
///
/// # Errors
/// A failure of the store.
pub async fn list_snippets(
    core: &Core,
    caller: Caller,
    below: Option<InboxCursor>,
    skip: i64,
    limit: i64,
) -> Result<SnippetPage> {
    core.ask(caller, move |read, viewer| {
        // One row more than asked for says whether there is a next page.
        let mut page = inbox(read, viewer.id(), below, skip, limit + 1)?;
        let more = page.rows.len() as i64 > limit;
        page.rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let card = |entry: InboxEntry| {
            let (creator, other) = (viewer.cards.known(entry.creator_id)?, viewer.cards.known(entry.other_id)?);
            Ok((entry, creator, other))
        };
        let rows = page.rows.into_iter().map(card).collect::<Result<_>>()?;
        Ok(SnippetPage { page: Page { count: page.count, rows }, more })
    })
    .await
}
