//! Sending: a group of sends as one unit of work.
//!
//! What the whole group needs to know is read at once, each send is decided on what is known by then, and what all of them changed is written
//! at once. So one send costs PostgreSQL two round trips, and a hundred of them hardly more; each still has its own result and its own error.
//! Before anything is read, the mailboxes of everybody concerned are locked in the order of their ids: whoever changes what a member sees
//! changes the member's mailbox, so nobody else does meanwhile.

pub(crate) mod changes;
pub(crate) mod work;

use crate::db::Tx;
use crate::error::{Result, StoreError};
use crate::idempotency::{Fingerprint, FirstUse};
use crate::relations::Relation;
use crate::users::{Account, Known, People};
use changes::Changes;
use parlour_types::model::{Attachment, Message, User};
use parlour_types::{FileUuid, Timestamp, UserId};
use work::Work;

/// Who wants to write to whom.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The sender.
    pub sender: UserId,
    /// The recipients, each once and none of them the sender.
    pub recipients: Vec<UserId>,
    /// The sender's file, or a picture of it.
    pub file: Option<FileUuid>,
    /// The caller's name for this send.
    pub key: Option<String>,
    /// Whom the answer need not bring.
    pub known: Known,
}

/// What is known of a send when it is decided.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The key's first use, if there was one.
    pub first_use: Option<&'a FirstUse>,
    /// The sender, if there is such a user.
    pub sender: Option<Account>,
    /// The recipients in their order, each with how the sender and they stand to each other, if there is such a user.
    pub recipients: Vec<Option<(Account, Relation)>>,
    /// To how many of them nobody has written before.
    pub begun: usize,
    /// The file asked for, if the sender has such a one and it is ready.
    pub file: Option<&'a Attachment>,
}

/// What becomes of a send.
#[derive(Debug)]
pub enum Decision {
    /// It is a repeat: nothing is sent.
    Repeat,
    /// It goes out, with the file, if one was asked for.
    Send {
        /// What.
        text: String,
        /// When.
        now: Timestamp,
        /// What the key is to remember.
        remember: Option<Remember>,
    },
}

/// What a key is to remember beside the messages.
#[derive(Debug)]
pub struct Remember {
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// How the sender and the recipients look.
    pub render: fn(&User) -> String,
}

/// What a send made.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The messages, in the order of the recipients; none of a repeat.
    pub messages: Vec<Message>,
    /// What the key remembers, now or from before.
    pub first_use: Option<FirstUse>,
    /// The people who were not known; `None` where they are for the asking.
    pub people: Option<People>,
}

/// A send of a group, from its question to its answer.
pub(crate) trait Order {
    fn ask(&self) -> &Ask;
    /// Decides, or keeps the error for its caller and answers `None`.
    fn decide(&mut self, facts: &Facts<'_>) -> Option<Decision>;
    /// Takes note of what was made.
    fn made(&mut self, sent: Sent);
}

/// A send as a caller asks for it.
pub(crate) struct Undecided<E, F> {
    ask: Ask,
    decide: F,
    result: Option<Result<Sent, E>>,
}

impl<E: From<StoreError>, F> Undecided<E, F> {
    pub(crate) fn new(ask: Ask, decide: F) -> Self {
        Self { ask, decide, result: None }
    }

    /// What came of it.
    pub(crate) fn take_result(&mut self) -> Result<Sent, E> {
        self.result.take().unwrap_or_else(|| Err(StoreError::WriterStopped.into()))
    }
}

impl<E: From<StoreError>, F: FnMut(&Facts<'_>) -> Result<Decision, E>> Order for Undecided<E, F> {
    fn ask(&self) -> &Ask {
        &self.ask
    }

    fn decide(&mut self, facts: &Facts<'_>) -> Option<Decision> {
        match (self.decide)(facts) {
            Ok(decision) => Some(decision),
            Err(error) => {
                self.result = Some(Err(error));
                None
            }
        }
    }

    fn made(&mut self, sent: Sent) {
        self.result = Some(Ok(sent));
    }
}

/// Sends what `orders` ask for, as far as they are not refused, and on PostgreSQL commits. No two may carry the same key of one sender.
pub(crate) fn send_group(tx: &Tx<'_>, orders: &mut [&mut dyn Order]) -> Result<()> {
    let mut work = Work::gather(tx, orders)?;
    let mut changes = Changes::default();
    for order in orders.iter_mut() {
        let facts = work.facts(order.ask())?;
        let Some(decision) = order.decide(&facts) else { continue };
        let sent = match decision {
            Decision::Repeat => Sent {
                messages: Vec::new(),
                first_use: work.first_uses.get(&key_of(order.ask())).cloned(),
                people: work.people_of(order.ask()),
            },
            Decision::Send { text, now, remember } => {
                work.send(tx, &mut changes, order.ask(), (text, now), remember)?
            }
        };
        order.made(sent);
    }
    changes.write(tx, &work)
}

fn key_of(ask: &Ask) -> (UserId, String) {
    (ask.sender, ask.key.clone().unwrap_or_default())
}
