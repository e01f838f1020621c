//! The benchmark.

use crate::postgres::ensure_programs;
use crate::process::{cargo, profiling_binary, release_binary, root, run};
use crate::tools::{PERF, ensure_tool};
use anyhow::{Context as _, Result};

/// Builds the release binary and measures it; `arguments` are the benchmark's own.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    let parlour = if arguments.contains(&"--profile") {
        ensure_tool(&PERF)?;
        profiling_binary()?
    } else {
        release_binary()?
    };
    if arguments.windows(2).any(|pair| pair == ["--database", "postgres"]) || arguments.contains(&"--database=postgres")
    {
        ensure_programs().context("the bench needs a PostgreSQL server of its own: install PostgreSQL 15 to 18")?;
    }
    let parlour = parlour.display().to_string();
    let folder = root().join("target/bench").display().to_string();
    let own =
        ["run", "--release", "--quiet", "--package", "parlour-bench", "--", "--parlour", &parlour, "--folder", &folder];
    run(&mut cargo(&[&own[..], arguments].concat()))
}
