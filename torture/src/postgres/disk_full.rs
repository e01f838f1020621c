//! No space is left for PostgreSQL, and then there is again. It refuses what needs space, or ends itself and recovers when its log needs some.

use super::{BACK, everybody_is_back, finish, start_on, unavailable};
use crate::community::Community;
use crate::http::Request;
use crate::mount::{self, FileSystem, Mount};
use crate::report::{Context, Report, milliseconds};
use crate::senders::{Senders, Tally};
use crate::server::{Server, wait_until};
use anyhow::Result;
use private_postgres::{Cluster, Durability, Setup};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// Members who send.
const SENDERS: usize = 16;

/// Room for the cluster as it is made, and for what is sent.
const MEBIBYTES: u64 = 256;

#[derive(Default)]
struct Sums {
    rounds: usize,
    acknowledged: usize,
    refused: usize,
    lost: usize,
    crashes: usize,
    reads: BTreeMap<u16, usize>,
    slowest_back: Duration,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    if let Some(reason) = unavailable() {
        return Ok(Report::not_run(reason));
    }
    let mut report = Report::default();
    if let Some(reason) = mount::unavailable() {
        if context.is_small() {
            report.done = format!("left out, as it {reason}");
            return Ok(report);
        }
        return Ok(Report::not_run(reason));
    }
    let mut sums = Sums::default();
    for kind in context.pick(&[FileSystem::Memory][..], &[FileSystem::Memory, FileSystem::Ext4]) {
        let mount = Mount::new(*kind, &context.folder, MEBIBYTES)?;
        filled(context, &mount, &mut sums, &mut report)?;
    }
    report.done = format!(
        "{} full disks under {SENDERS} senders: {} sends refused, PostgreSQL ended itself {} times, reads were answered {:?}; everybody \
         acknowledged again {} ms after there was space, in the same process; {} sends acknowledged, {} lost",
        sums.rounds,
        sums.refused,
        sums.crashes,
        sums.reads,
        milliseconds(sums.slowest_back),
        sums.acknowledged,
        sums.lost,
    );
    report.figure("rounds", sums.rounds);
    report.figure("acknowledged", sums.acknowledged);
    report.figure("refused", sums.refused);
    report.figure("lost", sums.lost);
    report.figure("slowest_back_ms", milliseconds(sums.slowest_back));
    Ok(report)
}

/// A filler takes all that is left, again and again.
fn filled(context: &Context, mount: &Mount, sums: &mut Sums, report: &mut Report) -> Result<()> {
    let small_log = [("max_wal_size", "32MB"), ("min_wal_size", "32MB")];
    let setup = small_log.iter().fold(Setup::new(Durability::Real), |setup, (name, value)| setup.setting(name, value));
    let cluster = setup.data_in(&mount.folder).start()?;
    let start = start_on(context, &cluster, "full")?;
    let community = Community::create(&start, SENDERS)?;
    let server = start.ready()?;
    let mut senders = Senders::new(&community, 50);
    let filler = mount.folder.join("filler");
    senders.drive(start.address, |tally| {
        for round in 0..context.pick(2, 10) {
            let enough = tally.acknowledged() + 100;
            wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough))?;
            fill_until_refused(&filler, tally)?;
            look(&server, &community, &mut sums.reads, round, report)?;
            std::fs::remove_file(&filler)?;
            ensure_it_runs(&cluster)?;
            let back = everybody_is_back(tally, BACK, &format!("full disk {round}"), report)?;
            sums.slowest_back = sums.slowest_back.max(back);
            sums.rounds += 1;
        }
        Ok(())
    })?;
    sums.crashes += cluster.log()?.matches("PANIC: ").count();
    let checked = finish(context, (&cluster, "full"), vec![(start, server)], &mut senders, report)?;
    sums.lost += checked.lost;
    sums.acknowledged += senders.acknowledged();
    sums.refused += senders.tally.refused();
    Ok(())
}

/// Fills what is left, and whatever becomes free, until sends are refused.
fn fill_until_refused(filler: &Path, tally: &Tally) -> Result<()> {
    let mut file = File::create(filler)?;
    let enough = tally.refused() + 4 * SENDERS;
    wait_until("sends are refused", || {
        // Down to the last block, again and again: PostgreSQL also gives space back.
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![b'f'; size]).is_ok() {}
        }
        Ok(tally.refused() >= enough)
    })?;
    Ok(())
}

/// Reads go on as far as PostgreSQL can, and are else refused like everything.
fn look(
    server: &Server,
    community: &Community,
    reads: &mut BTreeMap<u16, usize>,
    round: usize,
    report: &mut Report,
) -> Result<()> {
    let mut client = server.client();
    for member in &community.members {
        let read = client.ask(&Request::get("/api/v2/pm/", &member.token))?;
        let well = read.status == 200 || read.status == 503 && read.header("retry-after").is_some();
        report.demand(well, || format!("full disk {round}: a read was answered {}", read.status));
        *reads.entry(read.status).or_default() += 1;
    }
    Ok(())
}

/// PostgreSQL gives up for good when even its recovery finds no space: then its operator starts it again.
fn ensure_it_runs(cluster: &Cluster) -> Result<()> {
    wait_until("PostgreSQL runs", || {
        if cluster.sql("postgres", "select 1").is_ok() {
            return Ok(true);
        }
        let ended = match cluster.process_id() {
            Ok(process) => !Path::new(&format!("/proc/{process}")).exists(),
            Err(_) => true,
        };
        Ok(ended && cluster.start_again().is_ok())
    })?;
    Ok(())
}
