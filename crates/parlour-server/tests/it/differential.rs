//! Random histories, played on SQLite and on PostgreSQL at once: every answer is the same, byte for byte, and so is the export at the end.

use crate::cli::parlour;
use parlour_server::config::Config;
use parlour_testkit::{Answer, Schema, TestServer};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const HISTORIES: usize = 2_000;

/// Pairs of servers that play at the same time.
const WORLDS: usize = 2;

/// Members of a history, who meet nobody else.
const MEMBERS: i64 = 3;

/// What Unicode makes of upper and lower case, of width and of direction.
const NAMES: [&str; 12] =
    ["ann", "İstanbul", "ﬁnn", "Straße", "ſam", "Ωmega", "a\u{301}ki", "日本", "👩‍👩‍👧", "O'Brien", "x_%", "\u{202e}bob"];

/// Which message of those of the history, and how far beside its id.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    nth: usize,
    beside: i64,
}

#[derive(Clone, Debug)]
enum Step {
    Send {
        to: Vec<i64>,
        text: String,
        key: Option<u8>,
    },
    TakeBack(usize),
    Message(usize),
    DeleteThread(i64),
    Thread {
        with: i64,
        before: Option<Pointer>,
        from: Option<Pointer>,
        limit: i64,
        offset: i64,
    },
    Inbox(i64),
    Me,
    User(i64),
    Search(String),
    /// Follows, or ends it, or hides, or shows again.
    Toggle(&'static str, i64),
    Look(&'static str, i64),
    Settings(i64),
    Change(Value),
    AdminFollow(i64, bool),
    Advance(u64),
}

fn member() -> impl Strategy<Value = i64> {
    0..MEMBERS
}

fn pointer() -> impl Strategy<Value = Option<Pointer>> {
    prop::option::of((0..30_usize, -1..=1_i64).prop_map(|(nth, beside)| Pointer { nth, beside }))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z<&]{1,8}", 2 => "\\PC{0,40}", 1 => any::<String>(), 1 => "[ -~]{140,160}"]
}

fn change() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(&NAMES[..]).prop_map(|name| json!({ "username": name })),
        "\\PC{0,12}".prop_map(|name| json!({ "real_name": name, "tags": [name] })),
        any::<String>().prop_map(|text| json!({ "bio": text })),
        select(&["a", "a", "b", "d", "u", "z"][..]).prop_map(|status| json!({ "status": status })),
        select(&["editor", "admin", ""][..])
            .prop_map(|role| json!({ "role": role, "community_badge": role.is_empty() })),
        (0..40_i64).prop_map(|number| json!({ "ext_id": format!("ext-{number}"), "posts_counter": number })),
        Just(json!({ "role": null, "ext_id": null, "avatar": "https://example.org/a.png" })),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let looks = ["is_hidden", "is_followed", "is_follower", "followers", "followings", "settings"];
    prop_oneof![
        8 => (prop::collection::vec(member(), 1..3), text(), prop::option::weighted(0.3, 0..3_u8))
            .prop_map(|(to, text, key)| Step::Send { to, text, key }),
        3 => (0..4_usize).prop_map(Step::TakeBack),
        1 => (0..30_usize).prop_map(Step::Message),
        1 => member().prop_map(Step::DeleteThread),
        5 => (member(), pointer(), pointer(), 0..8_i64, 0..8_i64)
            .prop_map(|(with, before, from, limit, offset)| Step::Thread { with, before, from, limit, offset }),
        2 => (1..4_i64).prop_map(Step::Inbox),
        1 => Just(Step::Me),
        1 => member().prop_map(Step::User),
        1 => prop_oneof![select(&NAMES[..]).prop_map(str::to_lowercase), any::<String>(), "[a-z%_']{1,2}"].prop_map(Step::Search),
        1 => (select(&["follow", "hide"][..]), member()).prop_map(|(what, whom)| Step::Toggle(what, whom)),
        1 => (select(looks.to_vec()), member()).prop_map(|(what, whom)| Step::Look(what, whom)),
        1 => (-2..=2_i64).prop_map(Step::Settings),
        2 => change().prop_map(Step::Change),
        1 => (member(), any::<bool>()).prop_map(|(whom, following)| Step::AdminFollow(whom, following)),
        2 => select(&[0, 1, 40, 4_000][..]).prop_map(Step::Advance),
    ]
}

type History = Vec<(i64, Step)>;

/// A server on either database.
struct World {
    servers: [TestServer; 2],
    schema: Schema,
}

impl World {
    async fn new() -> Self {
        let schema = Schema::create();
        let public = |config: &mut Config| config.server.public_url = "https://chat.example".into();
        let sqlite = TestServer::with(public).await;
        let postgres = TestServer::with(|config| {
            public(config);
            config.storage.database = schema.to_string();
            config.postgres.connections = 5;
        })
        .await;
        Self { servers: [sqlite, postgres], schema }
    }

    /// Plays a history among members of its own.
    async fn play(&self, number: usize, history: History) {
        let first = i64::try_from(number).unwrap() * 10 + 1;
        let mut stage = Stage { world: self, first, history: &history, messages: Vec::new() };
        let ids = first..first + MEMBERS;
        let users: Vec<Value> = ids.clone().map(|id| json!({ "id": id, "username": format!("user{id}") })).collect();
        stage.ask(None, Method::POST, "admin/users/", Some(json!({ "users": users })), None).await;
        let pairs =
            ids.clone().flat_map(|one| ids.clone().map(move |other| (one, other))).filter(|(one, other)| one != other);
        let follows: Vec<Value> = pairs.map(|(one, other)| json!({ "follower": one, "followed": other })).collect();
        stage.ask(None, Method::POST, "admin/follows/", Some(json!({ "follows": follows })), None).await;
        for (who, step) in &history {
            stage.take(*who, step).await;
        }
        for who in 0..MEMBERS {
            stage.every_page(who, "pm/?limit=2".into()).await;
            stage.every_page(who, format!("pm/?user={}&limit=7", first + (who + 1) % MEMBERS)).await;
        }
    }

    fn export(&self) -> [Vec<u8>; 2] {
        let address = self.schema.to_string();
        let of = |server: &TestServer, arguments: &[&str]| {
            let output = parlour(&server.data_dir(), arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let [sqlite, postgres] = &self.servers;
        of(sqlite, &["doctor"]);
        of(postgres, &["doctor", "--database", &address]);
        [of(sqlite, &["export", "-"]), of(postgres, &["export", "-", "--database", &address])]
    }
}

/// Where a history is played.
struct Stage<'a> {
    world: &'a World,
    first: i64,
    history: &'a History,
    /// What was sent, oldest first.
    messages: Vec<i64>,
}

impl Stage<'_> {
    /// Asks both; `who` is a member, or nobody for the community's backend.
    async fn ask(
        &self,
        who: Option<i64>,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<String>,
    ) -> Answer {
        let path =
            if path.starts_with("http") { path.replace("https://chat.example", "") } else { format!("/api/v2/{path}") };
        let [sqlite, postgres] = self.world.servers.each_ref().map(async |server| {
            let visitor = match who {
                Some(who) => server.visitor_with(&server.token(self.first + who)),
                None => server.backend(),
            };
            let mut request = visitor.request(method.clone(), &path);
            if let Some(body) = &body {
                request = request.json(body);
            }
            if let Some(key) = &key {
                request = request.header("Idempotency-Key", key);
            }
            visitor.send_request(request).await
        });
        let (sqlite, postgres) = tokio::join!(sqlite, postgres);
        let whole =
            |answer: &Answer| (answer.status, answer.text.clone(), answer.header("idempotency-replayed").to_owned());
        assert_eq!(whole(&postgres), whole(&sqlite), "{method} {path} {body:?} in {:?}", self.history);
        assert!(sqlite.status.as_u16() < 500, "{method} {path} {body:?}: {}", sqlite.text);
        sqlite
    }

    async fn get(&self, who: i64, path: &str) -> Answer {
        self.ask(Some(who), Method::GET, path, None, None).await
    }

    async fn every_page(&self, who: i64, path: String) {
        let mut next = Some(path);
        while let Some(path) = next {
            next = self.get(who, &path).await.json()["next"].as_str().map(str::to_owned);
        }
    }

    /// The message that was sent as the `nth` from the end.
    fn message(&self, nth: usize) -> i64 {
        self.messages.iter().rev().nth(nth % self.messages.len().max(1)).copied().unwrap_or(1)
    }

    async fn take(&mut self, who: i64, step: &Step) {
        let id = |member: &i64| self.first + member;
        match step {
            Step::Send { to, text, key } => {
                let to: Vec<i64> = to.iter().map(id).collect();
                let body = json!({ "recipients": to, "message": text });
                let key = key.map(|key| format!("key-{key}"));
                let sent = self.ask(Some(who), Method::POST, "pm/", Some(body), key).await;
                let sent = sent.json();
                self.messages
                    .extend(sent.as_array().into_iter().flatten().filter_map(|message| message["id"].as_i64()));
            }
            Step::TakeBack(nth) => {
                self.ask(Some(who), Method::DELETE, &format!("pm/{}/", self.message(*nth)), None, None).await;
            }
            Step::Message(nth) => drop(self.get(who, &format!("pm/{}/", self.message(*nth))).await),
            Step::DeleteThread(with) => {
                self.ask(Some(who), Method::DELETE, &format!("pm/?user={}", id(with)), None, None).await;
            }
            Step::Thread { with, before, from, limit, offset } => {
                let mut path = format!("pm/?user={}&limit={limit}&offset={offset}", id(with));
                for (name, pointer) in [("before_message", before), ("from_message", from)] {
                    if let Some(Pointer { nth, beside }) = pointer {
                        path += &format!("&{name}={}", self.message(*nth) + beside);
                    }
                }
                self.get(who, &path).await;
            }
            Step::Inbox(limit) => self.every_page(who, format!("pm/?limit={limit}")).await,
            Step::Me => drop(self.get(who, "user/me/").await),
            Step::User(whom) => drop(self.get(who, &format!("user/{}/", id(whom))).await),
            Step::Search(term) => {
                let term: String = term.bytes().map(|byte| format!("%{byte:02x}")).collect();
                self.get(who, &format!("pm/search/?user={term}&limit=5")).await;
            }
            Step::Toggle(what, whom) => {
                self.ask(Some(who), Method::POST, &format!("user/{}/{what}/", id(whom)), Some(json!({})), None).await;
            }
            Step::Look(what, whom) => drop(self.get(who, &format!("user/{}/{what}/", id(whom))).await),
            Step::Settings(value) => {
                let change = json!({ "qa_frequency": value, "show_toast_notifications": value.abs() });
                self.ask(Some(who), Method::PATCH, &format!("user/{}/settings/", id(&who)), Some(change), None).await;
            }
            Step::Change(fields) => {
                let mut user = fields.clone();
                user["id"] = json!(id(&who));
                self.ask(None, Method::POST, "admin/users/", Some(json!({ "users": [user] })), None).await;
            }
            Step::AdminFollow(whom, following) => {
                let follow = json!({ "follower": id(&who), "followed": id(whom), "following": following });
                self.ask(None, Method::POST, "admin/follows/", Some(json!({ "follows": [follow] })), None).await;
            }
            Step::Advance(seconds) => {
                self.world.servers.iter().for_each(|server| server.advance(Duration::from_secs(*seconds)));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_get_the_same_answers_from_both_databases() {
    let mut runner = TestRunner::default();
    let history = prop::collection::vec((member(), step()), 1..14);
    let mut worlds = tokio::task::JoinSet::new();
    for _ in 0..WORLDS {
        let histories: Vec<History> =
            (0..HISTORIES / WORLDS).map(|_| history.new_tree(&mut runner).unwrap().current()).collect();
        let world = Arc::new(World::new().await);
        worlds.spawn(async move {
            for (number, history) in histories.into_iter().enumerate() {
                world.play(number, history).await;
            }
            let [sqlite, postgres] = world.export();
            assert!(sqlite.iter().filter(|byte| **byte == b'\n').count() > 3 * HISTORIES / WORLDS);
            assert!(sqlite == postgres, "the exports differ");
        });
    }
    while let Some(played) = worlds.join_next().await {
        played.unwrap();
    }
}
