//! `kill -9` in the middle of uploads, of their parts, their ends and of deletions; and a disk that is full while they go on.
//!
//! What was acknowledged is there byte for byte, what was deleted is not, what nobody finished cannot be sent, and nothing stays in the store
//! that the database does not know.

mod full_disk;
mod uploader;

use crate::community::Community;
use crate::http::{Client, Request};
use crate::report::{Context, Report, milliseconds};
use crate::server::{Start, wait_for, wait_until};
use anyhow::{Context as _, Result};
use fastrand::Rng;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use uploader::{Ledger, Uploader, content};

/// Members who upload.
const UPLOADERS: usize = 6;

/// Unfinished uploads are given up so soon, and looked for so often; a member may have more of them than one who is never cut off.
const SETTINGS: [&str; 3] = ["files.upload_lifetime=4s", "files.cleanup_interval=1s", "files.max_open_uploads=10000"];

/// Problems of the uploaders that are told.
const TOLD: usize = 20;

/// From the last request to a store in which only what is known is left.
const SWEPT: Duration = Duration::from_secs(20);

/// How long nobody has written to what was left.
const LEFT_OVER: Duration = Duration::from_secs(2 * 3_600);

/// Files that are compared after each restart.
const LATEST: usize = 20;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let mut start = context.start()?;
    start.settings.extend(SETTINGS.map(str::to_owned));
    let community = Community::create(&start, UPLOADERS)?;
    let ledger = Ledger::default();
    let kills = context.pick(8, 100);
    let slowest = kill_under_load(context, &start, &community, &ledger, kills, &mut report)?;
    // What a killed server had not stored whole is left over once nobody has written to it for a while, and goes at the next start.
    for path in strange_files(&start.data_dir)? {
        let file = File::options().append(true).open(path)?;
        file.set_modified(file.metadata()?.modified()? - LEFT_OVER)?;
    }
    let server = start.ready()?;
    let files = ledger.files();
    let compared = compare(&mut server.client(), &community, &ledger, files.len(), &mut report)?;
    let unfinished = send_unfinished(&mut server.client(), &community, &ledger, &mut report)?;
    let swept = wait_until_swept(&start.data_dir, &mut report);
    report.problems.extend(ledger.take_problems().into_iter().take(TOLD));
    context.stop_and_examine(server, &start, &mut report)?;
    report.look_for_panics(&start.log)?;
    let full = full_disk::run(context, &mut report)?;
    let deleted = files.iter().filter(|file| file.deleted).count();
    report.done = format!(
        "{kills} kills, {UPLOADERS} uploaders, {} files acknowledged ({} requests unanswered and repeated), {compared} compared byte for byte, \
         {deleted} deleted and unreadable, {unfinished} unfinished and not to be sent; the store was swept {swept}; ready after {} ms at the \
         latest; {full}",
        files.len(),
        ledger.unanswered(),
        milliseconds(slowest),
    );
    report.figure("kills", kills);
    report.figure("acknowledged", files.len());
    report.figure("compared", compared);
    report.figure("deleted", deleted);
    Ok(report)
}

/// Kills and starts again; answers how long the slowest start took.
fn kill_under_load(
    context: &Context,
    start: &Start,
    community: &Community,
    ledger: &Ledger,
    kills: usize,
    report: &mut Report,
) -> Result<Duration> {
    let mut random = Rng::with_seed(20);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for member in 0..UPLOADERS {
            let mut uploader = Uploader::new(member, start.address, community, ledger);
            let end = &end;
            scope.spawn(move || {
                while !end.load(Ordering::Acquire) {
                    uploader.step();
                }
                ledger.note_end();
            });
        }
        let mut work = || {
            let mut slowest = Duration::ZERO;
            for kill in 0..=kills {
                let server = start.ready()?;
                slowest = slowest.max(server.ready_after);
                compare(&mut server.client(), community, ledger, LATEST, report)?;
                let enough = ledger.acknowledged() + 1 + random.usize(..context.pick(15, 40));
                wait_until("uploads are acknowledged", || Ok(ledger.acknowledged() >= enough))?;
                let moment = Instant::now() + Duration::from_micros(random.u64(..30_000));
                while Instant::now() < moment {
                    std::thread::yield_now();
                }
                if kill == kills {
                    // The last server lets all of them come to an end.
                    end.store(true, Ordering::Release);
                    wait_until("all uploaders have ended", || Ok(ledger.ended() == UPLOADERS))?;
                }
                server.kill()?;
            }
            Ok(slowest)
        };
        let done = work();
        end.store(true, Ordering::Release);
        done
    })
}

/// Reads the latest files through fresh links, and those that were deleted through their old ones; answers how many were compared.
fn compare(
    client: &mut Client,
    community: &Community,
    ledger: &Ledger,
    latest: usize,
    report: &mut Report,
) -> Result<usize> {
    let files = ledger.files();
    let mut compared = 0;
    for (place, file) in files.iter().enumerate().rev().take(latest) {
        let token = &community.members[file.receiver].token;
        if file.deleted {
            let old = client.ask(&Request { method: "GET", path: file.link.clone(), ..Request::default() })?;
            report.demand(old.status == 404, || format!("a deleted file was answered {}", old.status));
            continue;
        }
        let message = client.ask(&Request::get(format!("/api/v2/pm/{}/", file.message), token))?;
        let row = message.json().unwrap_or_default();
        let link = row["file"]["url"].as_str().map(crate::history::path_of);
        let same = match &link {
            Some(link) => {
                let found = client.ask(&Request { method: "GET", path: link.clone(), ..Request::default() })?;
                found.status == 200 && found.body == content(file.seed, file.size)
            }
            None => false,
        };
        // Its sender may have begun to delete it meanwhile.
        if !same && !ledger.is_being_deleted(place) {
            report.problem(format!("file {place} of {} bytes was acknowledged and is not what it was", file.size));
        }
        compared += 1;
    }
    Ok(compared)
}

/// Tries to send what was never finished; answers how many that were.
fn send_unfinished(client: &mut Client, community: &Community, ledger: &Ledger, report: &mut Report) -> Result<usize> {
    let unfinished = ledger.unfinished();
    for (member, uuid) in &unfinished {
        let to = &community.members[(member + 1) % UPLOADERS];
        let sent = client.ask(&Request::send_file(&community.members[*member].token, to.id, uuid, None))?;
        report.demand(sent.status == 400, || format!("an unfinished file was sent: {}", sent.status));
    }
    Ok(unfinished.len())
}

/// Waits until nothing is left in the store but whole files under their names.
fn wait_until_swept(data_dir: &Path, report: &mut Report) -> String {
    match wait_for(SWEPT, "the store is swept", || Ok(strange_files(data_dir)?.is_empty())) {
        Ok(took) => format!("{:.1} s later", took.as_secs_f64()),
        Err(_) => {
            let left = strange_files(data_dir).unwrap_or_default();
            let first = left.first().map(|path| path.display().to_string()).unwrap_or_default();
            report.problem(format!("{} files stay in the store that are no whole files, such as {first}", left.len()));
            "never".to_owned()
        }
    }
}

/// What lies in the store or the spool and is no whole file.
fn strange_files(data_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut strange = files_below(&data_dir.join("spool"))?;
    let whole = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_name = name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        is_name && path.parent().and_then(Path::file_name).is_some_and(|folder| folder.len() == 2)
    };
    strange.extend(files_below(&data_dir.join("files"))?.into_iter().filter(|path| !whole(path)));
    Ok(strange)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        // What goes while it is looked at is gone.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.with_context(|| format!("in {}", folder.display()))?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
