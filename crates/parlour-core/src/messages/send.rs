use crate::access::{active, admit_messages, admitted, can_send};
use crate::limits::{Action, Allowance};
use crate::rules::MAX_KEY_CHARS;
use crate::{Caller, Core, Error, FieldProblem, Result};
use parlour_store::StoreError;
use parlour_store::idempotency::{self, Fingerprint, FirstMessage};
use parlour_store::messages::{self, Found};
use parlour_store::sends::{Ask, Decision, Facts, Remember, Sent};
use parlour_store::users::Known;
use parlour_types::model::{Message, User};
use parlour_types::text::check_message_text;
use parlour_types::view::UserJson;
use parlour_types::{ErrorCode, FileUuid, UserId};
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
    /// The caller's file, or a picture of it.
    pub file: Option<FileUuid>,
    /// The caller's name for this send.
    pub key: Option<IdempotencyKey>,
    /// From where, if that may be limited.
    pub address: Option<IpAddr>,
}

/// One message sent, and to whom.
pub struct SentMessage {
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
    pub messages: Vec<SentMessage>,
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
    admit_messages(&core.rules)?;
    let (order, problems) = Order::read(core, caller, request);
    // A known key is answered whatever today's limits say; anything else that is wrong need not wait for the disk.
    if order.key.is_none() && !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let (now, address, limits) = (core.clock.now(), order.address, Arc::clone(&core.limits));
    let allowance = limits.count(Action::Send, caller, address, order.recipients.len())?;
    let ask = order.ask(core, &problems);
    let (people, mut counted) = (ask.recipients.clone(), 0);
    let sent = core
        .store
        .send(ask, move |facts| {
            if order.key.is_some() {
                admitted(facts.sender)?;
                match facts.first_use {
                    Some(first) if first.fingerprint != order.fingerprint() => return Err(Error::KeyReused),
                    Some(_) => return Ok(Decision::Repeat),
                    None => {}
                }
            }
            if !problems.is_empty() {
                return Err(Error::Invalid(problems.clone()));
            }
            order.authorize(facts)?;
            if order.file.is_some() && facts.file.is_none() {
                return Err(Error::field("file_uuid", ErrorCode::DoesNotExist, "You have no such file."));
            }
            // Another try is no other conversation.
            if counted < facts.begun {
                limits.count(Action::NewConversation, caller, address, facts.begun - counted)?;
                counted = facts.begun;
            }
            let fingerprint = order.key.as_ref().map(|_| order.fingerprint());
            let remember = fingerprint.map(|fingerprint| Remember { fingerprint, render: rendered });
            Ok(Decision::Send { text: order.text.clone(), now, remember })
        })
        .await?;
    Ok(SentMessages { allowance, ..render(core, caller, people, sent).await? })
}

fn rendered(user: &User) -> String {
    UserJson::render(&user.into()).as_str().to_owned()
}

/// A send as it was asked for; what is wrong with it stands beside it.
struct Order {
    sender: UserId,
    /// Each once, in the order given.
    recipients: Vec<UserId>,
    text: String,
    file: Option<FileUuid>,
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
        // A file says enough by itself.
        if request.file.is_none() || !text.is_empty() {
            problems.extend(check_text(&text, core.rules.max_message_chars));
        }
        let file = request.file;
        (Self { sender: caller.user_id, recipients, text, file, key: request.key, address: request.address }, problems)
    }

    fn ask(&self, core: &Core, problems: &[FieldProblem]) -> Ask {
        // A send that cannot be may still carry a known key.
        let recipients = if problems.is_empty() { self.recipients.clone() } else { Vec::new() };
        // What a key keeps of people is what the same transaction saw of them.
        let known = match &self.key {
            None => core.known(|| std::iter::once(self.sender).chain(recipients.iter().copied()).collect()),
            Some(_) => Known::nobody(),
        };
        let key = self.key.as_ref().map(|key| key.0.clone());
        Ask { sender: self.sender, recipients, file: self.file, key, known }
    }

    fn authorize(&self, facts: &Facts<'_>) -> Result<()> {
        let sender = active(facts.sender)?;
        let mut receivers = Vec::with_capacity(self.recipients.len());
        for (id, found) in self.recipients.iter().zip(&facts.recipients) {
            match found {
                Some((account, relation)) if !account.status.is_deleted() => receivers.push((account, *relation)),
                _ => {
                    let message = format!("There is no user {id}.");
                    return Err(Error::field("recipients", ErrorCode::DoesNotExist, message));
                }
            }
        }
        if receivers.into_iter().all(|(account, relation)| can_send(&sender, account, relation)) {
            Ok(())
        } else {
            Err(Error::Forbidden("You cannot send messages to this user."))
        }
    }

    /// SHA-256 of what is asked for: the recipients in order, each as eight bytes behind their count, then the text,
    /// then the file as the caller named it, behind a byte that no text has.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update((self.recipients.len() as u64).to_be_bytes());
        for id in &self.recipients {
            hash.update(id.get().to_be_bytes());
        }
        hash.update(self.text.as_bytes());
        if let Some(file) = &self.file {
            hash.update([0xff]);
            hash.update(file.as_bytes());
        }
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

/// Shows what was sent. Under a key the people are those of the first answer, and the messages as they are now: text taken back since does
/// not return.
async fn render(core: &Core, caller: Caller, recipients: Vec<UserId>, sent: Sent) -> Result<SentMessages> {
    let Sent { messages, first_use, people } = sent;
    let ids: Vec<UserId> = std::iter::once(caller.user_id).chain(recipients).collect();
    let cards = match people {
        Some(people) if !messages.is_empty() => core.cards.find(&core.cards.take(people), &ids),
        None if first_use.is_none() => core.cards_now(&ids),
        _ => None,
    };
    core.catch_up();
    if let Some(cards) = cards {
        let receivers = cards[1..].iter().map(|card| card.json.clone());
        let messages = messages.into_iter().zip(receivers);
        let messages = messages.map(|(message, receiver)| SentMessage { message, receiver }).collect();
        return Ok(SentMessages { sender: cards[0].json.clone(), messages, replayed: false, allowance: None });
    }
    let replayed = messages.is_empty();
    core.ask(caller, move |read, viewer| match &first_use {
        None => {
            let shown = |(message, receiver): (&Message, &UserId)| {
                Ok(SentMessage { message: message.clone(), receiver: viewer.cards.known(*receiver)?.json.clone() })
            };
            let messages = messages.iter().zip(&ids[1..]).map(shown).collect::<Result<_>>()?;
            Ok(SentMessages { sender: viewer.card.json.clone(), messages, replayed, allowance: None })
        }
        Some(first) => {
            let kept = |user, version| -> Result<UserJson> {
                let broken = StoreError::Inconsistent { table: "user_renderings", what: "JSON" };
                match idempotency::rendering(read, user, version)? {
                    Some(json) => Ok(UserJson::kept(json).ok_or(broken)?),
                    None => Ok(viewer.cards.known(user)?.json.clone()),
                }
            };
            let shown = |one: &FirstMessage| {
                let found: Found = messages::find(read, one.id, viewer.id())?.ok_or(Error::NotFound)?;
                let receiver = kept(one.receiver_id, one.receiver_version)?;
                Ok(SentMessage { message: found.message, receiver })
            };
            let messages = first.messages.iter().map(shown).collect::<Result<_>>()?;
            Ok(SentMessages { sender: kept(viewer.id(), first.sender_version)?, messages, replayed, allowance: None })
        }
    })
    .await
}
