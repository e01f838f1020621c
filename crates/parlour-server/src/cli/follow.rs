use super::{Common, block_on, parse_user_id};
use clap::Args;
use parlour_core::Error;
use parlour_core::directory::{self, Toggle};
use parlour_types::UserId;

/// Arguments of `parlour follow` and `parlour unfollow`.
#[derive(Args)]
pub struct FollowArgs {
    /// Who follows.
    #[arg(value_parser = parse_user_id)]
    follower: UserId,
    /// Whom.
    #[arg(value_parser = parse_user_id)]
    followed: UserId,
}

pub(super) fn follow(common: &Common, args: &FollowArgs, to: Toggle) -> anyhow::Result<()> {
    let core = common.open()?;
    let (follower, followed) = (args.follower, args.followed);
    let changed = block_on(async {
        match directory::set_follow(&core, follower, followed, to).await {
            Err(Error::NotFound) => anyhow::bail!("one of the users {follower} and {followed} does not exist"),
            other => Ok(other?),
        }
    })?;
    if common.json {
        println!("{}", serde_json::json!({ "follower": follower, "followed": followed, "changed": changed }));
    } else {
        let verb = if to == Toggle::On { "follows" } else { "does not follow" };
        println!("{follower} {verb} {followed}{}", if changed { "" } else { " (as before)" });
    }
    Ok(())
}
