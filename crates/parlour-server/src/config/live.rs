//! Sockets and streams.

use super::values::Duration;
use super::{Config, ConfigError};
use serde::{Deserialize, Serialize};

/// Sockets and streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// How often the official client hears from the server at least.
    pub heartbeat: Duration,
    /// Sockets and streams of one member at a time.
    pub max_sockets_per_member: usize,
    /// Sockets and streams in all.
    pub max_sockets: usize,
    /// Time that a request waits for an event.
    pub max_wait: Duration,
    /// For how long a member whose last socket or stream has gone still counts as there.
    pub presence_grace: Duration,
    /// For how long an event stays in a member's log.
    pub event_retention: Duration,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            heartbeat: Duration::seconds(4),
            max_sockets_per_member: 50,
            max_sockets: 20_000,
            max_wait: Duration::seconds(60),
            presence_grace: Duration::seconds(30),
            event_retention: Duration::seconds(30 * 24 * 3600),
        }
    }
}

impl Config {
    /// What is wrong with the settings of sockets.
    pub(super) fn check_live(&self) -> Result<(), ConfigError> {
        let wrong =
            |key: &str, why: &str| Err(ConfigError::Value { key: key.into(), origin: String::new(), why: why.into() });
        let heartbeat = self.live.heartbeat.get();
        if heartbeat < std::time::Duration::from_millis(100) || heartbeat > std::time::Duration::from_secs(15) {
            return wrong("live.heartbeat", "must be from 100ms to 15s");
        }
        if self.live.max_sockets_per_member == 0 {
            return wrong("live.max_sockets_per_member", "must be at least 1");
        }
        if self.live.max_sockets == 0 {
            return wrong("live.max_sockets", "must be at least 1");
        }
        if self.live.max_wait.get() > std::time::Duration::from_secs(60) {
            return wrong("live.max_wait", "must be at most 60s");
        }
        if self.live.event_retention.get() < std::time::Duration::from_secs(60) {
            return wrong("live.event_retention", "must be at least 1m");
        }
        Ok(())
    }
}
