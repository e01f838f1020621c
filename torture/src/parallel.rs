//! Many independent trials, a few at a time.

use anyhow::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Trials at once: each has a server of its own, and a core does not wait while another one syncs.
const WORKERS: usize = 3;

/// Runs `trial` on every item and answers in their order. Stops at the first error.
pub(crate) fn trials<I: Sync, T: Send>(items: &[I], trial: impl Fn(usize, &I) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let worker = || -> Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok(()) };
            match trial(index, item) {
                Ok(result) => done.lock().expect("no trial panics").push((index, result)),
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no trial panics"))
    })?;
    let mut done = done.into_inner().expect("no trial panics");
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
