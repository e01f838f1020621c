//! The binary `parlour`.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    parlour_server::cli::Cli::parse().run()
}
