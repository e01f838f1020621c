//! The newest page of threads and inboxes, ready but for the people in them.
//!
//! Never out of date: a page is used only while the store says that nothing was committed that it was not told to give up
//! ([`Store::now`](parlour_store::Store::now)), and only with people of the directory's present version.

use crate::cards::{Card, Cards};
use parlour_store::threads::InboxCursor;
use parlour_store::{Change, Moment, Store};
use parlour_types::view::Rows;
use parlour_types::{ThreadId, UserId};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Pairs of members whose thread is remembered at the most.
const PAIRS: usize = 20_000;

/// How well a cache serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheStatistics {
    /// Questions that it could answer.
    pub hits: u64,
    /// Questions that it could not.
    pub misses: u64,
    /// What it holds.
    pub entries: usize,
    /// How much memory that takes, about.
    pub bytes: u64,
}

/// What a page shows and to whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PageKey {
    pub(crate) viewer: UserId,
    /// The thread; `None` for the inbox.
    pub(crate) thread: Option<ThreadId>,
}

/// A page of a list, ready but for the people.
#[derive(Clone, Default)]
pub struct RowsPage {
    /// How many rows the whole list has.
    pub count: i64,
    /// The rows of the page.
    pub rows: Arc<Rows>,
    /// The cards of [`Rows::people`], in that order.
    pub people: Vec<Arc<Card>>,
    /// Where an inbox goes on, if it does.
    pub next: Option<InboxCursor>,
}

/// A page from the newest row on.
pub(crate) struct NewestPage {
    /// How many rows were asked for.
    limit: i64,
    count: i64,
    rows: Arc<Rows>,
    next: Option<InboxCursor>,
}

impl NewestPage {
    /// What is worth keeping of `page`, for which `limit` rows were asked.
    pub(crate) fn new(page: &RowsPage, limit: i64) -> Self {
        Self { limit, count: page.count, rows: Arc::clone(&page.rows), next: page.next }
    }
}

#[derive(Clone)]
struct PageBytes;

impl Weighter<PageKey, Arc<NewestPage>> for PageBytes {
    fn weight(&self, _: &PageKey, page: &Arc<NewestPage>) -> u64 {
        page.rows.size_bytes() as u64 + 256
    }
}

/// The pages kept, within a budget of memory.
pub(crate) struct Pages {
    newest: Cache<PageKey, Arc<NewestPage>, PageBytes>,
    /// The thread of two members, which never becomes another one.
    pairs: Cache<(UserId, UserId), ThreadId>,
    /// Who was in a page the last time, which says whom the next one will need.
    people: Cache<PageKey, Arc<[UserId]>>,
}

impl Pages {
    /// No pages, and room for about `bytes`. From now on `store` says what to give up.
    pub(crate) fn new(bytes: u64, store: &Store) -> Arc<Self> {
        let expected = usize::try_from(bytes / 12_000).unwrap_or(usize::MAX);
        let pages = Arc::new(Self {
            newest: Cache::with_weighter(expected, bytes, PageBytes),
            pairs: Cache::new(PAIRS),
            people: Cache::new(PAIRS),
        });
        let kept = Arc::clone(&pages);
        store.listen(Box::new(move |change| kept.give_up(change)));
        pages
    }

    /// How well the pages served so far.
    pub(crate) fn statistics(&self) -> CacheStatistics {
        CacheStatistics {
            hits: self.newest.hits(),
            misses: self.newest.misses(),
            entries: self.newest.len(),
            bytes: self.newest.weight(),
        }
    }

    fn give_up(&self, change: Change<'_>) {
        match change {
            Change::Everything => self.newest.clear(),
            Change::Threads(touched) => {
                for (viewer, thread) in touched {
                    self.newest.remove(&PageKey { viewer: *viewer, thread: Some(*thread) });
                    self.newest.remove(&PageKey { viewer: *viewer, thread: None });
                }
            }
        }
    }

    /// The viewer, and who was in this page the last time.
    pub(crate) fn people_of(&self, key: PageKey) -> Vec<UserId> {
        let others = self.people.get(&key);
        let others = others.iter().flat_map(|people| people.iter().copied()).filter(|id| *id != key.viewer);
        std::iter::once(key.viewer).chain(others).collect()
    }

    /// Remembers who is in a page.
    pub(crate) fn remember_people(&self, key: PageKey, page: &RowsPage) {
        let people = page.rows.people();
        if self.people.get(&key).is_none_or(|known| *known != *people) {
            self.people.insert(key, people.into());
        }
    }

    /// The thread of two members, if it is known.
    pub(crate) fn thread_of(&self, viewer: UserId, other: UserId) -> Option<ThreadId> {
        self.pairs.get(&(viewer, other))
    }

    /// Remembers the thread of two members.
    pub(crate) fn remember_pair(&self, viewer: UserId, other: UserId, thread: ThreadId) {
        self.pairs.insert((viewer, other), thread);
    }

    /// The page kept under `key`, with everybody in it, if it is true at `moment`, was asked for with this limit, and its viewer exists.
    pub(crate) fn find(&self, cards: &Cards, moment: Moment, key: PageKey, limit: i64) -> Option<RowsPage> {
        let page = self.newest.get(&key).filter(|page| page.limit == limit)?;
        let people = cards.of_version(moment.directory_version?, |card| {
            card(key.viewer).filter(|viewer| !viewer.user.status.is_deleted())?;
            page.rows.people().iter().map(|id| card(*id)).collect()
        })?;
        Some(RowsPage { count: page.count, rows: Arc::clone(&page.rows), people, next: page.next })
    }

    /// Keeps a page that was read after `since` from a snapshot with this version of the directory.
    pub(crate) fn keep(&self, store: &Store, since: Moment, directory_version: i64, key: PageKey, page: NewestPage) {
        store.keep(since, directory_version, || self.newest.insert(key, Arc::new(page)));
    }
}
