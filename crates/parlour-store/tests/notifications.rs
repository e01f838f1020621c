//! The list of notifications where much of the log shows nothing, and a log from before there were notifications.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use parlour_store::notifications::{self, NotificationCursor, NotificationPage, NotificationWindow};
use parlour_store::sends::{Ask, Decision, Facts};
use parlour_store::users::{self, Known};
use parlour_store::{Store, StoreError, doctor, events, threads};
use parlour_types::model::{Message, User};
use parlour_types::{Timestamp, UserId};
use rusqlite::Connection;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn id(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

async fn store_with_users(count: i64) -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("parlour.db")).unwrap();
    for user in 1..=count {
        store.write(move |tx| users::insert(tx, &User::new(id(user), format!("user{user}"), NOW))).await.unwrap();
    }
    (folder, store)
}

async fn send(store: &Store, sender: i64, receiver: i64) -> Message {
    let ask = Ask { sender: id(sender), recipients: vec![id(receiver)], file: None, key: None, known: Known::nobody() };
    let decide =
        move |_: &Facts<'_>| Ok::<_, StoreError>(Decision::Send { text: "hi".into(), now: NOW, remember: None });
    store.send(ask, decide).await.unwrap().messages.remove(0)
}

async fn send_many(store: &Store, sender: i64, receiver: i64, count: usize) {
    let sends: JoinSet<()> = (0..count)
        .map(|_| {
            let store = store.clone();
            async move { drop(send(&store, sender, receiver).await) }
        })
        .collect();
    sends.join_all().await;
}

async fn page(store: &Store, user: i64, from: NotificationCursor, limit: usize) -> NotificationPage {
    let window = NotificationWindow { from, limit, max_messages: 100 };
    store.read(move |read| notifications::page(read, id(user), window)).await.unwrap()
}

/// Who wrote the rows of a page, and how many messages each has.
fn rows(page: &NotificationPage) -> Vec<(i64, usize)> {
    let rows = page.rows.iter();
    rows.map(|row| (row.notifications[0].message.sender_id.get(), row.notifications.len())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_looks_at_a_thousand_events_and_leads_on_past_what_shows_nothing() {
    let (_folder, store) = store_with_users(4).await;
    send(&store, 3, 1).await;
    send(&store, 4, 1).await;
    send_many(&store, 2, 1, 1_500).await;
    store
        .write(|tx| {
            let member = threads::membership_with(tx, id(1), id(2))?.expect("a thread");
            threads::clear(tx, &member, NOW)
        })
        .await
        .unwrap();
    let first = page(&store, 1, NotificationCursor::TOP, 20).await;
    assert_eq!(rows(&first), [], "a thousand events of a thread that was deleted");
    // 1,502 received messages are the first events of the log.
    assert_eq!(first.next, Some(NotificationCursor { below: 503, skip: 0 }));
    let second = page(&store, 1, first.next.unwrap(), 20).await;
    assert_eq!((rows(&second), second.next), (vec![(4, 1), (3, 1)], None));
    // What is to be passed over is not forgotten on the way.
    let skipping = page(&store, 1, NotificationCursor { skip: 1, ..NotificationCursor::TOP }, 20).await;
    assert_eq!((rows(&skipping), skipping.next), (vec![], Some(NotificationCursor { below: 503, skip: 1 })));
    assert_eq!(rows(&page(&store, 1, skipping.next.unwrap(), 20).await), [(3, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_longer_than_a_page_goes_on_as_the_first_of_the_next() {
    let (_folder, store) = store_with_users(3).await;
    send(&store, 3, 1).await;
    send_many(&store, 2, 1, 250).await;
    send(&store, 3, 1).await;
    let (mut from, mut all) = (Some(NotificationCursor::TOP), Vec::new());
    while let Some(start) = from {
        let page = page(&store, 1, start, 20).await;
        all.push(rows(&page));
        from = page.next;
    }
    assert_eq!(all, [vec![(3, 1), (2, 99)], vec![(2, 100)], vec![(2, 51), (3, 1)]]);
    let skip = |skip| page(&store, 1, NotificationCursor { skip, ..NotificationCursor::TOP }, 1);
    assert_eq!(
        (rows(&skip(1).await), rows(&skip(2).await), rows(&skip(3).await)),
        (vec![(2, 100)], vec![(3, 1)], vec![])
    );
}

/// A file as a release before the notifications left it: Ann (1) and Bob (2) wrote to each other, and Bob has not read the last two.
fn file_of_before() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join("parlour.db")).unwrap();
    for migration in [
        include_str!("../migrations/sqlite/0001_init.sql"),
        include_str!("../migrations/sqlite/0002_find_imported.sql"),
        include_str!("../migrations/sqlite/0003_files.sql"),
    ] {
        database.execute_batch(migration).unwrap();
    }
    let user = |id: i64| {
        format!(
            "insert into users (id, username, real_name, status, community_badge, email, email_isvalid, date_joined, profile,
                 search_text, version) values ({id}, 'user{id}', '', 'a', 0, '', 0, 5, '{{}}', 'user{id}\n', {id});"
        )
    };
    let rows = "
        pragma user_version = 3;
        update counters set value = 2;
        insert into threads values (10, 1, 2, 5, 4, 1, 9);
        insert into direct_threads values (1, 2, 10);
        insert into messages values (10, 1, 101, 1, 5, 0, 'a', null), (10, 3, 103, 1, 7, 0, 'c', null), (10, 4, 104, 1, 9, 0, 'd', null);
        insert into deleted_messages values (10, 2, 1, 102, 2, 6);
        insert into members values (10, 1, 4, 0, 0, 9), (10, 2, 2, 0, 2, 9);
        insert into inbox values (1, 9, 10, 1, 2, 5, 0, 104, 0, 'd', null), (2, 9, 10, 1, 2, 5, 2, 104, 0, 'd', null);
        insert into mailboxes values (1, 1, 0, 0, 5), (2, 1, 1, 2, 5);
        insert into events values (1, 1, 1, 10, 1, 5), (1, 2, 1, 10, 2, 6), (1, 3, 2, 10, 2, 6), (1, 4, 1, 10, 3, 7), (1, 5, 1, 10, 4, 9),
            (2, 1, 1, 10, 1, 5), (2, 2, 1, 10, 2, 6), (2, 3, 2, 10, 2, 6), (2, 4, 1, 10, 3, 7), (2, 5, 1, 10, 4, 9);";
    database.execute_batch(&[&user(1), &user(2), rows].concat()).unwrap();
    folder
}

#[tokio::test]
async fn what_was_unread_before_there_were_notifications_is_new_and_what_one_sent_is_none() {
    let folder = file_of_before();
    let store = Store::open(folder.path().join("parlour.db")).unwrap();
    let report = doctor::examine(&store, Arc::new(|_| {})).await.unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(rows(&page(&store, 1, NotificationCursor::TOP, 20).await), []);
    let bobs = page(&store, 2, NotificationCursor::TOP, 20).await;
    let listed = bobs.rows[0].notifications.iter().map(|one| (one.message.id.get(), one.is_new));
    assert_eq!(listed.collect::<Vec<_>>(), [(104, true), (103, true), (101, false)]);
    let kinds = |user: i64| {
        let store = store.clone();
        async move {
            let log = store.read(move |read| events::read_from(read, id(user), 0, 100)).await.unwrap().events;
            log.into_iter().map(|(_, event)| event.kind).collect::<Vec<_>>()
        }
    };
    use events::EventKind::{MessageCreated, MessageDeleted, OwnMessageCreated};
    let (own, received) = (OwnMessageCreated, MessageCreated);
    assert_eq!(kinds(1).await, [own, received, MessageDeleted, own, own]);
    assert_eq!(kinds(2).await, [received, own, MessageDeleted, received, received]);
    let totals = store.read(|read| users::totals(read, id(2))).await.unwrap();
    assert_eq!((totals.unread_messages, totals.unseen_notifications), (2, 2));
}
