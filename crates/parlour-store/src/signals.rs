//! What members let each other see beside messages: what they have read, that they are writing, that they are there. Each goes both ways or not
//! at all: whoever does not share it does not see it, and neither do two of whom one has hidden the other.

use crate::batch::{Batch, Column, ask_all};
use crate::db::{Read, params};
use crate::error::Result;
use crate::threads::Membership;
use parlour_types::{MessageId, UserId};

/// Whether the users `one` and `other` share what the column of `user_settings` switches.
macro_rules! shared {
    ($column:literal, $one:literal, $other:literal) => {
        concat!(
            "coalesce((select s.",
            $column,
            " from user_settings s where s.user_id = ",
            $one,
            "), 1) = 1 and coalesce((select s.",
            $column,
            " from user_settings s where s.user_id = ",
            $other,
            "), 1) = 1 and not ",
            crate::users::hidden!($one, $other)
        )
    };
}
pub(crate) use shared;

/// How far another member has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Who.
    pub user_id: UserId,
    /// Up to which message of those that the asking member sees; `None` for none.
    pub message_id: Option<MessageId>,
}

/// How far the others of a thread have read, as far as they and the member share that.
///
/// # Errors
/// A failure of the store.
pub fn receipts(read: &Read<'_>, member: &Membership) -> Result<Vec<Receipt>> {
    read.rows(
        concat!(
            "select m.user_id, (select x.id from messages x where x.thread_id = m.thread_id and x.seq <= m.read_seq
                 and x.seq > ?3 order by x.seq desc limit 1)
             from members m where m.thread_id = ?1 and m.user_id <> ?2 and ",
            shared!("share_read_receipts", "m.user_id", "?2")
        ),
        params![member.thread.id, member.user_id, member.cleared_seq],
        |row| Ok(Receipt { user_id: row.user_id(0)?, message_id: row.int_opt(1)?.and_then(MessageId::new) }),
    )
}

/// Whether `one` and `other` let each other see that they are writing.
///
/// # Errors
/// A failure of the store.
pub fn share_typing(read: &Read<'_>, one: UserId, other: UserId) -> Result<bool> {
    let shared = read.row(
        concat!("select case when ", shared!("share_typing", "?1", "?2"), " then 1 else 0 end"),
        params![one, other],
        |row| row.flag(0),
    )?;
    Ok(shared.unwrap_or(false))
}

/// The other ones of `user`'s `limit` latest conversations, as far as they and the user let each other see that they are there.
///
/// # Errors
/// A failure of the store.
pub fn see_presence(read: &Read<'_>, user: UserId, limit: i64) -> Result<Vec<UserId>> {
    read.rows(
        concat!(
            "select p.id from (select case when i.creator_id = ?1 then i.other_id else i.creator_id end as id from inbox i
                 where i.user_id = ?1 order by i.last_message_at desc, i.thread_id desc limit ?2) p where ",
            shared!("share_presence", "p.id", "?1")
        ),
        params![user, limit],
        |row| row.user_id(0),
    )
}

/// Those among `others` who have a thread with `user`, as far as they and the user let each other see that they are there.
///
/// # Errors
/// A failure of the store.
pub fn shares_presence(read: &Read<'_>, user: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
    const SQL: &str = concat!(
        "select case when d.low_user_id = ?3 then d.low_user_id else d.high_user_id end from direct_threads d where d.low_user_id = ?1 and d.high_user_id = ?2 and ",
        shared!("share_presence", "?1", "?2")
    );
    let ints = |of: &dyn Fn(&UserId) -> UserId| Column::Ints(others.iter().map(|other| of(other).get()).collect());
    let columns = vec![ints(&|other| user.min(*other)), ints(&|other| user.max(*other)), ints(&|other| *other)];
    let mut found = Vec::new();
    ask_all(read, &[Batch::new(SQL, columns)], |_, _, row, first| {
        found.push(row.user_id(first)?);
        Ok(())
    })?;
    Ok(found)
}
