//! The list of conversations: its order, its rows, its counts and its links.

use super::{ids_of_all, keys, walk};
use parlour_testkit::{Member, TestServer, both_databases, ids};
use serde_json::{Value, json};
use std::time::Duration;

/// Ann (1), Bob (2), Cyd (3) and Dan (4), who all follow each other.
async fn four_friends(server: &TestServer) -> [Member; 4] {
    let (ann, bob) = server.ann_and_bob().await;
    let (cyd, dan) = (server.member(3, "cyd").await, server.member(4, "dan").await);
    server.befriend(&[&ann, &bob, &cyd, &dan]).await;
    [ann, bob, cyd, dan]
}

/// With whom the member's conversations are, in the order of the list.
async fn partners(member: &Member) -> Vec<i64> {
    let inbox = member.inbox().await;
    let rows = inbox["results"].as_array().unwrap();
    assert_eq!(inbox["count"], rows.len());
    rows.iter()
        .map(|row| [&row["sender"]["id"], &row["receiver"]["id"]].map(|id| id.as_i64().unwrap()))
        .map(|[sender, receiver]| if sender == member.id { receiver } else { sender })
        .collect()
}

/// How many messages of the conversation with `other` the member has not seen, as the list says.
async fn unread(member: &Member, other: &Member) -> i64 {
    let inbox = member.inbox().await;
    let with_other = |row: &&Value| row["sender"]["id"] == other.id || row["receiver"]["id"] == other.id;
    let row = inbox["results"].as_array().unwrap().iter().find(with_other).expect("the conversation");
    let count = row["unread_count"].as_i64().unwrap();
    assert_eq!(row["thread_status"], if count > 0 { "new" } else { "seen" });
    count
}

#[both_databases]
async fn the_latest_activity_stands_first_and_a_tie_goes_to_the_younger_thread() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, dan] = four_friends(&server).await;
    for friend in [&cyd, &dan, &bob] {
        friend.send(&ann, "hello").await;
    }
    assert_eq!(partners(&ann).await, [2, 4, 3], "all at the same time: the thread begun last stands first");
    server.advance(Duration::from_micros(1));
    ann.send(&cyd, "hello yourself").await;
    assert_eq!(partners(&ann).await, [3, 2, 4], "what one writes oneself counts too");
    dan.send(&ann, "me too").await;
    assert_eq!(partners(&ann).await, [4, 3, 2], "Dan's thread is younger than Cyd's");
    bob.send(&ann, "and me").await;
    assert_eq!(partners(&ann).await, [2, 4, 3]);
    server.advance(Duration::from_secs(1));
    let slip = cyd.send(&ann, "slip").await;
    assert_eq!(partners(&ann).await, [3, 2, 4]);
    cyd.delete_message(&slip["id"]).await;
    assert_eq!(partners(&ann).await, [2, 4, 3], "a message taken back takes its place in the order along");
    ann.thread_with(&dan, "").await;
    assert_eq!(partners(&ann).await, [2, 4, 3], "reading moves nothing");
    let sent = ann.send(&dan, "regret").await;
    server.advance(Duration::from_secs(61));
    ann.delete_message(&sent["id"]).await;
    assert_eq!(partners(&ann).await, [4, 2, 3], "and neither does hiding");
}

#[both_databases]
async fn a_row_has_exactly_its_eleven_fields_and_keeps_who_began() {
    let server = TestServer::start().await;
    let [ann, bob, ..] = four_friends(&server).await;
    let first = ann.send(&bob, "first").await;
    server.advance(Duration::from_secs(90));
    let last = bob.send(&ann, &"long ".repeat(40)).await;
    let fields = [
        "created_at",
        "group",
        "headline",
        "id",
        "last_message_at",
        "message",
        "receiver",
        "sender",
        "thread_id",
        "thread_status",
        "unread_count",
    ];
    for (member, status, unread) in [(&ann, "new", 1), (&bob, "seen", 0)] {
        let row = member.inbox().await["results"][0].clone();
        assert_eq!(keys(&row), fields);
        assert_eq!((&row["id"], &row["thread_id"]), (&first["thread_id"], &first["thread_id"]));
        assert_eq!((&row["sender"], &row["receiver"]), (&first["sender"], &first["receiver"]), "for both sides alike");
        assert_eq!((&row["sender"]["id"], &row["receiver"]["id"]), (&json!(ann.id), &json!(bob.id)));
        assert_eq!(row["group"], Value::Null);
        assert_eq!((&row["created_at"], &row["last_message_at"]), (&first["created_at"], &last["created_at"]));
        assert_eq!((&row["message"], &row["headline"]), (&last["message"], &last["headline"]));
        assert_eq!(row["headline"].as_str().unwrap().chars().count(), 150);
        assert_eq!((&row["thread_status"], &row["unread_count"]), (&json!(status), &json!(unread)));
    }
}

#[both_databases]
async fn the_unread_count_is_exact() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, _] = four_friends(&server).await;
    let sent = bob.send_many(&ann, 5).await;
    cyd.send_many(&ann, 2).await;
    assert_eq!((unread(&ann, &bob).await, unread(&ann, &cyd).await, unread(&bob, &ann).await), (5, 2, 0));
    bob.delete_message(&json!(sent[1])).await;
    assert_eq!(unread(&ann, &bob).await, 4, "deleted unread");
    ann.thread_with(&bob, "&limit=1").await;
    assert_eq!((unread(&ann, &bob).await, unread(&ann, &cyd).await), (0, 2), "any page marks the whole thread");
    bob.delete_message(&json!(sent[2])).await;
    assert_eq!(unread(&ann, &bob).await, 0, "deleted after it was read");
    let more = bob.send_many(&ann, 3).await;
    bob.delete_message(&json!(sent[3])).await;
    bob.delete_message(&json!(more[0])).await;
    assert_eq!(unread(&ann, &bob).await, 2, "one read and one unread were deleted");
    server.advance(Duration::from_secs(61));
    bob.delete_message(&json!(more[1])).await;
    assert_eq!(unread(&ann, &bob).await, 2, "a hidden row still waits to be seen");
    ann.delete("/api/v2/pm/?user=2").await.expect(204);
    bob.send(&ann, "after all").await;
    assert_eq!(unread(&ann, &bob).await, 1, "what was deleted with the thread does not count");
    ann.send(&bob, "an answer").await;
    assert_eq!((unread(&ann, &bob).await, unread(&bob, &ann).await), (0, 1), "who answers has seen the rest");
    bob.send(&ann, "and back").await;
    assert_eq!((unread(&ann, &bob).await, unread(&bob, &ann).await), (1, 0));
    assert_eq!((unread(&ann, &cyd).await, unread(&cyd, &ann).await), (2, 0));
}

#[both_databases]
async fn a_thread_without_messages_leaves_the_list_and_returns_under_its_id() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, _] = four_friends(&server).await;
    cyd.send(&ann, "earlier").await;
    server.advance(Duration::from_secs(1));
    let slip = bob.send(&ann, "slip").await;
    assert_eq!((partners(&ann).await, partners(&bob).await), (vec![2, 3], vec![1]));
    server.advance(Duration::from_secs(59));
    bob.delete_message(&slip["id"]).await;
    assert_eq!((partners(&ann).await, partners(&bob).await), (vec![3], vec![]));
    let empty = json!({ "count": 0, "next": null, "previous": null, "results": [] });
    assert_eq!(ann.thread_with(&bob, "").await, empty);
    assert_eq!(ann.get(&format!("/api/v2/pm/?thread={}", slip["thread_id"])).await.expect(200), empty);
    assert_eq!(super::unseen(&ann).await, 1, "Cyd's alone");
    server.advance(Duration::from_secs(1));
    let next = ann.send(&bob, "what was it?").await;
    assert_eq!(next["thread_id"], slip["thread_id"]);
    assert_eq!((partners(&ann).await, partners(&bob).await), (vec![2, 3], vec![1]));
    let row = bob.inbox().await["results"][0].clone();
    assert_eq!((&row["id"], &row["message"]), (&slip["thread_id"], &json!("what was it?")));
    assert_eq!((&row["sender"]["id"], &row["unread_count"]), (&json!(bob.id), &json!(1)), "Bob began the thread");
    assert_eq!(ids(&bob.thread_with(&ann, "").await), [next["id"].as_i64().unwrap()]);
}

#[both_databases]
async fn looking_at_the_list_changes_nothing() {
    let server = TestServer::start().await;
    let [ann, bob, cyd, _] = four_friends(&server).await;
    bob.send_many(&ann, 2).await;
    cyd.send(&ann, "hi").await;
    let before = (ann.inbox().await, bob.inbox().await);
    for query in ["?limit=1", "?limit=1&offset=1", "?offset=5"] {
        ann.get(&format!("/api/v2/pm/{query}")).await.expect(200);
    }
    assert_eq!((ann.inbox().await, bob.inbox().await), before);
    assert_eq!(super::unseen(&ann).await, 3);
}

/// Ann (1), a moderator, with 45 conversations with the users 2 to 46, three of them always of the same time. Answers Ann and the
/// ids of the threads in the order of the list.
async fn ann_with_45_conversations(server: &TestServer) -> (Member, Vec<i64>) {
    server.upsert(json!({ "id": 1, "username": "ann", "role": "moderator" })).await;
    let users: Vec<_> = (2..=47).map(|id| json!({ "id": id, "username": format!("user {id}") })).collect();
    server.backend().post("/api/v2/admin/users/", json!({ "users": users })).await.expect(200);
    let ann = server.sign_in(1, "ann");
    let mut threads = Vec::new();
    for start in (2..=46).step_by(3) {
        let body = json!({ "recipients": [start, start + 1, start + 2], "message": "hello" });
        let sent = ann.post("/api/v2/pm/", body).await.expect(201);
        threads.extend(sent.as_array().unwrap().iter().map(|message| message["thread_id"].as_i64().unwrap()));
        server.advance(Duration::from_secs(1));
    }
    threads.reverse();
    (ann, threads)
}

#[both_databases]
async fn the_links_lead_once_through_every_conversation() {
    let server = TestServer::start().await;
    let (ann, threads) = ann_with_45_conversations(&server).await;
    for (limit, lengths) in [(10, vec![10, 10, 10, 10, 5]), (15, vec![15, 15, 15]), (45, vec![45]), (100, vec![45])] {
        let pages = walk(&ann, &format!("/api/v2/pm/?limit={limit}")).await;
        assert_eq!(ids_of_all(&pages), threads, "limit {limit}");
        assert_eq!(pages.iter().map(|page| ids(page).len()).collect::<Vec<_>>(), lengths);
        assert!(pages.iter().all(|page| page["count"] == 45));
        assert_eq!(pages[0]["previous"], Value::Null);
        for (index, page) in pages.iter().enumerate().skip(1) {
            let previous = page["previous"].as_str().unwrap();
            assert!(previous.starts_with(&server.url("/api/v2/pm/?")), "{previous} is not absolute");
            assert_eq!(ids(&ann.get(previous).await.expect(200)), ids(&pages[index - 1]));
        }
    }
    let first = ann.inbox().await;
    assert_eq!(ids(&first), threads[..20]);
    let next = first["next"].as_str().unwrap();
    assert!(next.starts_with(&server.url("/api/v2/pm/?")) && next.contains("limit=20&offset=20"), "{next}");
    for offset in [0, 10, 44, 45, 1000] {
        let page = ann.get(&format!("/api/v2/pm/?limit=10&offset={offset}")).await.expect(200);
        let (start, end) = (offset.min(45), (offset + 10).min(45));
        assert_eq!(ids(&page), threads[start..end], "plain offset {offset}");
        assert_eq!((&page["count"], page["next"].is_string()), (&json!(45), offset + 10 < 45));
    }
}

#[both_databases]
async fn what_comes_to_the_top_between_pages_repeats_no_conversation_and_skips_none() {
    let server = TestServer::start().await;
    let (ann, threads) = ann_with_45_conversations(&server).await;
    let mut pages = vec![ann.get("/api/v2/pm/?limit=10").await.expect(200)];
    for round in 0_i64.. {
        let Some(next) = pages.last().and_then(|page| page["next"].as_str()).map(str::to_owned) else { break };
        server.advance(Duration::from_secs(1));
        if round == 1 {
            let new = json!({ "recipients": 47, "message": "a new conversation" });
            ann.post("/api/v2/pm/", new).await.expect(201);
        }
        // The last row already shown moves to the top.
        let shown = pages.last().unwrap()["results"].as_array().unwrap().last().unwrap().clone();
        let again = json!({ "recipients": shown["receiver"]["id"], "message": "again" });
        assert_eq!(ann.post("/api/v2/pm/", again).await.expect(201)[0]["thread_id"], shown["id"]);
        pages.push(ann.get(&next).await.expect(200));
    }
    assert_eq!(ids_of_all(&pages), threads, "every conversation once, in the order of the beginning");
    assert_eq!(pages.len(), 5);
    assert_eq!(pages[1]["count"], 45);
    assert_eq!(pages[4]["count"], 46);
}

#[both_databases]
async fn a_conversation_not_yet_shown_that_moves_to_the_top_is_found_there_and_shifts_no_other() {
    let server = TestServer::start().await;
    let (ann, threads) = ann_with_45_conversations(&server).await;
    let first = ann.get("/api/v2/pm/?limit=10").await.expect(200);
    let (moved, oldest) = (threads[30], server.sign_in(16, "user 16"));
    assert_eq!(oldest.send(&ann, "hello again").await["thread_id"], moved);
    let rest = walk(&ann, first["next"].as_str().unwrap()).await;
    let expected: Vec<i64> = threads[10..].iter().copied().filter(|thread| *thread != moved).collect();
    assert_eq!(ids_of_all(&rest), expected, "no repeat and no gap");
    let top = ann.get("/api/v2/pm/?limit=10").await.expect(200);
    assert_eq!(ids(&top)[0], moved);
    assert_eq!(ids(&top)[1..], threads[..9]);
    assert_eq!((&top["results"][0]["thread_status"], &top["results"][0]["unread_count"]), (&json!("new"), &json!(1)));
}
