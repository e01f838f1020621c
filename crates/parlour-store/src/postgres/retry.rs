//! The one place where a transaction is tried again: because another one came between, because ids had run out, or because the connection
//! broke before anything was committed. What may have been committed is never tried again here: its caller does that, under a key.

use super::lease::LeaseKeeper;
use crate::error::StoreError;
use std::time::Duration;

/// How often a transaction is tried that others come between.
const ATTEMPTS: u32 = 12;

/// The longest pause before the second try; each further one may be twice as long, up to 64 times.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// How a transaction failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failed {
    /// Another one came between.
    Met,
    /// There was no right to issue ids.
    NoNode,
    /// The connection broke while nothing was committed.
    LostBeforeCommit,
    /// In a way that trying again does not help, or must not be tried.
    ForGood,
}

/// Tries a transaction until it is done, or has failed for good.
pub(super) fn try_often<T, E: From<StoreError>>(
    lease: &LeaseKeeper,
    mut try_once: impl FnMut() -> Result<T, (E, Failed)>,
) -> Result<T, E> {
    let (mut pause, mut waited, mut lost) = (FIRST_PAUSE, false, false);
    for attempt in 1.. {
        let (error, failed) = match try_once() {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        match failed {
            Failed::Met if attempt < ATTEMPTS => {
                std::thread::sleep(pause.mul_f64(fastrand::f64()));
                pause = (pause * 2).min(FIRST_PAUSE * 64);
            }
            Failed::NoNode if !waited => {
                lease.wait_for_more();
                waited = true;
            }
            Failed::LostBeforeCommit if !lost => lost = true,
            _ => return Err(error),
        }
    }
    Err(StoreError::Conflict.into())
}
