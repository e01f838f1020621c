use parlour_testkit::{Heard, TestServer, both_databases};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[both_databases]
async fn a_stop_closes_every_socket_and_ends_every_stream() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut sockets = vec![server.official(&ann).await, server.official(&bob).await, server.stream(&bob, None).await];
    let mut source = bob.request(reqwest::Method::GET, "/api/v2/events/stream/").send().await.unwrap();
    let cursor = bob.get("/api/v2/events/").await.expect(200)["cursor"].as_str().unwrap().to_owned();
    let poll = tokio::spawn({
        let bob = bob.clone();
        async move { bob.get(&format!("/api/v2/events/?after={cursor}&wait=60")).await }
    });
    while server.app.hub.open() < 5 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(20), "the stop waited for a time-out");
    for socket in &mut sockets {
        let heard = loop {
            match socket.other().await {
                Heard::Json(_) => {}
                other => break other,
            }
        };
        assert_eq!(heard, Heard::Closed(1001, "the server stops".into()));
    }
    while source.chunk().await.unwrap().is_some() {}
    assert_eq!(poll.await.unwrap().expect(200)["events"], json!([]));
    assert_eq!(server.app.hub.open(), 0);
}

/// Asserts what the official client is told of its member's account, to the last field.
#[track_caller]
fn assert_tells(frame: &Value, activity_type: i64, name: &str, server: &TestServer) {
    assert_eq!(frame["data"]["activity_type"], activity_type, "{frame}");
    let told = &frame["data"]["notification_obj"];
    let sid = &told["sid"];
    assert!(sid.is_string(), "{frame}");
    let at = server.now();
    assert_eq!(*told, json!({ "type": name, "sid": sid, "is_new": true, "active_at": at, "blocked_settings": null }));
}

#[both_databases]
async fn a_blocked_member_is_told_and_closed_and_may_come_back_to_read() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let (mut official, mut stream) = (server.official(&bob).await, server.stream(&bob, None).await);
    let mut anns = server.official(&ann).await;
    let began = Instant::now();
    server.upsert(json!({ "id": 2, "status": "b" })).await;
    assert_tells(&official.json().await, 74, "blocked_user", &server);
    assert_eq!(official.other().await, Heard::Closed(1008, "the account was blocked".into()));
    stream.event("ready").await;
    stream.event("unread").await;
    assert_eq!(stream.other().await, Heard::Closed(1008, "the account was blocked".into()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The blocked may read, as by every other door, and hear that they are not blocked any more.
    let mut official = server.official(&bob).await;
    ann.send(&bob, "are you there?").await;
    assert_eq!(official.json().await["data"]["activity_type"], 37);
    server.upsert(json!({ "id": 2, "status": "a" })).await;
    assert_tells(&official.json().await, 83, "unblocked_user", &server);
    bob.send(&ann, "yes").await;
    assert_eq!(anns.json().await["data"]["activity_type"], 37, "nobody else was closed or told");
}

#[both_databases]
async fn the_sockets_of_a_deleted_member_close() {
    let server = TestServer::start().await;
    let (_, bob) = server.ann_and_bob().await;
    let mut official = server.official(&bob).await;
    let began = Instant::now();
    server.upsert(json!({ "id": 2, "status": "d" })).await;
    assert_eq!(official.other().await, Heard::Closed(1008, "the account was deleted".into()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[both_databases]
async fn what_another_server_does_is_told_too() {
    let first = TestServer::with(|config| config.postgres.connections = 12).await;
    let database = first.database();
    let second = TestServer::with(|config| {
        config.storage.database = database;
        config.postgres.connections = 12;
    })
    .await;
    let (ann, bob) = first.ann_and_bob().await;
    let mut there = second.official(&second.sign_in(2, "bob")).await;
    let mut stream = second.stream(&second.sign_in(2, "bob"), None).await;
    for number in 0..3 {
        ann.send(&bob, &format!("message {number}")).await;
        let frame = there.json().await;
        assert_eq!(frame["data"]["notification_obj"]["message"]["message"], format!("message {number}"));
        let event = stream.event("message_created").await;
        assert_eq!(event["message"]["message"], format!("message {number}"));
    }
    first.upsert(json!({ "id": 2, "status": "d" })).await;
    assert_eq!(there.other().await, Heard::Closed(1008, "the account was deleted".into()));
}
