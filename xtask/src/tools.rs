//! Programs that the tests need and cargo does not bring: installed from Debian's packages when missing, and said so.

use crate::process::{command, run};
use anyhow::{Result, bail};
use std::process::Stdio;

/// A program and the package that brings it.
pub(crate) struct Tool {
    /// What is run.
    pub(crate) program: &'static str,
    /// What is installed.
    pub(crate) packages: &'static [&'static str],
}

/// Node.js with npm, for the official SDK.
pub(crate) const NODE: Tool = Tool { program: "node", packages: &["nodejs", "npm"] };

/// npm by itself, where Node.js is there without it.
pub(crate) const NPM: Tool = Tool { program: "npm", packages: &["npm"] };

/// A profiler, for `cargo xtask bench --profile`.
pub(crate) const PERF: Tool = Tool { program: "perf", packages: &["linux-perf"] };

/// Python with what its environments are made of, for Schemathesis.
pub(crate) const PYTHON: Tool = Tool { program: "python3", packages: &["python3", "python3-venv"] };

/// A C++ compiler, for the fuzzer.
pub(crate) const CXX: Tool = Tool { program: "c++", packages: &["g++"] };

/// A browser, for screenshots.
pub(crate) const CHROMIUM: Tool = Tool { program: "chromium", packages: &["chromium", "fonts-dejavu-core"] };

/// A tracer that lets system calls fail, for the torture tests.
pub(crate) const STRACE: Tool = Tool { program: "strace", packages: &["strace"] };

/// File systems on loop devices, for the torture tests.
pub(crate) const MOUNT: Tool = Tool { program: "mount", packages: &["mount"] };

/// Makes ext4.
pub(crate) const E2FSPROGS: Tool = Tool { program: "mkfs.ext4", packages: &["e2fsprogs"] };

/// Makes XFS, and cuts a file system off from its device.
pub(crate) const XFSPROGS: Tool = Tool { program: "mkfs.xfs", packages: &["xfsprogs"] };

/// Makes sure that `tool` can be run.
pub(crate) fn ensure_tool(tool: &Tool) -> Result<()> {
    if runs(tool.program) { Ok(()) } else { install(tool) }
}

/// Installs `tool`'s packages.
pub(crate) fn install(tool: &Tool) -> Result<()> {
    let packages = tool.packages.join(" ");
    if !runs("apt-get") {
        bail!(
            "{} is missing or not whole, and there is no apt-get to install it with: install {packages} yourself",
            tool.program
        );
    }
    println!("{} is missing or not whole: installing {packages} from Debian's packages", tool.program);
    let as_root = |arguments: &[&str]| {
        let mut command = if runs_as_root() {
            command("apt-get", arguments)
        } else {
            command("sudo", &[&["-n", "apt-get"], arguments].concat())
        };
        run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    as_root(&["update", "-q"])?;
    as_root(&[&["install", "-y", "-q", "--no-install-recommends"], tool.packages].concat())
}

/// Both, since programs that make file systems know only the short one.
fn runs(program: &str) -> bool {
    ["--version", "-V"].iter().any(|flag| {
        let status = command(program, &[flag]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}

fn runs_as_root() -> bool {
    let output = command("id", &["-u"]).output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
