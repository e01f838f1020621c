//! Bringing a community's history in: users, follows and one-to-one threads, batch by batch.
//!
//! A batch is one transaction. A record that cannot be taken is refused by itself, with the field that is wrong, and the rest of the
//! batch goes on; a failure of the store takes the whole batch back. Everything can be imported again: users are known by id,
//! messages by `ext_id`.

use crate::directory::{UpsertOutcome, UserRow};
use crate::rules::MAX_KEY_CHARS;
use crate::{Core, Error, FieldProblem, Result};
use parlour_store::files::past;
use parlour_store::import::{self, FirstUnread, PastMessage};
use parlour_store::{StoreError, Tx, relations, users};
use parlour_types::model::{MessageStatus, Settings, UserChange};
use parlour_types::text::{TextProblem, check_message_text};
use parlour_types::{ErrorCode, FileUuid, MessageId, ThreadId, Timestamp, UserId};
use std::collections::BTreeMap;

/// How an export names what has no external id; the message's number follows.
pub const OWN_KEY: &str = "parlour:";

/// How far numbers brought along may lie above those of this moment.
const CLOCK_TOLERANCE_MICROS: i64 = 3_600_000_000;

/// One record of an import.
#[derive(Clone)]
pub enum Record {
    /// A user, known by id.
    User {
        /// The number.
        id: UserId,
        /// The fields given.
        change: Box<UserChange>,
    },
    /// `follower` follows `followed`.
    Follow {
        /// Who follows.
        follower: UserId,
        /// Whom.
        followed: UserId,
        /// Since when; `None` for now.
        created_at: Option<Timestamp>,
    },
    /// `user` hides `hidden`.
    Hide {
        /// Who hides.
        user: UserId,
        /// Whom.
        hidden: UserId,
        /// Since when.
        created_at: Timestamp,
    },
    /// The settings of a member.
    Settings {
        /// Whose.
        user: UserId,
        /// All of them.
        settings: Settings,
    },
    /// The thread of two users; only needed to give it a number or a time of its own.
    Thread {
        /// Its number, if it is to keep one.
        id: Option<ThreadId>,
        /// The two; the first is who began it.
        participants: [UserId; 2],
        /// When it began.
        created_at: Timestamp,
    },
    /// A message of the one-to-one thread of its two people, at the thread's end.
    Message {
        /// Its number, if it is to keep one.
        id: Option<MessageId>,
        /// The key by which a second import knows it.
        ext_id: String,
        /// Who wrote it.
        sender: UserId,
        /// To whom.
        receiver: UserId,
        /// When.
        created_at: Timestamp,
        /// What; empty once it was taken back, and where its file says enough.
        text: String,
        /// The sender's file that it shows; none once it was taken back.
        file: Option<FileUuid>,
        /// What has become of it since.
        marks: Marks,
    },
}

/// What has become of a message since it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marks {
    /// Where it is in its life.
    pub status: MessageStatus,
    /// The receiver has not seen it.
    pub unread: bool,
    /// Who has deleted the thread for themselves up to here.
    pub cleared_by: Vec<UserId>,
}

impl Default for Marks {
    /// Sent and seen.
    fn default() -> Self {
        Self { status: MessageStatus::Created, unread: false, cleared_by: Vec::new() }
    }
}

/// What became of one record.
#[derive(Debug)]
pub enum Outcome {
    /// It is new, or changed something.
    Imported,
    /// It was there already.
    Known,
    /// It cannot be taken.
    Refused(FieldProblem),
}

/// What a record that cannot be taken means for its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnRefusal {
    /// The rest goes on.
    GoOn,
    /// The whole batch is taken back.
    Stop,
}

/// Why a batch was taken back.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// A record was refused under [`OnRefusal::Stop`].
    #[error("record {index} of the batch was refused")]
    Refused {
        /// Which record, counted from 0.
        index: usize,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<StoreError> for BatchError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Imports one batch in one transaction and answers what became of each record, in order.
///
/// # Errors
/// [`BatchError`]; then nothing of the batch was kept.
pub async fn import_batch(
    core: &Core,
    records: Vec<Record>,
    on_refusal: OnRefusal,
) -> Result<Vec<Outcome>, BatchError> {
    let now = core.clock.now();
    let max_message_chars = core.rules.max_message_chars;
    core.store
        .write(move |tx| {
            let mut batch = Batch { tx, now, max_message_chars, touched: BTreeMap::new() };
            let mut outcomes = Vec::with_capacity(records.len());
            for (index, record) in records.iter().cloned().enumerate() {
                match batch.take(record)? {
                    Outcome::Refused(problem) if on_refusal == OnRefusal::Stop => {
                        return Err(BatchError::Refused { index, problem });
                    }
                    outcome => outcomes.push(outcome),
                }
            }
            for (thread, unread) in &batch.touched {
                import::settle_thread(tx, *thread, unread, now)?;
            }
            Ok(outcomes)
        })
        .await
}

struct Batch<'a, 'c> {
    tx: &'a Tx<'c>,
    now: Timestamp,
    max_message_chars: usize,
    /// The threads that have grown, each with what is unread in what was added.
    touched: BTreeMap<ThreadId, Vec<FirstUnread>>,
}

impl Batch<'_, '_> {
    fn take(&mut self, record: Record) -> Result<Outcome> {
        let taken = match record {
            Record::User { id, change } => self.user(id, *change),
            Record::Follow { follower, followed, created_at } => self.follow(follower, followed, created_at),
            Record::Hide { user, hidden, created_at } => self.hide(user, hidden, created_at),
            Record::Settings { user, settings } => self.settings(user, settings),
            Record::Thread { id, participants, created_at } => self.thread(id, participants, created_at),
            message @ Record::Message { .. } => self.message(message),
        };
        match taken {
            Ok(true) => Ok(Outcome::Imported),
            Ok(false) => Ok(Outcome::Known),
            // Whatever refuses a record has looked before it wrote, so there is nothing to take back.
            Err(Error::Invalid(mut problems)) if !problems.is_empty() => Ok(Outcome::Refused(problems.remove(0))),
            Err(other) => Err(other),
        }
    }

    fn user(&self, id: UserId, change: UserChange) -> Result<bool> {
        let result = crate::directory::upsert_user(self.tx, UserRow { id: Some(id), change }, self.now)?;
        Ok(result.outcome != UpsertOutcome::Unchanged)
    }

    fn follow(&self, follower: UserId, followed: UserId, created_at: Option<Timestamp>) -> Result<bool> {
        self.known(follower, "follower")?;
        self.known(followed, "followed")?;
        if follower == followed {
            return Err(Error::field("followed", ErrorCode::Invalid, "Nobody follows themselves."));
        }
        let created_at = created_at.unwrap_or(self.now);
        self.past(created_at, "created_at")?;
        Ok(relations::follow(self.tx, follower, followed, created_at)?)
    }

    fn hide(&self, user: UserId, hidden: UserId, created_at: Timestamp) -> Result<bool> {
        self.known(user, "user")?;
        self.known(hidden, "hidden")?;
        if user == hidden {
            return Err(Error::field("hidden", ErrorCode::Invalid, "Nobody hides themselves."));
        }
        self.past(created_at, "created_at")?;
        if relations::hides(self.tx, user, hidden)? {
            return Ok(false);
        }
        relations::hide(self.tx, user, hidden, created_at)?;
        Ok(true)
    }

    fn settings(&self, user: UserId, settings: Settings) -> Result<bool> {
        self.known(user, "user")?;
        let before = users::settings(self.tx, user)?;
        users::set_settings(self.tx, user, settings)?;
        Ok(before != settings)
    }

    fn thread(&self, id: Option<ThreadId>, [creator, other]: [UserId; 2], created_at: Timestamp) -> Result<bool> {
        self.known(creator, "participants")?;
        self.known(other, "participants")?;
        if creator == other {
            return Err(Error::field("participants", ErrorCode::Invalid, "A thread is between two different users."));
        }
        self.past(created_at, "created_at")?;
        if let Some(known) = import::existing_thread(self.tx, creator, other)? {
            return match id {
                Some(id) if id != known.id => {
                    Err(Error::field("id", ErrorCode::Conflict, "These two have a thread with another id."))
                }
                _ => Ok(false),
            };
        }
        if let Some(id) = id {
            self.free(id.get())?;
        }
        import::direct_thread(self.tx, creator, other, id, created_at, self.now)?;
        Ok(true)
    }

    fn message(&mut self, record: Record) -> Result<bool> {
        let Record::Message { id, ext_id, sender, receiver, created_at, text, file, marks } = record else {
            return Ok(false);
        };
        if ext_id.is_empty() || ext_id.chars().count() > MAX_KEY_CHARS {
            return Err(Error::field("ext_id", ErrorCode::Invalid, "Must be 1 to 255 characters."));
        }
        if ext_id.contains('\0') {
            return Err(Error::Invalid(vec![FieldProblem::text("ext_id", TextProblem::Nul)]));
        }
        if import::message_of(self.tx, &ext_id)?.is_some() {
            return Ok(false);
        }
        self.known(sender, "sender")?;
        self.known(receiver, "receiver")?;
        if sender == receiver {
            return Err(Error::field("receiver", ErrorCode::Invalid, "Nobody writes to themselves."));
        }
        self.past(created_at, "created_at")?;
        let file = file.filter(|_| marks.status == MessageStatus::Created);
        if marks.status == MessageStatus::Created {
            self.says_something(sender, &text, file)?;
        }
        if marks.cleared_by.iter().any(|user| *user != sender && *user != receiver) {
            return Err(Error::field("cleared_by", ErrorCode::Invalid, "Only the two of the thread can delete it."));
        }
        let known = import::existing_thread(self.tx, sender, receiver)?;
        match (id, known) {
            (Some(id), known) => {
                // What the server itself issued is known by its number alone.
                if ext_id.strip_prefix(OWN_KEY).is_some_and(|own| own == id.to_string())
                    && known.map(|thread| import::is_of(self.tx, id, thread.id)).transpose()? == Some(true)
                {
                    return Ok(false);
                }
                self.free(id.get())?;
                let highest = known.map(|thread| import::highest_id(self.tx, thread.id)).transpose()?.flatten();
                if highest.is_some_and(|highest| id <= highest) {
                    return Err(Error::field("id", ErrorCode::OutOfRange, "Ids must grow along a thread."));
                }
            }
            // Without a number, time alone says where a message belongs.
            (None, Some(thread)) if thread.last_seq > 0 && created_at < thread.last_message_at => {
                let message = "Must not be earlier than the thread's newest message.";
                return Err(Error::field("created_at", ErrorCode::OutOfRange, message));
            }
            (None, _) => {}
        }
        let thread = match known {
            Some(thread) => thread.id,
            None => import::direct_thread(self.tx, sender, receiver, None, created_at, self.now)?,
        };
        let Marks { status, unread, cleared_by } = &marks;
        let message =
            PastMessage { id, ext_id: &ext_id, sender, created_at, status: *status, text: &text, file, cleared_by };
        let seq = import::append(self.tx, thread, message, self.now)?;
        let firsts = self.touched.entry(thread).or_default();
        if *unread && firsts.iter().all(|first| first.user != receiver) {
            firsts.push(FirstUnread { user: receiver, seq });
        }
        Ok(true)
    }

    fn says_something(&self, sender: UserId, text: &str, file: Option<FileUuid>) -> Result<()> {
        // A file says enough by itself.
        if file.is_none() || !text.is_empty() {
            check_message_text(text, self.max_message_chars)
                .map_err(|problem| Error::Invalid(vec![FieldProblem::text("text", problem)]))?;
        }
        match file {
            Some(uuid) if past::showable(self.tx, sender, uuid)?.is_none() => {
                Err(Error::field("file", ErrorCode::DoesNotExist, "Its sender has no such file."))
            }
            _ => Ok(()),
        }
    }

    fn known(&self, user: UserId, field: &'static str) -> Result<()> {
        let found = users::account(self.tx, user)?;
        found.map(drop).ok_or_else(|| Error::field(field, ErrorCode::DoesNotExist, format!("There is no user {user}.")))
    }

    fn past(&self, at: Timestamp, field: &'static str) -> Result<()> {
        if at > self.now {
            return Err(Error::field(field, ErrorCode::OutOfRange, "Must not be in the future."));
        }
        Ok(())
    }

    /// A number brought along must be unused, and lie below those that the server issues from now on. What it issued itself a moment ago may
    /// lie a little above, after a burst of sends or when the clock was set back; it goes on above that.
    fn free(&self, id: i64) -> Result<()> {
        if id >= self.tx.id_floor(self.now.plus_micros(CLOCK_TOLERANCE_MICROS)) {
            return Err(Error::field(
                "id",
                ErrorCode::OutOfRange,
                "Must lie below the ids that the server issues today.",
            ));
        }
        if import::id_is_taken(self.tx, id)? {
            return Err(Error::field("id", ErrorCode::Conflict, "Another thread or message has this id."));
        }
        Ok(())
    }
}
