//! What a commit changed, and who is told of it.

use crate::db::Touched;
use parlour_types::{ThreadId, UserId};
use std::sync::OnceLock;

/// What a commit changed.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// What these members see of these threads, and their inboxes; or what their logs say of them.
    Threads(&'a [(UserId, ThreadId)]),
    /// Nobody knows.
    Everything,
}

/// Is told what was changed, on the thread that changed it or found out, with others waiting: it must be quick.
pub type Listener = Box<dyn Fn(Change<'_>) + Send + Sync>;

/// The place for whoever is told of each commit of this process once it is done.
#[derive(Default)]
pub(crate) struct Commits(OnceLock<Listener>);

impl Commits {
    /// Tells `listener` from now on, unless somebody else already is told.
    pub(crate) fn tell(&self, listener: Listener) {
        // A second listener has no place, and its absence changes nothing that is stored.
        let _ = self.0.set(listener);
    }

    /// A commit that changed what is `touched` is on disk.
    pub(crate) fn done(&self, touched: &Touched) {
        let Some(listener) = self.0.get() else { return };
        if touched.everything {
            listener(Change::Everything);
            return;
        }
        for logs in [&touched.threads, &touched.told] {
            if !logs.is_empty() {
                listener(Change::Threads(logs));
            }
        }
    }
}
