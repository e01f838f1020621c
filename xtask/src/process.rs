//! Other programs: run to their end, or as a server in the background.

use anyhow::{Context as _, Result, ensure};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the checkout").to_owned()
}

/// A program to be run in the root of the checkout.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // A Node.js of our own comes before the system's.
    let own = own_node().join("node_modules/node/bin");
    if own.is_dir() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))) {
            command.env("PATH", path);
        }
    }
    command
}

/// Where a Node.js is installed if the system's is too old.
pub(crate) fn own_node() -> PathBuf {
    target_folder().join("node")
}

/// Runs a program and says what it is.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", describe(command));
    let status = command.status().with_context(|| format!("cannot run {}", describe(command)))?;
    ensure!(status.success(), "{} ended with {status}", describe(command));
    Ok(())
}

/// Runs a program and answers what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {}", describe(command)))?;
    ensure!(output.status.success(), "{} ended with {}", describe(command), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Cargo, as it runs this very program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Builds the release binary and answers where it is.
pub(crate) fn release_binary() -> Result<PathBuf> {
    binary("release")
}

/// The server and its torturer as `cargo test` has built them: their own code as it comes, what they depend on optimised. Building them
/// once more, faster, took longer than they then saved.
pub(crate) fn tested_binaries() -> Result<[PathBuf; 2]> {
    let binaries = ["parlour", "parlour-torture"].map(|name| target_folder().join("debug").join(name));
    for binary in &binaries {
        ensure!(binary.is_file(), "cargo test did not build {}", binary.display());
    }
    Ok(binaries)
}

/// Builds the release binary with the line tables that a profiler needs, and answers where it is.
pub(crate) fn profiling_binary() -> Result<PathBuf> {
    binary("profiling")
}

fn binary(profile: &str) -> Result<PathBuf> {
    run(&mut cargo(&["build", "--profile", profile, "--package", "parlour-server"]))?;
    Ok(target_folder().join(profile).join("parlour"))
}

/// Where everything goes that is made.
pub(crate) fn target_folder() -> PathBuf {
    // A relative one counts from where cargo is run, which is the root.
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A server of ours in the background, killed when this value goes away.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Server {
    /// Starts `parlour COMMAND` on a free port and waits until it answers.
    pub(crate) fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = command(binary, arguments);
        // Whoever tries what a request may ask for need not wait for what does not happen.
        command.args(["--listen", &address]).env("PARLOUR_LIVE_MAX_WAIT", "100ms").stdout(Stdio::null());
        let child = command.spawn()?;
        let mut server = Self { child, url: format!("http://{address}") };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(&address).is_err() {
            ensure!(server.child.try_wait()?.is_none(), "the server ended while it was starting");
            ensure!(Instant::now() < deadline, "the server does not answer on {address}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
