use crate::rules::{MAX_KEY_CHARS, MAX_PROFILE_CHARS, MAX_USERNAME_CHARS};
use crate::{Core, Error, FieldProblem, Result};
use parlour_store::{Read, Tx, relations, users};
use parlour_types::model::{User, UserChange};
use parlour_types::{ErrorCode, Timestamp, UserId};

/// One user of a bulk request.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// The community's number; without one, `ext_id` names the user and a new one gets a number from the server.
    pub id: Option<UserId>,
    /// The fields given.
    pub change: UserChange,
}

/// What became of one row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpsertOutcome {
    /// It did not exist.
    Created,
    /// It existed and was changed.
    Updated,
    /// It existed just so.
    Unchanged,
}

/// What became of one row, with what is stored now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpsertResult {
    /// The user.
    pub user: User,
    /// What became of them.
    pub outcome: UpsertOutcome,
}

/// Creates or changes users, all or none. A user is known by `id`, or else by `ext_id`; fields not given stay as they are.
///
/// # Errors
/// [`Error::Invalid`], each problem naming its row and field as `users[3].username`.
pub async fn upsert_users(core: &Core, rows: Vec<UserRow>) -> Result<Vec<UpsertResult>> {
    check_size("users", rows.len(), core.rules.max_bulk_rows)?;
    let now = core.clock.now();
    core.store
        .write(move |tx| {
            let mut results = Vec::with_capacity(rows.len());
            for (index, row) in rows.iter().cloned().enumerate() {
                results.push(upsert_user(tx, row, now).map_err(|problem| match problem {
                    Error::Invalid(problems) => Error::Invalid(within(&format!("users[{index}]"), problems)),
                    other => other,
                })?);
            }
            Ok(results)
        })
        .await
}

/// Creates or changes one user inside a write of the caller's.
///
/// # Errors
/// [`Error::Invalid`], each problem naming its field.
pub fn upsert_user(tx: &Tx<'_>, row: UserRow, now: Timestamp) -> Result<UpsertResult> {
    let problems = check_change(&row.change);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let ext_id = row.change.ext_id.clone().flatten();
    let by_ext_id = ext_id.as_deref().map(|ext_id| users::get_by_ext_id(tx, ext_id)).transpose()?.flatten();
    let stored = match row.id {
        Some(id) => users::get(tx, id)?,
        None => by_ext_id.clone(),
    };
    if let (Some(id), Some(other)) = (row.id, &by_ext_id)
        && other.id != id
    {
        return Err(Error::field("ext_id", ErrorCode::Conflict, "Another user has this ext_id."));
    }
    if let Some(before) = stored {
        let mut user = before.clone();
        user.apply(row.change, now);
        if user == before {
            return Ok(UpsertResult { user, outcome: UpsertOutcome::Unchanged });
        }
        users::update(tx, &user)?;
        return Ok(UpsertResult { user, outcome: UpsertOutcome::Updated });
    }
    let Some(username) = row.change.username.clone() else {
        return Err(Error::field("username", ErrorCode::Required, "A new user needs a username."));
    };
    let id = match (row.id, ext_id) {
        (Some(id), _) => id,
        (None, Some(_)) => users::next_id(tx, now)?,
        (None, None) => return Err(Error::field("id", ErrorCode::Required, "A user is named by id or ext_id.")),
    };
    let mut user = User::new(id, username, now);
    user.apply(row.change, now);
    users::insert(tx, &user)?;
    Ok(UpsertResult { user, outcome: UpsertOutcome::Created })
}

/// A verified token of somebody who may be new (`auth.provision = "on_first_sight"`).
#[derive(Clone, Debug)]
pub struct Provision {
    /// The token's user.
    pub user_id: UserId,
    /// The token's `username`, if any.
    pub username: Option<String>,
    /// The token's `ext_id`, if any.
    pub ext_id: Option<String>,
}

/// Creates the token's user unless there is one.
///
/// # Errors
/// [`Error::UnknownCaller`] when the claims make no user.
pub async fn provision(core: &Core, claims: Provision) -> Result<()> {
    let now = core.clock.now();
    let mut change = UserChange { username: claims.username, ext_id: claims.ext_id.map(Some), ..UserChange::default() };
    // A claim that makes no field is left out: the token is good all the same.
    for problem in check_change(&change) {
        match &*problem.field {
            "username" => change.username = None,
            _ => change.ext_id = None,
        }
    }
    change.username.get_or_insert_with(|| format!("user{}", claims.user_id));
    let row = UserRow { id: Some(claims.user_id), change };
    core.store
        .write(move |tx| {
            if users::account(tx, claims.user_id)?.is_none() {
                upsert_user(tx, row.clone(), now).map_err(|error| match error {
                    Error::Invalid(_) => Error::UnknownCaller,
                    other => other,
                })?;
            }
            Ok(())
        })
        .await
}

/// A user as a follow names them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FollowRef {
    /// By number.
    Id(UserId),
    /// By the community's own key.
    ExtId(String),
}

/// One follow of a bulk request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowChange {
    /// Who follows.
    pub follower: FollowRef,
    /// Whom.
    pub followed: FollowRef,
    /// Whether they do, or no longer do.
    pub following: bool,
}

/// Sets follows, all or none, and answers for each whether it changed anything.
///
/// # Errors
/// [`Error::Invalid`], each problem naming its row and field as `follows[3].followed`.
pub async fn upsert_follows(core: &Core, rows: Vec<FollowChange>) -> Result<Vec<bool>> {
    check_size("follows", rows.len(), core.rules.max_bulk_rows)?;
    let now = core.clock.now();
    core.store
        .write(move |tx| {
            let mut changed = Vec::with_capacity(rows.len());
            for (index, row) in rows.iter().enumerate() {
                changed.push(set_one_follow(tx, row, now).map_err(|problem| match problem {
                    Error::Invalid(problems) => Error::Invalid(within(&format!("follows[{index}]"), problems)),
                    other => other,
                })?);
            }
            Ok(changed)
        })
        .await
}

fn set_one_follow(tx: &Tx<'_>, row: &FollowChange, now: Timestamp) -> Result<bool> {
    let follower = find(tx, &row.follower, "follower")?;
    let followed = find(tx, &row.followed, "followed")?;
    if follower == followed {
        return Err(Error::field("followed", ErrorCode::Invalid, "Nobody follows themselves."));
    }
    Ok(if row.following {
        relations::follow(tx, follower, followed, now)?
    } else {
        relations::unfollow(tx, follower, followed)?
    })
}

fn find(read: &Read<'_>, who: &FollowRef, field: &'static str) -> Result<UserId> {
    let found = match who {
        FollowRef::Id(id) => users::account(read, *id)?.map(|account| account.id),
        FollowRef::ExtId(ext_id) => users::get_by_ext_id(read, ext_id)?.map(|user| user.id),
    };
    found.ok_or_else(|| Error::field(field, ErrorCode::DoesNotExist, "There is no such user."))
}

fn check_size(field: &'static str, rows: usize, limit: usize) -> Result<()> {
    if rows > limit {
        return Err(Error::field(field, ErrorCode::TooMany, format!("At most {limit} rows in one request.")));
    }
    Ok(())
}

fn within(row: &str, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    problems
        .into_iter()
        .map(|problem| FieldProblem { field: format!("{row}.{}", problem.field).into(), ..problem })
        .collect()
}

/// Everything that is wrong with the fields given.
#[must_use]
pub fn check_change(change: &UserChange) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut text = |field: &'static str, value: Option<&str>, limit: usize| {
        let Some(value) = value else { return };
        if value.chars().count() > limit {
            problems.push(FieldProblem::new(field, ErrorCode::MaxLength, format!("At most {limit} characters.")));
        } else if value.contains('\0') {
            problems.push(FieldProblem::new(field, ErrorCode::Invalid, "Null characters are not allowed."));
        }
    };
    text("username", change.username.as_deref(), MAX_USERNAME_CHARS);
    text("real_name", change.real_name.as_deref(), MAX_USERNAME_CHARS);
    text("ext_id", change.ext_id.as_ref().and_then(Option::as_deref), MAX_KEY_CHARS);
    text("avatar", change.avatar.as_ref().and_then(Option::as_deref), MAX_PROFILE_CHARS);
    text("cover", change.cover.as_ref().and_then(Option::as_deref), MAX_PROFILE_CHARS);
    let profile = [
        ("email", &change.email),
        ("bio", &change.bio),
        ("location", &change.location),
        ("location_lat_lng", &change.location_lat_lng),
        ("position_lat_lng", &change.position_lat_lng),
        ("description", &change.description),
        ("website", &change.website),
        ("company_name", &change.company_name),
        ("company_role", &change.company_role),
    ];
    for (field, value) in profile {
        text(field, value.as_deref(), MAX_PROFILE_CHARS);
    }
    for tag in change.tags.iter().flatten() {
        text("tags", Some(tag), MAX_USERNAME_CHARS);
    }
    if change.username.as_deref().is_some_and(|name| name.trim().is_empty()) {
        problems.push(FieldProblem::new("username", ErrorCode::Blank, "This field may not be blank."));
    }
    if change.ext_id.as_ref().is_some_and(|ext_id| ext_id.as_deref() == Some("")) {
        problems.push(FieldProblem::new("ext_id", ErrorCode::Blank, "This field may not be blank."));
    }
    for (field, value) in [("avatar", &change.avatar), ("cover", &change.cover)] {
        // The official UI puts the address into an <img>: nothing but a web address may stand there.
        let address = value.as_ref().and_then(Option::as_deref);
        if address.is_some_and(|address| !address.starts_with("https://") && !address.starts_with("http://")) {
            problems.push(FieldProblem::new(field, ErrorCode::Invalid, "Must be an http or https address."));
        }
    }
    if change.date_of_birth.as_ref().and_then(Option::as_deref).is_some_and(|day| !is_date(day)) {
        problems.push(FieldProblem::new("date_of_birth", ErrorCode::Invalid, "Must be a date such as 1990-12-31."));
    }
    if change.tags.as_ref().is_some_and(|tags| tags.len() > 100) {
        problems.push(FieldProblem::new("tags", ErrorCode::TooMany, "At most 100 tags."));
    }
    problems
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok()
}
