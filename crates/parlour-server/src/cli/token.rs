use super::{Common, block_on, parse_user_id};
use clap::Args;
use parlour_core::{Clock, directory};
use parlour_types::UserId;

/// Flags of `parlour token`.
#[derive(Args)]
pub struct TokenArgs {
    /// The member's id.
    #[arg(long, value_name = "ID", value_parser = parse_user_id)]
    user: UserId,
    /// How long the token is good for.
    #[arg(long, default_value = "2h", value_parser = humantime::parse_duration)]
    ttl: std::time::Duration,
}

pub(super) fn token(common: &Common, args: &TokenArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    let (auth, _) = crate::secrets::open(&config)?;
    let database = crate::database(&config)?;
    if database.may_exist() {
        let core = crate::open_core(&config, Clock::System)?;
        let known = block_on(async { Ok(directory::user_exists(&core, args.user).await?) })?;
        if !known && !auth.provisions() {
            eprintln!("parlour: there is no user {} yet, so the token will be refused until there is", args.user);
        }
    }
    let token = auth.issue(args.user, Clock::System.now(), args.ttl);
    if common.json {
        println!("{}", serde_json::json!({ "token": token }));
    } else {
        println!("{token}");
    }
    Ok(())
}
