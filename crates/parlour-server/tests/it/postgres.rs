//! What only PostgreSQL has: round trips, and the ways to reach it.

use parlour_testkit::{Backend, Member, TestServer, ids, on};
use private_postgres::{Cluster, Durability, Setup};
use reqwest::Method;
use serde_json::json;
use std::process::{Command, Output};

/// How often the server waited for PostgreSQL since it started.
fn round_trips(server: &TestServer) -> u64 {
    server.app.core.store.round_trips().expect("a server on PostgreSQL")
}

/// The round trips of one request, which succeeds.
async fn trips_of_get(server: &TestServer, member: &Member, path: &str) -> u64 {
    let before = round_trips(server);
    member.get(path).await.expect(200);
    round_trips(server) - before
}

async fn trips_of_send(server: &TestServer, sender: &Member, to: &[i64], key: Option<&str>) -> u64 {
    let body = json!({ "recipients": to, "message": "one more" });
    let before = round_trips(server);
    let request = sender.request(Method::POST, "/api/v2/pm/").json(&body);
    let request = match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    };
    sender.send_request(request).await.expect(201);
    round_trips(server) - before
}

/// Connecting and preparing are not counted: every connection has done everything once.
async fn warmed() -> (TestServer, [Member; 4]) {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let (carla, deniz) = (server.member(3, "carla").await, server.member(4, "deniz").await);
    server.befriend(&[&ann, &bob, &carla, &deniz]).await;
    for _ in 0..2 {
        trips_of_send(&server, &ann, &[2, 3], None).await;
        trips_of_send(&server, &ann, &[2, 3], Some(&format!("warm-{}", round_trips(&server)))).await;
        bob.thread_with(&ann, "&limit=1").await;
        let first = ids(&bob.thread_with(&ann, "").await)[0];
        bob.thread_with(&ann, &format!("&before_message={first}")).await;
        let thread = bob.inbox().await["results"][0]["thread_id"].clone();
        bob.get(&format!("/api/v2/pm/?thread={thread}&limit=1")).await.expect(200);
        bob.get(&format!("/api/v2/pm/?thread={thread}&from_message={first}")).await.expect(200);
    }
    (server, [ann, bob, carla, deniz])
}

#[tokio::test]
async fn a_page_is_one_round_trip_whoever_asks_and_however_deep() {
    on(Backend::Postgres, async {
        let (server, [ann, bob, carla, deniz]) = warmed().await;
        for text in 0..30 {
            ann.send(&bob, &format!("message {text}")).await;
        }
        let newest = bob.thread_with(&ann, "").await;
        let thread = newest["results"][0]["thread_id"].clone();
        let middle = ids(&newest)[9];
        for path in [
            format!("/api/v2/pm/?thread={thread}"),
            "/api/v2/pm/?user=1".into(),
            "/api/v2/pm/?user=1&offset=25&limit=3".into(),
            format!("/api/v2/pm/?thread={thread}&before_message={middle}"),
            format!("/api/v2/pm/?thread={thread}&from_message={middle}&limit=2"),
            // Of no message: found by halving.
            format!("/api/v2/pm/?thread={thread}&before_message={}", middle + 1),
            "/api/v2/pm/".into(),
            "/api/v2/pm/?limit=1".into(),
        ] {
            assert_eq!(trips_of_get(&server, &bob, &path).await, 1, "{path}");
        }
        // Of these the server knows nobody yet.
        assert_eq!(trips_of_get(&server, &deniz, "/api/v2/pm/").await, 1);
        assert_eq!(trips_of_get(&server, &deniz, "/api/v2/pm/?user=3").await, 1);
        // Somebody changed, so that everybody it knows may be out of date.
        server.upsert(json!({ "id": 1, "username": "anna" })).await;
        let page = bob.get("/api/v2/pm/?user=1&limit=1").await.expect(200);
        assert_eq!(page["results"][0]["sender"]["username"], "anna");
        carla.thread_with(&ann, "").await;
        // The server may still be asking who changed, for nobody in particular.
        let mut trips = Vec::new();
        while trips.len() < 50 && !trips.contains(&1) {
            trips.push(trips_of_get(&server, &carla, "/api/v2/pm/?user=1").await);
        }
        assert!(trips.contains(&1), "{trips:?}");
    })
    .await;
}

#[tokio::test]
async fn a_page_brings_its_people_when_somebody_changed_at_every_request() {
    on(Backend::Postgres, async {
        let (server, [ann, bob, ..]) = warmed().await;
        for name in ["one", "two", "three"] {
            server.upsert(json!({ "id": 1, "username": name })).await;
            let before = round_trips(&server);
            let page = bob.get("/api/v2/pm/?user=1&limit=1").await.expect(200);
            assert_eq!(page["results"][0]["sender"]["username"], name);
            // Afterwards and for nobody in particular, the server asks who changed; maybe once more because of the page before.
            assert!(round_trips(&server) - before <= 8);
            assert_eq!(ann.thread_with(&bob, "&limit=1").await["results"][0]["sender"]["username"], name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_send_is_two_round_trips_with_its_commit() {
    on(Backend::Postgres, async {
        let (server, [ann, bob, _, deniz]) = warmed().await;
        assert_eq!(trips_of_send(&server, &ann, &[2], None).await, 2);
        assert_eq!(trips_of_send(&server, &bob, &[1], None).await, 2);
        assert_eq!(trips_of_send(&server, &ann, &[2, 3], None).await, 2);
        assert_eq!(trips_of_send(&server, &ann, &[2, 3], Some("a-new-key")).await, 2);
        // What is opened for the first time is prepared the first time.
        assert!(trips_of_send(&server, &deniz, &[1], None).await <= 2);
        assert_eq!(trips_of_send(&server, &deniz, &[3], None).await, 2);
    })
    .await;
}

#[tokio::test]
async fn sends_that_travel_in_one_group_each_answer_with_their_own_people() {
    on(Backend::Postgres, async {
        let server = TestServer::start().await;
        let mut members = Vec::new();
        for id in 1..=8 {
            members.push(server.member(id, &format!("member{id}")).await);
        }
        server.befriend(&members.iter().collect::<Vec<_>>()).await;
        for round in 0..4 {
            let sends = members.iter().map(|sender| {
                let to: Vec<i64> = members.iter().map(|member| member.id).filter(|id| *id != sender.id).collect();
                let body = json!({ "recipients": to, "message": format!("round {round}") });
                let request = sender.request(Method::POST, "/api/v2/pm/").json(&body);
                // Those with a key bring everybody, the others whom the server does not know.
                let request =
                    if sender.id % 2 == 0 { request.header("Idempotency-Key", format!("r{round}")) } else { request };
                async move { (sender.id, to, sender.send_request(request).await.expect(201)) }
            });
            for (sender, to, sent) in futures_util::future::join_all(sends).await {
                let sent = sent.as_array().unwrap().clone();
                assert_eq!(sent.len(), to.len());
                for (message, to) in sent.iter().zip(to) {
                    assert_eq!(message["sender"]["username"], format!("member{sender}"));
                    assert_eq!(message["receiver"]["username"], format!("member{to}"));
                }
            }
            server.upsert(json!({ "id": 1, "real_name": format!("Name {round}") })).await;
        }
    })
    .await;
}

#[tokio::test]
async fn seeing_what_is_new_is_two_round_trips_more() {
    on(Backend::Postgres, async {
        let (server, [ann, bob, ..]) = warmed().await;
        ann.send(&bob, "new").await;
        assert_eq!(trips_of_get(&server, &bob, "/api/v2/pm/?user=1").await, 3);
        assert_eq!(trips_of_get(&server, &bob, "/api/v2/pm/?user=1").await, 1);
    })
    .await;
}

/// `parlour migrate` on a database.
fn migrate(database: &str, environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
    command.args(["migrate", "--database", database, "--data-dir"]).arg(folder.path());
    command.envs(environment.iter().copied()).output().unwrap()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The address of a database of the cluster without user and password.
fn bare(cluster: &Cluster, database: &str) -> String {
    format!("postgres://127.0.0.1:{}/{database}", cluster.port())
}

#[test]
fn every_way_to_a_server_is_taken_or_refused_with_a_reason() {
    let cluster = Setup::new(Durability::None).tls().start().unwrap();
    for database in ["one", "two", "three", "four"] {
        cluster.create_database(database).unwrap();
    }
    // Several hosts, of which the first one is not there.
    let several =
        cluster.url("one").replace(&format!(":{}/", cluster.port()), &format!(":1,127.0.0.1:{}/", cluster.port()));
    assert!(several.contains(":1,"), "{several}");
    let output = migrate(&format!("{several}?target_session_attrs=read-write"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // User and password from elsewhere.
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    std::fs::write(&file, format!("{}\n", cluster.password())).unwrap();
    let file = file.to_str().unwrap();
    let signed_in = [("PARLOUR_POSTGRES_USER", cluster.user()), ("PARLOUR_POSTGRES_PASSWORD_FILE", file)];
    let output = migrate(&bare(&cluster, "two"), &signed_in);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Over TLS, known by its authority and not otherwise.
    let authority = cluster.authority_file().unwrap().display().to_string();
    let output = migrate(&format!("{}?sslmode=require&sslrootcert={authority}", cluster.url("three")), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(complaint(&migrate(&format!("{}?sslmode=require", cluster.url("four")), &[])).contains("encrypted"));
    assert!(
        complaint(&migrate(&format!("{}?sslrootcert=/no/such&sslmode=require", cluster.url("four")), &[]))
            .contains("/no/such")
    );
    // And what cannot be.
    let wrong = [("PARLOUR_POSTGRES_USER", cluster.user()), ("PARLOUR_POSTGRES_PASSWORD", "not the password")];
    let refused = complaint(&migrate(&bare(&cluster, "four"), &wrong));
    assert!(refused.contains("refuses the user or the password") && !refused.contains("not the password"), "{refused}");
    assert!(complaint(&migrate(&cluster.url("five"), &[])).contains("no such database"));
    assert!(complaint(&migrate("postgres://me@127.0.0.1:1/db", &[])).contains("cannot be reached"));
}

#[test]
fn a_database_that_cannot_hold_every_text_or_is_newer_is_refused() {
    let cluster = Cluster::start(Durability::None).unwrap();
    cluster
        .sql("postgres", "create database latin encoding 'LATIN1' locale 'C' template template0 owner parlour")
        .unwrap();
    assert!(complaint(&migrate(&cluster.url("latin"), &[])).contains("encoding must be UTF8"));
    cluster.create_database("newer").unwrap();
    assert!(migrate(&cluster.url("newer"), &[]).status.success());
    cluster.sql("newer", "insert into schema_migrations (number, name) values (999, 'later')").unwrap();
    assert!(complaint(&migrate(&cluster.url("newer"), &[])).contains("schema version 999"));
}

#[tokio::test]
async fn pages_come_again_after_the_database_was_away() {
    let cluster = Cluster::start(Durability::None).unwrap();
    cluster.create_database("parlour").unwrap();
    let database = cluster.url("parlour");
    let server = TestServer::with(|config| {
        config.storage.database = database;
        config.postgres.connections = 12;
    })
    .await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "before").await;
    bob.thread_with(&ann, "").await;
    cluster.restart().unwrap();
    assert_eq!(bob.thread_with(&ann, "").await["count"], 1, "no caller pays for it");
    assert_eq!(ann.inbox().await["count"], 1);
    cluster.stop().unwrap();
    ann.get("/api/v2/pm/").await.expect(503);
    bob.get("/api/v2/pm/?user=1").await.expect(503);
    cluster.start_again().unwrap();
    assert_eq!(bob.thread_with(&ann, "").await["count"], 1);
    assert_eq!(ann.inbox().await["count"], 1);
}
