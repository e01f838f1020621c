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
    assert_eq!(trim(&server, 2 * DAY).await, 6, "three of Ann's and three of Bob's");
    assert_eq!((unseen(&ann).await, unread(&ann).await), (2, (2, 5)), "the thread itself is as unread as before");
    assert_eq!(rows(&list(&ann).await), [vec!["from cyd!"], vec!["yesterday!"]]);
    assert_eq!(ann.thread_with(&bob, "").await["count"], 4, "and as long");
    assert_eq!(trim(&server, 2 * DAY).await, 0, "a second time");
    let output = parlour(&server.data_dir(), &["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[both_databases]
async fn the_newest_event_stays_however_old_it_is_and_long_logs_go_in_steps() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    bob.send_many(&ann, 520).await;
    let [ann, bob, _] = days_later(&server, 9);
    // Bob's last one stays. Ann's log goes on: with the old notifications read.
    assert_eq!(trim(&server, DAY).await, 519 + 520);
    assert_eq!((unseen(&ann).await, unread(&ann).await), (0, (1, 520)));
    assert_eq!(trim(&server, DAY).await, 0);
    let next = bob.send(&ann, "hello").await;
    assert_eq!((rows(&list(&ann).await), unread(&ann).await), (vec![vec!["hello!".to_owned()]], (1, 521)));
    bob.delete_message(&next["id"]).await;
    let output = parlour(&server.data_dir(), &["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
