//! Who may do what: one file for an auditor to read (contract §6).

use crate::Caller;
use crate::cards::{Card, Cards, CardsAt};
use crate::error::{Error, Result};
use crate::rules::Rules;
use parlour_store::relations::Relation;
use parlour_store::users::{Account, People, SearchScope};
use parlour_store::{Read, Tx, users};
use parlour_types::UserId;
use parlour_types::model::UserStatus;
use std::sync::Arc;

/// The proof that the caller exists and is not deleted, read in the same snapshot as what they asked for.
pub(crate) struct Viewer<'r> {
    pub(crate) card: Arc<Card>,
    pub(crate) cards: CardsAt<'r>,
}

impl<'r> Viewer<'r> {
    pub(crate) fn admit(read: &'r Read<'r>, cards: &'r Cards, caller: Caller) -> Result<Self> {
        Self::among(cards.at(read)?, caller)
    }

    /// The same for an answer that brings its people.
    pub(crate) fn of_answer(read: &'r Read<'r>, cards: &'r Cards, people: People, caller: Caller) -> Result<Self> {
        Self::among(cards.of_answer(read, people)?, caller)
    }

    fn among(cards: CardsAt<'r>, caller: Caller) -> Result<Self> {
        let card =
            cards.get(caller.user_id)?.filter(|card| !card.user.status.is_deleted()).ok_or(Error::UnknownCaller)?;
        Ok(Self { card, cards })
    }

    pub(crate) fn id(&self) -> UserId {
        self.card.user.id
    }
}

/// The caller's account as a write transaction sees it.
pub(crate) fn admit(tx: &Tx<'_>, caller: Caller) -> Result<Account> {
    admitted(users::account(tx, caller.user_id)?)
}

/// The same of an account that was looked up already.
pub(crate) fn admitted(account: Option<Account>) -> Result<Account> {
    account.filter(|account| !account.status.is_deleted()).ok_or(Error::UnknownCaller)
}

/// Like [`admit`], and not blocked by the community either.
pub(crate) fn admit_active(tx: &Tx<'_>, caller: Caller) -> Result<Account> {
    active(users::account(tx, caller.user_id)?)
}

/// The same of an account that was looked up already.
pub(crate) fn active(account: Option<Account>) -> Result<Account> {
    match admitted(account)? {
        account if account.status == UserStatus::Approved => Ok(account),
        _ => Err(Error::Forbidden("Your account is blocked.")),
    }
}

/// Whether the community has private messages at all (contract §6.2): without them nobody may do anything with them.
///
/// # Errors
/// [`Error::Forbidden`].
pub const fn admit_messages(rules: &Rules) -> Result<()> {
    if rules.private_messages { Ok(()) } else { Err(Error::Forbidden("Private messages are switched off.")) }
}

/// Whether `sender` may write to `receiver` where there are private messages (contract §6.2). This decides sending, `can_send_pm_to` and
/// search.
#[must_use]
pub fn can_send(sender: &Account, receiver: &Account, relation: Relation) -> bool {
    sender.status == UserStatus::Approved
        && sender.id != receiver.id
        && !receiver.status.is_deleted()
        && (sender.role.is_some() || receiver.role.is_some() || receiver.community_badge || relation.followed_back)
        && (!relation.hidden || sender.role.is_some())
}

/// Where `searcher` may look for recipients (contract §2.9): everywhere with a role, else among their followers.
#[must_use]
pub const fn search_scope(searcher: &Account) -> SearchScope {
    if searcher.role.is_some() { SearchScope::Everybody } else { SearchScope::Followers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlour_types::model::Role;

    fn account(id: i64) -> Account {
        Account { id: UserId::new(id).unwrap(), status: UserStatus::Approved, role: None, community_badge: false }
    }

    const FOLLOWED: Relation = Relation { followed_back: true, hidden: false };
    const STRANGERS: Relation = Relation { followed_back: false, hidden: false };

    #[test]
    fn one_must_be_followed_by_the_other_unless_staff_is_involved() {
        let (ann, bob) = (account(1), account(2));
        assert!(can_send(&ann, &bob, FOLLOWED));
        assert!(!can_send(&ann, &bob, STRANGERS));
        assert!(can_send(&Account { role: Some(Role::Publisher), ..ann }, &bob, STRANGERS));
        assert!(can_send(&ann, &Account { role: Some(Role::Editor), ..bob }, STRANGERS));
        assert!(can_send(&ann, &Account { community_badge: true, ..bob }, STRANGERS));
        assert!(
            !can_send(&Account { community_badge: true, ..ann }, &bob, STRANGERS),
            "a badge opens one's own door only"
        );
    }

    #[test]
    fn nobody_writes_to_themselves_the_deleted_or_those_hidden() {
        let (ann, bob) = (account(1), account(2));
        let hidden = Relation { hidden: true, ..FOLLOWED };
        assert!(!can_send(&ann, &ann, FOLLOWED));
        assert!(!can_send(&ann, &bob, hidden));
        assert!(can_send(&Account { role: Some(Role::Moderator), ..ann }, &bob, hidden));
        for status in [UserStatus::Deleted, UserStatus::Unregistered] {
            assert!(!can_send(&ann, &Account { status, ..bob }, FOLLOWED));
        }
        assert!(!can_send(&Account { status: UserStatus::Blocked, ..ann }, &bob, FOLLOWED));
        assert!(
            can_send(&ann, &Account { status: UserStatus::Blocked, ..bob }, FOLLOWED),
            "the blocked can still read"
        );
    }
}
