//! `cargo xtask torture`: what happens to acknowledged messages when the worst happens.
//!
//! Purely from outside: a release binary, its command line, its HTTP, its files. Nothing of Parlour's own code is used, so that a mistake in
//! it cannot hide itself.

mod community;
mod disk;
mod disk_full;
mod doctor;
mod failing_sync;
mod fault;
mod few_handles;
mod flipped_bytes;
mod history;
mod http;
mod kill;
mod live;
mod load;
mod mount;
mod overload;
mod parallel;
mod postgres;
mod power_cut;
mod read_only;
mod report;
mod restart;
mod senders;
mod server;
mod slow_clients;
mod torn_log;
mod trace;
mod uploads;
mod websocket;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use report::{Context, Report, Size};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Tortures a Parlour binary and counts what is lost.
#[derive(Parser)]
struct Arguments {
    /// The `parlour` binary.
    #[arg(long)]
    parlour: PathBuf,
    /// Where scenarios work, and leave their evidence when they fail.
    #[arg(long, default_value = "target/torture")]
    folder: PathBuf,
    /// A few minutes, without root.
    #[arg(long)]
    small: bool,
    /// Only the scenario of this name, or the family: `postgres`.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Power cuts a file system.
    #[arg(long, default_value_t = 5)]
    cuts: usize,
    /// Do not fail because a scenario could not run.
    #[arg(long)]
    allow_missing: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One way to torture.
struct Scenario {
    name: &'static str,
    /// The pass figure.
    bar: &'static str,
    run: fn(&Context) -> Result<Report>,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kill",
        bar: "0 acknowledged lost, 0 doubled, one order, counters equal a recount, ready in 2 s",
        run: kill::run,
    },
    Scenario {
        name: "restart",
        bar: "0 dropped of those written before the signal, 0 lost, stops in 10 s",
        run: restart::run,
    },
    Scenario {
        name: "live",
        bar: "every reader of a member the same history, whole, each message once, in the order of its threads; every push once",
        run: live::run,
    },
    Scenario { name: "power-cut", bar: "0 acknowledged lost, database sound", run: power_cut::run },
    Scenario {
        name: "failing-sync",
        bar: "nothing acknowledged after the failure, /readyz 503, reads 200, restart clean, 0 lost",
        run: failing_sync::run,
    },
    Scenario {
        name: "disk-full",
        bar: "503 with Retry-After in 1 s, reads 200, back in 5 s without a restart, 0 lost",
        run: disk_full::run,
    },
    Scenario {
        name: "uploads",
        bar: "every acknowledged file byte for byte, none unfinished or deleted readable, nothing unknown stored after a sweep, doctor sound",
        run: uploads::run,
    },
    Scenario { name: "read-only", bar: "as failing-sync; a start names the folder", run: read_only::run },
    Scenario {
        name: "flipped-bytes",
        bar: "no crash, no other member's data, no silent loss; 99 % of what changes rows detected",
        run: flipped_bytes::run,
    },
    Scenario { name: "torn-log", bar: "opens at a whole commit, 0 acknowledged before it lost", run: torn_log::run },
    Scenario {
        name: "slow-clients",
        bar: "closed in time + 5 s, others' p99 within twice + 250 ms, at most 50 MiB",
        run: slow_clients::run,
    },
    Scenario { name: "few-handles", bar: "back in 5 s, open connections served throughout", run: few_handles::run },
    Scenario {
        name: "overload",
        bar: "only 200, 201, 429, 503; 512 MiB; goodput 80 % (full); quick again in 10 s",
        run: overload::run,
    },
    Scenario {
        name: "postgres-restart",
        bar: "503 with Retry-After alone, back in 5 s in the same process, first requests after an idle restart good, 0 lost, 0 doubled",
        run: postgres::restart::run,
    },
    Scenario {
        name: "postgres-connection",
        bar: "503 with Retry-After alone and in time, a lost answer's repeat makes no second message, back without a restart, 0 lost",
        run: postgres::connection::run,
    },
    Scenario {
        name: "postgres-waiting",
        bar: "503 with Retry-After within the wait + 10 s, at most 64 MiB for 2,000 requests, back in 5 s, 0 lost",
        run: postgres::waiting::run,
    },
    Scenario {
        name: "postgres-disk-full",
        bar: "503 with Retry-After alone, back in 5 s in the same process, 0 lost",
        run: postgres::disk_full::run,
    },
    Scenario {
        name: "postgres-nodes",
        bar: "no number twice at a time, a killed process's free after its term, a stopped one's at once",
        run: postgres::nodes::run,
    },
];

/// Limits are for people, not for a test of what is lost.
const TAKE_EVERYTHING: &str = "limits.enabled=false";

/// Open files that the scenarios with many clients need.
const HANDLES: u64 = 20_000;

fn main() -> ExitCode {
    raise_handles();
    match torture(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("parlour-torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what is asked for; answers whether all of it passed.
fn torture(arguments: &Arguments) -> Result<bool> {
    let parlour = std::path::absolute(&arguments.parlour)?;
    ensure!(parlour.is_file(), "there is no {}", parlour.display());
    std::fs::create_dir_all(&arguments.folder)?;
    let kept = arguments.folder.canonicalize()?;
    let wanted = |scenario: &&Scenario| {
        let rest = arguments.only.as_ref().map(|only| scenario.name.strip_prefix(&**only));
        rest.is_none_or(|rest| rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
    };
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().filter(wanted).collect();
    ensure!(
        !scenarios.is_empty(),
        "the scenarios are {}",
        SCENARIOS.iter().map(|one| one.name).collect::<Vec<_>>().join(", ")
    );
    let settings = vec![TAKE_EVERYTHING.to_owned()];
    let size = if arguments.small { Size::Small } else { Size::Full };
    let mut reports = Vec::new();
    let mut passed = true;
    for scenario in scenarios {
        let folder = kept.join(scenario.name);
        let (parlour, settings, kept, cuts) = (parlour.clone(), settings.clone(), kept.clone(), arguments.cuts);
        let context = Context { parlour, folder, kept, size, cuts, settings };
        let started = Instant::now();
        let report = run(scenario, &context);
        let ok = report.problems.is_empty() && (report.not_run.is_none() || arguments.allow_missing);
        passed &= ok;
        if !arguments.json {
            print(scenario, &report, &context.folder, started.elapsed().as_secs_f64());
        }
        reports.push(serde_json::json!({ "name": scenario.name, "bar": scenario.bar, "passed": ok, "report": report,
            "seconds": started.elapsed().as_secs_f64() }));
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    Ok(passed)
}

/// As many open files as this process may have.
fn raise_handles() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(HANDLES);
    limit.current = Some(most.min(HANDLES));
    // Where it cannot be raised, the scenario that needs it says so by failing.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Runs one scenario in a fresh folder, which is kept if it fails.
fn run(scenario: &Scenario, context: &Context) -> Report {
    let result = fresh(&context.folder).and_then(|()| (scenario.run)(context));
    let report = result.unwrap_or_else(|error| {
        let mut report = Report::default();
        report.problem(format!("{error:#}"));
        report
    });
    if report.problems.is_empty() {
        // A folder that cannot be removed is no reason to fail.
        let _ = std::fs::remove_dir_all(&context.folder);
    }
    report
}

fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    Ok(std::fs::create_dir_all(folder)?)
}

fn print(scenario: &Scenario, report: &Report, folder: &Path, seconds: f64) {
    let Scenario { name, bar, .. } = scenario;
    if let Some(reason) = &report.not_run {
        println!("{name}: not run: {reason}");
        return;
    }
    let verdict = if report.problems.is_empty() { "passed" } else { "FAILED" };
    println!("{name}: {} | {bar} | {verdict} ({seconds:.1} s)", report.done);
    for problem in &report.problems {
        println!("  {problem}");
    }
    if !report.problems.is_empty() {
        println!("  evidence: {}", folder.display());
    }
}
