//! What a group of sends knows: read at once, then moved in memory by each send.

use super::changes::{Changes, SentEvent};
use super::{Ask, Facts, Order, Remember, Sent, key_of};
use crate::batch::{Batch, Column, ask_all};
use crate::db::{Row, Source, Tx};
use crate::dialect;
use crate::error::{Result, StoreError};
use crate::events::EventKind;
use crate::files;
use crate::idempotency::{self, FirstMessage, FirstUse};
use crate::mailboxes::{Totals, decode_totals, totals_columns};
use crate::relations::Relation;
use crate::threads::{MEMBERSHIP, Membership, members_of_pair_sql};
use crate::users::{Account, People, decode_account, hidden};
use parlour_types::model::{Attachment, Message, MessageStatus, Thread};
use parlour_types::{FileUuid, MessageId, ThreadId, Timestamp, UserId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A person whom a group concerns.
#[derive(Clone, Copy)]
pub(super) struct Person {
    pub(super) account: Account,
    pub(super) totals: Totals,
    pub(super) event_position: i64,
    pub(super) changed: bool,
}

/// The thread of two people.
pub(super) struct Conversation {
    pub(super) thread: Thread,
    /// The highest id in it.
    pub(super) last_id: i64,
    pub(super) members: [Membership; 2],
    /// Where the members' inbox rows stood.
    pub(super) listed_at: [Option<Timestamp>; 2],
    pub(super) is_new: bool,
    /// Its newest message of this group, as its place in [`Changes::messages`].
    pub(super) newest: Option<usize>,
}

#[derive(Default)]
pub(super) struct Work {
    pub(super) people: Option<People>,
    pub(super) persons: BTreeMap<UserId, Person>,
    pub(super) relations: HashMap<(UserId, UserId), Relation>,
    /// By the lower and the higher id.
    pub(super) conversations: BTreeMap<(UserId, UserId), Conversation>,
    pub(super) first_uses: HashMap<(UserId, String), FirstUse>,
    /// Files that are ready, by owner and by what they were asked for by.
    pub(super) files: HashMap<(UserId, FileUuid), Attachment>,
}

pub(crate) const PERSON: &str = concat!(
    "select u.id, u.status, u.role, u.community_badge, ",
    totals_columns!(),
    ", b.event_position from users u join mailboxes b on b.user_id = u.id where u.id = ?1"
);

pub(crate) const RELATION: &str =
    concat!("select exists (select 1 from follows where follower_id = ?2 and followed_id = ?1), ", hidden!("?1", "?2"));

pub(crate) const CONVERSATION: &str = concat!(
    members_of_pair_sql!(
        ", coalesce((select x.id from messages x where x.thread_id = t.id order by x.seq desc limit 1), 0),
         coalesce((select x.message_id from deleted_messages x where x.thread_id = t.id order by x.seq desc limit 1), 0)"
    ),
    " order by m.user_id"
);

fn ids(ids: impl IntoIterator<Item = UserId>) -> Column<'static> {
    Column::Ints(ids.into_iter().map(UserId::get).collect())
}

impl Work {
    pub(super) fn gather(tx: &Tx<'_>, orders: &[&mut dyn Order]) -> Result<Self> {
        let asks: Vec<&Ask> = orders.iter().map(|order| order.ask()).collect();
        let everybody: BTreeSet<UserId> =
            asks.iter().flat_map(|ask| ask.recipients.iter().copied().chain([ask.sender])).collect();
        let directed: BTreeSet<(UserId, UserId)> =
            asks.iter().flat_map(|ask| ask.recipients.iter().map(|to| (ask.sender, *to))).collect();
        let pairs: BTreeSet<(UserId, UserId)> =
            directed.iter().map(|(one, other)| (*one.min(other), *one.max(other))).collect();
        let keyed: Vec<&&Ask> = asks.iter().filter(|ask| ask.key.is_some()).collect();
        let filed: Vec<(UserId, FileUuid)> = asks.iter().filter_map(|ask| Some((ask.sender, ask.file?))).collect();
        let questions = [
            Batch::new(PERSON, vec![ids(everybody.iter().copied())]),
            Batch::new(
                RELATION,
                vec![ids(directed.iter().map(|(from, _)| *from)), ids(directed.iter().map(|(_, to)| *to))],
            ),
            Batch::new(
                CONVERSATION,
                vec![ids(pairs.iter().map(|(low, _)| *low)), ids(pairs.iter().map(|(_, high)| *high))],
            ),
            Batch::new(
                idempotency::FIRST_USE,
                vec![
                    ids(keyed.iter().map(|ask| ask.sender)),
                    Column::Texts(keyed.iter().filter_map(|ask| ask.key.as_deref()).collect()),
                ],
            ),
            Batch::new(
                files::RESOLVE,
                vec![
                    ids(filed.iter().map(|(owner, _)| *owner)),
                    Column::Bytes(filed.iter().map(|(_, uuid)| &uuid.as_bytes()[..]).collect()),
                ],
            ),
        ];
        let (directed, pairs): (Vec<_>, Vec<_>) = (directed.into_iter().collect(), pairs.into_iter().collect());
        let mut work = Self::default();
        work.lock_and_meet(tx, &asks, &everybody, &questions, |work, at, index, row, first| {
            match at {
                0 => work.meet(row, first)?,
                1 => {
                    let relation = Relation { followed_back: row.flag(first)?, hidden: row.flag(first + 1)? };
                    work.relations.insert(directed[index], relation);
                }
                2 => work.join(pairs[index], row, first)?,
                3 => {
                    work.first_uses.insert(key_of(keyed[index]), idempotency::decode(row, first)?);
                }
                _ => {
                    let ready = files::decode_attachment(row, first)?.filter(|file| !file.is_lost);
                    work.files.extend(ready.map(|file| (filed[index], file)));
                }
            }
            Ok(())
        })?;
        Ok(work)
    }

    /// Asks `questions`, on PostgreSQL behind the locks and together with the people who are not known.
    fn lock_and_meet(
        &mut self,
        tx: &Tx<'_>,
        asks: &[&Ask],
        everybody: &BTreeSet<UserId>,
        questions: &[Batch<'_>],
        mut see: impl FnMut(&mut Self, usize, usize, &Row<'_>, usize) -> Result<()>,
    ) -> Result<()> {
        if let Source::Sqlite(_) = tx.source() {
            return ask_all(tx, questions, |at, index, row, first| see(self, at, index, row, first));
        }
        let everybody: Vec<i64> = everybody.iter().map(|id| id.get()).collect();
        let versions: BTreeSet<i64> = asks.iter().map(|ask| ask.known.version).collect();
        // Callers who know people in different versions are rare: then everybody is brought.
        let (version, known) = match versions.first() {
            Some(version) if versions.len() == 1 => {
                let unknown: BTreeSet<i64> = asks.iter().flat_map(|ask| ask.unknown()).collect();
                (*version, everybody.iter().copied().filter(|id| !unknown.contains(id)).collect())
            }
            _ => (-1, Vec::new()),
        };
        let mut all = vec![
            Batch::new(dialect::LOCK_MAILBOXES, vec![Column::List(everybody.clone())]),
            Batch::new(
                dialect::PEOPLE,
                vec![Column::Ints(vec![version]), Column::List(known), Column::List(everybody)],
            ),
        ];
        all.extend_from_slice(questions);
        let mut people = People::default();
        ask_all(tx, &all, |at, index, row, first| match at {
            0 => Ok(()),
            1 => {
                match row.str_opt(1)? {
                    Some(json) => people.users.push(crate::users::decode_packed(json)?),
                    None => people.version = row.int(0)?,
                }
                Ok(())
            }
            at => see(self, at - 2, index, row, first),
        })?;
        self.people = Some(people);
        Ok(())
    }

    fn meet(&mut self, row: &Row<'_>, first: usize) -> Result<()> {
        let person = Person {
            account: decode_account(row, first)?,
            totals: decode_totals(row, first + 4)?,
            event_position: row.int(first + 8)?,
            changed: false,
        };
        self.persons.insert(person.account.id, person);
        Ok(())
    }

    fn join(&mut self, pair: (UserId, UserId), row: &Row<'_>, first: usize) -> Result<()> {
        let member = crate::threads::decode_from(row, first)?;
        let conversation = self.conversations.entry(pair).or_insert_with(|| Conversation {
            thread: member.thread,
            last_id: 0,
            members: [member; 2],
            listed_at: [None; 2],
            is_new: false,
            newest: None,
        });
        let side = usize::from(member.user_id == pair.1);
        conversation.members[side] = member;
        conversation.listed_at[side] = member.listed_at;
        conversation.last_id =
            conversation.last_id.max(row.int(first + MEMBERSHIP)?).max(row.int(first + MEMBERSHIP + 1)?);
        Ok(())
    }

    pub(super) fn facts(&self, ask: &Ask) -> Result<Facts<'_>> {
        let account = |id: &UserId| self.persons.get(id).map(|person| person.account);
        let recipients = ask.recipients.iter().map(|to| Some((account(to)?, *self.relations.get(&(ask.sender, *to))?)));
        let is_begun = |to: &&UserId| {
            let pair = (ask.sender.min(**to), ask.sender.max(**to));
            self.conversations.get(&pair).is_none_or(|conversation| conversation.thread.last_seq == 0)
        };
        Ok(Facts {
            first_use: ask.key.as_ref().and_then(|_| self.first_uses.get(&key_of(ask))),
            sender: account(&ask.sender),
            recipients: recipients.collect(),
            begun: ask.recipients.iter().filter(is_begun).count(),
            file: ask.file.and_then(|uuid| self.files.get(&(ask.sender, uuid))),
        })
    }

    /// The people of one send: a group may bring hundreds.
    pub(super) fn people_of(&self, ask: &Ask) -> Option<People> {
        let people = self.people.as_ref()?;
        let users = people.users.iter().filter(|(user, _)| ask.concerns(user.id.get()));
        Some(People { version: people.version, users: users.cloned().collect() })
    }

    /// Puts the message at the end of each thread.
    pub(super) fn send(
        &mut self,
        tx: &Tx<'_>,
        changes: &mut Changes,
        ask: &Ask,
        (text, now): (String, Timestamp),
        remember: Option<Remember>,
    ) -> Result<Sent> {
        let file = match ask.file {
            None => None,
            Some(uuid) => {
                const ABSENT: StoreError =
                    StoreError::Inconsistent { table: "files", what: "absence of a file just seen" };
                Some(self.files.get(&(ask.sender, uuid)).cloned().ok_or(ABSENT)?)
            }
        };
        if let Some(file) = &file {
            let attached = changes.attached.entry((ask.sender, file.uuid)).or_default();
            *attached += i64::try_from(ask.recipients.len()).unwrap_or(i64::MAX);
        }
        let mut messages = Vec::with_capacity(ask.recipients.len());
        for to in &ask.recipients {
            messages.push(self.append(tx, changes, (ask.sender, *to), (&text, file.as_ref()), now)?);
        }
        let first_use = match remember {
            None => None,
            Some(remember) => Some(self.remember(tx, changes, ask, &messages, (&remember, now))?),
        };
        Ok(Sent { messages, first_use, people: self.people_of(ask) })
    }

    fn append(
        &mut self,
        tx: &Tx<'_>,
        changes: &mut Changes,
        (sender, to): (UserId, UserId),
        (text, file): (&str, Option<&Attachment>),
        now: Timestamp,
    ) -> Result<Message> {
        let pair = (sender.min(to), sender.max(to));
        let conversation = match self.conversations.entry(pair) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let id = ThreadId::new(tx.next_id(now)?).ok_or(StoreError::IdsExhausted)?;
                new.insert(Conversation::begin(pair, sender, id, now))
            }
        };
        // The clock of another node may be ahead; a thread's ids and times only grow.
        tx.observe_id(conversation.last_id);
        let created_at = now.max(conversation.thread.last_message_at);
        let id = MessageId::new(tx.next_id(created_at)?).ok_or(StoreError::IdsExhausted)?;
        let thread = &mut conversation.thread;
        thread.last_seq += 1;
        thread.last_message_at = created_at;
        conversation.last_id = id.get();
        conversation.newest = Some(changes.messages.len());
        let (thread, seq) = (*thread, thread.last_seq);
        for member in &mut conversation.members {
            let person = self
                .persons
                .get_mut(&member.user_id)
                .ok_or(StoreError::Inconsistent { table: "mailboxes", what: "absence of a member's row" })?;
            person.changed = true;
            person.totals.listed_threads += i64::from(member.listed_at.is_none());
            // Whoever writes has seen what stands before.
            let (kind, unread_count, unseen_count) = if member.user_id == sender {
                (member.read_seq, member.notified_seq) = (seq, seq);
                (EventKind::OwnMessageCreated, 0, 0)
            } else {
                (EventKind::MessageCreated, member.unread_count + 1, member.unseen_count + 1)
            };
            person.totals.unread_threads += i64::from(unread_count > 0) - i64::from(member.unread_count > 0);
            person.totals.unread_messages += unread_count - member.unread_count;
            person.totals.unseen_notifications += unseen_count - member.unseen_count;
            person.event_position += 1;
            member.unread_count = unread_count;
            member.unseen_count = unseen_count;
            member.listed_at = Some(created_at);
            member.thread = thread;
            changes.events.push(SentEvent {
                user_id: member.user_id,
                position: person.event_position,
                kind,
                thread_id: thread.id,
                seq,
                created_at,
            });
            tx.touch_thread(member.user_id, thread.id);
        }
        let message = Message {
            id,
            thread_id: thread.id,
            seq,
            sender_id: sender,
            created_at,
            status: MessageStatus::Created,
            text: text.to_owned(),
            file: file.cloned(),
        };
        changes.messages.push(message.clone());
        Ok(message)
    }

    /// Takes the key, and keeps how the people look.
    fn remember(
        &self,
        tx: &Tx<'_>,
        changes: &mut Changes,
        ask: &Ask,
        messages: &[Message],
        (remember, now): (&Remember, Timestamp),
    ) -> Result<FirstUse> {
        let mut keep = |user: UserId| -> Result<i64> {
            let Some(people) = &self.people else { return idempotency::keep_rendering(tx, user, remember.render) };
            const ABSENT: StoreError = StoreError::Inconsistent { table: "users", what: "absence of a user just seen" };
            let (user, version) = people.users.iter().find(|(known, _)| known.id == user).ok_or(ABSENT)?;
            changes.renderings.insert((user.id, *version), (remember.render)(user));
            Ok(*version)
        };
        let sender_version = keep(ask.sender)?;
        let message = |(message, receiver_id): (&Message, &UserId)| {
            Ok(FirstMessage { id: message.id, receiver_id: *receiver_id, receiver_version: keep(*receiver_id)? })
        };
        let first = FirstUse {
            fingerprint: remember.fingerprint,
            sender_version,
            messages: messages.iter().zip(&ask.recipients).map(message).collect::<Result<_>>()?,
        };
        let key = ask.key.clone().unwrap_or_default();
        changes.keys.push((ask.sender, key, idempotency::encode_messages(&first), first.clone(), now));
        Ok(first)
    }
}

impl Ask {
    /// Whom of its people the answer must bring.
    fn unknown(&self) -> impl Iterator<Item = i64> {
        let people = self.recipients.iter().copied().chain([self.sender]).map(UserId::get);
        people.filter(|id| !self.known.ids.contains(id))
    }

    fn concerns(&self, id: i64) -> bool {
        self.sender.get() == id || self.recipients.iter().any(|to| to.get() == id)
    }
}

impl Conversation {
    fn begin((low, high): (UserId, UserId), creator: UserId, id: ThreadId, now: Timestamp) -> Self {
        let other_id = if creator == low { high } else { low };
        let thread = Thread {
            id,
            creator_id: creator,
            other_id,
            created_at: now,
            last_seq: 0,
            deleted_count: 0,
            last_message_at: now,
        };
        let member = |user_id| Membership {
            thread,
            user_id,
            read_seq: 0,
            cleared_seq: 0,
            unread_count: 0,
            listed_at: None,
            notified_seq: 0,
            unseen_count: 0,
        };
        Self {
            thread,
            last_id: id.get(),
            members: [member(low), member(high)],
            listed_at: [None; 2],
            is_new: true,
            newest: None,
        }
    }
}
