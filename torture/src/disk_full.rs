//! No space is left, and then there is again.

use crate::community::Community;
use crate::fault::{REFUSAL, demand_reads};
use crate::http::Request;
use crate::mount::{self, FileSystem, Mount};
use crate::report::{Context, Report, copy_folder, milliseconds};
use crate::senders::{Senders, Tally};
use crate::server::{Server, Start, wait_until};
use anyhow::Result;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// Members who send.
const SENDERS: usize = 8;

/// From free space to the next acknowledgement.
const RECOVERY: Duration = Duration::from_secs(5);

/// What all rounds saw together.
#[derive(Default)]
struct Sums {
    rounds: usize,
    acknowledged: usize,
    refused: usize,
    lost: usize,
    slowest_refusal: Duration,
    slowest_recovery: Duration,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let template = context.start()?;
    let community = Community::create(&template, SENDERS)?;
    let mut sums = Sums::default();
    if context.is_small() {
        // The head of the log, the middle of a commit, and later; long enough for some commits to fail.
        for first in [1, 40, 300] {
            injected(context, &template, &community, first, &mut sums, &mut report)?;
        }
    } else if let Some(reason) = mount::unavailable() {
        return Ok(Report::not_run(reason));
    } else {
        for (kind, mebibytes) in [(FileSystem::Memory, 24), (FileSystem::Ext4, 32)] {
            filled(
                context,
                &template,
                &community,
                &Mount::new(kind, &context.folder, mebibytes)?,
                &mut sums,
                &mut report,
            )?;
        }
    }
    report.demand(sums.slowest_refusal <= REFUSAL, || {
        format!("a refusal took {} ms", milliseconds(sums.slowest_refusal))
    });
    report.demand(sums.slowest_recovery <= RECOVERY, || {
        format!("recovery took {} ms", milliseconds(sums.slowest_recovery))
    });
    report.done = format!(
        "{} full disks: {} sends refused, each within {} ms, reads went on; acknowledged again {} ms after there was space, without a \
         restart; {} sends acknowledged, {} lost",
        sums.rounds,
        sums.refused,
        milliseconds(sums.slowest_refusal),
        milliseconds(sums.slowest_recovery),
        sums.acknowledged,
        sums.lost,
    );
    report.figure("rounds", sums.rounds);
    report.figure("acknowledged", sums.acknowledged);
    report.figure("refused", sums.refused);
    report.figure("lost", sums.lost);
    report.figure("slowest_refusal_ms", milliseconds(sums.slowest_refusal));
    report.figure("slowest_recovery_ms", milliseconds(sums.slowest_recovery));
    Ok(report)
}

/// Writes from the `first` on find no space, for a while.
fn injected(
    context: &Context,
    template: &Start,
    community: &Community,
    first: usize,
    sums: &mut Sums,
    report: &mut Report,
) -> Result<()> {
    /// Writes that fail; a commit fails with its first one.
    const WRITES: usize = 60;
    let start = template.on(&context.folder.join(format!("full-{first}")));
    copy_folder(&template.data_dir, &start.data_dir)?;
    let inject = format!("inject=pwrite64:error=ENOSPC:when={first}..{}", first + WRITES);
    // Not the shared memory beside the log, which on a real disk would take its space in larger pieces.
    let files = ["parlour.db", "parlour.db-wal"].map(|file| start.data_dir.join(file).display().to_string());
    let strace = ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject];
    let mut server = start.under(&[&strace[..], &["-P", &files[0], "-P", &files[1]]].concat()).ready()?;
    let mut senders = Senders::new(community, first as u64);
    senders.drive(start.address, |tally| {
        wait_until("sends are refused", || Ok(tally.refused() > 0))?;
        let read = server.client().ask(&Request::get("/api/v2/pm/", &community.members[0].token))?;
        report.demand(read.status == 200, || format!("a read was answered {} on a full disk", read.status));
        let before = tally.acknowledged();
        let recovered = wait_until("sends are acknowledged again", || Ok(tally.acknowledged() > before + 20))?;
        sums.slowest_recovery = sums.slowest_recovery.max(recovered);
        report.demand(server.is_alive()?, || "the process has ended".to_owned());
        Ok(())
    })?;
    finish(context, &start, server, senders, sums, report)
}

/// A filler takes all that is left, again and again.
fn filled(
    context: &Context,
    template: &Start,
    community: &Community,
    mount: &Mount,
    sums: &mut Sums,
    report: &mut Report,
) -> Result<()> {
    /// Times that one file system is filled.
    const ROUNDS: usize = 10;
    let start = template.on(&mount.folder.join("data"));
    copy_folder(&template.data_dir, &start.data_dir)?;
    let mut server = start.ready()?;
    let mut senders = Senders::new(community, 7);
    let filler = mount.folder.join("filler");
    senders.drive(start.address, |tally| {
        for round in 0..ROUNDS {
            let enough = tally.acknowledged() + 50;
            wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough))?;
            fill_until_refused(&filler, tally)?;
            look_when_quiet(&mut server, community, tally, round, report)?;
            let before = tally.acknowledged();
            std::fs::remove_file(&filler)?;
            let recovered = wait_until("sends are acknowledged again", || Ok(tally.acknowledged() > before));
            match recovered {
                Ok(recovered) => sums.slowest_recovery = sums.slowest_recovery.max(recovered),
                Err(error) => {
                    report.problem(format!("round {round}: {error:#} after there was space"));
                    return Ok(());
                }
            }
            sums.rounds += 1;
        }
        Ok(())
    })?;
    // The round of `finish` is the last one of these.
    sums.rounds = sums.rounds.saturating_sub(1);
    finish(context, &start, server, senders, sums, report)
}

/// Once sends are refused without one being taken in between, reads must be answered. That a send is taken now and then is no fault: a log
/// that was folded in is written again from its beginning, and needs no space.
fn look_when_quiet(
    server: &mut Server,
    community: &Community,
    tally: &Tally,
    round: usize,
    report: &mut Report,
) -> Result<()> {
    let (mut acknowledged, mut refused) = (tally.acknowledged(), tally.refused());
    wait_until("no send is taken any more", || {
        if tally.acknowledged() != acknowledged {
            (acknowledged, refused) = (tally.acknowledged(), tally.refused());
        }
        Ok(tally.refused() >= refused + 4 * SENDERS)
    })?;
    demand_reads(server, community, &format!("full disk, round {round}"), report)
}

/// Fills what is left, down to the last byte.
fn fill_until_refused(filler: &Path, tally: &Tally) -> Result<()> {
    let mut file = File::create(filler)?;
    let before = tally.refused();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![1; size];
        while file.write_all(&piece).is_ok() {}
    }
    wait_until("sends are refused", || {
        // What a failed commit gave back is taken as well.
        while file.write_all(&[1; 4096]).is_ok() {}
        Ok(tally.refused() > before)
    })?;
    Ok(())
}

fn finish(
    context: &Context,
    start: &Start,
    server: Server,
    mut senders: Senders<'_>,
    sums: &mut Sums,
    report: &mut Report,
) -> Result<()> {
    senders.settle(start.address)?;
    let community = senders.community();
    sums.lost += senders.check(community, start.address, &mut report.problems)?.lost;
    report.problems.extend(senders.tally.take_problems_and_faults());
    sums.rounds += 1;
    sums.acknowledged += senders.acknowledged();
    sums.refused += senders.tally.refused();
    sums.slowest_refusal = sums.slowest_refusal.max(senders.tally.slowest_refusal());
    context.stop_and_examine(server, start, report)?;
    report.look_for_panics(&start.log)
}
