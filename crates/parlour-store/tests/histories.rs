//! Random histories of a thread, played against a naive model: ten thousand of them on SQLite, and a thousand on PostgreSQL, must agree in every
//! answer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use parlour_store::events::{self, Event, EventKind};
use parlour_store::messages::{self, IdRange, ThreadName};
use parlour_store::notifications::{self, NotificationCursor, NotificationWindow};
use parlour_store::sends::{Ask, Decision, Facts};
use parlour_store::threads::{InboxWindow, Membership};
use parlour_store::users::Known;
use parlour_store::{Location, Options, Settings, Store, StoreError, doctor, seen, threads, users};
use parlour_testkit::Schema;
use parlour_types::model::{MessageRef, MessageStatus, User};
use parlour_types::{MessageId, Timestamp, UserId, Window};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::runtime::Runtime;

const HISTORIES: u32 = 10_000;
/// A history that is waited for costs more.
const HISTORIES_ON_POSTGRES: u32 = 1_000;
const WORKERS: u32 = 8;

#[derive(Clone, Copy, Debug)]
enum Side {
    Ann,
    Bob,
}

/// Where in the list of all messages ever sent a parameter points, and how far beside the id.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    nth: usize,
    beside: i64,
}

#[derive(Clone, Debug)]
enum Step {
    Send(Side),
    /// Deletes one of the last messages, as within the first minute: counted from the newest.
    Delete(usize),
    Hide(usize),
    Clear(Side),
    /// Sees the thread up to some messages before its end.
    See(Side, i64),
    /// Reads the notifications up to some messages before the thread's end.
    ReadNotifications(Side, i64),
    /// Lists the notifications, so many messages a page.
    ListNotifications(Side, usize),
    /// Removes up to so many events that are at least so many steps old.
    Trim(Side, i64, i64),
    Page {
        side: Side,
        before: Option<Pointer>,
        from: Option<Pointer>,
        limit: i64,
        offset: i64,
    },
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Ann), Just(Side::Bob)]
}

fn pointer() -> impl Strategy<Value = Option<Pointer>> {
    prop::option::of((0..40_usize, -1..=1_i64).prop_map(|(nth, beside)| Pointer { nth, beside }))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => side().prop_map(Step::Send),
        4 => (0..6_usize).prop_map(Step::Delete),
        1 => (0..30_usize).prop_map(Step::Hide),
        1 => side().prop_map(Step::Clear),
        1 => (side(), 0..4_i64).prop_map(|(side, back)| Step::See(side, back)),
        1 => (side(), 0..4_i64).prop_map(|(side, back)| Step::ReadNotifications(side, back)),
        1 => (side(), 1..4_usize).prop_map(|(side, messages)| Step::ListNotifications(side, messages)),
        1 => (side(), 0..20_i64, 1..6_i64).prop_map(|(side, age, limit)| Step::Trim(side, age, limit)),
        6 => (side(), pointer(), pointer(), 1..8_i64, 0..10_i64)
            .prop_map(|(side, before, from, limit, offset)| Step::Page { side, before, from, limit, offset }),
    ]
}

/// The thread as somebody would keep it who does not care about speed.
#[derive(Default)]
struct Model {
    all: Vec<Line>,
    /// Per side: how many of `all` were cleared, and how many seen.
    cleared: [usize; 2],
    seen: [usize; 2],
    /// Per side: of how many of `all` the notifications were read, and of how many the events were removed.
    notified: [usize; 2],
    forgotten: [usize; 2],
}

struct Line {
    id: MessageId,
    by: Side,
    status: MessageStatus,
}

impl Model {
    fn visible(&self, side: Side) -> impl DoubleEndedIterator<Item = &Line> {
        self.all.iter().skip(self.cleared[side as usize]).filter(|line| line.status != MessageStatus::Deleted)
    }

    fn page(&self, side: Side, before: Option<i64>, from: Option<i64>, window: Window) -> (i64, Vec<i64>) {
        let ids: Vec<i64> = self
            .visible(side)
            .map(|line| line.id.get())
            .filter(|id| before.is_none_or(|before| *id < before) && from.is_none_or(|from| *id >= from))
            .collect();
        let mut page: Vec<i64> =
            ids.iter().rev().skip(window.offset as usize).take(window.limit as usize).copied().collect();
        page.reverse();
        (ids.len() as i64, page)
    }

    fn unread(&self, side: Side) -> i64 {
        self.received(side, self.seen[side as usize]).count() as i64
    }

    fn unseen(&self, side: Side) -> i64 {
        self.received(side, self.notified[side as usize]).count() as i64
    }

    /// What is shown of the other side's messages after so many of all, by place.
    fn received(&self, side: Side, after: usize) -> impl DoubleEndedIterator<Item = (usize, &Line)> {
        let lines = self.all.iter().enumerate().skip(after);
        lines.filter(move |(_, line)| line.by as usize != side as usize && line.status != MessageStatus::Deleted)
    }

    /// The ids of what a list of notifications shows, and whether each is new.
    fn notifications(&self, side: Side) -> Vec<(i64, bool)> {
        let from = self.cleared[side as usize].max(self.forgotten[side as usize]);
        let listed = self.received(side, from).rev();
        listed.map(|(at, line)| (line.id.get(), at >= self.notified[side as usize])).collect()
    }
}

struct History {
    store: Store,
    users: [UserId; 2],
    model: Model,
    now: i64,
}

static NEXT_USER: AtomicI64 = AtomicI64::new(1);

impl History {
    async fn begin(store: Store) -> Self {
        let first = NEXT_USER.fetch_add(2, Ordering::Relaxed);
        let users = [UserId::new(first).unwrap(), UserId::new(first + 1).unwrap()];
        store
            .write(move |tx| {
                for id in users {
                    users::insert(tx, &User::new(id, format!("user{id}"), Timestamp::from_micros(0)))?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        Self { store, users, model: Model::default(), now: 1_800_000_000_000_000 }
    }

    fn tick(&mut self) -> Timestamp {
        self.now += 1_000;
        Timestamp::from_micros(self.now)
    }

    fn id(&self, pointer: Option<Pointer>) -> Option<MessageId> {
        let pointer = pointer?;
        let line = self.model.all.get(pointer.nth % self.model.all.len().max(1))?;
        MessageId::new(line.id.get() + pointer.beside)
    }

    /// The shown message that stands `back` before the newest, by its place in the model.
    fn shown(&self, back: usize) -> Option<usize> {
        let shown: Vec<usize> =
            (0..self.model.all.len()).filter(|at| self.model.all[*at].status != MessageStatus::Deleted).collect();
        shown.len().checked_sub(back + 1).map(|at| shown[at])
    }

    async fn take(&mut self, step: Step) {
        let now = self.tick();
        match step {
            Step::Send(by) => self.send(by, now).await,
            Step::Delete(back) => self.take_back(back, MessageStatus::Deleted, now).await,
            Step::Hide(back) => self.take_back(back, MessageStatus::Hidden, now).await,
            Step::Clear(side) => {
                let [me, other] = self.pair(side);
                self.store
                    .write(move |tx| match threads::membership_with(tx, me, other)? {
                        Some(member) => threads::clear(tx, &member, now),
                        None => Ok(()),
                    })
                    .await
                    .unwrap();
                self.model.cleared[side as usize] = self.model.all.len();
                self.model.seen[side as usize] = self.model.all.len();
                self.model.notified[side as usize] = self.model.all.len();
            }
            Step::See(side, back) => {
                let [me, other] = self.pair(side);
                self.store
                    .write(move |tx| match threads::membership_with(tx, me, other)? {
                        Some(member) => {
                            seen::mark_seen(tx, member.thread().id, me, member.thread().last_seq - back, now).map(drop)
                        }
                        None => Ok(()),
                    })
                    .await
                    .unwrap();
                let seen = &mut self.model.seen[side as usize];
                *seen = (*seen).max(self.model.all.len().saturating_sub(back as usize));
                let notified = &mut self.model.notified[side as usize];
                *notified = (*notified).max(*seen);
            }
            Step::ReadNotifications(side, back) => {
                let [me, other] = self.pair(side);
                self.store
                    .write(move |tx| match threads::membership_with(tx, me, other)? {
                        Some(member) => {
                            let up_to = [(member.thread().id, member.thread().last_seq - back)];
                            notifications::mark_read(tx, me, &up_to, now).map(drop)
                        }
                        None => Ok(()),
                    })
                    .await
                    .unwrap();
                let notified = &mut self.model.notified[side as usize];
                *notified = (*notified).max(self.model.all.len().saturating_sub(back as usize));
            }
            Step::ListNotifications(side, max_messages) => self.check_notifications(side, max_messages).await,
            Step::Trim(side, age, limit) => {
                let older_than = Timestamp::from_micros(self.now - age * 1_000);
                self.trim(side, older_than, limit, now).await;
            }
            Step::Page { side, before, from, limit, offset } => {
                let range = IdRange { before: self.id(before), from: self.id(from) };
                self.check_page(side, range, Window { limit, offset }).await;
            }
        }
    }

    async fn trim(&mut self, side: Side, older_than: Timestamp, limit: i64, now: Timestamp) {
        let [me, _] = self.pair(side);
        let log = self.store.read(move |read| events::read_from(read, me, 0, 1_000)).await.unwrap().events;
        let is_old = |(_, event): &&(i64, Event)| event.created_at < older_than;
        let mut old: Vec<Event> = log.iter().take_while(is_old).map(|(_, event)| *event).collect();
        // The newest of the old ones stays.
        old.truncate(old.len().saturating_sub(1).min(limit as usize));
        let gone = self.store.write_at_once(move |tx| notifications::trim_events(tx, me, older_than, limit, now)).await;
        assert_eq!(gone.unwrap(), old.len() as u64);
        for event in old.iter().filter(|event| event.kind == EventKind::MessageCreated) {
            let up_to = event.seq as usize;
            for places in [&mut self.model.forgotten, &mut self.model.notified] {
                places[side as usize] = places[side as usize].max(up_to);
            }
        }
    }

    async fn check_notifications(&self, side: Side, max_messages: usize) {
        let [me, _] = self.pair(side);
        let (mut from, mut listed) = (Some(NotificationCursor::TOP), Vec::new());
        while let Some(start) = from {
            let window = NotificationWindow { from: start, limit: 1, max_messages };
            let page = self.store.read(move |read| notifications::page(read, me, window)).await.unwrap();
            assert!(page.rows.len() <= 1, "one thread is one row");
            let all: Vec<_> = page.rows.iter().flat_map(|row| &row.notifications).collect();
            assert!(page.next.is_none() || all.len() == max_messages, "a page that leads on is full");
            listed.extend(all.iter().map(|one| (one.message.id.get(), one.is_new)));
            from = page.next;
        }
        assert_eq!(listed, self.model.notifications(side), "notifications");
    }

    fn pair(&self, side: Side) -> [UserId; 2] {
        match side {
            Side::Ann => self.users,
            Side::Bob => [self.users[1], self.users[0]],
        }
    }

    async fn send(&mut self, by: Side, now: Timestamp) {
        let [sender, receiver] = self.pair(by);
        let text = format!("message {}", self.model.all.len());
        let ask = Ask { sender, recipients: vec![receiver], file: None, key: None, known: Known::nobody() };
        let decide =
            move |_: &Facts<'_>| Ok::<_, StoreError>(Decision::Send { text: text.clone(), now, remember: None });
        let sent = self.store.send(ask, decide).await.unwrap().messages.remove(0);
        assert!(self.model.all.last().is_none_or(|last| last.id < sent.id), "ids grow along a thread");
        self.model.all.push(Line { id: sent.id, by, status: MessageStatus::Created });
        self.model.seen[by as usize] = self.model.all.len();
        self.model.notified[by as usize] = self.model.all.len();
    }

    async fn take_back(&mut self, back: usize, to: MessageStatus, now: Timestamp) {
        let Some(at) = self.shown(back) else { return };
        let (id, asking) = (self.model.all[at].id, self.users[0]);
        self.store
            .write(move |tx| {
                let found = messages::find(tx, id, asking)?.expect("a message of the thread");
                match to {
                    MessageStatus::Deleted => messages::delete(tx, &found.message, now),
                    _ => messages::hide(tx, &found.message, now),
                }
            })
            .await
            .unwrap();
        self.model.all[at].status = to;
    }

    async fn check_page(&self, side: Side, range: IdRange, window: Window) {
        let [me, other] = self.pair(side);
        let page = self
            .store
            .ask(move |read| {
                let (mut ids, known) = (Vec::new(), Known::default());
                let see = |_: &Membership, row: MessageRef<'_>| ids.push(row.id.get());
                let page = messages::thread_page(read, me, ThreadName::With(other), (range, window), &known, see)?;
                Ok::<_, StoreError>((page.count, ids))
            })
            .await
            .unwrap();
        let expected = self.model.page(side, range.before.map(MessageId::get), range.from.map(MessageId::get), window);
        assert_eq!(page, expected, "page {range:?} {window:?}");
    }

    /// Inbox, unread counts and everything that can be recounted, for both sides.
    async fn check_totals(&self) {
        for side in [Side::Ann, Side::Bob] {
            let [me, other] = self.pair(side);
            let (count, totals, listed, problems) = self
                .store
                .read(move |read| {
                    let mut first = None;
                    let window = InboxWindow { below: None, skip: 0, limit: 10 };
                    let page = threads::inbox(read, me, window, &Known::default(), |row| {
                        first = first.or(Some((row.message_id, row.message_status, row.unread_count)));
                    })?;
                    let thread = threads::membership_with(read, me, other)?.map(|member| member.thread().id);
                    let problems = thread.map(|thread| doctor::examine_thread(read, thread)).transpose()?;
                    let totals = users::totals(read, me)?;
                    Ok::<_, StoreError>((page.count, totals, first, problems.unwrap_or_default()))
                })
                .await
                .unwrap();
            assert_eq!(problems, [], "stored counts against a recount");
            let newest =
                self.model.visible(side).next_back().map(|line| (line.id, line.status, self.model.unread(side)));
            assert_eq!(listed, newest, "inbox row");
            assert_eq!(count, i64::from(newest.is_some()));
            let expected = (count, self.model.unread(side), self.model.unseen(side));
            assert_eq!((totals.listed_threads, totals.unread_messages, totals.unseen_notifications), expected);
            self.check_notifications(side, 3).await;
        }
    }
}

fn play(runtime: &Runtime, store: &Store, steps: Vec<Step>) {
    runtime.block_on(async {
        let mut history = History::begin(store.clone()).await;
        for step in steps {
            history.take(step).await;
        }
        history.check_totals().await;
        for side in [Side::Ann, Side::Bob] {
            history.check_page(side, IdRange::default(), Window { limit: 5, offset: 0 }).await;
            history.check_page(side, IdRange::default(), Window { limit: 3, offset: 4 }).await;
        }
    });
}

/// Plays `histories` and recounts everything that they left.
fn agree(store: &Store, histories: u32) {
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let config = Config { cases: histories / WORKERS, failure_persistence: None, ..Config::default() };
                TestRunner::new(config)
                    .run(&prop::collection::vec(step(), 1..40), |steps| {
                        play(&runtime, store, steps);
                        Ok(())
                    })
                    .unwrap();
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(doctor::examine(store, Arc::new(|_| {}))).unwrap();
    assert_eq!(report.problems, [], "totals of all histories against a recount");
    assert!(report.checked.threads > u64::from(histories / 2), "{:?}", report.checked);
}

#[test]
fn ten_thousand_random_histories_agree_with_the_naive_model_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    agree(&Store::open(folder.path().join("parlour.db")).unwrap(), HISTORIES);
}

#[test]
fn a_thousand_random_histories_agree_with_the_naive_model_postgres() {
    let schema = Schema::create();
    let settings = Settings::parse(&schema.to_string(), Options::default()).unwrap();
    agree(&Store::open(Location::Postgres(settings)).unwrap(), HISTORIES_ON_POSTGRES);
}
