//! The study: the rules of private messages.
//!
//! Every use case is one function that takes [`Core`] and, where somebody must be signed in, a [`Caller`]. Who may do what is
//! in [`access`] and nowhere else; how much and how long is in [`rules`]. HTTP and SQL may never be added here.

pub mod access;
mod cards;
mod clock;
pub mod directory;
mod error;
pub mod files;
pub mod import;
pub mod limits;
pub mod live;
pub mod messages;
pub mod notifications;
mod pages;
pub mod rules;
pub mod threads;

pub use cards::{Card, Cards};
pub use clock::Clock;
pub use error::{Error, FieldProblem, Result};
pub use pages::{CacheStatistics, RowsPage};
pub use parlour_store::messages::IdRange;
pub use parlour_store::notifications::{NotificationCursor, NotificationRow};
pub use parlour_store::relations::FollowSide;
pub use parlour_store::threads::InboxCursor;
pub use parlour_store::{Change, Listener, Totals};
pub use rules::Rules;

use access::Viewer;
use files::Files;
use limits::Limits;
use pages::Pages;
use parlour_store::objects::Objects;
use parlour_store::users::Known;
use parlour_store::{Read, Store};
use parlour_types::UserId;
use std::sync::Arc;

/// Somebody whose credentials were verified. Whether that user exists is asked together with the data of each request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Whom the credentials name.
    pub user_id: UserId,
}

/// What every use case needs. Cloning shares it.
#[derive(Clone)]
pub struct Core {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The community's numbers.
    pub rules: Arc<Rules>,
    cards: Arc<Cards>,
    pages: Arc<Pages>,
    limits: Arc<Limits>,
    files: Arc<Files>,
}

impl Core {
    /// Puts the parts together.
    #[must_use]
    pub fn new(store: Store, objects: Objects, clock: Clock, rules: Rules) -> Self {
        let cards = Arc::new(Cards::new(rules.user_cache_bytes));
        let pages = Pages::new(rules.page_cache_bytes, &store);
        let limits = Limits::new(&rules.limits, &clock);
        let files = Arc::new(Files::new(objects, &rules.files));
        Self { store, clock, cards, pages, limits, files, rules: Arc::new(rules) }
    }

    /// How well the rendered users and the newest pages serve, each by its name in the configuration.
    #[must_use]
    pub fn cache_statistics(&self) -> [(&'static str, CacheStatistics); 2] {
        [("users", self.cards.statistics()), ("pages", self.pages.statistics())]
    }

    /// Where the bytes of files are.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.files.objects
    }

    /// The cards of these people as they are now, if that can be said without a snapshot.
    fn cards_now(&self, ids: &[UserId]) -> Option<Vec<Arc<Card>>> {
        let version = self.store.now()?.directory_version?;
        self.cards.of_version(version, |card| ids.iter().map(|id| card(*id)).collect())
    }

    /// What an answer need not bring of these people.
    fn known(&self, ids: impl FnOnce() -> Vec<UserId>) -> Known {
        if self.store.is_remote() { self.cards.known(&ids()) } else { Known::default() }
    }

    /// Asks who changed, once an answer has shown that somebody did. Until that is known, answers bring their people.
    fn catch_up(&self) {
        if !self.cards.fell_behind() {
            return;
        }
        let (store, cards) = (self.store.clone(), Arc::clone(&self.cards));
        tokio::spawn(async move {
            let caught_up = store.read(move |read| cards.at(read).map(drop)).await;
            if let Err(error) = caught_up {
                tracing::warn!(%error, "the users kept could not be brought up to date");
            }
        });
    }

    /// Answers a question of `caller` from one snapshot, which also proves that the caller exists.
    async fn ask<T, F>(&self, caller: Caller, mut question: F) -> Result<T>
    where
        F: FnMut(&Read<'_>, &Viewer<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let cards = Arc::clone(&self.cards);
        self.store.read(move |read| question(read, &Viewer::admit(read, &cards, caller)?)).await
    }
}
