//! Programs that the tests need and cargo does not bring: installed from Debian's packages when missing, and said so.

use crate::process::{command, output, own_node, run};
use anyhow::{Context as _, Result, bail, ensure};
use std::process::Stdio;

/// A program and the package that brings it.
pub(crate) struct Tool {
    /// What is run.
    pub(crate) program: &'static str,
    /// What is installed.
    pub(crate) packages: &'static [&'static str],
}

/// Node.js with npm, for the official SDK.
const NODE: Tool = Tool { program: "node", packages: &["nodejs", "npm"] };

/// npm by itself, where Node.js is there without it.
const NPM: Tool = Tool { program: "npm", packages: &["npm"] };

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

/// Makes certificates, for tests of TLS.
const OPENSSL: Tool = Tool { program: "openssl", packages: &["openssl"] };

/// The PostgreSQL server. Its programs are not in `PATH`: whether it is there is for `private_postgres` to say.
const POSTGRESQL: Tool = Tool { program: "postgres", packages: &["postgresql"] };

/// Debian's package of the server makes a cluster in /var/lib and starts it, now and at each boot, unless told otherwise while it is
/// installed. Later upgrades make none, so what tells it so does not stay.
const WITHOUT_SYSTEM_CLUSTER: &str = r#"
folder=/etc/postgresql-common/createcluster.d
file=$folder/without-main-cluster.conf
mkdir -p "$folder"
trap 'rm -f "$file"; rmdir --ignore-fail-on-non-empty "$folder"' EXIT
trap 'exit 1' HUP INT TERM
echo 'create_main_cluster = false' > "$file"
apt-get install -y -q --no-install-recommends "$@"
"#;

/// What the official packages and their bundler need of Node.js: major and minor version.
const NODE_VERSION: (u32, u32) = (20, 19);

/// Makes sure that Node.js can be run with npm, and is not too old: some systems' packages are.
pub(crate) fn ensure_node() -> Result<()> {
    ensure_tool(&NODE)?;
    ensure_tool(&NPM)?;
    if node_version()? >= NODE_VERSION {
        return Ok(());
    }
    let folder = own_node();
    println!(
        "node is older than {}.{}: installing one from npm into {}",
        NODE_VERSION.0,
        NODE_VERSION.1,
        folder.display()
    );
    std::fs::create_dir_all(&folder)?;
    run(command("npm", &["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg("node@22"))?;
    ensure!(node_version()? >= NODE_VERSION, "node is still too old");
    Ok(())
}

fn node_version() -> Result<(u32, u32)> {
    let said = output(&mut command("node", &["--version"]))?;
    let mut numbers = said.trim().trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).context("node tells its version")
}

/// Makes sure that openssl can be run, which tells its version in a way of its own.
pub(crate) fn ensure_openssl() -> Result<()> {
    if runs_with(OPENSSL.program, "version") { Ok(()) } else { install(&OPENSSL) }
}

/// Makes sure that `tool` can be run.
pub(crate) fn ensure_tool(tool: &Tool) -> Result<()> {
    if runs(tool.program) { Ok(()) } else { install(tool) }
}

/// Installs `tool`'s packages.
pub(crate) fn install(tool: &Tool) -> Result<()> {
    announce(tool)?;
    as_root("apt-get", &["update", "-q"])?;
    as_root("apt-get", &[APT_INSTALL, tool.packages].concat())
}

/// Installs PostgreSQL's programs, and no server that runs.
pub(crate) fn install_postgresql() -> Result<()> {
    announce(&POSTGRESQL)?;
    println!("no system cluster is made, and none is started");
    as_root("apt-get", &["update", "-q"])?;
    as_root("sh", &[&["-e", "-c", WITHOUT_SYSTEM_CLUSTER, "install"], POSTGRESQL.packages].concat())
}

const APT_INSTALL: &[&str] = &["install", "-y", "-q", "--no-install-recommends"];

/// Says what is going to be installed, or that it cannot be.
fn announce(tool: &Tool) -> Result<()> {
    let packages = tool.packages.join(" ");
    if !runs("apt-get") {
        bail!(
            "{} is missing or not whole, and there is no apt-get to install it with: install {packages} yourself",
            tool.program
        );
    }
    println!("{} is missing or not whole: installing {packages} from Debian's packages", tool.program);
    Ok(())
}

/// Runs a program of the packages' as root.
fn as_root(program: &str, arguments: &[&str]) -> Result<()> {
    let frontend = ("DEBIAN_FRONTEND", "noninteractive");
    if runs_as_root() {
        return run(command(program, arguments).envs([frontend]));
    }
    // What is in our environment does not come through.
    run(&mut command("sudo", &[&["-n", "env", "DEBIAN_FRONTEND=noninteractive", program], arguments].concat()))
}

/// Both, since programs that make file systems know only the short one.
fn runs(program: &str) -> bool {
    ["--version", "-V"].iter().any(|flag| runs_with(program, flag))
}

fn runs_with(program: &str, argument: &str) -> bool {
    let status = command(program, &[argument]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn runs_as_root() -> bool {
    let output = command("id", &["-u"]).output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
