//! Sending with an `Idempotency-Key`: however often and whenever a send is repeated, it happens once and answers the same.

use parlour_testkit::{Answer, Member, TestServer, both_databases, texts};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

const PM: &str = "/api/v2/pm/";

async fn send_with_key(sender: &Member, key: &str, body: Value) -> Answer {
    sender.send_request(sender.request(Method::POST, PM).header("Idempotency-Key", key).json(&body)).await
}

fn to(recipients: &[&Member], text: &str) -> Value {
    let recipients: Vec<i64> = recipients.iter().map(|recipient| recipient.id).collect();
    json!({ "recipients": recipients, "message": text, "file_uuid": null })
}

#[track_caller]
fn assert_first(answer: &Answer) {
    answer.expect(201);
    assert_eq!(answer.headers.get("idempotency-replayed"), None, "{} is no repeat", answer.asked);
}

/// `repeat` is recognised as a repeat of `first` and answers the same to the byte.
#[track_caller]
fn assert_replays(repeat: &Answer, first: &Answer) {
    assert_eq!(repeat.status, first.status, "{} answered {}", repeat.asked, repeat.text);
    assert_eq!(repeat.header("idempotency-replayed"), "true", "the repeat says so");
    assert_eq!(repeat.text, first.text, "byte for byte");
    assert_eq!(repeat.header("content-type"), first.header("content-type"));
}

/// Ann (1), Bob (2), Cyd (3) and Dan (4), who all follow each other.
async fn four_friends(server: &TestServer) -> [Member; 4] {
    let (ann, bob) = server.ann_and_bob().await;
    let (cyd, dan) = (server.member(3, "cyd").await, server.member(4, "dan").await);
    server.befriend(&[&ann, &bob, &cyd, &dan]).await;
    [ann, bob, cyd, dan]
}

#[both_databases]
async fn a_repeat_sends_nothing_and_answers_the_same_bytes() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = send_with_key(&ann, "k-1", to(&[&bob], "once")).await;
    assert_first(&first);
    for _ in 0..3 {
        assert_replays(&send_with_key(&ann, "k-1", to(&[&bob], "once")).await, &first);
    }
    let form = ann
        .request(Method::POST, PM)
        .header("Idempotency-Key", "k-1")
        .form(&[("recipients", "2"), ("message", "once")]);
    assert_replays(&ann.send_request(form).await, &first);
    assert_eq!(texts(&bob.thread_with(&ann, "").await), ["once"]);
    assert_eq!(bob.get("/api/v2/user/me/").await.expect(200)["unseen_interactions_counter"], 0);
    assert_first(&ann.try_send(&bob, "once").await);
    assert_first(&send_with_key(&ann, "K-1", to(&[&bob], "once")).await);
    assert_eq!(bob.thread_with(&ann, "").await["count"], 3, "without the key and under another one it is another send");
}

#[both_databases]
async fn a_repeat_marks_nothing_unread_again_and_moves_no_conversation() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, _] = four_friends(&server).await;
    let first = send_with_key(&ann, "k", to(&[&bob], "once")).await;
    bob.thread_with(&ann, "").await;
    server.advance(Duration::from_secs(60));
    cyd.send(&bob, "newer").await;
    let before = bob.inbox().await;
    server.advance(Duration::from_secs(60));
    assert_replays(&send_with_key(&ann, "k", to(&[&bob], "once")).await, &first);
    assert_eq!(bob.inbox().await, before);
}

#[both_databases]
async fn a_repeat_is_recognised_after_a_restart() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = send_with_key(&ann, "k", to(&[&bob], "once")).await;
    server.restart().await;
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    assert_replays(&send_with_key(&ann, "k", to(&[&bob], "once")).await, &first);
    assert_eq!(bob.thread_with(&ann, "").await["count"], 1);
    send_with_key(&ann, "k", to(&[&bob], "other")).await.refused(422, "idempotency_key_reused");
}

#[both_databases]
async fn a_repeat_is_recognised_years_and_many_messages_later() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = send_with_key(&ann, "k", to(&[&bob], "once")).await;
    ann.send_many(&bob, 30).await;
    bob.send_many(&ann, 30).await;
    server.advance(Duration::from_secs(5 * 365 * 24 * 3600));
    send_with_key(&ann, "k", to(&[&bob], "once")).await.refused(401, "token_not_valid");
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    assert_replays(&send_with_key(&ann, "k", to(&[&bob], "once")).await, &first);
    server.restart().await;
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    assert_replays(&send_with_key(&ann, "k", to(&[&bob], "once")).await, &first);
    assert_eq!(bob.thread_with(&ann, "").await["count"], 61);
}

#[both_databases]
async fn a_repeat_is_recognised_when_a_new_send_would_be_refused() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = send_with_key(&ann, "k", to(&[&bob], "once")).await;
    let repeat = async || send_with_key(&ann, "k", to(&[&bob], "once")).await;
    bob.post("/api/v2/user/1/hide/", json!({})).await.expect(204);
    ann.try_send(&bob, "new").await.refused(403, "permission_denied");
    assert_replays(&repeat().await, &first);
    bob.post("/api/v2/user/1/hide/", json!({})).await.expect(204);
    ann.delete("/api/v2/pm/?user=2").await.expect(204);
    assert_replays(&repeat().await, &first);
    assert_eq!(ann.inbox().await["count"], 0, "a repeat brings no deleted thread back");
    assert_eq!(bob.thread_with(&ann, "").await["count"], 1);
}

#[both_databases]
async fn a_repeat_is_the_same_to_the_byte_after_the_recipient_unfollowed() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = send_with_key(&ann, "k", to(&[&bob], "once")).await;
    bob.post("/api/v2/user/1/follow/", json!({})).await.expect(204);
    ann.try_send(&bob, "new").await.refused(403, "permission_denied");
    let repeat = send_with_key(&ann, "k", to(&[&bob], "once")).await;
    assert_eq!(repeat.expect(201)[0]["id"], first.json()[0]["id"]);
    assert_eq!(bob.thread_with(&ann, "").await["count"], 1);
    assert_replays(&repeat, &first);
}

#[both_databases]
async fn ten_sends_at_once_under_one_key_make_one_message() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, _] = four_friends(&server).await;
    let mut sends = JoinSet::new();
    for _ in 0..10 {
        let (ann, body) = (ann.clone(), to(&[&bob, &cyd], "once"));
        sends.spawn(async move { send_with_key(&ann, "k", body).await });
    }
    let answers = sends.join_all().await;
    let (repeats, firsts): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.headers.contains_key("idempotency-replayed"));
    assert_eq!((firsts.len(), repeats.len()), (1, 9));
    assert_first(firsts[0]);
    for repeat in repeats {
        assert_replays(repeat, firsts[0]);
    }
    for friend in [&bob, &cyd] {
        assert_eq!(texts(&friend.thread_with(&ann, "").await), ["once"]);
    }
}

#[both_databases]
async fn ten_different_sends_at_once_under_one_key_make_one_message() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut sends = JoinSet::new();
    for n in 0..10 {
        let (ann, body) = (ann.clone(), to(&[&bob], &format!("text {n}")));
        sends.spawn(async move { send_with_key(&ann, "k", body).await });
    }
    let answers = sends.join_all().await;
    let (sent, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((sent.len(), refused.len()), (1, 9));
    refused.iter().for_each(|answer| answer.refused(422, "idempotency_key_reused"));
    assert_first(sent[0]);
    assert_eq!(texts(&bob.thread_with(&ann, "").await), [sent[0].json()[0]["message"].as_str().unwrap()]);
}

#[both_databases]
async fn a_key_is_its_sender_s_own() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, _] = four_friends(&server).await;
    let from_ann = send_with_key(&ann, "k", to(&[&cyd], "hello")).await;
    let from_bob = send_with_key(&bob, "k", to(&[&cyd], "hello")).await;
    let other_body = send_with_key(&cyd, "k", to(&[&ann], "another text")).await;
    for answer in [&from_ann, &from_bob, &other_body] {
        assert_first(answer);
    }
    assert_ne!(from_ann.json()[0]["id"], from_bob.json()[0]["id"]);
    assert_replays(&send_with_key(&ann, "k", to(&[&cyd], "hello")).await, &from_ann);
    assert_replays(&send_with_key(&bob, "k", to(&[&cyd], "hello")).await, &from_bob);
    assert_eq!(texts(&cyd.thread_with(&bob, "").await), ["hello"]);
    assert_eq!(texts(&cyd.thread_with(&ann, "").await), ["hello", "another text"]);
}

#[both_databases]
async fn a_key_used_for_something_else_sends_nothing() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, dan] = four_friends(&server).await;
    let first = send_with_key(&ann, "k", to(&[&bob, &cyd], "hello there")).await;
    assert_first(&first);
    let others = [
        to(&[&bob, &cyd], "hello  there"),
        to(&[&bob, &cyd], "hello there "),
        to(&[&bob, &cyd], " hello there"),
        to(&[&bob, &cyd], "hello there\n"),
        to(&[&bob, &cyd], "hello\u{a0}there"),
        to(&[&bob, &cyd], "Hello there"),
        to(&[&bob], "hello there"),
        to(&[&cyd, &bob], "hello there"),
        to(&[&bob, &cyd, &dan], "hello there"),
        to(&[&dan], "hello there"),
    ];
    for body in others {
        let answer = send_with_key(&ann, "k", body).await;
        answer.refused(422, "idempotency_key_reused");
        assert_eq!(answer.headers.get("idempotency-replayed"), None);
    }
    assert_eq!(texts(&bob.thread_with(&ann, "").await), ["hello there"]);
    assert_eq!(texts(&cyd.thread_with(&ann, "").await), ["hello there"]);
    assert_eq!(dan.inbox().await["count"], 0);
    assert_replays(&send_with_key(&ann, "k", to(&[&bob, &cyd], "hello there")).await, &first);
}

#[both_databases]
async fn a_key_covers_every_message_of_a_send_to_three() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, dan] = four_friends(&server).await;
    let everybody = [&dan, &bob, &cyd];
    let first = send_with_key(&ann, "k", to(&everybody, "to all")).await;
    assert_first(&first);
    let sent = first.json();
    let receivers: Vec<_> = sent.as_array().unwrap().iter().map(|message| &message["receiver"]["id"]).collect();
    assert_eq!(receivers, [dan.id, bob.id, cyd.id]);
    ann.send(&bob, "more").await;
    assert_replays(&send_with_key(&ann, "k", to(&everybody, "to all")).await, &first);
    assert_eq!(texts(&bob.thread_with(&ann, "").await), ["to all", "more"]);
    for friend in [&dan, &cyd] {
        assert_eq!(texts(&friend.thread_with(&ann, "").await), ["to all"]);
    }
}

#[both_databases]
async fn a_refused_send_leaves_its_key_free() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.member(1, "ann").await, server.member(2, "bob").await);
    send_with_key(&ann, "k", to(&[&bob], "")).await.refused_field("message", "required");
    send_with_key(&ann, "k", to(&[], "hello")).await.refused_field("recipients", "required");
    let unknown = json!({ "recipients": [404], "message": "hello" });
    send_with_key(&ann, "k", unknown).await.refused_field("recipients", "does_not_exist");
    send_with_key(&ann, "k", to(&[&bob], "hello")).await.refused(403, "permission_denied");
    send_with_key(&ann, "k", json!({ "group": 4, "message": "hello" })).await.refused(403, "permission_denied");
    server.befriend(&[&ann, &bob]).await;
    let first = send_with_key(&ann, "k", to(&[&bob], "hello")).await;
    assert_first(&first);
    assert_replays(&send_with_key(&ann, "k", to(&[&bob], "hello")).await, &first);
    assert_eq!(texts(&bob.thread_with(&ann, "").await), ["hello"]);
}

#[both_databases]
async fn a_malformed_key_is_refused_by_the_name_of_its_header() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let too_long = "k".repeat(256);
    let malformed: [&[u8]; 6] =
        [b"", too_long.as_bytes(), b"two words", b"tab\tbed", "schlüssel".as_bytes(), b"\xff\xfe"];
    for key in malformed {
        let key = HeaderValue::from_bytes(key).unwrap();
        let request = ann.request(Method::POST, PM).header("Idempotency-Key", key).json(&to(&[&bob], "hello"));
        ann.send_request(request).await.refused_field("Idempotency-Key", "invalid");
    }
    for (one, other) in [("k", "k"), ("k", "l"), ("", "k")] {
        let request = ann.request(Method::POST, PM).header("Idempotency-Key", one).header("Idempotency-Key", other);
        let answer = ann.send_request(request.json(&to(&[&bob], "hello"))).await;
        answer.refused_field("Idempotency-Key", "repeated");
    }
    assert_eq!(bob.inbox().await["count"], 0);
}

#[both_databases]
async fn every_visible_ascii_character_may_stand_in_a_key() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let every: String = ('!'..='~').collect();
    for key in [&*every, &"k".repeat(255), "1", "a,b;c=\"d\""] {
        let first = send_with_key(&ann, key, to(&[&bob], "hello")).await;
        assert_first(&first);
        assert_replays(&send_with_key(&ann, key, to(&[&bob], "hello")).await, &first);
    }
    assert_eq!(bob.thread_with(&ann, "").await["count"], 4);
}

#[both_databases]
async fn a_repeat_of_what_was_taken_back_brings_no_text_back() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    for (age, status, text) in [(61, "hidden", "Message delete"), (5, "deleted", "")] {
        let key = format!("k-{age}");
        let first = send_with_key(&ann, &key, to(&[&bob], "a secret")).await;
        let id = first.json()[0]["id"].clone();
        server.advance(Duration::from_secs(age));
        ann.delete_message(&id).await;
        let repeat = send_with_key(&ann, &key, to(&[&bob], "a secret")).await;
        let message = repeat.expect(201)[0].clone();
        assert_eq!(repeat.header("idempotency-replayed"), "true");
        assert_eq!((&message["id"], &message["status"]), (&id, &json!(status)));
        assert_eq!((&message["message"], &message["headline"]), (&json!(text), &json!(text)));
        assert!(!repeat.text.contains("a secret"), "{}", repeat.text);
    }
    assert_eq!(texts(&bob.thread_with(&ann, "").await), ["Message delete"], "and sends nothing again");
}

/// Limits are of the day; the answer to a send is for ever.
#[both_databases]
async fn a_repeat_is_recognised_after_the_limits_were_lowered() {
    let mut server = TestServer::start().await;
    let [ann, bob, carla, _] = four_friends(&server).await;
    let body = to(&[&bob, &carla], &"long ".repeat(20));
    let first = send_with_key(&ann, "k", body.clone()).await;
    assert_first(&first);
    server.restart_with(|config| (config.messages.max_chars, config.messages.max_recipients) = (10, 1)).await;
    let ann = server.sign_in(ann.id, "ann");
    assert_replays(&send_with_key(&ann, "k", body.clone()).await, &first);
    send_with_key(&ann, "another", body).await.refused_field("message", "max_length");
}
