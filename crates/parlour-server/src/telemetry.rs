//! Logs, on standard error.

use crate::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Starts logging as configured. A second start in one process changes nothing.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&log.level).map_err(|_| anyhow::anyhow!("log.level: {:?} is not a filter", log.level))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Human => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}
