//! The fuzz targets: built as `cargo fuzz` builds them, run side by side.
//!
//! `cargo fuzz` itself is not needed: its sanitizer is for unsafe code, of which there is none here, and without it the stable compiler
//! instruments what the fuzzer must see. So nothing is installed but a C++ compiler, for libFuzzer.

use crate::process::{cargo, output, root, run, target_folder};
use crate::tools::{CXX, ensure_tool};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What `cargo fuzz build --sanitizer none` sets, but for what only a debugger needs, and for units that cannot be built side by side.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How long each target runs unless told otherwise.
const SECONDS: u64 = 60;

/// The same among all other tests: enough to see that nothing has broken.
pub(crate) const SECONDS_OF_TEST: u64 = 5;

/// Targets that run at the same time.
const WORKERS: usize = 2;

/// `cargo xtask fuzz [--seconds N] [--only NAME]`.
pub(crate) fn fuzz(mut arguments: &[&str]) -> Result<()> {
    let (mut seconds, mut only) = (SECONDS, None);
    while let [name, value, rest @ ..] = arguments {
        match *name {
            "--seconds" => seconds = value.parse().context("--seconds takes a whole number")?,
            "--only" => only = Some(*value),
            _ => bail!("fuzz takes --seconds N and --only NAME"),
        }
        arguments = rest;
    }
    ensure!(arguments.is_empty(), "fuzz takes --seconds N and --only NAME");
    run_targets(seconds, only)
}

/// Runs every target, or only one, for `seconds` each. What makes a target fail is kept in `target/fuzz/artifacts/NAME`; what a
/// target has learned is kept in `target/fuzz/corpus/NAME`, for the next run.
pub(crate) fn run_targets(seconds: u64, only: Option<&str>) -> Result<()> {
    ensure!(seconds > 0, "a target runs for at least a second");
    let targets = targets(only)?;
    let binaries = build()?;
    run_built(&binaries, targets, seconds)
}

/// The same of targets that a [`Build`] has built.
pub(crate) fn run_all(build: Build, seconds: u64) -> Result<()> {
    let binaries = build.finish()?;
    run_built(&binaries, targets(None)?, seconds)
}

fn run_built(binaries: &Path, targets: Vec<String>, seconds: u64) -> Result<()> {
    let waiting = Mutex::new(targets.into_iter());
    let work = || -> Result<()> {
        let mut result = Ok(());
        loop {
            let next = waiting.lock().map_err(|_| anyhow!("another target's runner panicked"))?.next();
            let Some(target) = next else { return result };
            // The others go on, so that one run shows everything there is to see.
            result = result.and(run_target(binaries, &target, seconds));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a target's runner panicked"))?)
    })
}

/// All targets, or only one, by name.
fn targets(only: Option<&str>) -> Result<Vec<String>> {
    let mut targets: Vec<String> = std::fs::read_dir(root().join("fuzz/fuzz_targets"))?
        .filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| only.is_none_or(|only| name == only))
        .collect();
    targets.sort();
    ensure!(!targets.is_empty(), "there is no such target; see fuzz/fuzz_targets");
    Ok(targets)
}

/// A build beside other work that leaves a processor free, such as waiting for a browser. Given up when it is dropped.
pub(crate) struct Build {
    child: Child,
    log: PathBuf,
    binaries: PathBuf,
}

impl Build {
    pub(crate) fn start() -> Result<Self> {
        let (mut build, binaries) = cargo_build()?;
        let folder = target_folder().join("fuzz");
        std::fs::create_dir_all(&folder)?;
        // Another step is speaking.
        let log = folder.join("build.log");
        let written = File::create(&log)?;
        let child = build.stdout(written.try_clone()?).stderr(written).spawn()?;
        Ok(Self { child, log, binaries })
    }

    /// Waits for its end and answers where the targets are.
    fn finish(mut self) -> Result<PathBuf> {
        let status = self.child.wait()?;
        let said = || std::fs::read_to_string(&self.log).unwrap_or_default();
        ensure!(status.success(), "the fuzz targets were not built:\n{}", last_lines(&said()));
        Ok(self.binaries.clone())
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds all targets and answers where they are.
fn build() -> Result<PathBuf> {
    let (mut build, binaries) = cargo_build()?;
    run(&mut build)?;
    Ok(binaries)
}

/// What builds all targets, and where they are then.
fn cargo_build() -> Result<(Command, PathBuf)> {
    ensure_tool(&CXX)?;
    let version = output(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names its host")?;
    let folder = target_folder().join("fuzz");
    let folder_text = folder.to_str().context("a path in UTF-8")?;
    // Naming the host as target keeps the flags away from build scripts, which are not fuzzed.
    let arguments = ["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--bins", "--target", host];
    let mut build = cargo(&[&arguments[..], &["--target-dir", folder_text]].concat());
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", FLAGS);
    Ok((build, folder.join(host).join("release")))
}

fn run_target(binaries: &Path, target: &str, seconds: u64) -> Result<()> {
    let folder = target_folder().join("fuzz");
    let (corpus, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts").join(target));
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&artifacts)?;
    let log = folder.join(format!("{target}.log"));
    let written = File::create(&log)?;
    let mut fuzzer = Command::new(binaries.join(target));
    fuzzer
        .arg(&corpus)
        .arg(root().join("fuzz/seeds").join(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .stdout(written.try_clone()?)
        .stderr(written);
    let status = run_for(&mut fuzzer, Duration::from_secs(seconds + 120))?;
    let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    let runs = figure(&said, "stat::number_of_executed_units:").unwrap_or(0);
    if !status {
        bail!("fuzz target {target} failed, its input is in {}:\n{}", artifacts.display(), last_lines(&said));
    }
    let covered = said.lines().rev().find_map(|line| figure(line, "cov:")).unwrap_or(0);
    // A build without instrumentation would run, see nothing and pass.
    ensure!(covered > 100 && runs > 100, "fuzz target {target} does not see what it reaches: {}", log.display());
    println!("{target}: {runs} inputs in {seconds} s, {covered} places reached, nothing found");
    Ok(())
}

fn last_lines(text: &str) -> String {
    let end: Vec<&str> = text.lines().rev().take(40).collect();
    end.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Runs a program to its end, and says whether it was content. One that hangs is ended.
fn run_for(command: &mut Command, limit: Duration) -> Result<bool> {
    let mut child = command.spawn().context("cannot run a fuzz target")?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The number behind `name`.
fn figure(text: &str, name: &str) -> Option<u64> {
    text.split_once(name)?.1.split_whitespace().next()?.parse().ok()
}
