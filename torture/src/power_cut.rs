//! The power goes under load.
//!
//! Full: a file system on a loop device is cut off from it, mounted again, and must hold everything acknowledged. Small, without root: the
//! order of the server's system calls, and from it what a disk may hold at any moment; so nothing may be acknowledged before its sync.

use crate::community::Community;
use crate::disk::Disk;
use crate::mount::{self, FileSystem, Mount};
use crate::parallel::trials;
use crate::report::{Context, Report, copy_folder};
use crate::senders::{Senders, parse};
use crate::server::{Start, wait_until};
use crate::trace::{self, Step};
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::path::Path;

/// Members who send.
const SENDERS: usize = 6;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let template = context.start()?;
    let community = Community::create(&template, SENDERS)?;
    replay(context, &template, &community, &mut report)?;
    if context.is_small() {
        return Ok(report);
    }
    if let Some(reason) = mount::unavailable() {
        return Ok(Report::not_run(reason));
    }
    for kind in [FileSystem::Ext4, FileSystem::Xfs] {
        cut_off(context, &template, &community, kind, &mut report)?;
    }
    Ok(report)
}

/// A moment of the trace, and how much of what was not synced is there.
struct Cut {
    at: usize,
    part: usize,
}

/// Records a run and opens what a disk may hold after a cut at many of its moments.
fn replay(context: &Context, template: &Start, community: &Community, report: &mut Report) -> Result<()> {
    let start = template.on(&context.folder.join("traced"));
    copy_folder(&template.data_dir, &start.data_dir)?;
    let file = context.folder.join("trace");
    let (steps, senders) = record(context, &start, community, &file)?;
    let cuts = choose(&steps, context.pick(40, 500));
    let problems = trials(&cuts, |index, cut| {
        let folder = context.folder.join(format!("cut-{index}"));
        let mut disk = Disk::holding(&template.data_dir)?;
        steps[..cut.at].iter().for_each(|step| disk.take(step));
        disk.cut(&folder, cut.part, &mut Rng::with_seed(index as u64))?;
        let mut report = Report::default();
        open(context, &folder, &senders.as_of(&acknowledged(&steps[..cut.at])), community, &mut report)?;
        if report.problems.is_empty() {
            std::fs::remove_dir_all(&folder)?;
        }
        let at =
            |problem| format!("cut {index}, step {} with {} % of what was not synced: {problem}", cut.at, cut.part);
        Ok(report.problems.into_iter().map(at).collect::<Vec<_>>())
    })?;
    let lost = problems.iter().filter(|problems| !problems.is_empty()).count();
    report.problems.extend(problems.into_iter().flatten());
    let syncs = steps.iter().filter(|step| matches!(step, Step::SyncEnds { .. })).count();
    let acknowledged = acknowledged(&steps).len();
    report.done = format!(
        "{} cuts of a recorded run ({syncs} syncs, {acknowledged} sends acknowledged), any sectors not synced missing: {lost} of them \
         lost anything",
        cuts.len()
    );
    report.figure("replayed_cuts", cuts.len());
    report.figure("replayed_cuts_with_loss", lost);
    std::fs::remove_file(file)?;
    Ok(())
}

fn record<'c>(
    context: &Context,
    start: &Start,
    community: &'c Community,
    file: &Path,
) -> Result<(Vec<Step>, Senders<'c>)> {
    let path = file.to_str().context("a path in UTF-8")?;
    let strace = ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000", "-o", path, "-e", trace::CALLS];
    let server = start.under(&strace).ready()?;
    let mut senders = Senders::new(community, 9);
    senders.drive(start.address, |tally| {
        // Enough for the log to be folded into the database a few times.
        wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= context.pick(900, 3_000)))?;
        ensure!(server.stop()?.success(), "the server did not stop well");
        Ok(())
    })?;
    wait_until("strace has written all", || {
        let tail = std::fs::read(file)?;
        Ok(String::from_utf8_lossy(&tail[tail.len().saturating_sub(200)..]).trim_end().ends_with("exited with 0 +++"))
    })?;
    Ok((trace::read(file, &start.data_dir)?, senders))
}

/// Moments just after an acknowledgement, within syncs, and anywhere.
fn choose(steps: &[Step], count: usize) -> Vec<Cut> {
    let mut random = Rng::with_seed(10);
    let after = |wanted: fn(&Step) -> bool| -> Vec<usize> {
        steps.iter().enumerate().filter(|(_, step)| wanted(step)).map(|(index, _)| index + 1).collect()
    };
    let acknowledged = after(|step| matches!(step, Step::Acknowledge { .. }));
    let syncing = after(|step| matches!(step, Step::SyncBegins { .. }));
    (0..count)
        .map(|number| Cut {
            at: match number % 4 {
                0 | 1 => acknowledged[random.usize(..acknowledged.len())],
                2 => syncing[random.usize(..syncing.len())],
                _ => random.usize(..steps.len()),
            },
            part: [0, 3, 50, 90, 100][random.usize(..5)],
        })
        .collect()
}

/// The sends whose 201 left.
fn acknowledged(steps: &[Step]) -> BTreeSet<(usize, usize)> {
    let text = |step: &Step| match step {
        Step::Acknowledge { text } => parse(text),
        _ => None,
    };
    steps.iter().filter_map(text).collect()
}

/// Opens what is left and compares it.
fn open(
    context: &Context,
    folder: &Path,
    senders: &Senders<'_>,
    community: &Community,
    report: &mut Report,
) -> Result<()> {
    let mut start = Start::new(&context.parlour, folder, &context.settings)?;
    start.data_dir = folder.to_owned();
    let Ok(server) = start.ready_or_ended()? else {
        report.problem("the server does not start");
        return Ok(());
    };
    senders.check(community, start.address, &mut report.problems)?;
    context.stop_and_examine(server, &start, report)?;
    report.look_for_panics(&start.log)
}

/// Cuts a mounted file system off, again and again.
fn cut_off(
    context: &Context,
    template: &Start,
    community: &Community,
    kind: FileSystem,
    report: &mut Report,
) -> Result<()> {
    let mount = Mount::new(kind, &context.folder, 512)?;
    let start = template.on(&mount.folder.join("data"));
    copy_folder(&template.data_dir, &start.data_dir)?;
    mount.unmount()?;
    mount.mount("rw")?;
    let mut senders = Senders::new(community, 11 + kind as u64);
    let mut random = Rng::with_seed(12);
    senders.drive(start.address, |tally| {
        for cut in 0..context.cuts {
            let server = start.ready()?;
            let enough = tally.acknowledged() + 20 + random.usize(..400);
            wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough))?;
            mount.cut()?;
            let cut_at = std::time::Instant::now();
            let failed = || tally.refused() + tally.unanswered() + tally.faults();
            let enough = failed() + SENDERS;
            wait_until("sends fail", || Ok(failed() >= enough))?;
            let late = tally.last_begun().is_some_and(|begun| begun > cut_at);
            report.demand(!late, || format!("{kind:?}, cut {cut}: a send was acknowledged after the cut"));
            server.kill()?;
            mount.unmount()?;
            mount.mount("rw")?;
            context.examine(&start, report)?;
        }
        Ok(())
    })?;
    let server = start.ready()?;
    senders.settle(start.address)?;
    let checked = senders.check(community, start.address, &mut report.problems)?;
    report.problems.extend(senders.tally.take_problems());
    context.stop_and_examine(server, &start, report)?;
    let (cuts, acknowledged) = (context.cuts, senders.acknowledged());
    report.done += &format!("; {cuts} cuts of {kind:?}: {acknowledged} sends acknowledged, {} lost", checked.lost);
    report.figure(&format!("{kind:?}_cuts"), cuts);
    report.figure(&format!("{kind:?}_acknowledged"), acknowledged);
    report.figure(&format!("{kind:?}_lost"), checked.lost);
    Ok(())
}
