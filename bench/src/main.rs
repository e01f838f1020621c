//! `cargo xtask bench`: every figure beside its floor and its bar, in one run.

mod dataset;
mod figures;
mod files;
mod floor;
mod live;
mod load;
mod postgres;
mod process;
mod profile;
mod requests;
mod results;
mod sockets;
mod transfers;
mod zipf;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use results::Rounds;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

/// The core of the load; the servers run on another.
pub(crate) const LOAD_CORE: &str = "1";

/// Set once this process runs on its own core.
const PINNED: &str = "BENCH_PINNED";

/// Measures Parlour against floors taken in the same run.
#[derive(Parser)]
struct Arguments {
    /// The `parlour` binary to measure.
    #[arg(long)]
    parlour: Option<PathBuf>,
    /// Where the data set is kept between runs.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// Times 2,000,000 messages.
    #[arg(long, default_value_t = 1)]
    scale: usize,
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Only figures whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Instead of measuring, show where a server spends its time under one load: thread, thread-cold, inbox, inbox-cold or send.
    #[arg(long, value_name = "LOAD")]
    profile: Option<String>,
    /// Which database Parlour keeps its data in.
    #[arg(long, value_enum, default_value_t)]
    database: Database,
    #[command(subcommand)]
    floor: Option<Floor>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Database {
    #[default]
    Sqlite,
    Postgres,
}

/// What Parlour is compared with, each as a process of its own.
#[derive(Subcommand)]
enum Floor {
    /// Serve the bytes of a file, as a floor for the same bytes from Parlour.
    #[command(name = "floor", hide = true)]
    Bytes {
        #[arg(long)]
        file: PathBuf,
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Bring what is posted to disk, and send a file from there, as floors for the same from Parlour.
    #[command(name = "file-floor", hide = true)]
    Files {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Tell what one websocket says to all others, as a floor for the same from Parlour.
    #[command(name = "broadcast-floor", hide = true)]
    Broadcast {
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.floor {
        Some(Floor::Bytes { file, listen }) => return floor::serve(*listen, file),
        Some(Floor::Files { folder, listen }) => return floor::serve_files(*listen, folder),
        Some(Floor::Broadcast { listen }) => return floor::serve_broadcast(*listen),
        None => {}
    }
    if std::env::var_os(PINNED).is_none() {
        let mut pinned = std::process::Command::new("taskset");
        pinned.args(["--cpu-list", LOAD_CORE]).arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
        // Only comes back if it could not be run.
        return Err(pinned.env(PINNED, "1").exec()).context("cannot run taskset (package util-linux)");
    }
    let parlour = arguments.parlour.as_deref().context("--parlour names the binary")?;
    let rounds = if arguments.quick { Rounds::QUICK } else { Rounds::FULL };
    let only = arguments.only.as_deref();
    let mut figures = Vec::new();
    if arguments.profile.is_some() || !(files::alone_are_wanted(only) || live::alone_is_wanted(only)) {
        let dataset = dataset::Dataset::open(&arguments.folder, arguments.scale)?;
        if let Some(load) = &arguments.profile {
            return match arguments.database {
                Database::Sqlite => profile::profile(&dataset, parlour, load),
                Database::Postgres => postgres::profile(&dataset, parlour, load),
            };
        }
        let measure = match arguments.database {
            Database::Sqlite => figures::measure,
            Database::Postgres => postgres::measure,
        };
        figures = measure(&dataset, parlour, rounds, only)?;
    }
    if arguments.database == Database::Sqlite && files::are_wanted(only) {
        figures.extend(files::measure(&arguments.folder, parlour, rounds, only)?);
    }
    if arguments.database == Database::Sqlite && live::is_wanted(only) {
        std::fs::create_dir_all(&arguments.folder)?;
        figures.extend(live::measure(&arguments.folder, parlour, rounds, only)?);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        results::print(&figures);
    }
    Ok(())
}
