use crate::app::App;
use parlour_core::files::{remove_due, remove_leftovers};
use tokio::time::{Instant, MissedTickBehavior};

/// The store is looked through for what a killed server left in it: at the first turn, and then every so many.
const TURNS_OF_LEFTOVERS: u64 = 60;

/// Removes files that are due, again and again. Several servers may do so at once.
pub(crate) async fn remove_files(app: App) {
    let interval = app.config.files.cleanup_interval.get();
    // Not at once: a server that has just started has callers to answer.
    let mut turns = tokio::time::interval_at(Instant::now() + interval, interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0_u64.. {
        turns.tick().await;
        if turn.is_multiple_of(TURNS_OF_LEFTOVERS) {
            match remove_leftovers(&app.core).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "files that a killed server had not stored whole were removed"),
                Err(error) => tracing::warn!(%error, "the store of files could not be looked through"),
            }
        }
        match remove_due(&app.core).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "files that no message shows were removed"),
            // The next turn tries again.
            Err(error) => tracing::warn!(%error, "files that are due could not be removed"),
        }
    }
}
