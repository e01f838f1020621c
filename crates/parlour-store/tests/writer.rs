//! The one writer: groups, order, and what becomes of a change that fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use parlour_store::events::{self, EventKind};
use parlour_store::messages::{self, IdRange, ThreadName};
use parlour_store::sends::{Ask, Decision, Facts};
use parlour_store::users::Known;
use parlour_store::{Read, Store, StoreError, doctor, seen, users};
use parlour_types::model::{Message, User};
use parlour_types::{Timestamp, UserId, Window};
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
        add(&store, user).await.unwrap();
    }
    (folder, store)
}

async fn add(store: &Store, user: i64) -> Result<(), StoreError> {
    store.write(move |tx| users::insert(tx, &User::new(id(user), format!("user{user}"), NOW))).await
}

async fn send(store: &Store, sender: UserId, receiver: UserId, text: &str) -> Message {
    let ask = Ask { sender, recipients: vec![receiver], file: None, key: None, known: Known::nobody() };
    let text = text.to_owned();
    let decide =
        move |_: &Facts<'_>| Ok::<_, StoreError>(Decision::Send { text: text.clone(), now: NOW, remember: None });
    store.send(ask, decide).await.unwrap().messages.remove(0)
}

async fn exists(store: &Store, user: i64) -> bool {
    store.read(move |read| users::account(read, id(user))).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sends_at_once_get_gap_free_numbers_and_one_order() {
    let (_folder, store) = store_with_users(2).await;
    let mut senders = JoinSet::new();
    for sender in 0..16 {
        let store = store.clone();
        senders.spawn(async move {
            let (from, to) = if sender % 2 == 0 { (id(1), id(2)) } else { (id(2), id(1)) };
            let mut own = Vec::new();
            for index in 0..25 {
                let text = format!("{sender}-{index}");
                let sent = send(&store, from, to, &text).await;
                own.push((sent.seq, sent.id));
            }
            own
        });
    }
    let own = senders.join_all().await;
    for sent in &own {
        assert!(sent.is_sorted(), "a sender's own messages keep their order");
    }
    let mut all: Vec<_> = own.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(all.iter().map(|(seq, _)| *seq).eq(1..=400), "gap-free");
    assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].1), "ids grow with the sequence");
    for side in [1, 2] {
        let rows = store
            .read(move |read| {
                let (mut rows, name) = (Vec::new(), ThreadName::With(id(3 - side)));
                let window = (IdRange::default(), Window { limit: 400, offset: 0 });
                messages::thread_page(read, id(side), name, window, &Known::default(), |_, row| {
                    rows.push((row.seq, row.id));
                })?;
                Ok::<_, StoreError>(rows)
            })
            .await
            .unwrap();
        assert_eq!(rows, all, "both sides see the one order");
    }
    let report = doctor::examine(&store, Arc::new(|_| {})).await.unwrap();
    assert_eq!(report.problems, [], "stored counts against a recount");
}

#[tokio::test]
async fn every_member_has_a_gap_free_log_of_what_happened() {
    let (_folder, store) = store_with_users(2).await;
    let first = send(&store, id(1), id(2), "one").await;
    send(&store, id(2), id(1), "two").await;
    let thread = first.thread_id;
    store.write(move |tx| seen::mark_seen(tx, thread, id(1), 2, NOW)).await.unwrap();
    store.write(move |tx| messages::hide(tx, &first, NOW)).await.unwrap();
    let log = |user: i64| {
        let store = store.clone();
        async move {
            let piece = store.read(move |read| events::read_from(read, id(user), 0, 100)).await.unwrap();
            piece.events.into_iter().map(|(position, event)| (position, event.kind, event.seq)).collect::<Vec<_>>()
        }
    };
    use EventKind::{MessageCreated, MessageHidden, OwnMessageCreated, SeenByOther, ThreadSeen};
    assert_eq!(
        log(1).await,
        [(1, OwnMessageCreated, 1), (2, MessageCreated, 2), (3, ThreadSeen, 2), (4, MessageHidden, 1)]
    );
    assert_eq!(
        log(2).await,
        [(1, MessageCreated, 1), (2, OwnMessageCreated, 2), (3, SeenByOther, 2), (4, MessageHidden, 1)]
    );
}

#[tokio::test]
async fn a_change_that_fails_takes_back_its_own_and_nothing_else() {
    let (_folder, store) = store_with_users(0).await;
    let good = store.clone();
    let bad = store.clone();
    let (kept, refused) = tokio::join!(add(&good, 1), async {
        bad.write(|tx| {
            users::insert(tx, &User::new(id(2), "half".into(), NOW))?;
            Err::<(), _>(StoreError::IdsExhausted)
        })
        .await
    });
    kept.unwrap();
    assert!(matches!(refused, Err(StoreError::IdsExhausted)));
    assert_eq!((exists(&store, 1).await, exists(&store, 2).await), (true, false));
}

#[tokio::test]
async fn a_change_that_panics_is_rolled_back_and_the_writer_goes_on() {
    let (_folder, store) = store_with_users(0).await;
    let panicked = store
        .write(|tx| {
            users::insert(tx, &User::new(id(1), "half".into(), NOW))?;
            assert!(users::account(tx, id(1))?.is_none(), "on purpose");
            Ok::<_, StoreError>(())
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::WritePanicked)));
    assert!(!exists(&store, 1).await);
    add(&store, 1).await.unwrap();
    assert!(exists(&store, 1).await && store.accepts_writes());
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_was_closed_and_opened_again() {
    let (folder, store) = store_with_users(2).await;
    let sent = send(&store, id(1), id(2), "kept").await;
    drop(store);
    let store = Store::open(folder.path().join("parlour.db")).unwrap();
    let message_id = sent.id;
    let found = store.read(move |read| messages::find(read, message_id, id(2))).await.unwrap().unwrap();
    assert_eq!(found.message, sent);
    // The clock stands still: without looking back into the database, the generator would issue the same number again.
    let next = send(&store, id(1), id(2), "next").await;
    assert!(next.id > sent.id && next.seq == sent.seq + 1);
}

#[tokio::test]
async fn two_processes_on_one_file_never_issue_the_same_id() {
    let (folder, one) = store_with_users(2).await;
    let other = Store::open(folder.path().join("parlour.db")).unwrap();
    let mut last = None;
    for turn in 0..20 {
        let store = if turn % 2 == 0 { &one } else { &other };
        let sent = send(store, id(1), id(2), "hi").await;
        assert!(last < Some(sent.id), "turn {turn}");
        last = Some(sent.id);
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parlour.db");
    std::fs::write(
        &path,
        b"this is no database, whatever its name says; it is long enough to have a header of its own",
    )
    .unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Driver(_))));
    assert!(matches!(Store::open(folder.path().join("no/such/folder/parlour.db")), Err(StoreError::File { .. })));
}

#[tokio::test]
async fn whoever_keeps_the_database_for_too_long_gets_everybody_refused_and_nothing_lost() {
    let (folder, store) = store_with_users(2).await;
    let other = rusqlite::Connection::open(folder.path().join("parlour.db")).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let waiting: JoinSet<_> = (10..20)
        .map(|user| {
            let store = store.clone();
            async move { add(&store, user).await }
        })
        .collect();
    // All of them fail in the time that one of them waits, not one after another.
    let answers = waiting.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Busy))), "{answers:?}");
    assert!(store.accepts_writes(), "a lock is no damage");
    other.execute_batch("rollback").unwrap();
    add(&store, 10).await.unwrap();
    assert!(exists(&store, 10).await && !exists(&store, 11).await);
}

#[tokio::test]
async fn a_change_whose_caller_is_gone_is_not_made_any_more() {
    let (folder, store) = store_with_users(0).await;
    let other = rusqlite::Connection::open(folder.path().join("parlour.db")).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let (first, second) = (store.clone(), store.clone());
    let kept = tokio::spawn(async move { add(&first, 1).await });
    let dropped = tokio::spawn(async move { add(&second, 2).await });
    // Both are queued behind the lock; then the second caller gives up.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    dropped.abort();
    assert!(dropped.await.is_err());
    other.execute_batch("rollback").unwrap();
    kept.await.unwrap().unwrap();
    assert_eq!((exists(&store, 1).await, exists(&store, 2).await), (true, false));
}

#[tokio::test]
async fn another_process_gets_its_turn_beside_a_busy_writer() {
    let (folder, store) = store_with_users(2).await;
    let other = Store::open(folder.path().join("parlour.db")).unwrap();
    let busy: JoinSet<_> = (0..8)
        .map(|_| {
            let (store, other) = (store.clone(), other.clone());
            async move {
                // Until the other process has made its change, and at least once.
                loop {
                    send(&store, id(1), id(2), "busy").await;
                    if exists(&other, 3).await {
                        break;
                    }
                }
            }
        })
        .collect();
    add(&other, 3).await.unwrap();
    busy.join_all().await;
}

#[tokio::test]
async fn what_is_read_through_one_snapshot_belongs_together() {
    let (_folder, store) = store_with_users(1).await;
    let writer = store.clone();
    let is_there = |read: &Read<'_>| Ok::<_, StoreError>(users::account(read, id(2))?.is_some());
    let seen = store.read(move |read| {
        let version = users::directory_version(read)?;
        let writer = writer.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(add(&writer, 2)).unwrap();
        })
        .join()
        .unwrap();
        Ok::<_, StoreError>((version, is_there(read)?))
    });
    let (version, seen) = seen.await.unwrap();
    assert!(!seen, "committed after the snapshot had begun");
    let after = store.read(move |read| Ok::<_, StoreError>((users::directory_version(read)?, is_there(read)?))).await;
    assert_eq!(after.unwrap(), (version + 1, true));
}
