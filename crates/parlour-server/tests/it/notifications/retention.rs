//! What is too old leaves the log, and with it the list of notifications.

use super::{list, rows, three_friends, unread, unseen};
use crate::cli::parlour;
use parlour_core::notifications::trim_events;
use parlour_testkit::{Member, TestServer, both_databases};
use parlour_types::Timestamp;
use std::time::Duration;

/// Removes what is older than `age`.
async fn trim(server: &TestServer, age: Duration) -> u64 {
    let older_than = server.now().as_micros() - i64::try_from(age.as_micros()).unwrap();
    trim_events(&server.app.core, Timestamp::from_micros(older_than)).await.unwrap()
}

/// The three, signed in again after so many days.
fn days_later(server: &TestServer, days: u32) -> [Member; 3] {
    server.advance(days * DAY);
    [(1, "ann"), (2, "bob"), (3, "cyd")].map(|(id, name)| server.sign_in(id, name))
}

const DAY: Duration = Duration::from_secs(86_400);

#[both_databases]
async fn old_events_go_and_what_they_notified_of_counts_as_read() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    bob.send_many(&ann, 3).await;
    let [_, bob, cyd] = days_later(&server, 2);
    bob.send(&ann, "yesterday").await;
    cyd.send(&ann, "from cyd").await;
    let [ann, bob, _] = days_later(&server, 1);
    assert_eq!(trim(&server, 4 * DAY).await, 0, "nothing is that old");
    assert_eq!(unseen(&ann).await, 5);
    assert_eq!(trim(&server, 2 * DAY).await, 4, "two of Ann's and two of Bob's: the newest of the old ones stays");
    assert_eq!((unseen(&ann).await, unread(&ann).await), (3, (2, 5)), "the thread itself is as unread as before");
    assert_eq!(rows(&list(&ann).await), [vec!["from cyd!"], vec!["yesterday!", "message 3!"]]);
    assert_eq!(ann.thread_with(&bob, "").await["count"], 4, "and as long");
    assert_eq!(trim(&server, 2 * DAY).await, 0, "a second time");
    let output = parlour(&server.data_dir(), &["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Bob knows everything up to an event that is old by now, and was away for a moment only.
#[both_databases]
async fn a_cursor_at_the_newest_of_the_old_events_still_leads_on() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    ann.send_many(&bob, 3).await;
    let [ann, bob, _] = days_later(&server, 40);
    let cursor = bob.get("/api/v2/events/").await.expect(200)["cursor"].as_str().unwrap().to_owned();
    let older = bob.get("/api/v2/events/?after=2-0-00000000&limit=1").await.expect(200)["cursor"].clone();
    ann.send(&bob, "at last").await;
    assert_eq!(trim(&server, 30 * DAY).await, 2 + 2);
    let body = bob.get(&format!("/api/v2/events/?after={cursor}")).await.expect(200);
    assert_eq!(body["events"][0]["message"]["message"], "at last");
    for gone in [older.as_str().unwrap(), "2-0-00000000"] {
        let body = bob.get(&format!("/api/v2/events/?after={gone}")).await.expect(200);
        assert_eq!((&body["events"][0]["type"], &body["events"][1]), (&"reload".into(), &serde_json::Value::Null));
    }
}

#[both_databases]
async fn the_newest_event_stays_however_old_it_is_and_long_logs_go_in_steps() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    bob.send_many(&ann, 520).await;
    let [ann, bob, _] = days_later(&server, 9);
    assert_eq!(trim(&server, DAY).await, 519 + 519);
    assert_eq!((unseen(&ann).await, unread(&ann).await), (1, (1, 520)));
    assert_eq!(trim(&server, DAY).await, 0);
    let next = bob.send(&ann, "hello").await;
    assert_eq!(
        (rows(&list(&ann).await), unread(&ann).await),
        (vec![vec!["hello!".to_owned(), "message 520!".to_owned()]], (1, 521))
    );
    bob.delete_message(&next["id"]).await;
    let output = parlour(&server.data_dir(), &["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
