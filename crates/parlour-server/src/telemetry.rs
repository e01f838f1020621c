//! Logs, on standard error.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, registry};

/// Starts logging as configured. A second start in one process changes nothing.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter: Targets =
        log.level.parse().map_err(|_| anyhow::anyhow!("log.level: {:?} is not a filter", log.level))?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = registry().with(lines.with_filter(filter)).try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}
