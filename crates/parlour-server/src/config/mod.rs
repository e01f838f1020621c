//! Configuration: defaults < TOML file < environment `PARLOUR_…` < flags. Read once at start.

mod copy;
mod files;
mod keys;
mod layers;
mod live;
mod preferences;
mod values;
mod written;

pub use copy::Copying;
pub use files::{Files, S3};
pub use layers::{ConfigError, Flag, Layers};
pub use live::Live;
pub(crate) use preferences::{DECIDED, FEATURES};
pub use preferences::{Features, Preferences};
pub use values::{ByteSize, Duration, Frequency, Secret};
pub use written::{example, reference};

use parlour_core::limits::{ActionLimits, LimitRules};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Everything that can be configured.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Connections and addresses.
    pub server: Server,
    /// Files.
    pub storage: Storage,
    /// How a PostgreSQL server is used.
    pub postgres: Postgres,
    /// Who copies from one database to another.
    pub copy: Copying,
    /// Tokens.
    pub auth: Auth,
    /// Messages.
    pub messages: Messages,
    /// Files that members upload.
    pub files: Files,
    /// How to get at an S3-compatible service.
    pub s3: S3,
    /// Sockets and streams.
    pub live: Live,
    /// Lists.
    pub paging: Paging,
    /// How often.
    pub limits: Limits,
    /// Memory.
    pub cache: Cache,
    /// What the official UI is told about the community.
    pub preferences: Preferences,
    /// Features of the community beside private messages.
    pub features: Features,
    /// Logs.
    pub log: Log,
    /// Metrics.
    pub metrics: Metrics,
}

/// Connections and addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Further ones.
    pub also_listen: Vec<SocketAddr>,
    /// Absolute address by which clients reach the server; empty to take it from the request.
    pub public_url: String,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: Vec<IpAddr>,
    /// Origins of browser apps; `*` for any.
    pub cors_origins: Vec<String>,
    /// Time for the head of a request.
    pub header_timeout: Duration,
    /// Time for the rest of it.
    pub request_timeout: Duration,
    /// Size of a body.
    pub max_body: ByteSize,
    /// Size of a head.
    pub max_header: ByteSize,
    /// Connections at once.
    pub max_connections: usize,
    /// Time for accepted requests when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            also_listen: Vec::new(),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            cors_origins: vec!["*".into()],
            header_timeout: Duration::seconds(10),
            request_timeout: Duration::seconds(30),
            max_body: ByteSize::mib(1),
            max_header: ByteSize::kib(64),
            max_connections: 10_000,
            shutdown_grace: Duration::seconds(30),
        }
    }
}

/// Files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// The folder of everything the server keeps.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`; empty for `parlour.db` in the data directory.
    pub database: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self { data_dir: "./parlour-data".into(), database: String::new() }
    }
}

/// How a PostgreSQL server is used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// Who signs in, over what the address says; empty for the address.
    pub user: Secret,
    /// The password, over what the address says; empty for the address.
    pub password: Secret,
    /// Connections at the most.
    pub connections: usize,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one statement.
    pub statement_timeout: Duration,
    /// Time that a request waits for a connection.
    pub wait_timeout: Duration,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            user: Secret::default(),
            password: Secret::default(),
            connections: 12,
            connect_timeout: Duration::seconds(5),
            statement_timeout: Duration::seconds(30),
            wait_timeout: Duration::seconds(5),
        }
    }
}

impl Postgres {
    pub(crate) fn options(&self) -> parlour_store::Options {
        let given = |secret: &Secret| (!secret.is_empty()).then(|| secret.expose().to_owned());
        parlour_store::Options {
            user: given(&self.user),
            password: given(&self.password),
            connections: self.connections,
            connect_timeout: self.connect_timeout.get(),
            statement_timeout: self.statement_timeout.get(),
            wait: self.wait_timeout.get(),
        }
    }
}

/// Tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Signs and verifies.
    pub jwt_secret: Secret,
    /// Only verify.
    pub jwt_previous_secrets: Vec<Secret>,
    /// Opens the server-to-server API.
    pub admin_key: Secret,
    /// What becomes of an unknown user with a good token.
    pub provision: ProvisionMode,
}

/// What becomes of an unknown user with a good token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionMode {
    /// 401.
    #[default]
    Never,
    /// The user is created from the claims.
    OnFirstSight,
}

/// Messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    /// Characters at the most.
    pub max_chars: usize,
    /// Recipients of one send at the most.
    pub max_recipients: usize,
    /// Younger messages are deleted, older ones hidden.
    pub delete_window: Duration,
    /// What a hidden message shows.
    pub hidden_text: String,
}

impl Default for Messages {
    fn default() -> Self {
        let rules = parlour_core::Rules::default();
        Self {
            max_chars: rules.max_message_chars,
            max_recipients: rules.max_recipients,
            delete_window: Duration::seconds(60),
            hidden_text: rules.hidden_text,
        }
    }
}

/// Lists.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paging {
    /// Rows of a page when none are asked for.
    pub default_limit: u32,
    /// Rows of a page at the most.
    pub max_limit: u32,
}

impl Default for Paging {
    fn default() -> Self {
        Self { default_limit: 20, max_limit: 100 }
    }
}

/// How often members and addresses may do what others notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether any of these counts.
    pub enabled: bool,
    /// Messages of one member, one a recipient.
    pub sends: Frequency,
    /// Messages from one address.
    pub sends_per_address: Frequency,
    /// Files uploaded by one member.
    pub uploads: Frequency,
    /// Files uploaded from one address.
    pub uploads_per_address: Frequency,
    /// Searches of one member.
    pub searches: Frequency,
    /// Searches from one address.
    pub searches_per_address: Frequency,
    /// Conversations begun by one member.
    pub new_conversations: Frequency,
    /// Conversations begun from one address.
    pub new_conversations_per_address: Frequency,
}

impl Default for Limits {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        Self {
            enabled: true,
            sends: Frequency::new(300, MINUTE),
            sends_per_address: Frequency::new(3_000, MINUTE),
            uploads: Frequency::new(120, MINUTE),
            uploads_per_address: Frequency::new(1_200, MINUTE),
            searches: Frequency::new(600, MINUTE),
            searches_per_address: Frequency::new(6_000, MINUTE),
            new_conversations: Frequency::new(100, HOUR),
            new_conversations_per_address: Frequency::new(1_000, HOUR),
        }
    }
}

impl Limits {
    fn rules(&self) -> LimitRules {
        if !self.enabled {
            return LimitRules::default();
        }
        let limits =
            |member: Frequency, address: Frequency| ActionLimits { member: member.get(), address: address.get() };
        LimitRules {
            sends: limits(self.sends, self.sends_per_address),
            uploads: limits(self.uploads, self.uploads_per_address),
            searches: limits(self.searches, self.searches_per_address),
            new_conversations: limits(self.new_conversations, self.new_conversations_per_address),
        }
    }
}

/// Memory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Rendered users.
    pub users: ByteSize,
    /// The newest pages of threads and inboxes.
    pub pages: ByteSize,
}

impl Default for Cache {
    fn default() -> Self {
        Self { users: ByteSize::mib(32), pages: ByteSize::mib(128) }
    }
}

/// Logs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged.
    pub level: String,
    /// How.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Human }
    }
}

/// Metrics.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port; empty for none.
    pub listen: String,
}

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What is wrong with an origin; browsers send scheme, host and port, and nothing behind them.
fn wrong_origin(origin: &str) -> Option<&'static str> {
    if origin == "*" {
        return None;
    }
    match origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")) {
        Some(host) if !host.is_empty() && !host.contains('/') && http::HeaderValue::from_str(origin).is_ok() => None,
        _ => Some("each must be * or an origin such as https://example.org, without a slash at its end"),
    }
}

impl Config {
    /// What is wrong with values that are well formed one by one.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong =
            |key: &str, why: &str| Err(ConfigError::Value { key: key.into(), origin: String::new(), why: why.into() });
        let url = &self.server.public_url;
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            return wrong("server.public_url", "must begin with http:// or https://");
        }
        if self.paging.default_limit == 0 || self.paging.default_limit > self.paging.max_limit {
            return wrong("paging.default_limit", "must be from 1 to paging.max_limit");
        }
        if self.messages.max_chars == 0 || self.messages.max_chars > 1_000_000 {
            return wrong("messages.max_chars", "must be from 1 to 1000000");
        }
        if self.messages.max_recipients == 0 {
            return wrong("messages.max_recipients", "must be at least 1");
        }
        if self.messages.delete_window.get() > std::time::Duration::from_secs(3600) {
            return wrong("messages.delete_window", "must be at most 1h");
        }
        if self.log.level.parse::<tracing_subscriber::filter::Targets>().is_err() {
            return wrong("log.level", "must be a level such as info, or a filter such as info,parlour_server=debug");
        }
        if !self.metrics.listen.is_empty() && self.metrics_listen().is_none() {
            return wrong("metrics.listen", "must be an address such as 127.0.0.1:9464, or empty");
        }
        if let Some(why) = self.server.cors_origins.iter().find_map(|origin| wrong_origin(origin)) {
            return wrong("server.cors_origins", why);
        }
        if self.server.max_connections == 0 {
            return wrong("server.max_connections", "must be at least 1");
        }
        if !(4..=1_000).contains(&self.postgres.connections) {
            return wrong("postgres.connections", "must be from 4 to 1000");
        }
        let none = std::time::Duration::ZERO;
        for (key, span) in [
            ("postgres.connect_timeout", self.postgres.connect_timeout),
            ("postgres.statement_timeout", self.postgres.statement_timeout),
            ("postgres.wait_timeout", self.postgres.wait_timeout),
        ] {
            if span.get() == none || span.get() > std::time::Duration::from_secs(3600) {
                return wrong(key, "must be more than nothing and at most 1h");
            }
        }
        if self.server.max_header.as_usize() < 8 * 1024 {
            return wrong("server.max_header", "must be at least 8KiB");
        }
        let short = |secret: &Secret| !secret.is_empty() && secret.expose().len() < crate::auth::MIN_SECRET_BYTES;
        if short(&self.auth.jwt_secret) {
            return wrong("auth.jwt_secret", "must have at least 32 bytes");
        }
        // Here an empty one is no way of saying "none": it would verify what anybody signs with nothing.
        if self.auth.jwt_previous_secrets.iter().any(|secret| secret.is_empty() || short(secret)) {
            return wrong("auth.jwt_previous_secrets", "must have at least 32 bytes each");
        }
        if short(&self.auth.admin_key) {
            return wrong("auth.admin_key", "must have at least 32 bytes");
        }
        self.check_preferences()?;
        self.check_live()?;
        self.check_files()
    }

    /// Where metrics are served, if anywhere.
    #[must_use]
    pub fn metrics_listen(&self) -> Option<SocketAddr> {
        self.metrics.listen.parse().ok()
    }

    /// The numbers of the community.
    #[must_use]
    pub fn rules(&self) -> parlour_core::Rules {
        parlour_core::Rules {
            private_messages: self.preferences.addons.private_messages_enabled,
            max_message_chars: self.messages.max_chars,
            max_recipients: self.messages.max_recipients,
            delete_window_micros: self.messages.delete_window.as_micros(),
            hidden_text: self.messages.hidden_text.clone(),
            default_limit: i64::from(self.paging.default_limit),
            max_limit: i64::from(self.paging.max_limit),
            user_cache_bytes: self.cache.users.as_u64(),
            page_cache_bytes: self.cache.pages.as_u64(),
            files: self.file_rules(),
            limits: self.limits.rules(),
            ..parlour_core::Rules::default()
        }
    }
}
