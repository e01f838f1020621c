//! `GET /api/v2/events/`: what happened, from a cursor on.

use parlour_testkit::{Member, TestServer, both_databases};
use serde_json::{Value, json};
use std::time::Duration;

const EVENTS: &str = "/api/v2/events/";

/// The cursor of now.
async fn now(member: &Member) -> String {
    let body = member.get(EVENTS).await.expect(200);
    assert_eq!((&body["events"], &body["is_at_end"]), (&json!([]), &json!(true)));
    body["cursor"].as_str().unwrap().to_owned()
}

async fn after(member: &Member, cursor: &str) -> Value {
    member.get(&format!("{EVENTS}?after={cursor}")).await.expect(200)
}

/// The types of the events, in order.
fn types(body: &Value) -> Vec<&str> {
    body["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[both_databases]
async fn both_see_a_message_and_only_its_receiver_has_something_unread() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let (of_ann, of_bob) = (now(&ann).await, now(&bob).await);
    let sent = ann.send(&bob, "<b>hello</b>").await;
    for (member, cursor, unread) in [(&ann, of_ann, 0), (&bob, of_bob, 1)] {
        let body = after(member, &cursor).await;
        assert_eq!(types(&body), ["message_created", "unread"], "{}", member.username);
        let created = &body["events"][0];
        let message = member.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200);
        assert_eq!(created["message"], message, "the message is the one that its address shows");
        assert_eq!(created["thread"], member.inbox().await["results"][0], "the thread is the row of the inbox");
        assert_eq!(created["thread_id"], sent["thread_id"]);
        assert_eq!(created["cursor"], body["cursor"]);
        assert_eq!(created["at"], sent["created_at"]);
        assert_eq!(
            body["events"][1],
            json!({ "type": "unread", "unread_threads": unread, "unread_messages": unread, "unseen_notifications": unread })
        );
        assert_eq!(after(member, body["cursor"].as_str().unwrap()).await["events"], json!([]));
    }
}

#[both_databases]
async fn everything_that_happens_to_a_thread_is_told_in_order() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let begin = now(&bob).await;
    let hidden = ann.send(&bob, "an old word").await;
    let begun = after(&bob, &begin).await["cursor"].as_str().unwrap().to_owned();
    server.advance(Duration::from_secs(120));
    ann.delete_message(&hidden["id"]).await;
    let deleted = ann.send(&bob, "a slip").await;
    ann.delete_message(&deleted["id"]).await;
    ann.send(&bob, "what stays").await;
    bob.thread_with(&ann, "").await;
    bob.delete("/api/v2/pm/?user=1").await.expect(204);
    let body = after(&bob, &begun).await;
    // What was created and is gone, or was cleared away since, is not shown any more; what became of it is.
    assert_eq!(types(&body), ["message_deleted", "thread_seen", "thread_deleted", "unread"]);
    let [gone, seen, cleared, unread] = [0, 1, 2, 3].map(|at| &body["events"][at]);
    assert_eq!((&gone["message_id"], &gone["thread_id"]), (&deleted["id"], &deleted["thread_id"]));
    assert_eq!(gone["thread"], json!(null), "the thread has left the inbox");
    assert_eq!((&seen["thread_id"], &seen["unread_count"]), (&deleted["thread_id"], &json!(0)));
    assert_eq!(cleared["thread_id"], deleted["thread_id"]);
    assert_eq!(unread["unread_messages"], 0);

    let of_ann = after(&ann, "1-0-00000000").await;
    assert_eq!(
        types(&of_ann),
        ["message_created", "message_changed", "message_deleted", "message_created", "thread_read", "unread"],
        "from the very first event"
    );
    let changed = &of_ann["events"][1];
    assert_eq!((&changed["message"]["status"], &changed["message"]["id"]), (&json!("hidden"), &hidden["id"]));
    assert_eq!(of_ann["events"][0]["message"], changed["message"], "a message is shown as it is now");
    assert!(!of_ann.to_string().contains("an old word"));
}

#[both_databases]
async fn pieces_of_any_size_make_the_same_whole() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send_many(&bob, 23).await;
    for limit in [1, 2, 7, 22, 23, 24, 300] {
        let (mut cursor, mut ids, mut is_at_end) = ("2-0-00000000".to_owned(), Vec::new(), false);
        while !is_at_end {
            let body = bob.get(&format!("{EVENTS}?after={cursor}&limit={limit}")).await.expect(200);
            let events = body["events"].as_array().unwrap();
            assert_eq!(events.last().unwrap()["type"], "unread");
            assert!(events.len() <= limit.min(256) + 1);
            ids.extend(events.iter().filter_map(|event| event["message"]["id"].as_i64()));
            cursor = body["cursor"].as_str().unwrap().to_owned();
            is_at_end = body["is_at_end"].as_bool().unwrap();
        }
        assert_eq!(ids, sent, "in pieces of {limit}");
    }
}

#[both_databases]
async fn a_cursor_survives_a_restart() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "one").await;
    let cursor = now(&bob).await;
    server.restart().await;
    let [ann, bob] = [server.sign_in(1, "ann"), server.sign_in(2, "bob")];
    ann.send(&bob, "two").await;
    let body = after(&bob, &cursor).await;
    assert_eq!(body["events"][0]["message"]["message"], "two");
}

#[both_databases]
async fn a_bad_cursor_names_its_field_and_shows_nothing() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "private").await;
    let [of_ann, of_bob] = [now(&ann).await, now(&bob).await];
    let future = of_bob.replace("-1-", "-2-");
    for cursor in [
        "x",
        "2",
        "2-1",
        "2-01-00000000",
        "2--1-00000000",
        "2-1-0000000g",
        "2-99999999999999999999-00000000",
        &future,
        &of_ann,
    ] {
        bob.get(&format!("{EVENTS}?after={cursor}")).await.refused_field("after", "invalid");
    }
    bob.get(&format!("{EVENTS}?after={of_bob}&after={of_bob}")).await.refused_field("after", "repeated");
    for limit in ["0", "-1"] {
        bob.get(&format!("{EVENTS}?after={of_bob}&limit={limit}")).await.refused_field("limit", "out_of_range");
    }
    bob.get(&format!("{EVENTS}?limit=many")).await.refused_field("limit", "invalid");
}

#[both_databases]
async fn a_cursor_of_another_log_says_reload() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "one").await;
    let end = now(&bob).await;
    // As after a restore: something else stands at this place.
    let body = after(&bob, "2-1-00000000").await;
    assert_eq!(body["events"], json!([{ "type": "reload", "cursor": end }]));
    assert_eq!((&body["cursor"], &body["is_at_end"]), (&json!(end), &json!(true)));
}

#[both_databases]
async fn whoever_has_no_log_yet_has_a_cursor() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let cursor = now(&bob).await;
    assert_eq!(cursor, "2-0-00000000");
    assert_eq!(after(&bob, &cursor).await["events"], json!([]));
    ann.send(&bob, "one").await;
    assert_eq!(types(&after(&bob, &cursor).await), ["message_created", "unread"]);
}
