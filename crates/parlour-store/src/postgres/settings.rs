//! How PostgreSQL is reached: the address, the certificates, and what every session begins with.

use crate::error::{Result, StoreError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long after the server's own time-out an answer is still waited for.
const GRACE: Duration = Duration::from_secs(5);

/// How statements are planned.
pub const PLANS: &str = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off;
     set max_parallel_workers_per_gather = 0";

/// How a PostgreSQL database is used.
#[derive(Clone)]
pub struct Settings {
    config: Box<Config>,
    tls: Option<MakeRustlsConnect>,
    /// Connections at the most.
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    /// How long a question waits for a connection.
    pub(super) wait: Duration,
}

/// No password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("database", &self.name()).finish_non_exhaustive()
    }
}

/// What an operator may set beside the address.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who signs in, over what the address says.
    pub user: Option<String>,
    /// The password, over what the address says.
    pub password: Option<String>,
    /// Connections at the most; at least 4.
    pub connections: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a question waits for a connection before it is refused.
    pub wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user: None,
            password: None,
            connections: 12,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            wait: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Reads an address such as `postgres://user:password@host:port/database?sslmode=require&sslrootcert=FILE`. Several hosts stand
    /// with commas between them.
    ///
    /// Over a network the connection is encrypted and the server's certificate is checked against its name, unless the address says
    /// `sslmode=disable`; to this machine it is not encrypted, unless the address says `sslmode=require` or `verify-full`.
    ///
    /// # Errors
    /// [`StoreError::Address`], which repeats no password.
    pub fn parse(address: &str, options: Options) -> Result<Self> {
        let refuse = |reason| StoreError::Address { address: without_password(address), reason };
        let (address_only, tls_wanted, root) = take_tls(address).map_err(refuse)?;
        let mut config: Config = address_only
            .parse()
            .map_err(|_| refuse("it must be postgres://user:password@host:port/database?option=value"))?;
        if let Some(user) = &options.user {
            config.user(user);
        }
        if let Some(password) = &options.password {
            config.password(password);
        }
        if config.get_hosts().is_empty() {
            return Err(refuse("it names no host"));
        }
        if config.get_user().is_none() {
            return Err(refuse("it names no user"));
        }
        if options.connections < 4 {
            return Err(refuse("it needs at least 4 connections"));
        }
        let encrypted = tls_wanted.unwrap_or_else(|| !config.get_hosts().iter().all(is_here));
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(options.connect_timeout);
        config.tcp_user_timeout(options.statement_timeout);
        config.keepalives_idle(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("parlour");
        }
        let tls = if encrypted { Some(certificates(root.as_deref())?) } else { None };
        Ok(Self {
            config: Box::new(config),
            tls,
            connections: options.connections,
            connect_timeout: options.connect_timeout * u32::try_from(hosts(&address_only)).unwrap_or(1),
            statement_timeout: options.statement_timeout,
            wait: options.wait,
        })
    }

    /// The database's name and where it is, without user and password.
    #[must_use]
    pub fn name(&self) -> String {
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host_name).collect();
        format!("{} on {}", self.config.get_dbname().unwrap_or("the user's own database"), hosts.join(","))
    }

    /// The same for work that keeps a transaction open while it is busy elsewhere.
    pub(super) fn with_patience(mut self, patience: Duration) -> Self {
        self.statement_timeout = self.statement_timeout.max(patience);
        self
    }

    /// How long an answer is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.statement_timeout + GRACE
    }

    /// Connects; whoever polls the running event loop afterwards drives the connection.
    pub(super) async fn connect(&self) -> Result<Client> {
        if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await?;
            tokio::spawn(connection);
            Ok(client)
        } else {
            let (client, connection) = self.config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }

    /// What every session begins with.
    ///
    /// - A plan does not depend on the values of one question: planning again would cost more than the question. Nor does it depend on what is
    ///   known of tables that were small yesterday: whatever has an index is found by it.
    /// - A commit is on disk before it counts, whatever the server's default is.
    /// - A transaction whose client is gone must not keep its locks.
    pub(super) fn preamble(&self) -> String {
        let timeout = self.statement_timeout.as_millis();
        format!(
            "{PLANS}; set statement_timeout = {timeout}; set lock_timeout = {timeout};
             set idle_in_transaction_session_timeout = {timeout}; set client_min_messages = warning;
             select set_config('synchronous_commit', case current_setting('synchronous_commit')
                 when 'off' then 'on' else current_setting('synchronous_commit') end, false)"
        )
    }
}

/// The address without what this driver does not know, whether it asks for encryption, and the file of its own authority.
fn take_tls(address: &str) -> Result<(String, Option<bool>, Option<String>), &'static str> {
    let Some((base, query)) = address.split_once('?') else { return Ok((address.to_owned(), None, None)) };
    let (mut wanted, mut root, mut kept) = (None, None, Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", "disable")) => wanted = Some(false),
            Some(("sslmode", "require" | "verify-ca" | "verify-full")) => wanted = Some(true),
            Some(("sslmode", _)) => return Err("sslmode must be disable, require or verify-full"),
            Some(("sslrootcert", file)) => root = Some(file.to_owned()),
            _ => kept.push(pair),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("{base}{query}"), wanted, root))
}

fn certificates(root: Option<&str>) -> Result<MakeRustlsConnect> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = root {
        let path = Path::new(file);
        let unusable = |source: std::io::Error| StoreError::File { path: path.to_owned(), source };
        let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(std::io::Error::other(error)))?;
        for certificate in read {
            let certificate = certificate.map_err(|error| unusable(std::io::Error::other(error)))?;
            roots.add(certificate).map_err(|error| unusable(std::io::Error::other(error)))?;
        }
    } else {
        // One broken certificate of the system's must not keep the others from counting.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| StoreError::Unreachable { reason: "no version of TLS can be used" })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Whether a host is this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

fn hosts(address: &str) -> usize {
    address.matches(',').count() + 1
}

/// A database address may carry a password, which no message repeats.
#[must_use]
pub fn without_password(address: &str) -> String {
    let address = address.split_once('?').map_or(address, |(base, _)| base);
    match (address.find("://"), address.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}***{}", &address[..scheme + 3], &address[at..]),
        _ => address.to_owned(),
    }
}
