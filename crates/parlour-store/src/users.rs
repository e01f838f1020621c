//! The members of the community.

use crate::batch::{Batch, Column, ask_all};
use crate::db::{Param, Read, Row, Tx, params};
use crate::error::{Result, StoreError};
pub use crate::mailboxes::Totals;
use parlour_types::model::{Role, Settings, User, UserStatus};
use parlour_types::{Timestamp, UserId};

macro_rules! user_columns {
    () => {
        "id, username, real_name, ext_id, status, role, community_badge, avatar, email, email_isvalid, date_joined, \
         deleted_at, followers_counter, followings_counter, profile"
    };
}

/// SQL that is 1 when either of two users has hidden the other.
macro_rules! hidden {
    ($one:literal, $other:literal) => {
        concat!(
            "(exists (select 1 from hides h where h.user_id = ",
            $one,
            " and h.hidden_id = ",
            $other,
            ")
             or exists (select 1 from hides h where h.user_id = ",
            $other,
            " and h.hidden_id = ",
            $one,
            "))"
        )
    };
}
pub(crate) use hidden;

fn decode(row: &Row<'_>) -> Result<User> {
    const STATUS: StoreError = StoreError::Inconsistent { table: "users", what: "status" };
    const PROFILE: StoreError = StoreError::Inconsistent { table: "users", what: "profile" };
    Ok(User {
        id: row.user_id(0)?,
        username: row.text(1)?,
        real_name: row.text(2)?,
        ext_id: row.text_opt(3)?,
        status: UserStatus::parse(&row.text(4)?).ok_or(STATUS)?,
        role: row.text_opt(5)?.as_deref().and_then(Role::parse),
        community_badge: row.flag(6)?,
        avatar: row.text_opt(7)?,
        email: row.text(8)?,
        email_isvalid: row.flag(9)?,
        date_joined: row.time(10)?,
        deleted_at: row.int_opt(11)?.map(Timestamp::from_micros),
        followers_counter: row.int(12)?,
        followings_counter: row.int(13)?,
        profile: serde_json::from_str(&row.text(14)?).map_err(|_| PROFILE)?,
    })
}

/// A user and the version that last changed them, out of what [`dialect`](crate::dialect) packs into an answer of other things.
pub(crate) fn decode_packed(json: &str) -> Result<(User, i64)> {
    const PACKED: StoreError = StoreError::Inconsistent { table: "users", what: "row" };
    type Packed = (
        i64,
        String,
        String,
        Option<String>,
        String,
        Option<String>,
        i64,
        Option<String>,
        String,
        i64,
        i64,
        Option<i64>,
        i64,
        i64,
        String,
        i64,
    );
    let packed: Packed = serde_json::from_str(json).map_err(|_| PACKED)?;
    let user = User {
        id: UserId::new(packed.0).ok_or(PACKED)?,
        username: packed.1,
        real_name: packed.2,
        ext_id: packed.3,
        status: UserStatus::parse(&packed.4).ok_or(PACKED)?,
        role: packed.5.as_deref().and_then(Role::parse),
        community_badge: packed.6 != 0,
        avatar: packed.7,
        email: packed.8,
        email_isvalid: packed.9 != 0,
        date_joined: Timestamp::from_micros(packed.10),
        deleted_at: packed.11.map(Timestamp::from_micros),
        followers_counter: packed.12,
        followings_counter: packed.13,
        profile: serde_json::from_str(&packed.14).map_err(|_| PACKED)?,
    };
    Ok((user, packed.15))
}

/// The people whom an asker knows already, so that an answer need not bring them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// The version of the directory in which they are known.
    pub version: i64,
    /// Their ids.
    pub ids: Vec<i64>,
}

impl Known {
    /// Nobody is known: the answer brings everybody.
    #[must_use]
    pub const fn nobody() -> Self {
        Self { version: -1, ids: Vec::new() }
    }
}

/// The people in an answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct People {
    /// The directory's version in the answer's snapshot.
    pub version: i64,
    /// Those who were not known in that version, each with the version that last changed them. An embedded database brings nobody: asking for them later costs it nothing.
    pub users: Vec<(User, i64)>,
}

impl People {
    pub(crate) fn none_of(read: &Read<'_>) -> Result<Self> {
        Ok(Self { version: directory_version(read)?, users: Vec::new() })
    }
}

/// The user with this id.
///
/// # Errors
/// A failure of the store.
pub fn get(read: &Read<'_>, id: UserId) -> Result<Option<User>> {
    read.row(concat!("select ", user_columns!(), " from users where id = ?1"), params![id], decode)
}

/// The user whom the community calls `ext_id`.
///
/// # Errors
/// A failure of the store.
pub fn get_by_ext_id(read: &Read<'_>, ext_id: &str) -> Result<Option<User>> {
    read.row(concat!("select ", user_columns!(), " from users where ext_id = ?1"), params![ext_id], decode)
}

/// Every user with an id above `after`, lowest first, at most `limit`.
///
/// # Errors
/// A failure of the store.
pub fn list(read: &Read<'_>, after: i64, limit: i64) -> Result<Vec<User>> {
    read.rows(
        concat!("select ", user_columns!(), " from users where id > ?1 order by id limit ?2"),
        params![after, limit],
        decode,
    )
}

/// How often the directory has changed: any change to a user, and to what a user's rendering shows, counts one.
///
/// # Errors
/// A failure of the store.
pub fn directory_version(read: &Read<'_>) -> Result<i64> {
    if let Some(version) = read.directory_version() {
        return Ok(version);
    }
    read.row(DIRECTORY_VERSION, &[], |row| row.int(0))?.ok_or(NO_DIRECTORY_VERSION)
}

/// How the directory's version is asked for.
pub(crate) const DIRECTORY_VERSION: &str = "select value from counters where name = 'directory_version'";

pub(crate) const NO_DIRECTORY_VERSION: StoreError =
    StoreError::Inconsistent { table: "counters", what: "absence of directory_version" };

/// The users that changed after `version`, at most `limit`.
///
/// # Errors
/// A failure of the store.
pub fn changed_since(read: &Read<'_>, version: i64, limit: i64) -> Result<Vec<UserId>> {
    read.rows("select id from users where version > ?1 limit ?2", params![version, limit], |row| row.user_id(0))
}

pub(crate) fn next_directory_version(tx: &Tx<'_>) -> Result<i64> {
    tx.touch_directory();
    tx.row("update counters set value = value + 1 where name = 'directory_version' returning value", &[], |row| {
        row.int(0)
    })?
    .ok_or(NO_DIRECTORY_VERSION)
}

/// A number for a new member whose community gives none.
///
/// # Errors
/// A failure of the store.
pub fn next_id(tx: &Tx<'_>, now: Timestamp) -> Result<UserId> {
    loop {
        let id = UserId::new(tx.next_id(now)?).ok_or(StoreError::IdsExhausted)?;
        if get(tx, id)?.is_none() {
            return Ok(id);
        }
    }
}

/// Adds `user`, who must not exist yet. The counters start at zero, whatever `user` says.
///
/// # Errors
/// A failure of the store.
pub fn insert(tx: &Tx<'_>, user: &User) -> Result<()> {
    let version = next_directory_version(tx)?;
    with_columns(user, version, |params| {
        tx.execute_one(
            "adding a user",
            "insert into users (id, username, real_name, ext_id, status, role, community_badge, avatar, email, email_isvalid,
                 date_joined, deleted_at, profile, search_text, version)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params,
        )
    })?;
    tx.execute_one("adding a mailbox", "insert into mailboxes (user_id) values (?1)", params![user.id])
}

/// Writes `user` over the stored one, except for the counters, which the follows keep. How a deleted user once looked is forgotten.
///
/// # Errors
/// A failure of the store.
pub fn update(tx: &Tx<'_>, user: &User) -> Result<()> {
    if user.status.is_deleted() {
        tx.execute("delete from user_renderings where user_id = ?1", params![user.id])?;
    }
    let version = next_directory_version(tx)?;
    with_columns(user, version, |params| {
        tx.execute_one(
            "changing a user",
            "update users set username = ?2, real_name = ?3, ext_id = ?4, status = ?5, role = ?6, community_badge = ?7,
                 avatar = ?8, email = ?9, email_isvalid = ?10, date_joined = ?11, deleted_at = ?12, profile = ?13,
                 search_text = ?14, version = ?15 where id = ?1",
            params,
        )
    })
}

fn with_columns(user: &User, version: i64, run: impl FnOnce(&[Param<'_>]) -> Result<()>) -> Result<()> {
    let profile = serde_json::to_string(&user.profile).expect("a profile has string keys and whole numbers only");
    let search_text = search_text(&user.username, &user.real_name);
    run(params![
        user.id,
        &*user.username,
        &*user.real_name,
        user.ext_id.as_deref(),
        user.status.as_str(),
        user.role.map(Role::as_str),
        user.community_badge,
        user.avatar.as_deref(),
        &*user.email,
        user.email_isvalid,
        user.date_joined,
        user.deleted_at,
        &*profile,
        &*search_text,
        version,
    ])
}

/// What a search looks into.
pub(crate) fn search_text(username: &str, real_name: &str) -> String {
    format!("{}\n{}", username.to_lowercase(), real_name.to_lowercase())
}

/// The settings of a member; the defaults until something was changed.
///
/// # Errors
/// A failure of the store.
pub fn settings(read: &Read<'_>, user: UserId) -> Result<Settings> {
    let stored = read.row(
        "select qa_frequency, email_notification_not_qa, mobile_notifications_scmty, show_toast_notifications,
             toast_notifications_emit_sound, share_read_receipts, share_typing, share_presence
         from user_settings where user_id = ?1",
        params![user],
        |row| {
            Ok(Settings {
                qa_frequency: row.int(0)?,
                email_notification_not_qa: row.int(1)?,
                mobile_notifications_scmty: row.int(2)?,
                show_toast_notifications: row.int(3)?,
                toast_notifications_emit_sound: row.int(4)?,
                share_read_receipts: row.int(5)?,
                share_typing: row.int(6)?,
                share_presence: row.int(7)?,
            })
        },
    )?;
    Ok(stored.unwrap_or_default())
}

/// Stores the settings of a member.
///
/// # Errors
/// A failure of the store.
pub fn set_settings(tx: &Tx<'_>, user: UserId, settings: Settings) -> Result<()> {
    tx.execute_one(
        "storing settings",
        "insert into user_settings (user_id, qa_frequency, email_notification_not_qa, mobile_notifications_scmty,
             show_toast_notifications, toast_notifications_emit_sound, share_read_receipts, share_typing, share_presence)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         on conflict (user_id) do update set qa_frequency = ?2, email_notification_not_qa = ?3,
             mobile_notifications_scmty = ?4, show_toast_notifications = ?5, toast_notifications_emit_sound = ?6,
             share_read_receipts = ?7, share_typing = ?8, share_presence = ?9",
        params![
            user,
            settings.qa_frequency,
            settings.email_notification_not_qa,
            settings.mobile_notifications_scmty,
            settings.show_toast_notifications,
            settings.toast_notifications_emit_sound,
            settings.share_read_receipts,
            settings.share_typing,
            settings.share_presence,
        ],
    )
}

/// The totals of a member's inbox.
///
/// # Errors
/// A failure of the store.
pub fn totals(read: &Read<'_>, user: UserId) -> Result<Totals> {
    crate::mailboxes::totals(read, user)
}

/// The part of a user that decides what they may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Account {
    /// Who.
    pub id: UserId,
    /// State of the account.
    pub status: UserStatus,
    /// Role, if any.
    pub role: Option<Role>,
    /// Staff badge.
    pub community_badge: bool,
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self { id: user.id, status: user.status, role: user.role, community_badge: user.community_badge }
    }
}

/// An account out of the four columns from `first` on.
pub(crate) fn decode_account(row: &Row<'_>, first: usize) -> Result<Account> {
    Ok(Account {
        id: row.user_id(first)?,
        status: UserStatus::parse(row.str(first + 1)?)
            .ok_or(StoreError::Inconsistent { table: "users", what: "status" })?,
        role: row.str_opt(first + 2)?.and_then(Role::parse),
        community_badge: row.flag(first + 3)?,
    })
}

/// What decides what this user may do.
///
/// # Errors
/// A failure of the store.
pub fn account(read: &Read<'_>, id: UserId) -> Result<Option<Account>> {
    read.row("select id, status, role, community_badge from users where id = ?1", params![id], |row| {
        decode_account(row, 0)
    })
}

/// The same of many, those who do not exist left out; in one round trip where the database is remote.
///
/// # Errors
/// A failure of the store.
pub fn accounts(read: &Read<'_>, ids: &[UserId]) -> Result<Vec<Account>> {
    let question = Batch::new(
        "select u.id, u.status, u.role, u.community_badge from users u where u.id = ?1",
        vec![Column::Ints(ids.iter().map(|id| id.get()).collect())],
    );
    let mut found = Vec::with_capacity(ids.len());
    ask_all(read, &[question], |_, _, row, first| {
        found.push(decode_account(row, first)?);
        Ok(())
    })?;
    Ok(found)
}

/// Someone to whom a member might write.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Who.
    pub account: Account,
    /// How the member and they stand to each other.
    pub relation: crate::relations::Relation,
}

/// Someone as a sender finds them, in one look.
///
/// # Errors
/// A failure of the store.
pub fn candidate(read: &Read<'_>, sender: UserId, id: UserId) -> Result<Option<Candidate>> {
    read.row(
        concat!(
            "select u.id, u.status, u.role, u.community_badge,
                 exists (select 1 from follows f where f.follower_id = ?2 and f.followed_id = ?1), ",
            hidden!("?1", "?2"),
            " from users u where u.id = ?2"
        ),
        params![sender, id],
        decode_candidate,
    )
}

fn decode_candidate(row: &Row<'_>) -> Result<Candidate> {
    Ok(Candidate {
        account: decode_account(row, 0)?,
        relation: crate::relations::Relation { followed_back: row.flag(4)?, hidden: row.flag(5)? },
    })
}

/// Where a search looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchScope {
    /// Among those who follow the searcher.
    Followers,
    /// Among everybody.
    Everybody,
}

/// Everyone in `scope` whose username or real name contains `term` (any case), by name. `term` is in lower case.
///
/// The cost grows with the scope: ask through [`Store::read_long`](crate::Store::read_long).
///
/// # Errors
/// A failure of the store.
pub fn search(read: &Read<'_>, searcher: UserId, scope: SearchScope, term: &str) -> Result<Vec<Candidate>> {
    // It is in no name, and PostgreSQL takes no such text, not even to look for it.
    if term.contains('\0') {
        return Ok(Vec::new());
    }
    let sql = match scope {
        SearchScope::Followers => concat!(
            "select u.id, u.status, u.role, u.community_badge, 1, ",
            hidden!("?1", "u.id"),
            " from follows f join users u on u.id = f.follower_id
             where f.followed_id = ?1 and instr(u.search_text, ?2) > 0 order by u.username, u.id"
        ),
        SearchScope::Everybody => concat!(
            "select u.id, u.status, u.role, u.community_badge,
                 exists (select 1 from follows f where f.follower_id = u.id and f.followed_id = ?1), ",
            hidden!("?1", "u.id"),
            " from users u where instr(u.search_text, ?2) > 0 order by u.username, u.id"
        ),
    };
    read.rows(sql, params![searcher, term], decode_candidate)
}
