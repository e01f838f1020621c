//! What a server keeps in memory is never out of date, whoever changes the database: every answer is the one of a server that keeps nothing.

use parlour_server::config::ByteSize;
use parlour_testkit::{Member, TestServer, both_databases};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// A server on the database of `first`; to that one, whatever it writes comes from somewhere else.
async fn beside(first: &TestServer, page_cache: ByteSize) -> TestServer {
    let database = first.database();
    TestServer::with(|config| {
        config.storage.database = database;
        config.cache.pages = page_cache;
        config.server.public_url = "https://chat.example".into();
    })
    .await
}

async fn first() -> TestServer {
    TestServer::with(|config| config.server.public_url = "https://chat.example".into()).await
}

#[derive(Clone, Debug)]
enum Step {
    Send(String),
    /// Takes back the message that stands so far from the end.
    TakeBack(usize),
    DeleteThread,
    Rename(String),
    Unfollow,
    Follow,
    Advance,
    /// Look at the other one's thread, so that both sides' pages are kept.
    Nothing,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => "[a-z<&]{1,12}".prop_map(Step::Send),
        2 => (0_usize..6).prop_map(Step::TakeBack),
        1 => Just(Step::DeleteThread),
        1 => "[a-z]{1,12}".prop_map(Step::Rename),
        1 => Just(Step::Unfollow),
        1 => Just(Step::Follow),
        1 => Just(Step::Advance),
        1 => Just(Step::Nothing),
    ]
}

/// `member` takes a step on `server`, towards `other`.
async fn take(server: &TestServer, member: &Member, other: &Member, step: Step) {
    let follow =
        |follow: bool| json!({ "follows": [{ "follower": other.id, "followed": member.id, "following": follow }] });
    match step {
        Step::Send(text) => drop(member.try_send(other, &text).await),
        Step::TakeBack(back) => {
            let page = member.thread_with(other, "&limit=10").await;
            let rows = page["results"].as_array().unwrap();
            if let Some(row) = rows.iter().rev().nth(back)
                && row["sender_id"] == member.id
            {
                member.delete_message(&row["id"]).await;
            }
        }
        Step::DeleteThread => drop(member.delete(&format!("/api/v2/pm/?user={}", other.id)).await),
        Step::Rename(name) => server.upsert(json!({ "id": member.id, "real_name": name })).await,
        Step::Unfollow => drop(server.backend().post("/api/v2/admin/follows/", follow(false)).await.expect(200)),
        Step::Follow => drop(server.backend().post("/api/v2/admin/follows/", follow(true)).await.expect(200)),
        Step::Advance => server.advance(Duration::from_secs(40)),
        Step::Nothing => {}
    }
}

/// Every server gives both members the same lists and pages, twice, as the first look may fill what the second one finds.
async fn all_agree(servers: &[&TestServer], thread: &Value) {
    let by_id = format!("/api/v2/pm/?thread={thread}");
    for path in ["/api/v2/pm/", "/api/v2/pm/?user=", &by_id, "/api/v2/pm/?limit=1", "/api/v2/pm/"] {
        for (id, name, other) in [(1, "ann", 2), (2, "bob", 1)] {
            let path = if path.ends_with("user=") { format!("{path}{other}") } else { path.to_owned() };
            let mut answers = Vec::new();
            for server in servers.iter().chain(servers) {
                answers.push(server.sign_in(id, name).get(&path).await.text);
            }
            let truth = answers.last().unwrap();
            for (answer, server) in answers.iter().zip(["first", "second", "truth"].iter().cycle()) {
                assert_eq!(answer, truth, "{name} asks the {server} server for {path}");
            }
        }
    }
}

#[both_databases]
async fn servers_on_one_database_answer_like_one_that_keeps_nothing() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let steps = prop::collection::vec((any_step(), any::<bool>(), any::<bool>()), 150);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    let first = first().await;
    first.ann_and_bob().await;
    let (second, truth) = (beside(&first, ByteSize::mib(1)).await, beside(&first, ByteSize::mib(0)).await);
    let thread = first.sign_in(1, "ann").send(&first.sign_in(2, "bob"), "hello").await["thread_id"].clone();
    for (step, on_first, by_ann) in steps {
        let server = if on_first { &first } else { &second };
        let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
        let (member, other) = if by_ann { (&ann, &bob) } else { (&bob, &ann) };
        take(server, member, other, step).await;
        all_agree(&[&first, &second, &truth], &thread).await;
    }
}

#[both_databases(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_was_told_that_it_is_sent_finds_it_whichever_server_is_asked() {
    let first = first().await;
    let (ann, bob) = first.ann_and_bob().await;
    let second = beside(&first, ByteSize::mib(1)).await;
    ann.send(&bob, "first").await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (on, id, other) = if writer % 2 == 0 { (&first, 1, 2) } else { (&second, 2, 1) };
        let me = on.sign_in(id, "me");
        let elsewhere = if writer % 4 < 2 { &first } else { &second };
        let (reader, other) = (elsewhere.sign_in(id, "me"), on.sign_in(other, "other"));
        writers.spawn(async move {
            let mut highest = 0;
            for round in 0..40 {
                let sent = me.send(&other, &format!("{writer}-{round}")).await;
                let page = reader.thread_with(&other, "").await;
                let newest = page["results"].as_array().unwrap().last().unwrap()["id"].as_i64().unwrap();
                assert!(newest >= sent["id"].as_i64().unwrap(), "what was acknowledged is there");
                assert!(newest >= highest, "a thread never goes back in time");
                highest = newest;
                let activity = reader.inbox().await["results"][0]["last_message_at"].clone();
                assert!(activity.as_str() >= sent["created_at"].as_str(), "and in the inbox");
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
}
