//! Several servers on one database: what one does the others show at once, and what all do at once has one order.

use crate::cli::{done, serve};
use parlour_testkit::{Member, TestServer, both_databases, http_client, ids, texts};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

const PM: &str = "/api/v2/pm/";

async fn two_servers() -> [TestServer; 2] {
    let first = TestServer::with(|config| config.postgres.connections = 12).await;
    let database = first.database();
    let second = TestServer::with(|config| {
        config.storage.database = database;
        config.postgres.connections = 12;
    })
    .await;
    [first, second]
}

/// Ann (1) and Bob (2), each as either server knows them.
async fn ann_and_bob(servers: &[TestServer; 2]) -> [[Member; 2]; 2] {
    servers[0].ann_and_bob().await;
    servers.each_ref().map(|server| [server.sign_in(1, "ann"), server.sign_in(2, "bob")])
}

/// Every message of the thread with `other`, oldest first.
async fn whole_thread(member: &Member, other: &Member) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut next = Some(format!("{PM}?user={}&limit=100", other.id));
    while let Some(path) = next {
        let page = member.get(&path).await.expect(200);
        rows.splice(0..0, page["results"].as_array().unwrap().iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
    }
    rows
}

#[both_databases]
async fn what_one_writes_the_other_shows_at_once() {
    let servers = two_servers().await;
    let members = ann_and_bob(&servers).await;
    for round in 0..12 {
        let ([ann, bob], [ann_there, bob_there]) = (&members[round % 2], &members[1 - round % 2]);
        let sent = ann.send(bob, &format!("message {round}")).await;
        assert_eq!(bob_there.inbox().await["results"][0]["unread_count"], 1);
        let page = bob_there.thread_with(ann, "").await;
        assert_eq!(texts(&page).last(), Some(&format!("message {round}").as_str()));
        assert_eq!(bob.inbox().await["results"][0]["unread_count"], 0, "seen on the other server");
        if round % 3 == 0 {
            ann.delete_message(&sent["id"]).await;
            assert!(!ids(&bob_there.thread_with(ann, "").await).contains(&sent["id"].as_i64().unwrap()));
            assert_eq!(ann_there.get(&format!("{PM}{}/", sent["id"])).await.expect(200)["status"], "deleted");
        }
    }
    let [[ann, bob], [ann_there, bob_there]] = &members;
    ann.delete("/api/v2/pm/?user=2").await.expect(204);
    assert_eq!(
        (ann_there.inbox().await["count"].clone(), bob_there.inbox().await["count"].clone()),
        (json!(0), json!(1))
    );
    ann_there.patch("/api/v2/user/1/settings/", json!({ "qa_frequency": 1 })).await.expect(200);
    assert_eq!(ann.get("/api/v2/user/1/settings/").await.expect(200)["qa_frequency"], 1);
    bob.post("/api/v2/user/1/hide/", json!({})).await.expect(204);
    assert_eq!(bob_there.get("/api/v2/user/1/is_hidden/").await.expect(200)["is_hidden"], true);
}

#[both_databases]
async fn users_changed_on_one_are_shown_changed_on_the_other() {
    let [first, second] = two_servers().await;
    let (ann, bob) = first.ann_and_bob().await;
    let [ann_there, bob_there] = [second.sign_in(1, "ann"), second.sign_in(2, "bob")];
    ann.send(&bob, "hello").await;
    for round in 0..6 {
        let name = format!("Ann the {round}.");
        for server in [&first, &second] {
            let name = format!("{name} {}", server.address);
            server.upsert(json!({ "id": 1, "real_name": name })).await;
            for bob in [&bob, &bob_there] {
                assert_eq!(bob.thread_with(&ann, "").await["results"][0]["sender"]["real_name"], name);
                assert_eq!(bob.inbox().await["results"][0]["sender"]["real_name"], name);
                assert_eq!(bob.get("/api/v2/user/1/").await.expect(200)["real_name"], name);
            }
        }
    }
    first.upsert(json!({ "id": 1, "status": "b" })).await;
    ann_there.try_send(&bob, "blocked").await.refused(403, "permission_denied");
    second.upsert(json!({ "id": 1, "status": "a" })).await;
    ann.try_send(&bob, "back again").await.expect(201);
    let follow = |following: bool| json!({ "follows": [{ "follower": 2, "followed": 1, "following": following }] });
    first.backend().post("/api/v2/admin/follows/", follow(false)).await.expect(200);
    ann_there.try_send(&bob, "unfollowed").await.refused(403, "permission_denied");
    second.backend().post("/api/v2/admin/follows/", follow(true)).await.expect(200);
    ann.try_send(&bob, "followed").await.expect(201);
    second.upsert(json!({ "id": 1, "status": "d" })).await;
    ann.get(PM).await.refused(401, "authentication_failed");
}

#[both_databases(flavor = "multi_thread", worker_threads = 4)]
async fn sends_on_both_at_once_make_one_order_without_gaps() {
    let servers = two_servers().await;
    let members = ann_and_bob(&servers).await;
    // One of the clocks is ahead.
    servers[1].advance(Duration::from_secs(20));
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let [ann, bob] = members[sender % 2].clone();
        let (me, other) = if sender < 4 { (ann, bob) } else { (bob, ann) };
        senders.spawn(async move {
            for number in 0..25 {
                me.send(&other, &format!("{sender}-{number}")).await;
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    let [[ann, bob], [ann_there, bob_there]] = &members;
    let thread = whole_thread(ann, bob).await;
    for (reader, other) in [(ann_there, bob), (bob, ann), (bob_there, ann)] {
        let seen = whole_thread(reader, other).await;
        let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>();
        assert_eq!(ids(&seen), ids(&thread), "everybody sees one order");
    }
    assert_eq!(thread.len(), 200);
    assert!(thread.is_sorted_by(|one, next| one["id"].as_i64() < next["id"].as_i64()), "ids grow along a thread");
    for sender in 0..8 {
        let prefix = format!("{sender}-");
        let own = thread.iter().filter_map(|row| row["message"].as_str().unwrap().strip_prefix(&prefix));
        assert_eq!(own.collect::<Vec<_>>(), (0..25).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    // Sequence numbers have no gap, and every count is right.
    done(&servers[0].data_dir(), &["doctor"]);
}

#[both_databases(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_used_on_both_at_once_makes_one_message() {
    let servers = two_servers().await;
    let members = ann_and_bob(&servers).await;
    for round in 0..3 {
        let mut sends = JoinSet::new();
        for number in 0..32 {
            let [ann, _] = members[number % 2].clone();
            sends.spawn(async move {
                let body = json!({ "recipients": [2], "message": format!("once, {round}") });
                let request = ann.request(reqwest::Method::POST, PM).header("Idempotency-Key", format!("key-{round}"));
                ann.send_request(request.json(&body)).await
            });
        }
        let answers = sends.join_all().await;
        let made: BTreeSet<String> = answers.iter().map(|answer| answer.expect(201)[0]["id"].to_string()).collect();
        assert_eq!(made.len(), 1, "one message");
        let firsts = answers.iter().filter(|answer| answer.header("idempotency-replayed") != "true");
        assert_eq!(firsts.count(), 1, "all others are repeats");
    }
    for [ann, bob] in &members {
        assert_eq!(ann.thread_with(bob, "").await["count"], 3);
    }
}

#[both_databases(flavor = "multi_thread", worker_threads = 4)]
async fn first_messages_at_once_open_one_thread_and_no_id_comes_twice() {
    let servers = two_servers().await;
    let mut members = Vec::new();
    for id in 1..=8 {
        members.push(servers[0].member(id, &format!("member{id}")).await);
    }
    servers[0].befriend(&members.iter().collect::<Vec<_>>()).await;
    let mut sends = JoinSet::new();
    for from in 1..=8_i64 {
        for to in (1..=8).filter(|to| *to != from) {
            // The two of a pair are on different servers.
            let server = &servers[usize::from(from > to)];
            let (from, to) = (server.sign_in(from, "from"), server.sign_in(to, "to"));
            sends.spawn(async move { from.send(&to, "the first").await });
        }
    }
    let sent = sends.join_all().await;
    let distinct = |field: &str| sent.iter().map(|message| message[field].as_i64().unwrap()).collect::<BTreeSet<_>>();
    let (messages, threads) = (distinct("id"), distinct("thread_id"));
    assert_eq!((messages.len(), threads.len()), (56, 28));
    assert!(messages.is_disjoint(&threads), "threads and messages share their numbers");
    done(&servers[0].data_dir(), &["doctor"]);
}

#[both_databases(flavor = "multi_thread", worker_threads = 4)]
async fn users_brought_to_both_at_once_are_made_once() {
    let servers = two_servers().await;
    let mut upserts = JoinSet::new();
    for number in 0..16 {
        let backend = servers[number % 2].backend();
        let users: Vec<Value> = (0..5)
            .map(|ext_id| json!({ "ext_id": format!("ext-{ext_id}"), "username": format!("user{ext_id}") }))
            .collect();
        upserts.spawn(async move { backend.post("/api/v2/admin/users/", json!({ "users": users })).await.expect(200) });
    }
    let ids = |answer: &Value| {
        answer["results"].as_array().unwrap().iter().map(|user| user["id"].clone()).collect::<Vec<_>>()
    };
    let answers = upserts.join_all().await;
    assert!(answers.iter().all(|answer| ids(answer) == ids(&answers[0])), "{answers:?}");
    done(&servers[0].data_dir(), &["doctor"]);
}

/// The same as operators do it: two processes, whose clocks are the machine's.
#[both_databases(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_keep_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (id, name) in [("1", "ann"), ("2", "bob")] {
        done(data, &["user", "add", "--id", id, "--username", name]);
    }
    done(data, &["follow", "2", "1"]);
    done(data, &["follow", "1", "2"]);
    let tokens = ["1", "2"].map(|id| done(data, &["token", "--user", id, "--ttl", "1h"]).trim().to_owned());
    let (first, second) = (serve(data), serve(data));
    let mut senders = JoinSet::new();
    for sender in 0..6 {
        let (address, token) = ([&first.1, &second.1][sender % 2].clone(), tokens[sender / 3].clone());
        let http = http_client();
        senders.spawn(async move {
            for number in 0..20 {
                let body = json!({ "recipients": [2 - sender / 3], "message": format!("{sender}-{number}") });
                let sent = http.post(format!("{address}{PM}")).bearer_auth(&token).json(&body).send().await.unwrap();
                assert_eq!(sent.status(), 201, "{}", sent.text().await.unwrap());
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    let mut seen = Vec::new();
    for (address, token, other) in [(&first.1, &tokens[0], 2), (&second.1, &tokens[1], 1)] {
        let page = http_client().get(format!("{address}{PM}?user={other}&limit=100")).bearer_auth(token);
        let page: Value = page.send().await.unwrap().json().await.unwrap();
        assert_eq!(page["count"], 120);
        seen.push(ids(&page));
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].is_sorted_by(|one, next| one < next), "ids grow along a thread");
    done(data, &["doctor"]);
}
