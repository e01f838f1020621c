//! Where the time goes: a profile of the server under one kind of load.

use crate::dataset::Dataset;
use crate::load::{self, Measured};
use crate::process::Server;
use crate::requests::{Requests, environment};
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long the server is watched.
const TIME: Duration = Duration::from_secs(5);

/// Lines of the profile that are printed.
const LINES: usize = 40;

/// Loads a server of the binary `parlour`, which must have line tables, with `kind` and prints what `perf` saw in it.
pub(crate) fn profile(dataset: &Dataset, parlour: &Path, kind: &str) -> Result<()> {
    let page_cache = if kind.ends_with("-cold") { "0B" } else { "128MiB" };
    let folder = tempfile::tempdir_in(&dataset.folder)?;
    std::fs::copy(dataset.folder.join(parlour_store::DATABASE_FILE), folder.path().join(parlour_store::DATABASE_FILE))?;
    let [secret, log, limits] = environment();
    let data_dir = folder.path().display().to_string();
    let server = Server::start(
        parlour,
        &["serve", "--data-dir", &data_dir],
        &[secret, log, limits, ("PARLOUR_CACHE_PAGES", page_cache)],
    )?;
    let requests = Requests::new(dataset);
    let next = || -> Result<Box<dyn FnMut() -> Vec<u8>>> {
        Ok(match kind {
            "thread" | "thread-cold" => {
                let all = requests.all_threads(dataset);
                let mut random = Rng::with_seed(4);
                Box::new(move || all[random.usize(..all.len())].clone())
            }
            "inbox" | "inbox-cold" => {
                let one = requests.get(crate::dataset::BUSY_MEMBER, "/api/v2/pm/");
                Box::new(move || one.clone())
            }
            "send" => Box::new(requests.sends(dataset)),
            other => anyhow::bail!("no such load: {other}; there are thread, thread-cold, inbox, inbox-cold and send"),
        })
    };
    let status = if kind == "send" { 201 } else { 200 };
    load::run(server.address, 64, Duration::from_secs(2), status, next()?)?;
    watch(kind, &[server.id()], folder.path(), |time| load::run(server.address, 64, time, status, next()?))
}

/// Runs `load` and prints what `perf` saw of it in `processes`.
pub(crate) fn watch(
    kind: &str,
    processes: &[u32],
    folder: &Path,
    load: impl FnOnce(Duration) -> Result<Measured>,
) -> Result<()> {
    let data = folder.join("perf.data").display().to_string();
    let ids: Vec<String> = processes.iter().map(u32::to_string).collect();
    let (ids, seconds) = (ids.join(","), TIME.as_secs().to_string());
    let mut perf = Command::new("perf")
        .args(["record", "--quiet", "--freq", "2000", "--output", &data, "--pid", &ids, "--", "sleep", &seconds])
        .spawn()
        .context("cannot run perf (package linux-perf)")?;
    let measured = load(TIME)?;
    ensure!(perf.wait()?.success(), "perf failed");
    println!("{kind}: {:.0} answers a second while watched", measured.per_second());
    for sort in ["comm", "comm,dso", "comm,symbol"] {
        let report = Command::new("perf")
            .args(["report", "--stdio", "--no-children", "--input", &data, "--sort", sort, "--percent-limit", "0.3"])
            .output()?;
        let text = String::from_utf8_lossy(&report.stdout);
        println!();
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.take(LINES).for_each(|line| println!("{}", line.split("  -  ").next().unwrap_or(line).trim_end()));
    }
    Ok(())
}
