use crate::access::Viewer;
use crate::pages::{NewestPage, PageKey, RowsPage};
use crate::{Caller, Core, Result};
use parlour_store::Read;
use parlour_store::threads::{InboxCursor, inbox};
use parlour_types::view::Rows;
use std::sync::Arc;

/// The caller's conversations (contract §2.2), latest activity first: at most `limit` after skipping `skip` rows below `below`. Marks
/// nothing as seen.
///
/// # Errors
/// A failure of the store.
pub async fn list_snippets(
    core: &Core,
    caller: Caller,
    below: Option<InboxCursor>,
    skip: i64,
    limit: i64,
) -> Result<RowsPage> {
    let moment = if below.is_none() && skip == 0 { core.store.now() } else { None };
    let key = PageKey { viewer: caller.user_id, thread: None };
    if let Some(page) = moment.and_then(|moment| core.pages.find(&core.cards, moment, key, limit)) {
        return Ok(page);
    }
    let rules = Arc::clone(&core.rules);
    let question = move |read: &Read<'_>, viewer: &Viewer<'_>| {
        let mut rows = Rows::with_capacity(usize::try_from(limit).unwrap_or_default());
        let (mut seen, mut last, mut more) = (0, None, false);
        // One row more than asked for says whether there is a next page.
        let count = inbox(read, viewer.id(), below, skip, limit + 1, |entry| {
            seen += 1;
            more = seen > limit;
            if !more {
                rows.push_snippet(&entry, &rules.hidden_text);
                last = Some(InboxCursor { last_message_at: entry.last_message_at, thread_id: entry.thread_id });
            }
        })?;
        let people = viewer.cards.all(rows.people())?;
        let page = RowsPage { count, rows: Arc::new(rows), people, next: last.filter(|_| more) };
        Ok((page, viewer.cards.version()))
    };
    let (page, directory_version) = core.ask(caller, question).await?;
    if let Some(since) = moment {
        core.pages.keep(&core.store, since, directory_version, key, NewestPage::new(&page, limit));
    }
    Ok(page)
}
