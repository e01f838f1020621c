//! A running server, people who use it, and a clock that obeys. For tests only.
//!
//! Everything goes through public doors: a real port, real HTTP, the admin API for people. A test may move the clock and change the
//! configuration, and nothing else behind the server's back.

#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "a test that cannot go on panics")]

mod answer;
mod database;
mod http;
mod member;
mod s3;
mod socket;
mod upload;

pub use answer::Answer;
pub use database::{Backend, Schema, backend, database_of, environment, on, run_sql};
pub use http::{http_client, http_client_builder};
pub use member::{Member, Visitor, ids, texts};
pub use parlour_testkit_macros::both_databases;
pub use s3::S3Server;
pub use socket::{HEARTBEAT, Heard, WsClient};
pub use upload::{Download, Form, PART_BYTES, UPLOAD};

use parlour_core::Clock;
use parlour_server::config::{Config, Secret};
use parlour_server::{App, build, run};
use parlour_types::{Timestamp, UserId};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The secret of every test server's tokens.
pub const JWT_SECRET: &str = "the-token-secret-of-every-test-server";

/// The admin key of every test server.
pub const ADMIN_KEY: &str = "the-admin-key-of-every-test-server-there-is";

/// When every fixed clock starts.
pub const START: &str = "2026-11-23T12:00:00Z";

/// A server on a port and a data directory of its own.
pub struct TestServer {
    /// The application, for its clock and its token maker.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    http: reqwest::Client,
    clock: Clock,
    config: Config,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl TestServer {
    /// A server with the defaults and a clock that stands still at [`START`].
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with some settings changed.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::default();
        config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.storage.data_dir = folder.path().join("data");
        config.auth.jwt_secret = Secret::new(JWT_SECRET.into());
        config.auth.admin_key = Secret::new(ADMIN_KEY.into());
        // Tests are in more of a hurry than people.
        config.limits.enabled = false;
        if backend() == Backend::Postgres {
            config.postgres.connections = database::CONNECTIONS;
        }
        change(&mut config);
        if config.storage.database.is_empty() {
            config.storage.database = database_of(&config.storage.data_dir);
        }
        let clock = Clock::fixed(Timestamp::parse(START).expect("a time"));
        let (app, address, stop, task) = launch(config.clone(), clock.clone()).await;
        Self { app, address, http: http_client(), clock, config, folder, stop: Some(stop), task: Some(task) }
    }

    /// Stops the server, lets it drain, and starts it again on the same data, on another port.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same, with some settings changed.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.stop().await;
        let (app, address, stop, task) = launch(self.config.clone(), self.clock.clone()).await;
        (self.app, self.address, self.stop, self.task) = (app, address, Some(stop), Some(task));
    }

    /// Stops the server and waits until it has drained.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            task.await.expect("the server ends without a panic");
        }
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(i64::try_from(by.as_micros()).expect("a test's time span"));
    }

    /// Now, by the server's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// What `storage.database` says on a server beside this one, to use the same database.
    #[must_use]
    pub fn database(&self) -> String {
        if !self.config.storage.database.is_empty() {
            return self.config.storage.database.clone();
        }
        format!("sqlite:{}", self.data_dir().join("parlour.db").display())
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Somebody without credentials.
    #[must_use]
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.http.clone(), self.address, None)
    }

    /// Somebody with these credentials.
    #[must_use]
    pub fn visitor_with(&self, token: &str) -> Visitor {
        Visitor::new(self.http.clone(), self.address, Some(token.into()))
    }

    /// The community's own backend.
    #[must_use]
    pub fn backend(&self) -> Visitor {
        self.visitor_with(ADMIN_KEY)
    }

    /// A token for any id, whether or not there is such a member, good for two hours.
    #[must_use]
    pub fn token(&self, id: i64) -> String {
        self.app.auth.issue(user_id(id), self.now(), Duration::from_secs(7200))
    }

    /// A new member who follows nobody.
    pub async fn member(&self, id: i64, username: &str) -> Member {
        self.upsert(json!({ "id": id, "username": username })).await;
        self.sign_in(id, username)
    }

    /// A member who exists already, signed in.
    #[must_use]
    pub fn sign_in(&self, id: i64, username: &str) -> Member {
        Member::new(id, username, self.visitor_with(&self.token(id)))
    }

    /// The official client of a member: its socket, after the first heartbeat.
    pub async fn official(&self, member: &Member) -> WsClient {
        let token = member.token().expect("a member has a token");
        let protocol = format!("__{token}");
        let headers = [(::http::header::SEC_WEBSOCKET_PROTOCOL, &*protocol)];
        let mut socket = WsClient::open(self.address, "/ws/notify?subscribe-user", &headers).await.expect("a socket");
        assert_eq!(socket.response.headers()["sec-websocket-protocol"], protocol);
        assert_eq!(socket.next().await, Heard::Heartbeat);
        socket
    }

    /// The stream of a member's events, from a cursor or from now on.
    pub async fn stream(&self, member: &Member, after: Option<&str>) -> WsClient {
        let token = member.token().expect("a member has a token");
        let headers = [(::http::header::SEC_WEBSOCKET_PROTOCOL, &*format!("parlour, __{token}"))];
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let socket = WsClient::open(self.address, &format!("/ws/stream{query}"), &headers).await.expect("a socket");
        assert_eq!(socket.response.headers()["sec-websocket-protocol"], "parlour");
        socket
    }

    /// Creates or changes a user.
    pub async fn upsert(&self, user: serde_json::Value) {
        self.backend().post("/api/v2/admin/users/", json!({ "users": [user] })).await.expect(200);
    }

    /// Lets everybody follow everybody, so that all may write to all.
    pub async fn befriend(&self, members: &[&Member]) {
        let mut follows = Vec::new();
        for follower in members {
            let others = members.iter().filter(|followed| followed.id != follower.id);
            follows.extend(others.map(|followed| json!({ "follower": follower.id, "followed": followed.id })));
        }
        self.backend().post("/api/v2/admin/follows/", json!({ "follows": follows })).await.expect(200);
    }

    /// Ann (1) and Bob (2), who follow each other.
    pub async fn ann_and_bob(&self) -> (Member, Member) {
        let (ann, bob) = (self.member(1, "ann").await, self.member(2, "bob").await);
        self.befriend(&[&ann, &bob]).await;
        (ann, bob)
    }
}

/// An id of a test.
#[must_use]
pub fn user_id(id: i64) -> UserId {
    UserId::new(id).expect("a user's id")
}

async fn launch(config: Config, clock: Clock) -> (App, SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let app = build(config, clock).expect("a server");
    let listener = TcpListener::bind(app.config.server.listen).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(run(app.clone(), vec![listener], async move {
        // Dropping the sender stops the server, so that a test that ends early leaves nothing running.
        let _ = stopped.await;
    }));
    (app, address, stop, task)
}
