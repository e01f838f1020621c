//! Read receipts, typing and presence.

use parlour_server::config::Duration as Span;
use parlour_testkit::{Member, TestServer, WsClient, both_databases};
use serde_json::{Value, json};

const RECEIPTS: &str = "/api/v2/pm/receipts/";
const SEEN: &str = "/api/v2/pm/seen/";
const TYPING: &str = "/api/v2/pm/typing/";
const PRESENCE: &str = "/api/v2/pm/presence/";

/// How far the others of the thread with `other` have read, as `member` is told.
async fn receipts(member: &Member, other: &Member) -> Value {
    member.get(&format!("{RECEIPTS}?user={}", other.id)).await.expect(200)["results"].clone()
}

async fn switch(member: &Member, setting: &str, value: i64) {
    member.patch(&format!("/api/v2/user/{}/settings/", member.id), json!({ setting: value })).await.expect(200);
}

async fn hide(member: &Member, other: &Member) {
    member.post(&format!("/api/v2/user/{}/hide/", other.id), json!({})).await.expect(204);
}

/// A stream that has said where it begins.
async fn stream(server: &TestServer, member: &Member) -> WsClient {
    let mut socket = server.stream(member, None).await;
    socket.event("unread").await;
    socket
}

/// The events of a member's whole log of this type.
async fn logged(member: &Member, name: &str) -> Vec<Value> {
    let body = member.get(&format!("/api/v2/events/?after={}-0-00000000&limit=256", member.id)).await.expect(200);
    body["events"].as_array().unwrap().iter().filter(|event| event["type"] == name).cloned().collect()
}

#[both_databases]
async fn a_receipt_says_up_to_which_message_the_other_one_has_seen_the_thread() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = ann.send(&bob, "one").await;
    assert_eq!(receipts(&ann, &bob).await, json!([{ "user_id": 2, "message_id": null }]));
    let mut socket = stream(&server, &ann).await;
    bob.thread_with(&ann, "").await;
    let event = socket.event("thread_read").await;
    assert_eq!(
        (&event["user_id"], &event["message_id"], &event["thread_id"]),
        (&json!(2), &first["id"], &first["thread_id"])
    );
    assert_eq!(receipts(&ann, &bob).await, json!([{ "user_id": 2, "message_id": first["id"] }]));
    let second = ann.send(&bob, "two").await;
    let slip = ann.send(&bob, "a slip").await;
    ann.delete_message(&slip["id"]).await;
    bob.post(SEEN, json!({ "thread": first["thread_id"] })).await.expect(204);
    assert_eq!(
        socket.event("thread_read").await["message_id"],
        second["id"],
        "what was deleted is nothing to have seen"
    );
    assert_eq!(receipts(&ann, &bob).await[0]["message_id"], second["id"]);
    // Whoever writes has read.
    let answer = bob.send(&ann, "three").await;
    assert_eq!(receipts(&ann, &bob).await[0]["message_id"], answer["id"]);
    assert_eq!(logged(&bob, "thread_read").await, [] as [Value; 0], "Ann has seen nothing yet");
    ann.delete("/api/v2/pm/?user=2").await.expect(204);
    assert_eq!(receipts(&ann, &bob).await[0]["message_id"], json!(null), "Ann sees none of them any more");
}

#[both_databases]
async fn marking_seen_goes_forward_only_and_moves_every_device() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send_many(&bob, 5).await;
    let mut socket = stream(&server, &bob).await;
    for (message, left) in [(sent[1], 3), (sent[3], 1)] {
        bob.post(SEEN, json!({ "user": 1, "message": message })).await.expect(204);
        assert_eq!(socket.event("thread_seen").await["unread_count"], left);
        assert_eq!(socket.event("unread").await["unread_messages"], left);
        assert_eq!(bob.inbox().await["results"][0]["unread_count"], left);
    }
    bob.post(SEEN, json!({ "user": 1, "message": sent[0] })).await.expect(204);
    assert_eq!(bob.inbox().await["results"][0]["unread_count"], 1, "never back");
    assert_eq!(receipts(&ann, &bob).await[0]["message_id"], sent[3]);
    bob.post(SEEN, json!({ "user": 1 })).await.expect(204);
    assert_eq!(socket.event("thread_seen").await["unread_count"], 0);
    assert_eq!(logged(&bob, "thread_seen").await.len(), 3);
    assert_eq!(logged(&ann, "thread_read").await.len(), 3);
}

#[both_databases]
async fn receipts_are_for_those_who_give_them() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    for (who, restore) in [(&ann, &ann), (&bob, &bob)] {
        switch(who, "share_read_receipts", 0).await;
        ann.send(&bob, "one").await;
        bob.thread_with(&ann, "").await;
        assert_eq!(receipts(&ann, &bob).await, json!([]), "{} shares nothing", who.username);
        assert_eq!(receipts(&bob, &ann).await, json!([]), "{} shares nothing", who.username);
        switch(restore, "share_read_receipts", 1).await;
    }
    hide(&ann, &bob).await;
    assert_eq!(receipts(&ann, &bob).await, json!([]));
    assert_eq!(receipts(&bob, &ann).await, json!([]));
    assert_eq!(logged(&ann, "thread_read").await, [] as [Value; 0], "what was not shared then is not told later");
}

#[both_databases]
async fn typing_is_told_to_the_other_one_and_stored_nowhere() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let cid = server.member(3, "cid").await;
    let thread = ann.send(&bob, "one").await["thread_id"].clone();
    let (mut of_bob, mut of_ann) = (stream(&server, &bob).await, stream(&server, &ann).await);
    ann.post(TYPING, json!({ "user": 2 })).await.expect(204);
    let told = json!({ "type": "typing", "thread_id": thread, "user_id": 1, "expires_in": 6 });
    assert_eq!(of_bob.event("typing").await, told);
    // Again at once: nothing more is told. Then by the socket, from the other side.
    ann.post(TYPING, json!({ "thread": thread })).await.expect(204);
    of_bob.say(&format!("{{\"type\":\"typing\",\"thread_id\":{thread}}}")).await;
    assert_eq!(of_ann.event("typing").await["user_id"], 2);
    ann.send(&bob, "two").await;
    let mut next = of_bob.json().await;
    while next["type"] == "presence" {
        next = of_bob.json().await;
    }
    assert_eq!(next["type"], "message_created", "typing was told once");
    assert_eq!(logged(&bob, "typing").await, [] as [Value; 0]);
    cid.post(TYPING, json!({ "thread": thread })).await.refused(404, "not_found");
    cid.post(TYPING, json!({ "user": 1 })).await.refused(404, "not_found");
}

#[both_databases]
async fn nobody_hears_of_typing_who_does_not_share_it_or_is_hidden() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "one").await;
    let mut of_bob = stream(&server, &bob).await;
    switch(&ann, "share_typing", 0).await;
    ann.post(TYPING, json!({ "user": 2 })).await.expect(204);
    switch(&ann, "share_typing", 1).await;
    switch(&bob, "share_typing", 0).await;
    ann.post(TYPING, json!({ "user": 2 })).await.expect(204);
    switch(&bob, "share_typing", 1).await;
    hide(&bob, &ann).await;
    ann.post(TYPING, json!({ "user": 2 })).await.expect(204);
    hide(&bob, &ann).await;
    ann.post(TYPING, json!({ "user": 2 })).await.expect(204);
    let mut heard = Vec::new();
    ann.send(&bob, "two").await;
    loop {
        let event = of_bob.json().await;
        if event["type"] == "message_created" {
            break;
        }
        heard.push(event["type"].clone());
    }
    assert_eq!(heard.iter().filter(|name| **name == "typing").count(), 1, "the last one alone: {heard:?}");
}

#[both_databases]
async fn presence_is_told_to_those_of_a_common_thread() {
    let server = TestServer::with(|config| config.live.presence_grace = Span::seconds(0)).await;
    let (ann, bob) = server.ann_and_bob().await;
    let cid = server.member(3, "cid").await;
    ann.send(&bob, "one").await;
    let of = async |member: &Member, users: &str| {
        member.get(&format!("{PRESENCE}?users={users}")).await.expect(200)["results"].clone()
    };
    assert_eq!(of(&ann, "2,3,1,99").await, json!([{ "user_id": 2, "is_online": false }]));
    assert_eq!(of(&cid, "1,2").await, json!([]), "no common thread");
    let mut of_ann = stream(&server, &ann).await;
    let of_bob = stream(&server, &bob).await;
    let online = |is_online: bool| json!({ "type": "presence", "user_id": 2, "is_online": is_online });
    assert_eq!(of_ann.event("presence").await, online(true));
    assert_eq!(of(&ann, "2").await, json!([{ "user_id": 2, "is_online": true }]));
    of_bob.close().await;
    assert_eq!(of_ann.event("presence").await, online(false));
    assert_eq!(of(&ann, "2").await, json!([{ "user_id": 2, "is_online": false }]));
    for who in [&ann, &bob] {
        switch(who, "share_presence", 0).await;
        assert_eq!(of(&ann, "2").await, json!([]), "{} shares nothing", who.username);
        assert_eq!(of(&bob, "1").await, json!([]), "{} shares nothing", who.username);
        switch(who, "share_presence", 1).await;
    }
    hide(&bob, &ann).await;
    assert_eq!(of(&ann, "2").await, json!([]));
}

#[both_databases]
async fn bad_input_names_its_field() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send(&bob, "one").await;
    let cid = server.member(3, "cid").await;
    server.befriend(&[&ann, &cid]).await;
    let elsewhere = ann.send(&cid, "elsewhere").await;
    for path in [SEEN, TYPING] {
        bob.post(path, json!({})).await.refused_field("thread", "required");
        bob.post(path, json!({ "thread": "x" })).await.refused_field("thread", "invalid");
        bob.post(path, json!({ "user": 0 })).await.refused_field("user", "out_of_range");
        bob.post(path, json!({ "thread": elsewhere["thread_id"] })).await.refused(404, "not_found");
    }
    for message in [&elsewhere["id"], &json!(1)] {
        let body = json!({ "thread": sent["thread_id"], "message": message });
        bob.post(SEEN, body).await.refused_field("message", "does_not_exist");
    }
    assert_eq!(bob.inbox().await["results"][0]["unread_count"], 1, "nothing was marked");
    bob.get(RECEIPTS).await.refused_field("thread", "required");
    bob.get(&format!("{RECEIPTS}?group=1")).await.refused(403, "permission_denied");
    bob.get(PRESENCE).await.refused_field("users", "required");
    for (users, code) in [("x", "invalid"), ("1,,2", "invalid"), ("0", "out_of_range"), ("1,-2", "out_of_range")] {
        bob.get(&format!("{PRESENCE}?users={users}")).await.refused_field("users", code);
    }
    let many: Vec<String> = (1..=101).map(|id| id.to_string()).collect();
    bob.get(&format!("{PRESENCE}?users={}", many.join(","))).await.refused_field("users", "too_many");
}
