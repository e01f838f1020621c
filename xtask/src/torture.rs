//! The torture tests.

use crate::postgres::{ensure_programs, private_servers_can_be_started};
use crate::process::{cargo, command, release_binary, root, run};
use crate::tools::{E2FSPROGS, MOUNT, STRACE, XFSPROGS, ensure_tool};
use crate::{fuzz, schemathesis};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// How long each fuzz target runs here.
const FUZZ_SECONDS: u64 = 600;

/// Requests that Schemathesis makes up for an operation here.
const EXAMPLES: u32 = 1_000;

/// The little of it that is among the tests: `torturer` tortures `parlour`.
pub(crate) fn torture_a_little(parlour: &Path, torturer: &Path) -> Result<()> {
    let arguments = prepare(&["--small"])?;
    run(command(torturer, &arguments).arg("--parlour").arg(parlour).arg("--folder").arg(folder()))
}

/// Where scenarios work, and leave what has failed.
fn folder() -> PathBuf {
    root().join("target/torture")
}

/// Installs what a torture with these arguments needs. What the small one cannot do here is left out of it, and said.
fn prepare<'a>(arguments: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut arguments = arguments.to_vec();
    ensure_tool(&STRACE)?;
    if !arguments.contains(&"--small") {
        for tool in [&MOUNT, &E2FSPROGS, &XFSPROGS] {
            ensure_tool(tool)?;
        }
        ensure_programs()?;
    } else if !private_servers_can_be_started() {
        println!("there are no programs to start a private PostgreSQL server with: what is done to one is left out");
        arguments.push("--allow-missing");
    }
    Ok(arguments)
}

/// Builds the release binary and tortures it; `arguments` are the torture's own. Everything at once is also fuzzed for longer than the tests
/// do, and held longer against the OpenAPI document. PostgreSQL is tortured on servers of its own, never on one that is named.
pub(crate) fn torture(arguments: &[&str]) -> Result<()> {
    let everything = !arguments.contains(&"--small") && !arguments.contains(&"--only");
    let arguments = prepare(arguments)?;
    let binary = release_binary()?;
    let (parlour, folder) = (binary.display().to_string(), folder().display().to_string());
    let own = ["run", "--release", "--quiet", "--package", "parlour-torture", "--", "--parlour", &parlour];
    let tortured = run(&mut cargo(&[&own[..], &["--folder", &folder], &arguments].concat()));
    if !everything {
        return tortured;
    }
    // The others go on, so that one run shows everything there is to see.
    let documented = schemathesis::run_schemathesis(&binary, EXAMPLES);
    let fuzzed = fuzz::run_targets(FUZZ_SECONDS, None);
    tortured.and(documented).and(fuzzed)
}
