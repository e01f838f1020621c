use crate::app::App;
use parlour_core::files::remove_due;
use tokio::time::MissedTickBehavior;

/// Removes files that are due, again and again. Several servers may do so at once.
pub(crate) async fn remove_files(app: App) {
    let mut turns = tokio::time::interval(app.config.files.cleanup_interval.get());
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match remove_due(&app.core).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "files that no message shows were removed"),
            // The next turn tries again.
            Err(error) => tracing::warn!(%error, "files that are due could not be removed"),
        }
    }
}
