//! What the writer lets others see of its work, for an operator's metrics.

use std::sync::OnceLock;
use std::time::Duration;

/// Something that the writer did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observation {
    /// A group was brought to disk.
    Committed {
        /// Changes in the group.
        changes: usize,
        /// Time of the commit itself: writing the log and syncing it.
        took: Duration,
    },
    /// A group could not be brought to disk, and every change of it was refused.
    CommitFailed,
    /// The log was folded into the database file.
    Checkpointed {
        /// How long that took.
        took: Duration,
    },
}

/// Is told everything that the writer does, on the writer's own thread: it must be quick.
pub type Observer = Box<dyn Fn(Observation) + Send + Sync>;

/// The place for an observer.
#[derive(Default)]
pub(crate) struct Observed(OnceLock<Observer>);

impl Observed {
    /// Lets `observer` see everything from now on, unless somebody else already does.
    pub(crate) fn by(&self, observer: Observer) {
        // A second observer has no place, and its absence changes nothing that is stored.
        let _ = self.0.set(observer);
    }

    pub(crate) fn tell(&self, observation: Observation) {
        if let Some(observer) = self.0.get() {
            observer(observation);
        }
    }
}
