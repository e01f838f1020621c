//! Notifications: what is listed, what counts as read when, how it is paged, and how long it is kept; and the totals of what is unread.

mod list;
mod pages;
mod read;
mod retention;

use parlour_testkit::{Member, TestServer};
use serde_json::{Value, json};

const LIST: &str = "/api/v2/notification/";
const READ: &str = "/api/v2/notification/read/";

/// Ann (1), Bob (2) and Cyd (3), who follow each other.
async fn three_friends(server: &TestServer) -> [Member; 3] {
    let (ann, bob) = server.ann_and_bob().await;
    let cyd = server.member(3, "cyd").await;
    server.befriend(&[&ann, &bob, &cyd]).await;
    [ann, bob, cyd]
}

/// What the member is notified of; afterwards it is read.
async fn list(member: &Member) -> Value {
    member.get(LIST).await.expect(200)
}

/// The texts of a page, row by row, those that are new with an exclamation mark.
fn rows(page: &Value) -> Vec<Vec<String>> {
    let text = |item: &Value| {
        let new = if item["is_new"] == true { "!" } else { "" };
        format!("{}{new}", item["message"]["message"].as_str().expect("a text"))
    };
    let results = page["results"].as_array().expect("a page").iter();
    results.map(|row| row["aggregated"].as_array().expect("a row").iter().map(text).collect()).collect()
}

/// The member's unread notifications, as all doors say.
async fn unseen(member: &Member) -> i64 {
    let count = member.get("/api/v2/notification/unseen/count/").await.expect(200);
    let me = member.get("/api/v2/user/me/").await.expect(200);
    assert_eq!(count, json!({ "count": me["unseen_interactions_counter"] }));
    count["count"].as_i64().expect("a number")
}

/// The member's unread threads and messages, as all doors say.
async fn unread(member: &Member) -> (i64, i64) {
    let unread = member.get("/api/v2/pm/unread/").await.expect(200);
    let me = member.get("/api/v2/user/me/").await.expect(200);
    let (threads, messages) = (&me["unread_threads_counter"], &me["unread_messages_counter"]);
    assert_eq!(unread, json!({ "unread_threads": threads, "unread_messages": messages }));
    let inbox = member.inbox().await;
    let counts = inbox["results"].as_array().expect("a page").iter().map(|row| row["unread_count"].as_i64().unwrap());
    let counts: Vec<i64> = counts.filter(|count| *count > 0).collect();
    assert_eq!((threads, messages), (&json!(counts.len()), &json!(counts.iter().sum::<i64>())));
    (counts.len() as i64, counts.iter().sum())
}
