use super::{Common, block_on, parse_user_id};
use clap::{Args, Subcommand};
use parlour_core::{Core, directory};
use parlour_types::UserId;
use parlour_types::model::{Role, User, UserChange, UserStatus};
use parlour_types::view;
use serde::Serialize;

/// Users read at once by `user list`.
const LIST_CHUNK: i64 = 1_000;

/// What to do with members.
#[derive(Subcommand)]
pub enum UserCommand {
    /// Add a member.
    Add(AddArgs),
    /// List all members.
    List,
    /// Show a member.
    Show(UserArg),
    /// Keep a member from sending; reading stays possible.
    Block(UserArg),
    /// Let a blocked member send again.
    Unblock(UserArg),
    /// Delete a member's account: no signing in, no new messages. Threads stay readable for the others.
    Delete(UserArg),
}

/// A member.
#[derive(Args)]
pub struct UserArg {
    /// The member's id.
    #[arg(value_parser = parse_user_id)]
    id: UserId,
}

/// A new member.
#[derive(Args)]
pub struct AddArgs {
    /// The community's number for the member.
    #[arg(long, value_parser = parse_user_id)]
    id: UserId,
    /// The name shown.
    #[arg(long)]
    username: String,
    /// The person's name.
    #[arg(long)]
    real_name: Option<String>,
    /// The community's own key for the member.
    #[arg(long)]
    ext_id: Option<String>,
    /// admin, moderator, editor or publisher.
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// Absolute address of the picture.
    #[arg(long, value_name = "URL")]
    avatar: Option<String>,
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "must be admin, moderator, editor or publisher".into())
}

/// A member as these commands print one.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    user: view::User<'a>,
    role: Option<Role>,
    email: &'a str,
}

pub(super) fn user(common: &Common, command: UserCommand) -> anyhow::Result<()> {
    let core = common.open()?;
    block_on(async {
        match command {
            UserCommand::Add(args) => print(common, &add(&core, args).await?),
            UserCommand::List => list(common, &core).await?,
            UserCommand::Show(user) => print(common, &show(&core, user.id).await?),
            UserCommand::Block(user) => print(common, &set_status(&core, user.id, UserStatus::Blocked).await?),
            UserCommand::Unblock(user) => print(common, &set_status(&core, user.id, UserStatus::Approved).await?),
            UserCommand::Delete(user) => print(common, &set_status(&core, user.id, UserStatus::Deleted).await?),
        }
        Ok(())
    })
}

async fn add(core: &Core, args: AddArgs) -> anyhow::Result<User> {
    anyhow::ensure!(!directory::user_exists(core, args.id).await?, "there is a user {} already", args.id);
    let change = UserChange {
        username: Some(args.username),
        real_name: args.real_name,
        ext_id: args.ext_id.map(Some),
        role: args.role.map(Some),
        avatar: args.avatar.map(Some),
        ..UserChange::default()
    };
    upsert(core, args.id, change).await
}

async fn set_status(core: &Core, id: UserId, status: UserStatus) -> anyhow::Result<User> {
    let before = show(core, id).await?;
    anyhow::ensure!(
        !before.status.is_deleted() || status.is_deleted(),
        "user {id} is deleted; only the server-to-server API brings an account back"
    );
    upsert(core, id, UserChange { status: Some(status), ..UserChange::default() }).await
}

async fn upsert(core: &Core, id: UserId, change: UserChange) -> anyhow::Result<User> {
    let results = directory::upsert_users(core, vec![directory::UserRow { id: Some(id), change }]).await;
    let results = results.map_err(|error| match error {
        // One row needs no row number in front of its fields.
        parlour_core::Error::Invalid(problems) => parlour_core::Error::Invalid(
            problems
                .into_iter()
                .map(|problem| parlour_core::FieldProblem {
                    field: problem.field.trim_start_matches("users[0].").to_owned().into(),
                    ..problem
                })
                .collect(),
        ),
        other => other,
    })?;
    results.into_iter().next().map(|result| result.user).ok_or_else(|| anyhow::anyhow!("user {id} was not stored"))
}

async fn show(core: &Core, id: UserId) -> anyhow::Result<User> {
    let found = directory::list_users(core, id.get() - 1, 1).await?.into_iter().find(|user| user.id == id);
    found.ok_or_else(|| anyhow::anyhow!("there is no user {id}"))
}

async fn list(common: &Common, core: &Core) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let users = directory::list_users(core, after, LIST_CHUNK).await?;
        let Some(last) = users.last() else { return Ok(()) };
        after = last.id.get();
        users.iter().for_each(|user| print(common, user));
    }
}

/// One line a member; with `--json` one object a line.
fn print(common: &Common, user: &User) {
    if common.json {
        let printed = Printed { user: user.into(), role: user.role, email: &user.email };
        println!("{}", serde_json::json!(printed));
        return;
    }
    let status = match user.status {
        UserStatus::Approved => "",
        UserStatus::Blocked => "blocked",
        UserStatus::Deleted => "deleted",
        UserStatus::Unregistered => "unregistered",
    };
    let id = user.id.to_string();
    let words = [&*id, &*user.username, &*user.real_name, user.role.map_or("", Role::as_str), status];
    println!("{}", words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  "));
}
