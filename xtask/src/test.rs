//! Everything that CI checks.

use crate::clients::{look_at_pages, official_sdk, official_ui};
use crate::fuzz;
use crate::postgres::{TestServer, private_servers_can_be_started};
use crate::process::{cargo, root, run, tested_binaries};
use crate::schemathesis;
use crate::torture::torture_a_little;
use anyhow::Result;
use std::time::Instant;

/// How many tests run at a time, for the tests' own runner.
const THREADS: &str = "RUST_TEST_THREADS";

pub(crate) fn test() -> Result<()> {
    let started = Instant::now();
    step("format", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(&mut cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    })?;
    step("lints", || {
        run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    let postgres = TestServer::start()?;
    step("tests", || {
        let mut tests = cargo(&["test", "--quiet", "--workspace", "--no-fail-fast"]);
        if std::env::var_os(THREADS).is_none() {
            // A third of the time of a test is waiting: for the disk, another process, an answer.
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            tests.env(THREADS, (2 * processors).to_string());
        }
        if !private_servers_can_be_started() {
            println!(
                "there are no programs to start a private PostgreSQL server with: the tests of just that are left out"
            );
            tests.args(["--exclude", "private-postgres"]);
        }
        run(postgres.tell(&mut tests))
    })?;
    let [parlour, torturer] = &tested_binaries()?;
    // These wait for browsers and interpreters most of their time. Where time is measured, nothing else runs.
    let fuzz_targets = fuzz::Build::start()?;
    step("the official SDK", || official_sdk(parlour, &postgres))?;
    step("the official UI in a browser", || official_ui(parlour))?;
    step("the pages in a browser", || look_at_pages(parlour, None))?;
    step("Schemathesis", || schemathesis::run_schemathesis(parlour, schemathesis::EXAMPLES))?;
    step("fuzzing", || fuzz::run_all(fuzz_targets, fuzz::SECONDS_OF_TEST))?;
    step("nothing is lost", || torture_a_little(parlour, torturer))?;
    println!("\nEverything passed, in {} s.", started.elapsed().as_secs());
    Ok(())
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {name}");
    let started = Instant::now();
    let done = work()?;
    println!("== {name}: passed in {} s", started.elapsed().as_secs());
    Ok(done)
}

/// Writes the files that are made from the code. A test holds them true.
pub(crate) fn write_generated_files() -> Result<()> {
    for (what, file) in [("example", "parlour.example.toml"), ("reference", "docs/CONFIGURATION.md")] {
        let arguments = ["run", "--quiet", "--package", "parlour-server", "--", "config", what];
        std::fs::write(root().join(file), crate::process::output(&mut cargo(&arguments))?)?;
    }
    Ok(())
}
