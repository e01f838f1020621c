//! The binary `parlour`.

use clap::Parser as _;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A page of a thread is a hundred small allocations; see docs/PERFORMANCE.md for what this saves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    parlour_server::cli::Cli::parse().run()
}
