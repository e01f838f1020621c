//! What a list of notifications shows, and what it marks.

use super::{LIST, list, rows, three_friends, unread, unseen};
use parlour_testkit::{TestServer, both_databases};
use serde_json::{Value, json};
use std::time::Duration;

#[both_databases]
async fn a_received_message_is_a_notification_in_the_shape_of_the_official_client() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    let sent = bob.send(&ann, "hello").await;
    server.advance(Duration::from_secs(5));
    let later = bob.send(&ann, "<b>again</b> & again").await;
    let snippet = ann.inbox().await["results"][0].clone();
    let page = list(&ann).await;
    let item = |id: &Value, text: &str, at: &Value| {
        let mut message = sent.clone();
        for (field, value) in [
            ("id", id),
            ("message", &json!(text)),
            ("headline", &json!(text)),
            ("created_at", at),
            ("last_message_at", &later["created_at"]),
            ("thread_status", &json!("new")),
        ] {
            message[field] = value.clone();
        }
        json!({
            "type": "private_message", "sid": id.to_string(), "is_new": true, "active_at": at, "message": message,
            "snippet": snippet,
        })
    };
    let newer = item(&later["id"], "&lt;b&gt;again&lt;/b&gt; &amp; again", &later["created_at"]);
    let older = item(&sent["id"], "hello", &sent["created_at"]);
    let row = json!({ "sid": later["id"].to_string(), "is_new": true, "aggregated": [newer, older] });
    assert_eq!(page, json!({ "next": null, "previous": null, "results": [row] }));
    assert_eq!(list(&bob).await["results"], json!([]), "the sender is notified of nothing");
}

#[both_databases]
async fn messages_of_a_thread_that_come_one_after_another_are_one_row() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    bob.send(&ann, "one").await;
    ann.send(&bob, "an answer").await;
    bob.send(&ann, "two").await;
    cyd.send(&ann, "three").await;
    bob.send(&ann, "four").await;
    assert_eq!(rows(&list(&ann).await), [vec!["four!"], vec!["three!"], vec!["two!", "one"]]);
}

#[both_databases]
async fn a_list_reads_what_it_shows_and_opens_no_thread() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    bob.send_many(&ann, 3).await;
    cyd.send(&ann, "hi").await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (4, (2, 4)));
    let page = list(&ann).await;
    assert_eq!(rows(&page), [vec!["hi!"], vec!["message 3!", "message 2!", "message 1!"]]);
    assert_eq!((unseen(&ann).await, unread(&ann).await), (0, (2, 4)), "read, and their threads are not seen");
    let again = list(&ann).await;
    assert_eq!(rows(&again), [vec!["hi"], vec!["message 3", "message 2", "message 1"]]);
    assert_eq!((&again["results"][0]["is_new"], &page["results"][0]["is_new"]), (&json!(false), &json!(true)));
    bob.send(&ann, "more").await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (1, (2, 5)));
    let rows_now = rows(&list(&ann).await);
    assert_eq!(rows_now, [vec!["more!"], vec!["hi"], vec!["message 3", "message 2", "message 1"]]);
    ann.thread_with(&bob, "").await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (0, (1, 1)));
}

#[both_databases]
async fn opening_a_thread_reads_its_notifications_and_so_does_writing_in_it() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    bob.send_many(&ann, 2).await;
    cyd.send_many(&ann, 3).await;
    assert_eq!(unseen(&ann).await, 5);
    ann.thread_with(&cyd, "&limit=1").await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (2, (1, 2)));
    ann.send(&bob, "an answer").await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (0, (0, 0)));
    let listed = rows(&list(&ann).await);
    assert_eq!(listed, [vec!["message 3", "message 2", "message 1"], vec!["message 2", "message 1"]]);
}

#[both_databases]
async fn what_is_gone_is_neither_listed_nor_counted() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    let sent = bob.send_many(&ann, 4).await;
    cyd.send_many(&ann, 2).await;
    bob.delete_message(&json!(sent[1])).await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (5, (2, 5)), "deleted in the first minute");
    server.advance(Duration::from_secs(61));
    bob.delete_message(&json!(sent[2])).await;
    assert_eq!(unseen(&ann).await, 5, "a hidden message still waits");
    ann.delete("/api/v2/pm/?user=3").await.expect(204);
    assert_eq!((unseen(&ann).await, unread(&ann).await), (3, (1, 3)), "deleted with its thread");
    assert_eq!(rows(&list(&ann).await), [vec!["message 4!", "Message delete!", "message 1!"]]);
    cyd.send(&ann, "back").await;
    assert_eq!(unseen(&ann).await, 1);
    let again = rows(&list(&ann).await);
    assert_eq!(again, [vec!["back!"], vec!["message 4", "Message delete", "message 1"]]);
    let last = bob.send(&ann, "read and then deleted").await;
    list(&ann).await;
    bob.send(&ann, "not read").await;
    bob.delete_message(&last["id"]).await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (1, (2, 5)), "what was read does not count a second time");
}

#[both_databases]
async fn a_file_is_notified_of_with_links_that_open_it() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    let uuid = bob.upload("plan.txt", "text/plain", b"between two").await;
    bob.post("/api/v2/pm/", json!({ "recipients": [1], "message": "", "file_uuid": uuid })).await.expect(201);
    let item = list(&ann).await["results"][0]["aggregated"][0].clone();
    assert_eq!((&item["message"]["headline"], &item["snippet"]["headline"]), (&json!("plan.txt"), &json!("plan.txt")));
    let link = item["message"]["file"]["url"].as_str().expect("a link");
    assert_eq!(server.visitor().get(link).await.text, "between two");
}

#[both_databases]
async fn whoever_is_deleted_or_blocked_since_is_still_named() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    bob.send(&ann, "goodbye").await;
    server.upsert(json!({ "id": 2, "status": "d" })).await;
    server.upsert(json!({ "id": 1, "status": "b" })).await;
    let page = list(&ann).await;
    assert_eq!(rows(&page), [vec!["goodbye!"]]);
    assert_eq!(page["results"][0]["aggregated"][0]["message"]["sender"]["deleted"], true);
}

#[both_databases]
async fn each_address_works_without_its_last_slash() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    let sent = bob.send(&ann, "hello").await;
    for path in ["/api/v2/notification/unseen/count", "/api/v2/pm/unread"] {
        assert_eq!(ann.get(path).await.expect(200), ann.get(&format!("{path}/")).await.expect(200));
    }
    ann.post("/api/v2/notification/read", json!({ "sids": [sent["id"].to_string()] })).await.expect(204);
    assert_eq!(rows(&ann.get(LIST.trim_end_matches('/')).await.expect(200)), [vec!["hello"]]);
}
