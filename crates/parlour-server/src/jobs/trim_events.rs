use crate::app::App;
use parlour_core::notifications;
use parlour_types::Timestamp;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the logs are looked through.
const TURN: Duration = Duration::from_secs(3_600);

/// Removes events that are older than the configured retention, again and again. Several servers may do so at once.
pub(crate) async fn trim_events(app: App) {
    // Not at once: a server that has just started has callers to answer.
    let mut turns = tokio::time::interval_at(Instant::now() + TURN / 6, TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let older_than = app.core.clock.now().as_micros() - app.config.live.event_retention.as_micros();
        match notifications::trim_events(&app.core, Timestamp::from_micros(older_than)).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "events beyond the retention were removed"),
            // The next turn tries again.
            Err(error) => tracing::warn!(%error, "events beyond the retention could not be removed"),
        }
    }
}
