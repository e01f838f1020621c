//! The command line: one file a subcommand.

mod backup;
mod config;
mod contents;
mod copy;
mod demo;
mod doctor;
mod export;
mod follow;
mod healthcheck;
mod import;
mod progress;
mod restore;
mod serve;
mod token;
mod user;

use crate::config::{Config, Flag, Layers};
use clap::{Args, Parser, Subcommand};
use parlour_core::{Clock, Core, Error};
use parlour_types::UserId;
use std::path::PathBuf;
use std::process::ExitCode;

/// Private messages for online communities, in one binary.
#[derive(Parser)]
#[command(name = "parlour", version, about, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done except for refused lines (import), 4 unsound (doctor)."
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Common {
    /// Configuration file (TOML).
    #[arg(long, short, global = true, env = "PARLOUR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of everything the server keeps.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Database: sqlite:PATH. Default: parlour.db in the data directory.
    #[arg(long, global = true, value_name = "ADDRESS")]
    database: Option<String>,
    /// Any setting, as section.key=value; may be given more than once.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Run a server with a community to look at: members, follows and threads, made on the first run.
    Demo(demo::DemoArgs),
    /// Print an access token for a member, and nothing else.
    Token(token::TokenArgs),
    /// Add, list, show, block, unblock or delete members.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Let one member follow another.
    Follow(follow::FollowArgs),
    /// End a follow.
    Unfollow(follow::FollowArgs),
    /// Write users, follows, files and messages to a file in the import's format, or to standard output as "-".
    Export(export::ExportArgs),
    /// Bring in users, follows, files and messages from a file, or from standard input as "-".
    Import(import::ImportArgs),
    /// Copy the whole database into one file, also beside a running server.
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the database; the server must be stopped.
    Restore(restore::RestoreArgs),
    /// Copy a whole community from one database to another, SQLite or PostgreSQL, and verify it; the server must be stopped.
    Copy(copy::CopyArgs),
    /// Recount everything that is stored and could be derived, and say what is wrong; exit code 4 if something is.
    Doctor(doctor::DoctorArgs),
    /// Bring the database to this release's schema. `serve` does it too.
    Migrate,
    /// Print the OpenAPI document.
    Openapi,
    /// Ask the running server whether it is ready; exit code 0 if so.
    Healthcheck,
    /// Print, check or explain the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

impl Cli {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.dispatch() {
            Ok(code) => code,
            Err(error) => {
                eprintln!("parlour: {}", describe(&error));
                ExitCode::FAILURE
            }
        }
    }

    fn dispatch(self) -> anyhow::Result<ExitCode> {
        let common = &self.common;
        match self.command {
            Command::Serve(args) => serve::serve(common, &args)?,
            Command::Demo(args) => demo::demo(common, &args)?,
            Command::Token(args) => token::token(common, &args)?,
            Command::User(command) => user::user(common, command)?,
            Command::Follow(args) => follow::follow(common, &args, parlour_core::directory::Toggle::On)?,
            Command::Unfollow(args) => follow::follow(common, &args, parlour_core::directory::Toggle::Off)?,
            Command::Export(args) => export::export(common, &args)?,
            Command::Import(args) => return import::import(common, &args),
            Command::Backup(args) => backup::backup(common, &args)?,
            Command::Restore(args) => restore::restore(common, &args)?,
            Command::Copy(args) => copy::copy(common, &args)?,
            Command::Doctor(args) => return doctor::doctor(common, &args),
            Command::Migrate => migrate(common)?,
            Command::Openapi => println!("{}", crate::openapi::json()),
            Command::Healthcheck => healthcheck::healthcheck(common)?,
            Command::Config(command) => config::config(common, &command)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Common {
    /// The configuration of all layers; `flags` are the command's own, each with the key that it sets.
    fn layers(&self, flags: &[(&str, &str, Option<&str>)]) -> anyhow::Result<Layers> {
        let mut given = Vec::new();
        let own = [
            ("--data-dir", "storage.data_dir", self.data_dir.as_deref()),
            ("--database", "storage.database", self.database.as_deref()),
        ];
        for (name, key, value) in own.iter().chain(flags) {
            given.extend(value.map(|value| Flag { name: (*name).into(), key: (*key).into(), value: value.into() }));
        }
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| anyhow::anyhow!("--set takes KEY=VALUE"))?;
            given.push(Flag { name: "--set".into(), key: key.into(), value: value.into() });
        }
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Layers::merge(self.config.as_deref(), environment, &given)?)
    }

    fn load(&self) -> anyhow::Result<Config> {
        Ok(self.layers(&[])?.config()?)
    }

    /// The rules over the configured database, for a command that works beside a running server.
    fn open(&self) -> anyhow::Result<Core> {
        let config = self.load()?;
        crate::telemetry::start(&config.log)?;
        crate::open_core(&config, Clock::System)
    }
}

fn migrate(common: &Common) -> anyhow::Result<()> {
    let config = common.load()?;
    crate::secrets::create_data_dir(&config)?;
    let steps = parlour_store::Store::migrate(crate::database(&config)?)?;
    if common.json {
        println!("{}", serde_json::json!({ "migrated": steps }));
    } else if steps.is_empty() {
        println!("The database is up to date.");
    } else {
        steps.iter().for_each(|step| println!("{step}"));
    }
    Ok(())
}

/// Runs a command's future on the calling thread.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

fn parse_user_id(text: &str) -> Result<UserId, String> {
    let id = text.parse::<i64>().map_err(|_| "must be an integer".to_owned())?;
    UserId::try_from(id).map_err(|error| error.to_string())
}

/// The whole chain of causes in one line; wrong fields by name.
fn describe(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::Invalid(problems)) => problems
            .iter()
            .map(|problem| format!("{}: {}", problem.field, problem.message))
            .collect::<Vec<_>>()
            .join(" "),
        _ => format!("{error:#}"),
    }
}
