//! The black-box checks of the contract's appendix B that this release answers for, each test under the number of its check.

use parlour_testkit::{Answer, Member, TestServer, both_databases, ids, texts, user_id};
use reqwest::{Method, Url, multipart};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Ann (1), Bob (2) and Cyd (3), who all follow each other.
async fn three_friends(server: &TestServer) -> (Member, Member, Member) {
    let (ann, bob) = server.ann_and_bob().await;
    let cyd = server.member(3, "cyd").await;
    server.befriend(&[&ann, &bob, &cyd]).await;
    (ann, bob, cyd)
}

/// The link to older messages as the official UI makes it out of `next`: by the page's first id instead of by `offset`.
pub(crate) fn rewritten_next(page: &Value) -> String {
    let mut url = Url::parse(page["next"].as_str().expect("a next link")).expect("an absolute address");
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.retain(|(name, _)| name != "offset" && name != "before_message");
    query.push(("before_message".into(), page["results"][0]["id"].to_string()));
    url.query_pairs_mut().clear().extend_pairs(query);
    url.into()
}

/// The member's only conversation, as the list shows it.
async fn only_snippet(member: &Member) -> Value {
    let inbox = member.inbox().await;
    assert_eq!((&inbox["count"], inbox["results"].as_array().unwrap().len()), (&json!(1), 1), "{inbox}");
    inbox["results"][0].clone()
}

async fn assert_no_conversation(member: &Member) {
    let inbox = member.inbox().await;
    assert_eq!(
        (&inbox["count"], &inbox["results"]),
        (&json!(0), &json!([])),
        "{} has no conversation",
        member.username
    );
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[both_databases]
async fn b02_an_expired_token_opens_nothing_and_does_no_harm_where_none_is_needed() {
    let server = TestServer::start().await;
    let (_, bob) = server.ann_and_bob().await;
    let token = server.app.auth.issue(user_id(1), server.now(), Duration::from_secs(10));
    let ann = server.visitor_with(&token);
    server.advance(Duration::from_micros(9_999_999));
    ann.get("/api/v2/pm/").await.expect(200);
    server.advance(Duration::from_micros(1));
    for path in ["/api/v2/pm/", "/api/v2/pm/?user=2", "/api/v2/pm/7/", "/api/v2/pm/search/?user=b"] {
        let answer = ann.get(path).await;
        answer.refused(401, "token_not_valid");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"", "{path}");
    }
    ann.delete("/api/v2/pm/?user=2").await.refused(401, "token_not_valid");
    ann.post("/api/v2/pm/", json!({ "recipients": [2], "message": "late" })).await.refused(401, "token_not_valid");
    assert_no_conversation(&bob).await;
    let verify = async |token: &str| ann.post("/api/v2/jwt/verify_token/", json!({ "token": token })).await;
    assert_eq!(verify(bob.token().unwrap()).await.expect(200), json!({}));
    verify(&token).await.refused(401, "token_not_valid");
}

#[both_databases]
async fn b03_a_user_never_contacted_gives_an_empty_page_and_opens_nothing() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let stranger = server.member(3, "cyd").await;
    let empty = json!({ "count": 0, "next": null, "previous": null, "results": [] });
    assert_eq!(ann.thread_with(&bob, "&limit=10").await, empty);
    assert_eq!(ann.thread_with(&bob, "&limit=10").await, empty, "the UI asks twice");
    assert_eq!(ann.thread_with(&stranger, "&limit=10").await, empty, "whether or not she may write");
    assert_eq!(ann.thread_with(&ann, "&limit=10").await, empty, "even herself");
    assert_eq!(ann.thread_with(&bob, "&before_message=7&from_message=3").await, empty);
    assert_no_conversation(&ann).await;
    assert_no_conversation(&bob).await;
    ann.get("/api/v2/pm/?user=404&limit=10").await.refused(404, "not_found");
}

#[both_databases]
async fn b04_the_links_as_the_ui_rewrites_them_lead_from_the_newest_to_the_oldest() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send_many(&bob, 25).await;
    assert!(sent.is_sorted(), "ids grow with time");
    let first = bob.thread_with(&ann, "&limit=10").await;
    assert_eq!(ids(&first), sent[15..]);
    assert_eq!((&first["count"], &first["previous"]), (&json!(25), &Value::Null));
    assert_eq!(first["next"], server.url("/api/v2/pm/?limit=10&offset=10&user=1"));
    let second = bob.get(&rewritten_next(&first)).await.expect(200);
    assert_eq!(ids(&second), sent[5..15]);
    assert_eq!(second["count"], 15, "what is older than the first page");
    let third = bob.get(&rewritten_next(&second)).await.expect(200);
    assert_eq!(ids(&third), sent[..5]);
    assert_eq!((&third["count"], &third["next"]), (&json!(5), &Value::Null));
    let verbatim = bob.get(first["next"].as_str().unwrap()).await.expect(200);
    assert_eq!(ids(&verbatim), sent[5..15], "the link as it stands leads to the same rows");
    assert_eq!(bob.thread_with(&ann, "&limit=25").await["next"], Value::Null, "nothing is left beyond a full page");
    let offered: Vec<String> = texts(&first).into_iter().map(str::to_owned).collect();
    assert_eq!(offered, (16..=25).map(|n| format!("message {n}")).collect::<Vec<_>>());
}

#[both_databases]
async fn b05_messages_sent_between_the_pages_shift_nothing() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send_many(&bob, 25).await;
    let first = bob.thread_with(&ann, "&limit=10").await;
    ann.send(&bob, "meanwhile").await;
    bob.send(&ann, "me too").await;
    let second = bob.get(&rewritten_next(&first)).await.expect(200);
    assert_eq!((ids(&second), &second["count"]), (sent[5..15].to_vec(), &json!(15)));
    ann.send(&bob, "and again").await;
    let third = bob.get(&rewritten_next(&second)).await.expect(200);
    assert_eq!((ids(&third), &third["next"]), (sent[..5].to_vec(), &Value::Null));
    assert_eq!(texts(&bob.thread_with(&ann, "&limit=3").await), ["meanwhile", "me too", "and again"]);
}

#[both_databases]
async fn b06_before_message_leaves_its_message_out_and_from_message_takes_it_in() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send_many(&bob, 8).await;
    let thread = &only_snippet(&bob).await["id"];
    for selector in [format!("user={}", ann.id), format!("thread={thread}")] {
        let page = async |range: String| ids(&bob.get(&format!("/api/v2/pm/?{selector}{range}")).await.expect(200));
        assert_eq!(page(format!("&before_message={}", sent[3])).await, sent[..3]);
        assert_eq!(page(format!("&from_message={}", sent[3])).await, sent[3..]);
        assert_eq!(page(format!("&from_message={}&before_message={}", sent[3], sent[6])).await, sent[3..6]);
        assert_eq!(page(format!("&from_message={0}&before_message={0}", sent[3])).await, [0; 0]);
        assert_eq!(page(format!("&from_message={}&limit=2", sent[3])).await, sent[6..]);
        assert_eq!(page(format!("&before_message={}&limit=2", sent[3])).await, sent[1..3]);
        assert_eq!(page(format!("&before_message={}&limit=2&offset=2", sent[3])).await, sent[..1]);
    }
    bob.get(&format!("/api/v2/pm/?before_message={}", sent[3])).await.refused_field("before_message", "invalid");
    bob.get(&format!("/api/v2/pm/?from_message={}", sent[3])).await.refused_field("from_message", "invalid");
}

#[both_databases]
async fn b07_a_message_has_the_same_thirteen_fields_wherever_it_appears() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send(&bob, "Hello").await;
    server.advance(Duration::from_secs(30));
    let answer = bob.send(&ann, "Hi").await;
    let row = bob.thread_with(&ann, "").await["results"][0].clone();
    let single = bob.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200);
    let fields = "id thread_id sender sender_id receiver group message created_at status file headline last_message_at \
                  thread_status";
    for message in [&sent, &row, &single] {
        assert_eq!(keys(message), fields.split_whitespace().collect(), "{message}");
        assert_eq!(message["id"], sent["id"]);
        assert!(message["id"].is_i64() && message["thread_id"].is_i64(), "ids are numbers");
        assert_eq!(message["thread_id"], answer["thread_id"]);
        assert_eq!((&message["sender"]["id"], &message["sender_id"]), (&json!(ann.id), &json!(ann.id)));
        assert_eq!(message["receiver"]["id"], bob.id);
        assert_eq!((&message["group"], &message["file"]), (&Value::Null, &Value::Null));
        assert_eq!((&message["message"], &message["headline"]), (&json!("Hello"), &json!("Hello")));
        assert_eq!((&message["status"], &message["thread_status"]), (&json!("created"), &json!("seen")));
        assert_eq!(message["created_at"], "2026-11-23T12:00:00.000000+00:00");
    }
    assert_eq!(sent["last_message_at"], sent["created_at"]);
    assert_eq!((&row["last_message_at"], &single["last_message_at"]), (&answer["created_at"], &answer["created_at"]));
    for person in ["sender", "receiver"] {
        let user = bob.get(&format!("/api/v2/user/{}/", row[person]["id"])).await.expect(200);
        let mut embedded = keys(&row[person]);
        embedded.extend(["can_send_pm_to", "connection_status"]);
        assert_eq!(keys(&user), embedded, "the {person} is a whole user");
    }
}

#[both_databases]
async fn b08_reading_a_thread_marks_it_seen_for_the_reader_alone() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let state = async |member: &Member| {
        let snippet = only_snippet(member).await;
        (snippet["thread_status"].as_str().unwrap().to_owned(), snippet["unread_count"].as_i64().unwrap())
    };
    let (new, seen) = (|count: i64| ("new".to_owned(), count), ("seen".to_owned(), 0));
    let sent = ann.send_many(&bob, 3).await;
    assert_eq!((state(&ann).await, state(&bob).await), (seen.clone(), new(3)));
    let single = bob.get(&format!("/api/v2/pm/{}/", sent[2])).await.expect(200);
    assert_eq!(single["thread_status"], "new", "one message is asked for, the thread is not opened");
    ann.thread_with(&bob, "").await;
    assert_eq!(state(&bob).await, new(3), "lists, single messages and Ann's reading leave Bob's state alone");
    let page = bob.thread_with(&ann, "&limit=1").await;
    assert_eq!(page["results"][0]["thread_status"], "seen");
    assert_eq!((state(&ann).await, state(&bob).await), (seen.clone(), seen.clone()), "one page marks the whole thread");
    bob.send(&ann, "answer").await;
    bob.thread_with(&ann, "").await;
    assert_eq!((state(&ann).await, state(&bob).await), (new(1), seen.clone()));
    ann.thread_with(&bob, &format!("&before_message={}", sent[1])).await;
    assert_eq!(state(&ann).await, seen, "an older page marks the whole thread too");
}

#[both_databases]
async fn b09_a_message_to_two_goes_into_two_threads_in_the_order_given() {
    let server = TestServer::start().await;
    let (ann, bob, cyd) = three_friends(&server).await;
    for (recipients, receivers) in [([cyd.id, bob.id], [&cyd, &bob]), ([bob.id, cyd.id], [&bob, &cyd])] {
        let body = json!({ "recipients": recipients, "message": "x", "file_uuid": null });
        let sent = ann.post("/api/v2/pm/", body).await.expect(201);
        assert_eq!(sent.as_array().unwrap().len(), 2);
        for (message, receiver) in sent.as_array().unwrap().iter().zip(receivers) {
            assert_eq!(message["receiver"]["id"], receiver.id);
            assert_eq!(message["receiver"]["username"], receiver.username);
            assert_eq!((&message["sender"]["id"], &message["message"]), (&json!(ann.id), &json!("x")));
            assert_eq!(only_snippet(receiver).await["id"], message["thread_id"]);
        }
        assert_ne!(sent[0]["thread_id"], sent[1]["thread_id"]);
        assert_ne!(sent[0]["id"], sent[1]["id"]);
    }
    let twice = json!({ "recipients": [bob.id, cyd.id, bob.id], "message": "y" });
    let sent = ann.post("/api/v2/pm/", twice).await.expect(201);
    let receivers: Vec<_> = sent.as_array().unwrap().iter().map(|message| &message["receiver"]["id"]).collect();
    assert_eq!(receivers, [bob.id, cyd.id], "a recipient named twice gets one message");
    assert_eq!(texts(&bob.thread_with(&ann, "").await), ["x", "x", "y"]);
}

/// What was answered to a send, without what differs between two sends of the same.
fn sent_without_ids(answer: &Answer) -> Value {
    let mut sent = answer.expect(201);
    for message in sent.as_array_mut().unwrap() {
        assert!(message["id"].take().is_i64());
    }
    sent
}

#[both_databases]
async fn b10_one_recipient_may_be_given_in_every_encoding() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let expected = sent_without_ids(&ann.try_send(&bob, "x").await);
    let json = ann.post("/api/v2/pm/", json!({ "recipients": bob.id, "message": "x" })).await;
    assert_eq!(sent_without_ids(&json), expected, "a JSON number");
    let forms = [
        "recipients=2&message=x",
        "recipients=2&message=x&file_uuid=&group=",
        "recipients[]=2&message=x",
        "recipients%5B%5D=2&message=x",
        "recipients[0]=2&message=x",
        "recipients=[2]&message=x",
        "message=%78&recipients=%5B%202%20%5D",
    ];
    for form in forms {
        let answer = ann.post_raw("/api/v2/pm/", "application/x-www-form-urlencoded", form).await;
        assert_eq!(sent_without_ids(&answer), expected, "{form}");
    }
    for name in ["recipients", "recipients[]", "recipients[0]"] {
        let form = multipart::Form::new().text(name, "2").text("message", "x");
        let answer = ann.send_request(ann.request(Method::POST, "/api/v2/pm/").multipart(form)).await;
        assert_eq!(sent_without_ids(&answer), expected, "multipart {name}");
    }
    assert_eq!(bob.thread_with(&ann, "").await["count"], 12);
}

#[both_databases]
async fn b10_several_recipients_may_be_given_in_every_encoding() {
    let server = TestServer::start().await;
    let (ann, bob, cyd) = three_friends(&server).await;
    let both = json!({ "recipients": [bob.id, cyd.id], "message": "a b" });
    let expected = sent_without_ids(&ann.post("/api/v2/pm/", both).await);
    let forms = [
        "recipients=2&recipients=3&message=a+b",
        "recipients=2&message=a%20b&recipients=3",
        "recipients[]=2&recipients[]=3&message=a+b",
        "recipients%5B0%5D=2&recipients%5B1%5D=3&message=a+b",
        "recipients=[2,3]&message=a+b",
        "recipients=%5B2%2C+3%5D&message=a+b",
    ];
    for form in forms {
        let answer = ann.post_raw("/api/v2/pm/", "application/x-www-form-urlencoded; charset=UTF-8", form).await;
        assert_eq!(sent_without_ids(&answer), expected, "{form}");
    }
    for names in [["recipients", "recipients"], ["recipients[]", "recipients[]"], ["recipients[0]", "recipients[1]"]] {
        let form = multipart::Form::new().text(names[0], "2").text(names[1], "3").text("message", "a b");
        let answer = ann.send_request(ann.request(Method::POST, "/api/v2/pm/").multipart(form)).await;
        assert_eq!(sent_without_ids(&answer), expected, "multipart {names:?}");
    }
    let form = multipart::Form::new().text("recipients", "[2,3]").text("message", "a b");
    let answer = ann.send_request(ann.request(Method::POST, "/api/v2/pm/").multipart(form)).await;
    assert_eq!(sent_without_ids(&answer), expected, "multipart with a JSON array as text");
    assert_eq!(cyd.thread_with(&ann, "").await["count"], 11);
}

#[both_databases]
async fn b11_a_send_without_text_or_recipients_is_refused_by_the_name_of_the_field() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let refusals = [
        (json!({ "recipients": [2], "message": "", "file_uuid": null }), "message", "required"),
        (json!({ "recipients": [2], "message": null, "file_uuid": "" }), "message", "required"),
        (json!({ "recipients": [2] }), "message", "required"),
        (json!({ "recipients": [2], "message": " \n\t " }), "message", "blank"),
        (json!({ "recipients": [], "message": "x", "file_uuid": null }), "recipients", "required"),
        (json!({ "recipients": null, "message": "x" }), "recipients", "required"),
        (json!({ "message": "x" }), "recipients", "required"),
        (json!({ "recipients": [2, 2.5], "message": "x" }), "recipients", "invalid"),
        (json!({ "recipients": [2, "bob"], "message": "x" }), "recipients", "invalid"),
        (json!({ "recipients": [2, 404], "message": "x" }), "recipients", "does_not_exist"),
        (json!({ "recipients": [2, 1], "message": "x" }), "recipients", "invalid"),
        (json!({ "recipients": [2], "group": 4, "message": "x" }), "group", "conflict"),
        (json!({ "recipients": [2], "message": "", "file_uuid": "5ffbebd3" }), "file_uuid", "does_not_exist"),
    ];
    for (body, field, code) in refusals {
        let answer = ann.post("/api/v2/pm/", body.clone()).await;
        let expected = json!([{ "field": field, "messages": answer.json()["errors"][0]["messages"] }]);
        assert_eq!(answer.json()["errors"], expected, "{body}");
        answer.refused_field(field, code);
    }
    ann.post("/api/v2/pm/", json!({ "group": 4, "message": "x" })).await.refused(403, "permission_denied");
    assert_no_conversation(&ann).await;
    assert_no_conversation(&bob).await;
}

#[both_databases]
async fn b11_a_name_typed_freely_is_no_recipient() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let typed = async |recipients: Value| {
        ann.post("/api/v2/pm/", json!({ "recipients": recipients, "message": "x", "file_uuid": null })).await
    };
    let alone = typed(json!([null])).await;
    assert_eq!(alone.expect(400)["errors"][0]["field"], "recipients");
    let beside_bob = typed(json!([bob.id, null])).await;
    assert_eq!(beside_bob.expect(400)["errors"][0]["field"], "recipients", "a send reaches everybody or nobody");
    assert_no_conversation(&bob).await;
}

#[both_databases]
async fn b12_only_whom_the_recipient_follows_may_write() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.member(1, "ann").await, server.member(2, "bob").await);
    let cyd = server.member(3, "cyd").await;
    server.befriend(&[&ann, &cyd]).await;
    ann.try_send(&bob, "hello").await.refused(403, "permission_denied");
    ann.post("/api/v2/user/2/follow/", json!({})).await.expect(204);
    ann.try_send(&bob, "hello").await.refused(403, "permission_denied");
    let both = json!({ "recipients": [cyd.id, bob.id], "message": "hello" });
    ann.post("/api/v2/pm/", both).await.refused(403, "permission_denied");
    assert_no_conversation(&cyd).await;
    assert_no_conversation(&bob).await;
    bob.post("/api/v2/user/1/follow/", json!({})).await.expect(204);
    assert_eq!(ann.send(&bob, "hello").await["receiver"]["id"], bob.id);
    bob.post("/api/v2/user/1/follow/", json!({})).await.expect(204);
    ann.try_send(&bob, "still there?").await.refused(403, "permission_denied");
    assert_eq!(bob.send(&ann, "yes").await["receiver"]["id"], ann.id, "Ann follows Bob, so he may answer");
    assert_eq!(texts(&ann.thread_with(&bob, "").await), ["hello", "yes"], "reading needs no right to write");
}

#[both_databases]
async fn b13_the_blocked_cannot_send_and_the_deleted_cannot_be_written_to() {
    let server = TestServer::start().await;
    let (ann, bob, cyd) = three_friends(&server).await;
    bob.send(&ann, "before").await;
    server.upsert(json!({ "id": ann.id, "status": "b" })).await;
    ann.try_send(&bob, "let me in").await.refused(403, "permission_denied");
    assert_eq!(texts(&ann.thread_with(&bob, "").await), ["before"], "the blocked can read");
    bob.send(&ann, "to the blocked").await;
    server.upsert(json!({ "id": ann.id, "status": "a", "role": "admin" })).await;
    for status in ["d", "u"] {
        server.upsert(json!({ "id": bob.id, "status": status })).await;
        ann.try_send(&bob, "anybody?").await.refused_field("recipients", "does_not_exist");
        let both = json!({ "recipients": [cyd.id, bob.id], "message": "anybody?" });
        ann.post("/api/v2/pm/", both).await.refused_field("recipients", "does_not_exist");
        bob.get("/api/v2/pm/").await.refused(401, "authentication_failed");
        let thread = ann.thread_with(&bob, "").await;
        assert_eq!(texts(&thread), ["before", "to the blocked"], "what the deleted wrote can still be read");
        assert_eq!(thread["results"][0]["sender"]["deleted"], true);
    }
    assert_no_conversation(&cyd).await;
    server.upsert(json!({ "id": bob.id, "status": "a" })).await;
    ann.send(&bob, "welcome back").await;
}

#[both_databases]
async fn b14_a_message_deleted_after_five_seconds_is_gone_for_both() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = ann.send(&bob, "first").await;
    server.advance(Duration::from_secs(10));
    let slip = ann.send(&bob, "slip").await;
    assert_eq!(only_snippet(&bob).await["unread_count"], 2);
    server.advance(Duration::from_secs(5));
    ann.delete_message(&slip["id"]).await;
    for (member, other) in [(&ann, &bob), (&bob, &ann)] {
        let snippet = only_snippet(member).await;
        assert_eq!((&snippet["headline"], &snippet["message"]), (&json!("first"), &json!("first")));
        assert_eq!(snippet["last_message_at"], first["created_at"], "the activity falls back too");
        assert_eq!(snippet["unread_count"], i64::from(member.id == bob.id));
        let thread = member.thread_with(other, "").await;
        assert_eq!((ids(&thread), &thread["count"]), (vec![first["id"].as_i64().unwrap()], &json!(1)));
        assert_eq!(thread["results"][0]["last_message_at"], first["created_at"]);
    }
    let path = format!("/api/v2/pm/{}/", slip["id"]);
    let gone = ann.get(&path).await.expect(200);
    assert_eq!((&gone["status"], &gone["message"], &gone["headline"]), (&json!("deleted"), &json!(""), &json!("")));
    assert_eq!(gone["file"], Value::Null);
    bob.get(&path).await.refused(404, "not_found");
    ann.delete(&path).await.refused(404, "not_found");
}

#[both_databases]
async fn b14_a_message_taken_back_after_61_seconds_leaves_its_row_without_its_text() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "first").await;
    let regret = ann.send(&bob, "regret").await;
    server.advance(Duration::from_secs(61));
    ann.delete_message(&regret["id"]).await;
    ann.delete_message(&regret["id"]).await;
    for (member, other) in [(&ann, &bob), (&bob, &ann)] {
        let snippet = only_snippet(member).await;
        assert_eq!(snippet["headline"], "Message delete");
        assert_eq!(snippet["message"], "Message delete");
        assert_eq!(snippet["last_message_at"], regret["created_at"]);
        assert_eq!(snippet["unread_count"], 2 * i64::from(member.id == bob.id), "the row still counts");
        let thread = member.thread_with(other, "").await;
        let single = member.get(&format!("/api/v2/pm/{}/", regret["id"])).await.expect(200);
        assert_eq!(texts(&thread), ["first", "Message delete"]);
        for row in [&thread["results"][1], &single] {
            assert_eq!(row["id"], regret["id"]);
            assert_eq!((&row["status"], &row["file"]), (&json!("hidden"), &Value::Null));
            assert_eq!((&row["message"], &row["headline"]), (&json!("Message delete"), &json!("Message delete")));
            assert_eq!(row["created_at"], regret["created_at"]);
            assert!(!row.to_string().contains("regret"));
        }
    }
}

#[both_databases]
async fn b14_a_message_is_deleted_until_its_60th_second_and_hidden_from_there_on() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let early = ann.send(&bob, "early").await;
    server.advance(Duration::from_micros(59_999_999));
    ann.delete_message(&early["id"]).await;
    assert_eq!(bob.thread_with(&ann, "").await["count"], 0, "a microsecond before the minute is over");
    let late = ann.send(&bob, "late").await;
    server.advance(Duration::from_secs(60));
    ann.delete_message(&late["id"]).await;
    let thread = bob.thread_with(&ann, "").await;
    assert_eq!((texts(&thread), &thread["results"][0]["status"]), (vec!["Message delete"], &json!("hidden")));
}

#[both_databases]
async fn b15_nobody_but_its_sender_takes_a_message_back() {
    let server = TestServer::start().await;
    let (ann, bob, cyd) = three_friends(&server).await;
    server.upsert(json!({ "id": cyd.id, "role": "admin" })).await;
    let sent = ann.send(&bob, "mine").await;
    let path = format!("/api/v2/pm/{}/", sent["id"]);
    for age in [5, 61] {
        server.advance(Duration::from_secs(age));
        bob.delete(&path).await.refused(403, "permission_denied");
        cyd.delete(&path).await.refused(404, "not_found");
    }
    let thread = bob.thread_with(&ann, "").await;
    assert_eq!((texts(&thread), &thread["results"][0]["status"]), (vec!["mine"], &json!("created")));
    ann.delete("/api/v2/pm/404/").await.refused(404, "not_found");
}

/// After Ann deleted her thread with Bob, of `sent` messages: it is gone for her, Bob keeps it, and his next message brings it back.
async fn assert_deleted_for_ann_alone((ann, bob): (&Member, &Member), thread: &Value, sent: &[i64]) {
    assert_no_conversation(ann).await;
    let empty = json!({ "count": 0, "next": null, "previous": null, "results": [] });
    assert_eq!(ann.thread_with(bob, "").await, empty);
    assert_eq!(ann.get(&format!("/api/v2/pm/?thread={thread}")).await.expect(200), empty);
    ann.get(&format!("/api/v2/pm/{}/", sent[0])).await.refused(404, "not_found");
    assert_eq!(ann.get("/api/v2/user/me/").await.expect(200)["unseen_interactions_counter"], 0);
    assert_eq!(only_snippet(bob).await["id"], *thread);
    assert_eq!(ids(&bob.thread_with(ann, "").await), sent);
    bob.get(&format!("/api/v2/pm/{}/", sent[0])).await.expect(200);

    let news = bob.send(ann, "news").await;
    assert_eq!(news["thread_id"], *thread);
    let snippet = only_snippet(ann).await;
    assert_eq!((&snippet["id"], &snippet["headline"]), (thread, &json!("news")));
    assert_eq!((&snippet["thread_status"], &snippet["unread_count"]), (&json!("new"), &json!(1)));
    let page = ann.thread_with(bob, "&limit=1").await;
    assert_eq!((texts(&page), &page["count"], &page["next"]), (vec!["news"], &json!(1), &Value::Null));
    assert_eq!(bob.thread_with(ann, "").await["count"], sent.len() + 1);
}

#[both_databases]
async fn b16_a_thread_deleted_by_one_stays_with_the_other_and_returns_with_the_next_message() {
    let server = TestServer::start().await;
    let (ann, bob, cyd) = three_friends(&server).await;
    let mut sent = ann.send_many(&bob, 2).await;
    sent.extend(bob.send_many(&ann, 2).await);
    let thread = only_snippet(&ann).await["id"].clone();
    assert_eq!(ann.delete(&format!("/api/v2/pm/?user={}", bob.id)).await.expect(204), Value::Null);
    ann.delete(&format!("/api/v2/pm/?user={}", bob.id)).await.expect(204);
    assert_deleted_for_ann_alone((&ann, &bob), &thread, &sent).await;
    ann.delete(&format!("/api/v2/pm/?user={}", cyd.id)).await.expect(204);
    ann.delete("/api/v2/pm/?user=404").await.refused(404, "not_found");
    ann.delete("/api/v2/pm/?thread=404").await.refused(404, "not_found");
    cyd.delete(&format!("/api/v2/pm/?thread={thread}")).await.refused(404, "not_found");
    ann.delete("/api/v2/pm/?group=4").await.refused(403, "permission_denied");
    ann.delete("/api/v2/pm/").await.refused_field("thread", "required");
    ann.delete(&format!("/api/v2/pm/?thread={thread}")).await.expect(204);
    assert_no_conversation(&ann).await;
}

#[both_databases]
async fn b17_hide_deletes_the_thread_of_that_id_as_the_query_does() {
    for hide in ["1", "true", "yes"] {
        let server = TestServer::start().await;
        let (ann, bob, cyd) = three_friends(&server).await;
        let mut sent = ann.send_many(&bob, 2).await;
        sent.extend(bob.send_many(&ann, 2).await);
        let thread = only_snippet(&ann).await["id"].clone();
        cyd.delete(&format!("/api/v2/pm/{thread}/?hide={hide}")).await.refused(404, "not_found");
        ann.delete(&format!("/api/v2/pm/{}/?hide={hide}", sent[0])).await.refused(404, "not_found");
        ann.delete(&format!("/api/v2/pm/{thread}/")).await.refused(404, "not_found");
        ann.delete(&format!("/api/v2/pm/{thread}/?hide=0")).await.refused(404, "not_found");
        assert_eq!(ann.thread_with(&bob, "").await["count"], 4, "an id of one kind does nothing as the other kind");
        let answer = ann.delete(&format!("/api/v2/pm/{thread}/?hide={hide}")).await;
        assert_eq!(answer.expect(204), Value::Null);
        assert_deleted_for_ann_alone((&ann, &bob), &thread, &sent).await;
    }
}

#[both_databases]
async fn b25_a_search_finds_followers_for_members_and_everybody_for_a_role_and_never_oneself() {
    let server = TestServer::start().await;
    let ann = server.member(1, "abann").await;
    for (id, username, real_name) in
        [(2, "Abbot", ""), (3, "cyd", "Cyd Crabtree"), (4, "abel", ""), (5, "dan", ""), (6, "absent", "")]
    {
        server.upsert(json!({ "id": id, "username": username, "real_name": real_name })).await;
    }
    let follows: Vec<_> = [2, 3, 5, 6].map(|follower| json!({ "follower": follower, "followed": 1 })).into();
    server.backend().post("/api/v2/admin/follows/", json!({ "follows": follows })).await.expect(200);
    ann.post("/api/v2/user/4/follow/", json!({})).await.expect(204);
    server.upsert(json!({ "id": 6, "status": "d" })).await;
    let found = async |query: &str| ids(&ann.get(&format!("/api/v2/pm/search/{query}")).await.expect(200));
    assert_eq!(found("?user=ab").await, [2, 3], "followers by username or real name, in any case; nobody else");
    assert_eq!(found("?user=AB").await, [2, 3]);
    assert_eq!(found("?user=an").await, [5]);
    for empty in ["?user=", "?user=undefined", "", "?user=%20", "?user=zz"] {
        assert_eq!(found(empty).await, [0; 0], "{empty}");
    }
    ann.post("/api/v2/user/2/hide/", json!({})).await.expect(204);
    assert_eq!(found("?user=ab").await, [3], "nobody hidden");
    server.upsert(json!({ "id": 1, "role": "moderator" })).await;
    let mut everybody = found("?user=ab").await;
    everybody.sort_unstable();
    assert_eq!(everybody, [2, 3, 4], "a moderator finds all but herself and the deleted");
    let page = ann.get("/api/v2/pm/search/?user=ab&limit=2").await.expect(200);
    assert_eq!((&page["count"], page["results"].as_array().unwrap().len()), (&json!(3), 2));
    let rest = ann.get(page["next"].as_str().unwrap()).await.expect(200);
    let mut both = [ids(&page), ids(&rest)].concat();
    both.sort_unstable();
    assert_eq!((both, &rest["next"]), (vec![2, 3, 4], &Value::Null));
    server.visitor().get("/api/v2/pm/search/?user=ab").await.refused(401, "not_authenticated");
}

/// What a browser shows of escaped text.
fn unescape(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[both_databases]
async fn b26_markup_comes_back_inert_and_reads_as_typed() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let typed = [
        "<b>bold</b>",
        "<img src=x onerror=alert(1)>",
        "\"><script>alert('x')</script>",
        "&lt;b&gt; &amp;amp; & AT&T",
        "a < b > c\n\"quoted\" 'too' 🦀 \u{202e}",
    ];
    let long = format!("{}<i>&'\"</i>", "x".repeat(140));
    for text in typed.into_iter().chain([&*long]) {
        let sent = ann.send(&bob, text).await;
        let thread = bob.thread_with(&ann, "&limit=1").await;
        let single = bob.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200);
        let snippet = only_snippet(&bob).await;
        let shown: String = if text.len() <= 150 { text.into() } else { format!("{}…", &text[..149]) };
        for object in [&sent, &thread["results"][0], &single, &snippet] {
            let (message, headline) = (object["message"].as_str().unwrap(), object["headline"].as_str().unwrap());
            for html in [message, headline] {
                assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
            }
            assert_eq!((unescape(message), unescape(headline)), (text.to_owned(), shown.clone()));
        }
    }
}

#[both_databases]
async fn b26_an_excerpt_is_cut_between_characters_and_never_inside_an_escape() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    for (text, excerpt) in [
        ("<".repeat(150), "<".repeat(150)),
        ("&".repeat(151), format!("{}…", "&".repeat(149))),
        ("é".repeat(10_000), format!("{}…", "é".repeat(149))),
        ("🦀".repeat(150), "🦀".repeat(150)),
    ] {
        let sent = ann.send(&bob, &text).await;
        assert_eq!(unescape(sent["message"].as_str().unwrap()), text);
        assert_eq!(unescape(sent["headline"].as_str().unwrap()), excerpt);
        assert_eq!(only_snippet(&bob).await["headline"], sent["headline"]);
    }
}

#[both_databases]
async fn b27_what_javascript_makes_of_an_absent_value_counts_as_absent() {
    let server = TestServer::start().await;
    let (ann, bob, cyd) = three_friends(&server).await;
    ann.send_many(&cyd, 1).await;
    ann.send_many(&bob, 3).await;
    let thread = &only_snippet(&bob).await["id"];
    let plain = ann.get(&format!("/api/v2/pm/?thread={thread}")).await.expect(200);
    for rest in [
        "user=undefined",
        "user=null&group=undefined",
        "user=",
        "user",
        "&user=undefined&",
        "before_message=undefined&from_message=null",
        "limit=undefined&offset=null",
        "limit=&offset=",
        "user=3",
        "group=1",
        "user=3&group=1",
        "unknown=7",
    ] {
        let answer = ann.get(&format!("/api/v2/pm/?thread={thread}&{rest}")).await;
        assert_eq!(answer.expect(200), plain, "{rest}");
    }
    assert_eq!(ann.get("/api/v2/pm/?group=1&user=2").await.expect(200), plain, "a user goes before a group");
    let list = ann.inbox().await;
    assert_eq!(list["count"], 2);
    for query in ["?", "?thread=undefined&user=null&group=", "?limit=undefined", ""] {
        assert_eq!(ann.get(&format!("/api/v2/pm/{query}")).await.expect(200), list, "{query}");
    }
    assert_eq!(ann.get("/api/v2/user/hidden_users_id/?").await.expect(200), json!([]));
    ann.delete("/api/v2/pm/?thread=undefined&user=null").await.refused_field("thread", "required");
    ann.delete(&format!("/api/v2/pm/?thread=undefined&user={}&group=null", bob.id)).await.expect(204);
    assert_eq!(ann.inbox().await["count"], 1);
}

/// The bytes that the server answers to a request without a body, after which it closes the connection.
async fn raw_answer(server: &TestServer, member: &Member, method: &str, path: &str) -> String {
    let (address, token) = (server.address, member.token().unwrap());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    let exchange = move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    tokio::task::spawn_blocking(exchange).await.expect("an exchange")
}

#[both_databases]
async fn b30_answers_without_content_carry_no_bytes() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let (slip, regret) = (ann.send(&bob, "slip").await, ann.send(&bob, "regret").await);
    let thread = &slip["thread_id"];
    let young = vec![("DELETE", format!("/api/v2/pm/{}/", slip["id"]))];
    let old = vec![
        ("DELETE", format!("/api/v2/pm/{}/", regret["id"])),
        ("DELETE", format!("/api/v2/pm/{}/", regret["id"])),
        ("DELETE", "/api/v2/pm/?user=2".to_owned()),
        ("DELETE", format!("/api/v2/pm/?thread={thread}")),
        ("DELETE", format!("/api/v2/pm/{thread}/?hide=1")),
        ("POST", "/api/v2/user/2/follow/".to_owned()),
        ("POST", "/api/v2/user/2/hide/".to_owned()),
    ];
    for requests in [young, old] {
        for (method, path) in requests {
            let answer = raw_answer(&server, &ann, method, &path).await;
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            let head = head.to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 204 "), "{method} {path} answered {answer}");
            assert_eq!(body, "", "{method} {path}");
            for header in ["content-length", "transfer-encoding", "content-type"] {
                assert!(!head.contains(&format!("\r\n{header}:")), "{method} {path} answered {answer}");
            }
        }
        server.advance(Duration::from_secs(61));
    }
}
