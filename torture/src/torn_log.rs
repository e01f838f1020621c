//! A log that ends in the middle: cut off, or zeroes from some byte on, at every byte of its last frames.
//!
//! The server must open at a whole commit, with everything that was acknowledged before the torn one.

use crate::community::Community;
use crate::history::{Row, read_thread};
use crate::http::Request;
use crate::parallel::trials;
use crate::report::{Context, Report, copy_folder};
use crate::server::Start;
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A page and its frame header.
const FRAME: u64 = 4096 + 24;

/// Sends in the log. Few enough that nothing is folded into the database meanwhile.
const SENDS: usize = 40;

/// How the log ends.
#[derive(Clone, Copy)]
enum Torn {
    CutOff(u64),
    Zeroes(u64),
}

/// A database with its log, left by a killed server.
struct Left {
    start: Start,
    community: Community,
    /// What was sent, in order, and how long the log was when it was acknowledged.
    sent: Vec<(Row, u64)>,
    length: u64,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let left = leave_a_log(context)?;
    let torn = places(context, &left);
    let results = trials(&torn, |index, torn| {
        let folder = context.folder.join(format!("torn-{index}"));
        let mut report = Report::default();
        let kept = try_torn(context, &left, *torn, &folder, &mut report)?;
        if report.problems.is_empty() {
            std::fs::remove_dir_all(&folder)?;
        }
        Ok((kept, report.problems))
    })?;
    let fewest = results.iter().map(|(kept, _)| *kept).min().unwrap_or_default();
    report.problems.extend(results.into_iter().flat_map(|(_, problems)| problems));
    report.done = format!(
        "{} torn ends of a log with {SENDS} sends; at least {fewest} of them whole and in order, and each database takes the next send",
        torn.len()
    );
    report.figure("places", torn.len());
    Ok(report)
}

fn leave_a_log(context: &Context) -> Result<Left> {
    let start = context.start()?;
    let community = Community::create(&start, 2)?;
    let server = start.ready()?;
    let mut client = server.client();
    let log = start.data_dir.join("parlour.db-wal");
    let mut sent = Vec::new();
    for number in 0..SENDS {
        let (from, to) = (&community.members[number % 2], &community.members[(number + 1) % 2]);
        let text = format!("t{}-{number} {}", number % 2, "y".repeat(number * 7));
        let answer = client.json(&Request::send(&from.token, &[to.id], &text, None))?;
        let id = answer[0]["id"].as_i64().context("an id")?;
        sent.push((Row { id, sender_id: from.id, text }, log.metadata()?.len()));
    }
    server.kill()?;
    let length = log.metadata()?.len();
    ensure!(sent.is_sorted_by_key(|(_, length)| *length), "the log was folded into the database meanwhile");
    Ok(Left { start, community, sent, length })
}

/// Small: some places in the last frames and some in the last commits. Full: every byte of the last three frames, and more commits.
fn places(context: &Context, left: &Left) -> Vec<Torn> {
    let mut random = Rng::with_seed(5);
    let frames = left.length - 3 * FRAME;
    let commits = left.sent[SENDS - 6].1;
    let mut somewhere = |from: u64| from + random.usize(..(left.length - from) as usize) as u64;
    let mut torn: Vec<Torn> = Vec::new();
    if context.is_small() {
        torn.extend((0..40).map(|_| Torn::CutOff(somewhere(frames))));
    } else {
        torn.extend((frames..left.length).map(Torn::CutOff));
        torn.extend((frames..left.length).step_by(8).map(Torn::Zeroes));
    }
    for _ in 0..context.pick(30, 500) {
        torn.extend([Torn::CutOff(somewhere(commits)), Torn::Zeroes(somewhere(commits))]);
    }
    torn
}

/// Opens one torn copy; answers how many sends it holds.
fn try_torn(context: &Context, left: &Left, torn: Torn, folder: &Path, report: &mut Report) -> Result<usize> {
    copy_folder(&left.start.data_dir, folder)?;
    // SQLite makes it again; the old one belongs to another log.
    std::fs::remove_file(folder.join("parlour.db-shm"))?;
    let log = File::options().write(true).open(folder.join("parlour.db-wal"))?;
    let at = match torn {
        Torn::CutOff(at) => at,
        Torn::Zeroes(at) => {
            log.write_all_at(&vec![0; usize::try_from(left.length - at)?], at)?;
            at
        }
    };
    if matches!(torn, Torn::CutOff(_)) {
        log.set_len(at)?;
    }
    let mut start = Start::new(&context.parlour, folder, &context.settings)?;
    start.data_dir = folder.to_owned();
    let server = start.ready()?;
    let mut client = server.client();
    let (one, other) = (&left.community.members[0], &left.community.members[1]);
    let (rows, _) = read_thread(&mut client, &one.token, other.id)?;
    let (same, _) = read_thread(&mut client, &other.token, one.id)?;
    let whole = left.sent.iter().filter(|(_, length)| *length <= at).count();
    let expected: Vec<&Row> = left.sent.iter().map(|(row, _)| row).take(rows.len()).collect();
    let right = rows.len() >= whole && rows == same && rows.iter().collect::<Vec<_>>() == expected;
    report.demand(right, || format!("{} of {whole} sends are there after a log torn at byte {at}", rows.len()));
    let next = client.ask(&Request::send(&one.token, &[other.id], "and on", None))?;
    report.demand(next.status == 201, || format!("a send after a log torn at byte {at} was answered {}", next.status));
    drop(client);
    context.stop_and_examine(server, &start, report)?;
    report.look_for_panics(&start.log)?;
    Ok(rows.len())
}
