use crate::access::Viewer;
use crate::pages::{NewestPage, PageKey, RowsPage};
use crate::{Caller, Core, Error, Result};
use parlour_store::Read;
use parlour_store::threads::{InboxCursor, InboxWindow, inbox};
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
    let known = core.known(|| core.pages.people_of(key));
    let (rules, cards) = (Arc::clone(&core.rules), Arc::clone(&core.cards));
    let question = move |read: &Read<'_>| {
        let mut rows = Rows::with_capacity(usize::try_from(limit).unwrap_or_default());
        let (mut seen, mut last, mut more) = (0, None, false);
        // One row more than asked for says whether there is a next page.
        let window = InboxWindow { below, skip, limit: limit + 1 };
        let page = inbox(read, caller.user_id, window, &known, |entry| {
            seen += 1;
            more = seen > limit;
            if !more {
                rows.push_snippet(&entry, &rules.hidden_text);
                last = Some(InboxCursor { last_message_at: entry.last_message_at, thread_id: entry.thread_id });
            }
        })?;
        let viewer = Viewer::of_answer(read, &cards, page.people, caller)?;
        let people = viewer.cards.all(rows.people())?;
        let page = RowsPage { count: page.count, rows: Arc::new(rows), people, next: last.filter(|_| more) };
        Ok::<_, Error>((page, viewer.cards.version()))
    };
    let answer = core.store.ask(question).await;
    core.catch_up();
    let (page, directory_version) = answer?;
    if core.store.is_remote() {
        core.pages.remember_people(key, &page);
    }
    if let Some(since) = moment {
        core.pages.keep(&core.store, since, directory_version, key, NewestPage::new(&page, limit));
    }
    Ok(page)
}
