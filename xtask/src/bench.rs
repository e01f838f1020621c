//! The benchmark.

use crate::process::{cargo, release_binary, root, run};
use anyhow::Result;

/// Builds the release binary and measures it; `arguments` are the benchmark's own.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    let parlour = release_binary()?.display().to_string();
    let folder = root().join("target/bench").display().to_string();
    let own =
        ["run", "--release", "--quiet", "--package", "parlour-bench", "--", "--parlour", &parlour, "--folder", &folder];
    run(&mut cargo(&[&own[..], arguments].concat()))
}
