//! The floor of sends: the bare driver asks the statements of a group and commits, in the same two round trips. What lies between them is
//! the arithmetic that gives the rows their values; no rule is looked at and nobody is answered.

use super::community::connect;
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use futures_util::future::{join, join_all, try_join_all};
use parlour_store::statements::{Sends, sends};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

type Params<'p> = Vec<&'p (dyn ToSql + Sync)>;

/// A connection with the statements of groups of one size.
pub(super) struct BareSends {
    client: Client,
    questions: Vec<Statement>,
    changes: Vec<Statement>,
    texts: Sends,
    size: usize,
    /// The directory's version, in which everybody is known.
    version: i64,
    next_id: i64,
}

/// A member's side of a message: the message, the member, and where the member stands.
type Side<'m> = (&'m Message, i64, State);

/// Where a member of a thread stands.
#[derive(Clone, Copy)]
struct State {
    unread: i64,
    listed_at: i64,
    notified_seq: i64,
    unseen: i64,
}

/// Whose event, at which position, of which thread and message, of which kind.
type Event = (i64, i64, i64, i64, i64);

/// A thread of a group.
struct Thread {
    id: i64,
    last_seq: i64,
    members: BTreeMap<i64, State>,
}

/// What one message of a group changes.
struct Message {
    thread: i64,
    seq: i64,
    id: i64,
    sender: i64,
    text: String,
}

impl BareSends {
    pub(super) async fn connect(url: &str, size: usize) -> Result<Self> {
        let (client, texts) = (connect(url).await?, sends(size));
        let questions = try_join_all(texts.questions.iter().map(|text| client.prepare(text))).await?;
        let changes = try_join_all(texts.changes.iter().map(|text| client.prepare(text))).await?;
        let version = "select value from counters where name = 'directory_version'";
        let version = client.query_one(version, &[]).await?.get(0);
        Ok(Self { client, questions, changes, texts, size, version, next_id: 0 })
    }

    /// Sends group after group for `time`; answers sends a second and the median of a group in microseconds.
    pub(super) async fn run(&mut self, pairs: &[(i64, i64)], random: &mut Rng, time: Duration) -> Result<(f64, f64)> {
        let newest = "select coalesce(max(id), 0) from messages";
        // Beyond all that others have sent.
        self.next_id = self.client.query_one(newest, &[]).await?.get(0);
        let (started, mut groups) = (Instant::now(), Vec::new());
        while started.elapsed() < time {
            let begun = Instant::now();
            // A pair that comes twice would need its statements over fewer rows.
            let mut chosen = BTreeMap::new();
            while chosen.len() < self.size {
                let (from, to) = pairs[1 + random.usize(..pairs.len() - 1)];
                chosen.insert((from.min(to), from.max(to)), (from, crate::dataset::text(random)));
            }
            self.group(chosen).await?;
            groups.push(begun.elapsed());
        }
        let sent = groups.len() * self.size;
        let per_second = sent as f64 / started.elapsed().as_secs_f64();
        groups.sort_unstable();
        Ok((per_second, groups[groups.len() / 2].as_secs_f64() * 1e6))
    }

    async fn group(&mut self, chosen: BTreeMap<(i64, i64), (i64, String)>) -> Result<()> {
        let pairs: Vec<(i64, i64)> = chosen.keys().copied().collect();
        let (mut people, mut threads) = self.gather(&pairs).await?;
        let (mut messages, mut events) = (Vec::new(), Vec::new());
        for ((pair, (sender, text)), thread) in chosen.into_iter().zip(&mut threads) {
            self.next_id += 1;
            thread.last_seq += 1;
            let (id, seq) = (self.next_id, thread.last_seq);
            for member in [pair.0, pair.1] {
                let state = thread.members.get_mut(&member).context("a member")?;
                let (before, is_own) = (*state, member == sender);
                if is_own {
                    *state = State { unread: 0, unseen: 0, notified_seq: seq, ..before };
                } else {
                    *state = State { unread: before.unread + 1, unseen: before.unseen + 1, ..before };
                }
                let totals = people.get_mut(&member).context("a person")?;
                totals[1] += i64::from(state.unread > 0) - i64::from(before.unread > 0);
                totals[2] += state.unread - before.unread;
                totals[3] += state.unseen - before.unseen;
                totals[4] += 1;
                events.push((member, totals[4], thread.id, seq, if is_own { 6 } else { 1 }));
            }
            messages.push(Message { thread: thread.id, seq, id, sender, text });
        }
        self.write(&people, &threads, &messages, &events).await
    }

    /// The totals and event positions of everybody, and the threads of the pairs in their order.
    async fn gather(&self, pairs: &[(i64, i64)]) -> Result<(BTreeMap<i64, [i64; 5]>, Vec<Thread>)> {
        let mut everybody: Vec<i64> = pairs.iter().flat_map(|(low, high)| [*low, *high]).collect();
        everybody.sort_unstable();
        everybody.dedup();
        let (low, high): (Vec<i64>, Vec<i64>) = pairs.iter().copied().unzip();
        let of_pairs: Params<'_> = if self.texts.over_rows { vec![&low, &high] } else { vec![&low[0], &high[0]] };
        let params: [Params<'_>; 5] = [
            vec![&everybody],
            vec![&self.version, &everybody, &everybody],
            vec![&everybody],
            of_pairs.clone(),
            of_pairs,
        ];
        let begun = self.client.batch_execute("begin isolation level read committed");
        let asked = join_all(self.questions.iter().zip(&params).map(|(one, params)| self.client.query(one, params)));
        let (begun, answers) = join(begun, asked).await;
        begun?;
        let answers: Vec<Vec<Row>> = answers.into_iter().collect::<Result<_, _>>()?;
        let person = |row: &Row| (row.get(1), [5, 6, 7, 8, 9].map(|column| row.get(column)));
        let people = answers[2].iter().map(person).collect();
        let first = usize::from(self.texts.over_rows);
        let mut threads: Vec<Thread> = Vec::with_capacity(pairs.len());
        for row in &answers[4] {
            let id = row.get(first);
            if threads.last().is_none_or(|thread| thread.id != id) {
                threads.push(Thread { id, last_seq: row.get(first + 4), members: BTreeMap::new() });
            }
            let thread = threads.last_mut().context("a thread")?;
            let state = State {
                unread: row.get(first + 10),
                listed_at: row.get(first + 11),
                notified_seq: row.get(first + 12),
                unseen: row.get(first + 13),
            };
            thread.members.insert(row.get(first + 7), state);
        }
        ensure!(threads.len() == pairs.len(), "a pair without its thread");
        Ok((people, threads))
    }

    async fn write(
        &self,
        people: &BTreeMap<i64, [i64; 5]>,
        threads: &[Thread],
        messages: &[Message],
        events: &[Event],
    ) -> Result<()> {
        let ints = |of: &dyn Fn(&Message) -> i64| -> Vec<i64> { messages.iter().map(of).collect() };
        let (thread, seq, id) = (ints(&|one| one.thread), ints(&|one| one.seq), ints(&|one| one.id));
        let sender = ints(&|one| one.sender);
        let now = parlour_core::Clock::System.now().as_micros();
        let (time, side_time, event_time) =
            (vec![now; messages.len()], vec![now; messages.len() * 2], vec![now; events.len()]);
        let texts: Vec<&str> = messages.iter().map(|one| &*one.text).collect();
        let sides: Vec<Side<'_>> = threads
            .iter()
            .zip(messages)
            .flat_map(|(thread, message)| thread.members.iter().map(move |(user, state)| (message, *user, *state)))
            .collect();
        let sided = |of: &dyn Fn(&Side<'_>) -> i64| -> Vec<i64> { sides.iter().map(of).collect() };
        let (side_thread, side_user) = (sided(&|side| side.0.thread), sided(&|side| side.1));
        let (side_seq, side_id) = (sided(&|side| side.0.seq), sided(&|side| side.0.id));
        let (side_unread, side_listed) = (sided(&|side| side.2.unread), sided(&|side| side.2.listed_at));
        let (side_notified, side_unseen) = (sided(&|side| side.2.notified_seq), sided(&|side| side.2.unseen));
        let side_texts: Vec<&str> = sides.iter().map(|side| &*side.0.text).collect();
        let person = |at: usize| -> Vec<i64> { people.values().map(|totals| totals[at]).collect() };
        let (users, totals) = (people.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 4, 3].map(person));
        let event = |of: &dyn Fn(&Event) -> i64| -> Vec<i64> { events.iter().map(of).collect() };
        let (event_user, event_position) = (event(&|one| one.0), event(&|one| one.1));
        let (event_thread, event_seq, kind) = (event(&|one| one.2), event(&|one| one.3), event(&|one| one.4));
        let one = !self.texts.over_rows;
        let moved: Params<'_> = if one { vec![&thread[0], &seq[0], &now] } else { vec![&thread, &seq, &time] };
        let stored: Params<'_> = if one {
            vec![&thread[0], &seq[0], &id[0], &sender[0], &now, &texts[0]]
        } else {
            vec![&thread, &seq, &id, &sender, &time, &texts]
        };
        let params: [Params<'_>; 6] = [
            moved,
            vec![&side_thread, &side_user, &side_seq, &side_unread, &side_time, &side_notified, &side_unseen],
            vec![&side_user, &side_listed, &side_thread, &side_time, &side_unread, &side_id, &side_texts],
            stored,
            vec![&users, &totals[0], &totals[1], &totals[2], &totals[3], &totals[4]],
            vec![&event_user, &event_position, &event_thread, &event_seq, &event_time, &kind],
        ];
        let changed = join_all(self.changes.iter().zip(&params).map(|(one, params)| self.client.query(one, params)));
        let (changed, committed) = join(changed, self.client.batch_execute("commit")).await;
        changed.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(committed?)
    }
}
