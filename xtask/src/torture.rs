//! The torture tests.

use crate::process::{cargo, release_binary, root, run};
use crate::tools::{E2FSPROGS, MOUNT, STRACE, XFSPROGS, ensure_tool};
use anyhow::Result;

/// Builds the release binary and tortures it; `arguments` are the torture's own.
pub(crate) fn torture(arguments: &[&str]) -> Result<()> {
    ensure_tool(&STRACE)?;
    if !arguments.contains(&"--small") {
        for tool in [&MOUNT, &E2FSPROGS, &XFSPROGS] {
            ensure_tool(tool)?;
        }
    }
    let parlour = release_binary()?.display().to_string();
    let folder = root().join("target/torture").display().to_string();
    let own = ["run", "--release", "--quiet", "--package", "parlour-torture", "--", "--parlour", &parlour];
    run(&mut cargo(&[&own[..], &["--folder", &folder], arguments].concat()))
}
