use parlour_testkit::{Heard, Member, TestServer, WsClient, both_databases};
use serde_json::{Value, json};

/// Every event up to the message with this text, unread totals aside.
async fn until(socket: &mut WsClient, text: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = socket.json().await;
        if event["type"] == "unread" || event["type"] == "ready" {
            continue;
        }
        let is_last = event["message"]["message"] == text;
        events.push(event);
        if is_last {
            return events;
        }
    }
}

async fn cursor(member: &Member) -> String {
    member.get("/api/v2/events/").await.expect(200)["cursor"].as_str().unwrap().to_owned()
}

/// What is unread; so many notifications, as none of them was read alone.
fn unread(threads: i64, messages: i64) -> Value {
    json!({ "type": "unread", "unread_threads": threads, "unread_messages": messages, "unseen_notifications": messages })
}

#[both_databases]
async fn the_stream_begins_with_where_it_is_and_what_is_unread() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "before").await;
    let mut socket = server.stream(&bob, None).await;
    let ready = socket.json().await;
    assert_eq!(ready, json!({ "type": "ready", "cursor": cursor(&bob).await }));
    assert_eq!(socket.json().await, unread(1, 1));
    let sent = ann.send(&bob, "after").await;
    let event = socket.json().await;
    assert_eq!(event["type"], "message_created");
    assert_eq!(event["thread_id"], sent["thread_id"]);
    assert_eq!(event["message"], bob.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200));
    assert_eq!(event["thread"], bob.inbox().await["results"][0]);
    assert_eq!(event["cursor"], cursor(&bob).await);
    assert_eq!(socket.json().await, unread(1, 2));
    bob.thread_with(&ann, "").await;
    let seen = socket.json().await;
    assert_eq!((&seen["type"], &seen["unread_count"]), (&json!("thread_seen"), &json!(0)));
    assert_eq!(socket.json().await, unread(0, 0));
    bob.delete(&format!("/api/v2/pm/?thread={}", sent["thread_id"])).await.expect(204);
    let deleted = socket.json().await;
    assert_eq!((&deleted["type"], &deleted["thread_id"]), (&json!("thread_deleted"), &sent["thread_id"]));
}

#[both_databases]
async fn what_is_replayed_is_what_was_told_live() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let begin = cursor(&bob).await;
    let mut live = server.stream(&bob, None).await;
    let mut sent = Vec::new();
    for number in 0..150 {
        sent.push(ann.send(&bob, &format!("message {number}")).await["id"].clone());
        if number % 40 == 39 {
            bob.send(&ann, "an answer").await;
        }
    }
    ann.send(&bob, "the end").await;
    let told = until(&mut live, "the end").await;
    let mut again = server.stream(&bob, Some(&begin)).await;
    assert_eq!(again.json().await, json!({ "type": "ready", "cursor": begin }));
    let replayed = until(&mut again, "the end").await;
    let places = |events: &[Value]| -> Vec<(Value, Value, Value)> {
        let place = |event: &Value| (event["type"].clone(), event["cursor"].clone(), event["message"]["id"].clone());
        events.iter().map(place).collect()
    };
    assert_eq!(places(&replayed), places(&told));
    let created = |event: &&Value| event["type"] == "message_created" && event["message"]["sender_id"] == 1;
    let ids: Vec<Value> = told.iter().filter(created).map(|event| event["message"]["id"].clone()).collect();
    assert_eq!(ids[..150], sent, "complete, in order, each once");
    // From any place in between: the rest, and nothing else.
    for place in [1, 63, 64, 65, told.len() - 2] {
        let mut socket = server.stream(&bob, told[place]["cursor"].as_str()).await;
        assert_eq!(places(&until(&mut socket, "the end").await), places(&told[place + 1..]), "{place}");
    }
}

/// Readers come and go while others send: each goes on from its last cursor, and at last has everything once.
#[both_databases]
async fn who_comes_back_with_the_last_cursor_misses_nothing_and_hears_nothing_twice() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let begin = cursor(&bob).await;
    let sender = tokio::spawn({
        let (ann, bob) = (ann.clone(), bob.clone());
        async move {
            let mut sent = Vec::new();
            for number in 0..120 {
                sent.push(ann.send(&bob, &format!("message {number}")).await["id"].clone());
            }
            sent.push(ann.send(&bob, "the end").await["id"].clone());
            sent
        }
    });
    let readers = (1..=4_u64).map(|reader| {
        let (server, bob, mut last) = (&server, &bob, begin.clone());
        async move {
            let mut came = Vec::new();
            let mut random = fastrand::Rng::with_seed(reader);
            loop {
                let mut socket = server.stream(bob, Some(&last)).await;
                for _ in 0..random.usize(1..15) {
                    let event = socket.json().await;
                    assert_ne!(event["type"], "reload");
                    if let Some(cursor) = event["cursor"].as_str() {
                        last = cursor.to_owned();
                    }
                    if event["type"] == "message_created" {
                        came.push(event["message"]["id"].clone());
                        if event["message"]["message"] == "the end" {
                            return came;
                        }
                    }
                }
            }
        }
    });
    let came = futures_util::future::join_all(readers).await;
    let sent = sender.await.unwrap();
    came.iter().for_each(|came| assert_eq!(*came, sent));
}

#[both_databases]
async fn a_cursor_that_is_too_old_gives_reload_and_the_stream_goes_on() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let old = cursor(&bob).await;
    for number in 0..3 {
        ann.send(&bob, &format!("message {number}")).await;
    }
    forget(&server, "delete from events where user_id = 2 and position < 3");
    let mut socket = server.stream(&bob, Some(&old)).await;
    assert_eq!(socket.json().await, json!({ "type": "reload", "cursor": cursor(&bob).await }));
    assert_eq!(socket.json().await["type"], "unread");
    ann.send(&bob, "after").await;
    assert_eq!(socket.json().await["message"]["message"], "after");
}

/// Changes the database behind the server's back.
fn forget(server: &TestServer, sql: &str) {
    match parlour_testkit::backend() {
        parlour_testkit::Backend::Postgres => parlour_testkit::run_sql(&server.data_dir(), sql),
        parlour_testkit::Backend::Sqlite => {
            let file = rusqlite::Connection::open(server.data_dir().join("parlour.db")).unwrap();
            file.execute_batch(sql).unwrap();
        }
    }
}

#[both_databases]
async fn what_a_client_of_the_stream_says_changes_nothing() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut socket = server.stream(&bob, None).await;
    for text in ["", "{", "{\"type\":\"message_created\"}", parlour_testkit::HEARTBEAT] {
        socket.say(text).await;
    }
    ann.send(&bob, "hello").await;
    assert_eq!(socket.event("message_created").await["message"]["message"], "hello");
    assert_eq!(socket.event("unread").await["unread_messages"], 1);
    assert_ne!(socket_heartbeat(&mut socket, &ann, &bob).await, Heard::Heartbeat);
}

async fn socket_heartbeat(socket: &mut WsClient, ann: &Member, bob: &Member) -> Heard {
    ann.send(bob, "again").await;
    socket.next().await
}
