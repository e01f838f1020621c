use super::ThreadRef;
use crate::access::Viewer;
use crate::error::unless_transient;
use crate::pages::{NewestPage, PageKey, RowsPage};
use crate::{Caller, Core, Error, Result};
use parlour_store::messages::{IdRange, thread_page};
use parlour_store::seen::mark_seen;
use parlour_store::threads::Membership;
use parlour_store::{Moment, Read};
use parlour_types::Window;
use parlour_types::model::MessageRef;
use parlour_types::view::{MessagePage, Rows, ThreadStatus};
use std::sync::Arc;

/// Get a thread (contract §2.3): a page of its messages, counted from the newest, oldest first. Marks the whole thread as seen by the
/// caller, up to what this very snapshot shows.
///
/// # Errors
/// [`NotFound`](crate::Error::NotFound) for a thread that the caller is not in and for a user who does not exist.
pub async fn get_thread(
    core: &Core,
    caller: Caller,
    thread: ThreadRef,
    range: IdRange,
    window: Window,
) -> Result<RowsPage> {
    // Only the newest page is asked for again and again.
    let newest = window.offset == 0 && range == IdRange::default();
    let moment = if newest { core.store.now() } else { None };
    if let Some(page) = moment.and_then(|moment| kept(core, moment, caller, thread, window.limit)) {
        return Ok(page);
    }
    let known = core.known(|| match thread {
        ThreadRef::Thread(id) => core.pages.people_of(PageKey { viewer: caller.user_id, thread: Some(id) }),
        ThreadRef::User(other) => vec![caller.user_id, other],
    });
    let (rules, cards) = (Arc::clone(&core.rules), Arc::clone(&core.cards));
    let question = move |read: &Read<'_>| {
        let mut rows = Rows::with_capacity(usize::try_from(window.limit).unwrap_or_default());
        let show = |member: &Membership, message: MessageRef<'_>| {
            rows.push_message(&page_of(member, &rules.hidden_text), &message);
        };
        let page = thread_page(read, caller.user_id, thread.name(), (range, window), &known, show)?;
        let viewer = Viewer::of_answer(read, &cards, page.people, caller)?;
        let Some(member) = page.member else {
            return match thread {
                ThreadRef::Thread(_) => Err(Error::NotFound),
                ThreadRef::User(other) => viewer.cards.get(other)?.map(|_| None).ok_or(Error::NotFound),
            };
        };
        let people = viewer.cards.all(rows.people())?;
        let page = RowsPage { count: page.count, rows: Arc::new(rows), people, next: None };
        Ok(Some((page, member, viewer.cards.version())))
    };
    let answer = core.store.ask(question).await;
    core.catch_up();
    let Some((page, member, directory_version)) = answer? else {
        return Ok(RowsPage::default());
    };
    let id = member.thread().id;
    if core.store.is_remote() {
        core.pages.remember_people(PageKey { viewer: caller.user_id, thread: Some(id) }, &page);
    }
    if member.unread_count() > 0 {
        let (now, up_to) = (core.clock.now(), member.thread().last_seq);
        let marked = core.store.write_at_once(move |tx| mark_seen(tx, id, caller.user_id, up_to, now)).await;
        unless_transient(marked, "the thread stays unread until it is read again")?;
    } else if let Some(since) = moment {
        let key = PageKey { viewer: caller.user_id, thread: Some(id) };
        core.pages.keep(&core.store, since, directory_version, key, NewestPage::new(&page, window.limit));
        if let ThreadRef::User(other) = thread {
            core.pages.remember_pair(caller.user_id, other, id);
        }
    }
    Ok(page)
}

/// The page as it was kept, if that is true at `moment`.
fn kept(core: &Core, moment: Moment, caller: Caller, thread: ThreadRef, limit: i64) -> Option<RowsPage> {
    let thread = match thread {
        ThreadRef::Thread(id) => id,
        ThreadRef::User(other) => core.pages.thread_of(caller.user_id, other)?,
    };
    core.pages.find(&core.cards, moment, PageKey { viewer: caller.user_id, thread: Some(thread) }, limit)
}

/// What all messages of a page share.
fn page_of<'a>(member: &Membership, hidden_text: &'a str) -> MessagePage<'a> {
    let thread = member.thread();
    MessagePage {
        thread_id: thread.id,
        viewer_id: member.user_id(),
        partner_id: thread.partner_of(member.user_id()),
        last_message_at: thread.last_message_at,
        // Asking for a thread is seeing it.
        thread_status: ThreadStatus::Seen,
        hidden_text,
    }
}
