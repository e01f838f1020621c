//! Users, rendered once per change.
//!
//! The cache can never be stale, however many processes write to the database: each snapshot carries the directory's version,
//! and a snapshot newer than the cache first drops whoever changed in between. Write transactions never touch the cache, as what
//! they see may still be rolled back.

use crate::pages::CacheStatistics;
use parlour_store::Read;
use parlour_store::users::{self, Known, People};
use parlour_types::UserId;
use parlour_types::model::User;
use parlour_types::view::{self, UserJson};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Changed users that are dropped one by one.
const MANY: i64 = 1_000;

/// A user and how they look to others.
#[derive(Clone, Debug)]
pub struct Card {
    /// The facts.
    pub user: User,
    /// The rendering that is spliced into answers.
    pub json: UserJson,
}

impl Card {
    fn new(user: User) -> Self {
        let json = UserJson::render(&view::User::from(&user));
        Self { user, json }
    }
}

#[derive(Clone)]
struct CardBytes;

impl Weighter<UserId, Arc<Card>> for CardBytes {
    fn weight(&self, _: &UserId, card: &Arc<Card>) -> u64 {
        // The facts take about as much again as their rendering.
        2 * card.json.size_bytes() as u64 + 256
    }
}

/// The rendered users, within a budget of memory.
pub struct Cards {
    by_id: Cache<UserId, Arc<Card>, CardBytes>,
    /// The directory version that the cache is true to.
    version: AtomicI64,
    /// Whether an answer was of a newer version.
    behind: AtomicBool,
    /// Held while the cache is filled or brought up to date, so that no card of an old snapshot slips in behind.
    filling: Mutex<()>,
}

impl Cards {
    /// An empty cache that takes at most about `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let expected = usize::try_from(bytes / 3_000).unwrap_or(usize::MAX);
        Self {
            by_id: Cache::with_weighter(expected, bytes, CardBytes),
            version: AtomicI64::new(-1),
            behind: AtomicBool::new(false),
            filling: Mutex::new(()),
        }
    }

    /// How well the cards served so far.
    pub(crate) fn statistics(&self) -> CacheStatistics {
        CacheStatistics {
            hits: self.by_id.hits(),
            misses: self.by_id.misses(),
            entries: self.by_id.len(),
            bytes: self.by_id.weight(),
        }
    }

    /// Drops whoever changed since `version`; everybody, when that is many.
    fn drop_changed(&self, read: &Read<'_>, version: i64) -> parlour_store::Result<()> {
        if self.by_id.is_empty() {
            return Ok(());
        }
        let changed = users::changed_since(read, version, MANY)?;
        if changed.len() as i64 == MANY {
            self.by_id.clear();
        }
        changed.iter().for_each(|id| drop(self.by_id.remove(id)));
        Ok(())
    }

    /// What `ask` finds among the cards kept, if they are those of this version of the directory before and after.
    pub(crate) fn of_version<T>(
        &self,
        version: i64,
        ask: impl FnOnce(&dyn Fn(UserId) -> Option<Arc<Card>>) -> Option<T>,
    ) -> Option<T> {
        let holds = || self.version.load(Ordering::Acquire) == version;
        if !holds() {
            return None;
        }
        let found = ask(&|id| self.by_id.get(&id))?;
        holds().then_some(found)
    }

    /// The cards as `read`'s snapshot has them.
    pub(crate) fn at<'r>(&'r self, read: &'r Read<'r>) -> parlour_store::Result<CardsAt<'r>> {
        let version = users::directory_version(read)?;
        self.catch_up(read, version)?;
        Ok(CardsAt { cards: self, read, version, brought: Vec::new() })
    }

    /// The same for an answer that says its version and brings whom [`Cards::known`] did not list.
    pub(crate) fn of_answer<'r>(&'r self, read: &'r Read<'r>, people: People) -> parlour_store::Result<CardsAt<'r>> {
        let version = people.version;
        if people.users.is_empty() {
            self.catch_up(read, version)?;
        }
        Ok(CardsAt { cards: self, read, version, brought: self.take(people) })
    }

    /// The cards of those whom an answer brings, which are kept if it is of the version that the others are of.
    pub(crate) fn take(&self, people: People) -> Vec<Arc<Card>> {
        let version = people.version;
        let brought: Vec<_> = people.users.into_iter().map(|(user, _)| Arc::new(Card::new(user))).collect();
        if version > self.version.load(Ordering::Acquire) {
            let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
            if self.by_id.is_empty() {
                self.version.fetch_max(version, Ordering::AcqRel);
            } else {
                // What was brought is enough for now, and asking who else changed would hold up the answer.
                self.behind.store(true, Ordering::Release);
            }
        }
        brought.iter().for_each(|card| self.keep(version, card));
        brought
    }

    /// The cards of these people, brought by an answer or kept, unless one is neither.
    pub(crate) fn find(&self, brought: &[Arc<Card>], ids: &[UserId]) -> Option<Vec<Arc<Card>>> {
        let find = |id: &UserId| {
            let brought = brought.iter().find(|card| card.user.id == *id);
            brought.map(Arc::clone).or_else(|| self.by_id.get(id))
        };
        ids.iter().map(find).collect()
    }

    /// Which of these people are kept, and in which version of the directory.
    pub(crate) fn known(&self, ids: &[UserId]) -> Known {
        let version = self.version.load(Ordering::Acquire);
        let kept = ids.iter().filter(|id| self.by_id.contains_key(*id));
        Known { version, ids: kept.map(|id| id.get()).collect() }
    }

    /// Whether an answer was of a newer version since the last time this was asked.
    pub(crate) fn fell_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire) && self.behind.swap(false, Ordering::AcqRel)
    }

    fn keep(&self, version: i64, card: &Arc<Card>) {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.version.load(Ordering::Acquire) == version {
            self.by_id.insert(card.user.id, Arc::clone(card));
        }
    }

    fn catch_up(&self, read: &Read<'_>, version: i64) -> parlour_store::Result<()> {
        if version > self.version.load(Ordering::Acquire) {
            let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
            let known = self.version.load(Ordering::Acquire);
            if version > known {
                self.drop_changed(read, known)?;
                self.version.store(version, Ordering::Release);
            }
        }
        Ok(())
    }
}

/// The cards of one snapshot.
pub(crate) struct CardsAt<'r> {
    cards: &'r Cards,
    read: &'r Read<'r>,
    version: i64,
    /// Those who came with the answer.
    brought: Vec<Arc<Card>>,
}

impl CardsAt<'_> {
    /// The directory's version in this snapshot.
    pub(crate) const fn version(&self) -> i64 {
        self.version
    }

    /// The card of `id`, if there is such a user.
    pub(crate) fn get(&self, id: UserId) -> parlour_store::Result<Option<Arc<Card>>> {
        if let Some(card) = self.brought.iter().find(|card| card.user.id == id) {
            return Ok(Some(Arc::clone(card)));
        }
        if let Some(card) = self.cards.by_id.get(&id) {
            return Ok(Some(card));
        }
        let Some(user) = users::get(self.read, id)? else { return Ok(None) };
        let card = Arc::new(Card::new(user));
        self.cards.keep(self.version, &card);
        Ok(Some(card))
    }

    /// The cards of people whom foreign keys guarantee.
    pub(crate) fn all(&self, ids: &[UserId]) -> parlour_store::Result<Vec<Arc<Card>>> {
        ids.iter().map(|id| self.known(*id)).collect()
    }

    /// The card of someone whom a foreign key guarantees.
    pub(crate) fn known(&self, id: UserId) -> parlour_store::Result<Arc<Card>> {
        self.get(id)?
            .ok_or(parlour_store::StoreError::Inconsistent { table: "users", what: "absence of a thread's member" })
    }
}
