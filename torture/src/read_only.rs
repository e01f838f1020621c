//! The file system turns read-only under the server, or was so from the beginning.
//!
//! With files open for writing that only happens by a fault, and the one fault that can be caused here is ext4's own `abort`. In the moment
//! of it ext4 can answer a sync with success and still drop what was synced (seen with strace: `fsync` = 0, then the 201s, then the loss). No
//! server can know, so the group of sends in that moment is counted and not demanded; everything before it is.

use crate::community::Community;
use crate::fault::demand_refusal;
use crate::mount::{self, FileSystem, Mount};
use crate::report::{Context, Report, copy_folder};
use crate::senders::Senders;
use crate::server::{Server, Start};
use anyhow::Result;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Members who send.
const SENDERS: usize = 8;

/// Messages of one group of sends at the most: each sender has one open, to three at the most.
const GROUP: usize = 3 * SENDERS;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let template = context.start()?;
    let community = Community::create(&template, SENDERS)?;
    let (mut acknowledged, mut dropped) = (0, 0);
    let rounds = context.pick(2, 10);
    if context.is_small() {
        for first in [1, 120] {
            let start = template.on(&context.folder.join(format!("from-{first}")));
            let inject = format!("inject=pwrite64:error=EROFS:when={first}+");
            let strace =
                ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject];
            let log = start.data_dir.join("parlour.db-wal").display().to_string();
            let under = start.under(&[&strace[..], &["-P", &log]].concat());
            copy_folder(&template.data_dir, &start.data_dir)?;
            let (sends, lost) = turn(context, &start, under.ready()?, &community, || Ok(()), Ok, &mut report)?;
            report.demand(lost == 0, || format!("{lost} acknowledged messages are lost"));
            acknowledged += sends;
        }
        if !rustix::process::geteuid().is_root() {
            let folder = context.folder.join("locked");
            copy_folder(&template.data_dir, &folder)?;
            let lock = |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode));
            lock(0o500)?;
            refuses_to_start(&template, &folder, &mut report)?;
            lock(0o700)?;
        }
    } else if let Some(reason) = mount::unavailable() {
        return Ok(Report::not_run(reason));
    } else {
        for round in 0..rounds {
            let mount = Mount::new(FileSystem::Ext4, &context.folder, 64)?;
            let start = template.on(&mount.folder.join(format!("data-{round}")));
            copy_folder(&template.data_dir, &start.data_dir)?;
            // What was copied is on the device before it turns read-only.
            mount.unmount()?;
            mount.mount("rw")?;
            let again = |()| mount.unmount().and_then(|()| mount.mount("rw"));
            let server = start.ready()?;
            let (sends, lost) =
                turn(context, &start, server, &community, || mount.turn_read_only(), again, &mut report)?;
            report.demand(lost <= GROUP, || format!("{lost} acknowledged messages are lost"));
            (acknowledged, dropped) = (acknowledged + sends, dropped + lost);
            mount.unmount()?;
            mount.mount("ro")?;
            refuses_to_start(&template, &start.data_dir, &mut report)?;
            refuses_to_start(&template, &mount.folder.join("new"), &mut report)?;
        }
    }
    report.done = format!(
        "{rounds} times read-only under load: refused, reads went on; a restart after it was writable again is clean; {acknowledged} \
         sends acknowledged, 0 lost but {dropped} that ext4 dropped after a sync that it called good; a folder that cannot be written is named at \
         the start"
    );
    report.figure("dropped_by_ext4", dropped);
    report.figure("rounds", rounds);
    report.figure("acknowledged", acknowledged);
    Ok(report)
}

/// Turns the file system read-only under load and back; answers how many sends were acknowledged, and how many of their messages are lost.
fn turn(
    context: &Context,
    start: &Start,
    mut server: Server,
    community: &Community,
    read_only: impl FnOnce() -> Result<()>,
    writable: impl FnOnce(()) -> Result<()>,
    report: &mut Report,
) -> Result<(usize, usize)> {
    let mut senders = Senders::new(community, 8);
    senders.drive(start.address, |tally| {
        crate::server::wait_until("sends come", || Ok(tally.acknowledged() > 20 || tally.refused() > 0))?;
        read_only()?;
        demand_refusal(&mut server, community, tally, "read-only", report)?;
        server.kill()?;
        writable(())
    })?;
    let server = start.ready()?;
    senders.settle(start.address)?;
    let mut problems = Vec::new();
    let lost = senders.check(community, start.address, &mut problems)?.lost;
    report.problems.extend(problems.into_iter().filter(|problem| !problem.contains("has lost")));
    report.problems.extend(senders.tally.take_problems_and_faults());
    context.stop_and_examine(server, start, report)?;
    report.look_for_panics(&start.log)?;
    Ok((senders.acknowledged(), lost))
}

/// A start on a folder that cannot be written ends with a sentence that names it.
fn refuses_to_start(template: &Start, folder: &Path, report: &mut Report) -> Result<()> {
    let mut start = template.on(folder);
    start.log = template.log.with_extension("refused.log");
    let started = start.ready_or_ended()?;
    let log = std::fs::read_to_string(&start.log)?;
    let name = folder.display().to_string();
    report.demand(started.is_err(), || format!("a server started on {name}, which cannot be written"));
    let named = log.lines().any(|line| line.starts_with("parlour: ") && line.contains(&name));
    report.demand(named, || format!("no sentence names {name}: {}", log.trim()));
    std::fs::remove_file(&start.log)?;
    Ok(())
}
