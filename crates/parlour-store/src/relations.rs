//! Who follows whom, and who has hidden whom.

use crate::batch::{Batch, Column, ask_all};
use crate::db::{Param, Read, Tx, params};
use crate::error::Result;
use crate::users::{hidden, next_directory_version};
use parlour_types::{Page, Timestamp, UserId};

/// How a user stands to another whom they might write to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relation {
    /// The other one follows the user.
    pub followed_back: bool,
    /// One of the two has hidden the other.
    pub hidden: bool,
}

/// How `user` stands to `other`.
///
/// # Errors
/// A failure of the store.
pub fn between(read: &Read<'_>, user: UserId, other: UserId) -> Result<Relation> {
    let found = read.row(
        concat!(
            "select exists (select 1 from follows where follower_id = ?2 and followed_id = ?1), ",
            hidden!("?1", "?2")
        ),
        params![user, other],
        |row| Ok(Relation { followed_back: row.flag(0)?, hidden: row.flag(1)? }),
    )?;
    Ok(found.unwrap_or(Relation { followed_back: false, hidden: true }))
}

/// Whether `follower` follows `followed`.
///
/// # Errors
/// A failure of the store.
pub fn follows(read: &Read<'_>, follower: UserId, followed: UserId) -> Result<bool> {
    exists(read, "select 1 from follows where follower_id = ?1 and followed_id = ?2", params![follower, followed])
}

/// Those of `others` who are there, each with whether `follower` follows them.
///
/// # Errors
/// A failure of the store.
pub fn follows_among(read: &Read<'_>, follower: UserId, others: &[UserId]) -> Result<Vec<(UserId, bool)>> {
    const SQL: &str = "select u.id, exists (select 1 from follows f where f.follower_id = ?1 and f.followed_id = u.id)
         from users u where u.id = ?2";
    let columns = vec![
        Column::Ints(vec![follower.get(); others.len()]),
        Column::Ints(others.iter().map(|other| other.get()).collect()),
    ];
    let mut found = Vec::with_capacity(others.len());
    ask_all(read, &[Batch::new(SQL, columns)], |_, _, row, first| {
        found.push((row.user_id(first)?, row.flag(first + 1)?));
        Ok(())
    })?;
    Ok(found)
}

/// Lets `follower` follow `followed` and answers whether that is new.
///
/// # Errors
/// A failure of the store.
pub fn follow(tx: &Tx<'_>, follower: UserId, followed: UserId, now: Timestamp) -> Result<bool> {
    let added = tx.execute(
        "insert into follows (follower_id, followed_id, created_at) values (?1, ?2, ?3) on conflict do nothing",
        params![follower, followed, now],
    )?;
    count_follow(tx, follower, followed, i64::try_from(added).unwrap_or(0))
}

/// Ends a follow and answers whether there was one.
///
/// # Errors
/// A failure of the store.
pub fn unfollow(tx: &Tx<'_>, follower: UserId, followed: UserId) -> Result<bool> {
    let removed =
        tx.execute("delete from follows where follower_id = ?1 and followed_id = ?2", params![follower, followed])?;
    count_follow(tx, follower, followed, -i64::try_from(removed).unwrap_or(0))
}

fn count_follow(tx: &Tx<'_>, follower: UserId, followed: UserId, change: i64) -> Result<bool> {
    if change == 0 {
        return Ok(false);
    }
    let version = next_directory_version(tx)?;
    tx.execute_one(
        "counting a following",
        "update users set followings_counter = followings_counter + ?2, version = ?3 where id = ?1",
        params![follower, change, version],
    )?;
    tx.execute_one(
        "counting a follower",
        "update users set followers_counter = followers_counter + ?2, version = ?3 where id = ?1",
        params![followed, change, version],
    )?;
    Ok(true)
}

/// Which end of a follow is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowSide {
    /// Those who follow the user.
    Followers,
    /// Those whom the user follows.
    Followings,
}

/// The ids on one side of `user`'s follows, lowest first: at most `limit` above `after`, skipping `skip` of them.
///
/// # Errors
/// A failure of the store.
pub fn list(
    read: &Read<'_>,
    user: UserId,
    side: FollowSide,
    after: i64,
    skip: i64,
    limit: i64,
) -> Result<Page<UserId>> {
    let (ids, count) = match side {
        FollowSide::Followers => (
            "select follower_id from follows where followed_id = ?1 and follower_id > ?2 order by follower_id limit ?3 offset ?4",
            "select followers_counter from users where id = ?1",
        ),
        FollowSide::Followings => (
            "select followed_id from follows where follower_id = ?1 and followed_id > ?2 order by followed_id limit ?3 offset ?4",
            "select followings_counter from users where id = ?1",
        ),
    };
    Ok(Page {
        rows: read.rows(ids, params![user, after, limit, skip], |row| row.user_id(0))?,
        count: read.row(count, params![user], |row| row.int(0))?.unwrap_or(0),
    })
}

/// Whether `user` has hidden `hidden`.
///
/// # Errors
/// A failure of the store.
pub fn hides(read: &Read<'_>, user: UserId, hidden: UserId) -> Result<bool> {
    exists(read, "select 1 from hides where user_id = ?1 and hidden_id = ?2", params![user, hidden])
}

/// Whom `user` has hidden, lowest id first.
///
/// # Errors
/// A failure of the store.
pub fn hidden_ids(read: &Read<'_>, user: UserId) -> Result<Vec<UserId>> {
    read.rows("select hidden_id from hides where user_id = ?1 order by hidden_id", params![user], |row| row.user_id(0))
}

/// Lets `user` hide `hidden`.
///
/// # Errors
/// A failure of the store.
pub fn hide(tx: &Tx<'_>, user: UserId, hidden: UserId, now: Timestamp) -> Result<()> {
    tx.execute(
        "insert into hides (user_id, hidden_id, created_at) values (?1, ?2, ?3) on conflict do nothing",
        params![user, hidden, now],
    )?;
    Ok(())
}

/// Lets `user` see `hidden` again.
///
/// # Errors
/// A failure of the store.
pub fn unhide(tx: &Tx<'_>, user: UserId, hidden: UserId) -> Result<()> {
    tx.execute("delete from hides where user_id = ?1 and hidden_id = ?2", params![user, hidden])?;
    Ok(())
}

fn exists(read: &Read<'_>, sql: &str, params: &[Param<'_>]) -> Result<bool> {
    Ok(read.row(sql, params, |_| Ok(()))?.is_some())
}
