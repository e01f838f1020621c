use crate::access::{admit, admit_active, can_send};
use crate::limits::{Action, Allowance};
use crate::rules::MAX_KEY_CHARS;
use crate::{Caller, Core, Error, FieldProblem, Result};
use parlour_store::idempotency::{self, Fingerprint, FirstMessage, FirstUse};
use parlour_store::messages::Found;
use parlour_store::{StoreError, Tx, messages, users};
use parlour_types::model::Message;
use parlour_types::text::check_message_text;
use parlour_types::view::UserJson;
use parlour_types::{ErrorCode, MessageId, Timestamp, UserId};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The caller's name for one send, so that a repeat is recognised: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Checks the key's form.
    ///
    /// # Errors
    /// What a key must look like, in words.
    pub fn new(key: &str) -> Result<Self, &'static str> {
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && !key.is_empty() && key.len() <= MAX_KEY_CHARS {
            Ok(Self(key.to_owned()))
        } else {
            Err("Must be 1 to 255 visible ASCII characters.")
        }
    }
}

/// What a caller wants sent. Absent and empty are the same (contract §0.3 no. 11).
#[derive(Clone, Default)]
pub struct SendRequest {
    /// To whom.
    pub recipients: Vec<UserId>,
    /// What.
    pub message: Option<String>,
    /// The caller's name for this send.
    pub key: Option<IdempotencyKey>,
    /// From where, if that may be limited.
    pub address: Option<IpAddr>,
}

/// One message sent, and to whom.
pub struct Sent {
    /// The message.
    pub message: Message,
    /// To whom.
    pub receiver: UserJson,
}

/// What a send made: one message a recipient, in the order given.
pub struct SentMessages {
    /// Who sent.
    pub sender: UserJson,
    /// The messages.
    pub messages: Vec<Sent>,
    /// Whether the key was known, so that nothing was sent now.
    pub replayed: bool,
    /// Where this leaves the caller with the limit, if there is one.
    pub allowance: Option<Allowance>,
}

/// Sends a message to one or several recipients, one message a thread (contract §2.5). All or nothing: one recipient who cannot be
/// written to refuses the whole send. A repeat of a known key sends nothing and answers what the first use made.
///
/// # Errors
/// [`Error::Invalid`] for a wrong field, [`Error::Forbidden`] for a blocked sender and a recipient who may not be written to,
/// [`Error::KeyReused`] for a known key with another body, [`Error::TooOften`].
pub async fn send_message(core: &Core, caller: Caller, request: SendRequest) -> Result<SentMessages> {
    let (order, problems) = Order::read(core, caller, request);
    // A known key is answered whatever today's limits say; anything else that is wrong need not wait for the disk.
    if order.key.is_none() && !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let (now, address, limits) = (core.clock.now(), order.address, Arc::clone(&core.limits));
    let allowance = limits.count(Action::Send, caller, address, order.recipients.len())?;
    let mut counted = 0;
    let made = core
        .store
        .write(move |tx| {
            if let Some(first) = order.first_use(tx)? {
                return Ok::<_, Error>(Made::Keyed { first, replayed: true });
            }
            if !problems.is_empty() {
                return Err(Error::Invalid(problems.clone()));
            }
            order.authorize(tx)?;
            let send =
                |to: &UserId| messages::send_direct(tx, order.sender, *to, &order.text, now).map(|sent| (sent, *to));
            let sent: Vec<(Message, UserId)> = order.recipients.iter().map(send).collect::<Result<_, _>>()?;
            let begun = sent.iter().filter(|(message, _)| message.seq == 1).count();
            // Another try is no other conversation.
            if counted < begun {
                limits.count(Action::NewConversation, caller, address, begun - counted)?;
                counted = begun;
            }
            match &order.key {
                None => Ok(Made::Plain(sent)),
                Some(key) => {
                    let ids = sent.iter().map(|(message, _)| message.id).collect();
                    Ok(Made::Keyed { first: order.remember(tx, key, ids, now)?, replayed: false })
                }
            }
        })
        .await?;
    Ok(SentMessages { allowance, ..render(core, caller, made).await? })
}

/// What the write made, or an earlier one under the same key.
#[derive(Clone)]
enum Made {
    /// Each message with its receiver.
    Plain(Vec<(Message, UserId)>),
    Keyed {
        first: FirstUse,
        replayed: bool,
    },
}

/// A send as it was asked for; what is wrong with it stands beside it.
struct Order {
    sender: UserId,
    /// Each once, in the order given.
    recipients: Vec<UserId>,
    text: String,
    key: Option<IdempotencyKey>,
    address: Option<IpAddr>,
}

impl Order {
    fn read(core: &Core, caller: Caller, request: SendRequest) -> (Self, Vec<FieldProblem>) {
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        let mut recipients = request.recipients;
        recipients.retain(|id| seen.insert(*id));
        if recipients.is_empty() {
            problems.push(FieldProblem::new("recipients", ErrorCode::Required, "This field is required."));
        } else if recipients.len() > core.rules.max_recipients {
            let message = format!("At most {} recipients.", core.rules.max_recipients);
            problems.push(FieldProblem::new("recipients", ErrorCode::TooMany, message));
        } else if seen.contains(&caller.user_id) {
            problems.push(FieldProblem::new("recipients", ErrorCode::Invalid, "You cannot write to yourself."));
        }
        let text = request.message.unwrap_or_default();
        problems.extend(check_text(&text, core.rules.max_message_chars));
        (Self { sender: caller.user_id, recipients, text, key: request.key, address: request.address }, problems)
    }

    /// The key's first use, if there was one.
    fn first_use(&self, tx: &Tx<'_>) -> Result<Option<FirstUse>> {
        let Some(key) = &self.key else { return Ok(None) };
        admit(tx, Caller { user_id: self.sender })?;
        match idempotency::find(tx, self.sender, &key.0)? {
            Some(first) if first.fingerprint != self.fingerprint() => Err(Error::KeyReused),
            first => Ok(first),
        }
    }

    /// Takes the key, and keeps the people as this answer shows them.
    fn remember(&self, tx: &Tx<'_>, key: &IdempotencyKey, ids: Vec<MessageId>, now: Timestamp) -> Result<FirstUse> {
        let keep =
            |user| idempotency::keep_rendering(tx, user, |user| UserJson::render(&user.into()).as_str().to_owned());
        let message = |(id, receiver_id): (MessageId, &UserId)| {
            Ok(FirstMessage { id, receiver_id: *receiver_id, receiver_version: keep(*receiver_id)? })
        };
        let first = FirstUse {
            fingerprint: self.fingerprint(),
            sender_version: keep(self.sender)?,
            messages: ids.into_iter().zip(&self.recipients).map(message).collect::<Result<_>>()?,
        };
        idempotency::remember(tx, self.sender, &key.0, &first, now)?;
        Ok(first)
    }

    fn authorize(&self, tx: &Tx<'_>) -> Result<()> {
        let sender = admit_active(tx, Caller { user_id: self.sender })?;
        let mut receivers = Vec::with_capacity(self.recipients.len());
        for id in &self.recipients {
            match users::candidate(tx, sender.id, *id)? {
                Some(candidate) if !candidate.account.status.is_deleted() => receivers.push(candidate),
                _ => {
                    let message = format!("There is no user {id}.");
                    return Err(Error::field("recipients", ErrorCode::DoesNotExist, message));
                }
            }
        }
        for receiver in receivers {
            if !can_send(&sender, &receiver.account, receiver.relation) {
                return Err(Error::Forbidden("You cannot send messages to this user."));
            }
        }
        Ok(())
    }

    /// SHA-256 of what is asked for: the recipients in order, each as eight bytes behind their count, then the text.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update((self.recipients.len() as u64).to_be_bytes());
        for id in &self.recipients {
            hash.update(id.get().to_be_bytes());
        }
        hash.update(self.text.as_bytes());
        hash.finalize().into()
    }
}

fn check_text(text: &str, limit: usize) -> Option<FieldProblem> {
    let problem = check_message_text(text, limit).err()?;
    Some(if text.is_empty() {
        FieldProblem::new("message", ErrorCode::Required, "This field is required.")
    } else {
        FieldProblem::text("message", problem)
    })
}

/// Reads back what was sent. Under a key the people are those of the first answer, and the messages as they are now: text taken back
/// since does not return.
async fn render(core: &Core, caller: Caller, made: Made) -> Result<SentMessages> {
    let made = match made {
        Made::Plain(sent) => {
            let people: Vec<UserId> =
                std::iter::once(caller.user_id).chain(sent.iter().map(|(_, receiver)| *receiver)).collect();
            if let Some(cards) = core.cards_now(&people) {
                let receivers = cards[1..].iter().map(|card| card.json.clone());
                let messages = sent.into_iter().zip(receivers);
                let messages = messages.map(|((message, _), receiver)| Sent { message, receiver }).collect();
                return Ok(SentMessages { sender: cards[0].json.clone(), messages, replayed: false, allowance: None });
            }
            Made::Plain(sent)
        }
        keyed => keyed,
    };
    core.ask(caller, move |read, viewer| {
        let find = |id| -> Result<Found> { messages::find(read, id, viewer.id())?.ok_or(Error::NotFound) };
        let kept = |user, version| -> Result<UserJson> {
            let broken = StoreError::Inconsistent { table: "user_renderings", what: "JSON" };
            match idempotency::rendering(read, user, version)? {
                Some(json) => Ok(UserJson::kept(json).ok_or(broken)?),
                None => Ok(viewer.cards.known(user)?.json.clone()),
            }
        };
        match made.clone() {
            Made::Plain(made) => {
                let sent = |(message, receiver): (Message, UserId)| {
                    Ok(Sent { message, receiver: viewer.cards.known(receiver)?.json.clone() })
                };
                let messages = made.into_iter().map(sent).collect::<Result<_>>()?;
                Ok(SentMessages { sender: viewer.card.json.clone(), messages, replayed: false, allowance: None })
            }
            Made::Keyed { first, replayed } => {
                let sent = |one: FirstMessage| {
                    let receiver = kept(one.receiver_id, one.receiver_version)?;
                    Ok(Sent { message: find(one.id)?.message, receiver })
                };
                let messages = first.messages.into_iter().map(sent).collect::<Result<_>>()?;
                Ok(SentMessages {
                    sender: kept(viewer.id(), first.sender_version)?,
                    messages,
                    replayed,
                    allowance: None,
                })
            }
        }
    })
    .await
}
