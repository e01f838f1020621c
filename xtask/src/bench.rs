//! The benchmark.

use crate::process::{cargo, profiling_binary, release_binary, root, run};
use crate::tools::{PERF, ensure_tool};
use anyhow::Result;

/// Builds the release binary and measures it; `arguments` are the benchmark's own.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    let parlour = if arguments.contains(&"--profile") {
        ensure_tool(&PERF)?;
        profiling_binary()?
    } else {
        release_binary()?
    };
    let parlour = parlour.display().to_string();
    let folder = root().join("target/bench").display().to_string();
    let own =
        ["run", "--release", "--quiet", "--package", "parlour-bench", "--", "--parlour", &parlour, "--folder", &folder];
    run(&mut cargo(&[&own[..], arguments].concat()))
}
