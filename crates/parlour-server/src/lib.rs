//! The front of house: the only crate that says HTTP. [`build`] makes an [`App`] of a configuration, [`run`] serves it.

mod accept;
pub mod api;
mod app;
mod auth;
pub mod cli;
pub mod config;
pub mod error;
mod export_format;
pub mod extract;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gather;
mod import_format;
mod jobs;
mod json_row;
mod links;
mod live;
mod media;
mod metrics;
mod middleware;
pub mod openapi;
mod rate_limit;
mod rest_of_body;
mod routes;
mod secrets;
mod telemetry;
mod ws;

pub use accept::run;
pub use app::{App, Parts};
pub use auth::Auth;
pub use metrics::serve as serve_metrics;

use api::platform::Platform;
use config::Config;
use links::PublicUrl;
use live::{Hub, Signals};
use metrics::Metrics;
use parlour_core::{Clock, Core};
use parlour_store::objects::Objects;
use parlour_store::{DATABASE_FILE, Location, Options, Settings, Store, StoreError, without_password};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

/// The folder of the data directory in which uploads wait until they are whole.
const SPOOL_FOLDER: &str = "spool";

/// Opens the database and the secrets of `config`, creating what is missing, and puts the application together.
///
/// # Errors
/// What keeps the data directory, a secret or the database from being used.
pub fn build(config: Config, clock: Clock) -> anyhow::Result<App> {
    let core = open_core(&config, clock)?;
    let (auth, links) = secrets::open(&config)?;
    let server = &config.server;
    let public_url = PublicUrl::new(&server.public_url, server.trusted_proxies.clone(), server.listen);
    // Whoever waits must leave connections to the others.
    let hub = Hub::new(config.live, server.max_connections.div_ceil(2));
    core.store.after_commits(hub.listener());
    let signals = Signals::new(&hub, config.live.presence_grace.get());
    let metrics = config.metrics_listen().map(|_| Metrics::new(&core, &hub));
    let (demo, draining) = (OnceLock::new(), AtomicBool::new(false));
    let platform = Platform::new(&config)?;
    Ok(App::new(Parts { core, auth, links, public_url, config, platform, hub, signals, metrics, demo, draining }))
}

/// Opens the database and the place of files alone.
///
/// # Errors
/// What keeps the data directory or the database from being used.
pub fn open_core(config: &Config, clock: Clock) -> anyhow::Result<Core> {
    secrets::create_data_dir(config)?;
    let objects = open_objects(config)?;
    Ok(Core::new(Store::open(database(config)?)?, objects, clock, config.rules()))
}

/// Opens the place of files alone.
///
/// # Errors
/// What keeps it from being used.
pub fn open_objects(config: &Config) -> Result<Objects, StoreError> {
    Objects::open(config.file_place(), config.storage.data_dir.join(SPOOL_FOLDER))
}

/// Where the configured database is.
///
/// # Errors
/// An address that this release cannot open.
pub fn database(config: &Config) -> Result<Location, StoreError> {
    match config.storage.database.as_str() {
        "" => Ok(Location::Sqlite(config.storage.data_dir.join(DATABASE_FILE))),
        address => location(address, config.postgres.options()),
    }
}

/// Where an address points; `options` are for PostgreSQL.
///
/// # Errors
/// An address that this release cannot open.
pub fn location(address: &str, options: Options) -> Result<Location, StoreError> {
    match address.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Location::from(path.strip_prefix("//").unwrap_or(path))),
        Some(("postgres" | "postgresql", _)) => Settings::parse(address, options).map(Location::Postgres),
        _ => {
            let reason = "it must be sqlite:PATH or postgres://user:password@host:port/database";
            Err(StoreError::Address { address: without_password(address), reason })
        }
    }
}

/// The file of the configured database, for what only a file can do. `instead` says what does the same for PostgreSQL.
///
/// # Errors
/// As [`database`], and for PostgreSQL.
pub fn database_file(config: &Config, instead: &'static str) -> Result<PathBuf, StoreError> {
    match database(config)? {
        Location::Sqlite(path) => Ok(path),
        Location::Postgres(settings) => Err(StoreError::Address { address: settings.name(), reason: instead }),
    }
}
