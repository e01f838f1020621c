//! `kill -9` at random moments under load, on a database of a million messages (small: a hundred thousand).
//!
//! The page cache survives a killed process, so this says nothing about the disk ([`crate::power_cut`] does). It says that a transaction is
//! whole or not there, that a repeat under the same key makes no second message, and that starting again is quick.

use crate::community::Community;
use crate::report::{Context, Report, copy_folder, milliseconds};
use crate::senders::Senders;
use crate::server::{Start, wait_until};
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Members who send.
const SENDERS: usize = 16;

/// Messages that are there before, small and full.
const MESSAGES: [usize; 2] = [100_000, 1_000_000];

/// People of the old messages; their numbers lie below the senders'.
const OLD_MEMBERS: usize = 200;

/// From the start of the process until it is ready.
const READY: Duration = Duration::from_secs(2);

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let start = context.start()?;
    let before = context.pick(MESSAGES[0], MESSAGES[1]);
    copy_folder(&old(context, before)?, &start.data_dir)?;
    let community = Community::create(&start, SENDERS)?;
    let mut senders = Senders::new(&community, 1);
    let kills = context.pick(20, 200);
    let ready = kill_under_load(context, &start, &mut senders, kills, &mut report)?;
    let server = start.ready()?;
    senders.settle(server.address)?;
    let checked = senders.check(&community, server.address, &mut report.problems)?;
    report.problems.extend(senders.tally.take_problems_and_faults());
    context.stop_and_examine(server, &start, &mut report)?;
    report.look_for_panics(&start.log)?;
    let slowest = ready.iter().copied().max().unwrap_or_default();
    report.demand(slowest <= READY, || format!("ready again after {} ms", milliseconds(slowest)));
    let acknowledged = senders.acknowledged();
    report.done = format!(
        "{kills} kills, {SENDERS} senders, {acknowledged} sends acknowledged ({} unanswered and repeated), {} messages of {} threads \
         compared, {} unread counts, {} look-backs: {} lost, {} doubled; ready after {} ms at the latest on {} messages",
        senders.tally.unanswered(),
        checked.messages,
        checked.threads,
        checked.unread_counts,
        senders.tally.looked_back(),
        checked.lost,
        checked.doubled,
        milliseconds(slowest),
        before + checked.messages,
    );
    report.figure("kills", kills);
    report.figure("acknowledged", acknowledged);
    report.figure("lost", checked.lost);
    report.figure("doubled", checked.doubled);
    report.figure("slowest_ready_ms", milliseconds(slowest));
    Ok(report)
}

/// Kills and starts again; answers how long each start took.
fn kill_under_load(
    context: &Context,
    start: &Start,
    senders: &mut Senders<'_>,
    kills: usize,
    report: &mut Report,
) -> Result<Vec<Duration>> {
    let mut random = Rng::with_seed(2);
    senders.drive(start.address, |tally| {
        let mut ready = Vec::new();
        for kill in 0..kills {
            let server = start.ready()?;
            ready.push(server.ready_after);
            let enough = tally.acknowledged() + 1 + random.usize(..context.pick(150, 800));
            wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough))?;
            // Not only right after an answer.
            let moment = Instant::now() + Duration::from_micros(random.usize(..20_000) as u64);
            while Instant::now() < moment {
                std::thread::yield_now();
            }
            server.kill()?;
            if kill % 50 == 49 {
                context.examine(start, report)?;
            }
        }
        Ok(ready)
    })
}

/// The data directory with so many messages, made by the first run.
fn old(context: &Context, messages: usize) -> Result<PathBuf> {
    let folder = context.kept.join(format!("old-{messages}"));
    let whole = folder.join("whole");
    if whole.exists() {
        return Ok(folder);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut import = Command::new(&context.parlour);
    import.args(["import", "-", "--json", "--data-dir"]).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = import.stderr(Stdio::null()).spawn()?;
    let mut lines = BufWriter::new(child.stdin.take().context("a pipe")?);
    writeln!(lines, r#"{{"type":"parlour","version":1}}"#)?;
    for id in 1..=OLD_MEMBERS {
        writeln!(lines, r#"{{"type":"user","id":{id},"username":"old{id}"}}"#)?;
    }
    let mut random = Rng::with_seed(3);
    for number in 0..messages {
        // A third of all in one thread, the others spread.
        let one = if number % 3 == 0 { 1 } else { 1 + random.usize(..OLD_MEMBERS / 2) };
        let other = if number % 3 == 0 { 2 } else { OLD_MEMBERS / 2 + 1 + one % 10 };
        let (minute, second) = (number / 60, number % 60);
        let (day, hour, minute) = (minute / 1440, minute / 60 % 24, minute % 60);
        let time = format!("2020-01-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1);
        writeln!(
            lines,
            r#"{{"type":"message","ext_id":"old-{number}","sender":{one},"receiver":{other},"created_at":"{time}","text":"{}"}}"#,
            "It was long ago. ".repeat(1 + random.usize(..5)),
        )?;
    }
    drop(lines.into_inner()?);
    ensure!(child.wait()?.success(), "the import of {messages} messages failed");
    std::fs::write(whole, "")?;
    Ok(folder)
}
