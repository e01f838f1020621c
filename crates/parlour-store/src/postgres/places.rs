//! Room for questions: how many are under way at once, and how many wait.

use crate::error::{Result, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Askers that may wait for a place; further ones are refused at once.
const QUEUE: usize = 1_024;

/// A number of places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    wait: Duration,
}

impl Places {
    /// So many, for each of which somebody waits as long as `wait` at the most.
    pub(super) fn new(count: usize, wait: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), waiting: AtomicUsize::new(0), wait }
    }

    /// Askers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place, free again when it is dropped.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::enter(&self.waiting).ok_or(StoreError::Busy)?;
        let place = tokio::time::timeout(self.wait, Arc::clone(&self.free).acquire_owned()).await;
        place.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::WriterStopped)
    }
}

/// Somebody who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < QUEUE).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
