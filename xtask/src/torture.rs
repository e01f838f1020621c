//! The torture tests.

use crate::postgres::TestServer;
use crate::process::{cargo, release_binary, root, run};
use crate::tools::{E2FSPROGS, MOUNT, STRACE, XFSPROGS, ensure_tool};
use crate::{fuzz, schemathesis};
use anyhow::Result;

/// How long each fuzz target runs here.
const FUZZ_SECONDS: u64 = 600;

/// Requests that Schemathesis makes up for an operation here.
const EXAMPLES: u32 = 1_000;

/// Builds the release binary and tortures it; `arguments` are the torture's own. Everything at once is also fuzzed for longer than the tests
/// do, and held longer against the OpenAPI document. It is told of a PostgreSQL server where there is one already.
pub(crate) fn torture(arguments: &[&str], postgres: Option<&TestServer>) -> Result<()> {
    let everything = !arguments.contains(&"--small") && !arguments.contains(&"--only");
    ensure_tool(&STRACE)?;
    if !arguments.contains(&"--small") {
        for tool in [&MOUNT, &E2FSPROGS, &XFSPROGS] {
            ensure_tool(tool)?;
        }
    }
    let binary = release_binary()?;
    let parlour = binary.display().to_string();
    let folder = root().join("target/torture").display().to_string();
    let own = ["run", "--release", "--quiet", "--package", "parlour-torture", "--", "--parlour", &parlour];
    let mut torture = cargo(&[&own[..], &["--folder", &folder], arguments].concat());
    if let Some(postgres) = postgres {
        postgres.tell(&mut torture);
    }
    let tortured = run(&mut torture);
    if !everything {
        return tortured;
    }
    // The others go on, so that one run shows everything there is to see.
    let documented = schemathesis::run_schemathesis(&binary, EXAMPLES);
    let fuzzed = fuzz::run_targets(FUZZ_SECONDS, None);
    tortured.and(documented).and(fuzzed)
}
