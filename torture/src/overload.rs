//! Ten times what the server can do, in 512 MB.

use crate::community::Community;
use crate::http::Request;
use crate::load::{self, Measured, Plan};
use crate::report::{Context, Report, milliseconds};
use crate::server::{Server, wait_until};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Members who send and read.
const MEMBERS: usize = 16;

/// Memory of the server, in MiB.
const MEMORY: u64 = 512;

/// Times what it can do.
const TIMES: f64 = 10.0;

/// Until answers are as quick as before.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let start = context.start()?;
    let community = Community::create(&start, MEMBERS)?;
    let group = if context.is_small() { None } else { MemoryGroup::new()? };
    if !context.is_small() && group.is_none() {
        return Ok(Report::not_run("needs root and a memory cgroup"));
    }
    let join = group.as_ref().map(MemoryGroup::join);
    let mut server = match &join {
        Some(join) => start.under(&["sh", "-c", join]).ready()?,
        None => start.ready()?,
    };
    let (normal, flood, after) = flood(context, &server, &community)?;
    let offered = normal.goodput() * TIMES;
    let mut statuses = flood.statuses.clone();
    [200, 201, 429, 503].iter().for_each(|good| statuses.retain(|status, _| status != good));
    report.demand(statuses.is_empty(), || format!("answers other than 200, 201, 429, 503: {statuses:?}"));
    report.demand(flood.broken == 0, || format!("{} connections broke", flood.broken));
    let part = flood.goodput() / normal.goodput();
    report.demand(context.is_small() || part >= 0.8, || format!("goodput is {:.0} % of normal", part * 100.0));
    report.demand(after <= RECOVERY, || format!("answers were slow for {} ms afterwards", milliseconds(after)));
    report.demand(server.is_alive()?, || "the process has ended".to_owned());
    let (_, peak) = server.memory_mib()?;
    report.demand(peak <= MEMORY as f64, || format!("the server took {peak:.0} MiB"));
    let killed = group.as_ref().map_or(Ok(0), MemoryGroup::killed)?;
    report.demand(killed == 0, || format!("{killed} processes were killed for want of memory"));
    context.stop_and_examine(server, &start, &mut report)?;
    report.look_for_panics(&start.log)?;
    report.done = format!(
        "{offered:.0} requests a second for {:.0} s, ten times {:.0}: {:.0} good answers a second ({:.0} %), p99 {} ms against {} ms; \
         answers {:?}, {} turned away by the client for want of a free connection; at most {peak:.0} MiB{}; as before {} ms afterwards",
        flood.seconds,
        normal.goodput(),
        flood.goodput(),
        part * 100.0,
        milliseconds(flood.p99()),
        milliseconds(normal.p99()),
        flood.statuses,
        flood.turned_away,
        if group.is_some() { " of 512 allowed, 0 killed" } else { "" },
        milliseconds(after),
    );
    report.figure("normal_per_second", normal.goodput().round());
    report.figure("goodput_per_second", flood.goodput().round());
    report.figure("goodput_percent", (part * 100.0).round());
    report.figure("peak_mib", peak.round());
    report.figure("back_to_normal_ms", milliseconds(after));
    Ok(report)
}

/// What it does at its best, what it does in the flood, and how long it takes to be quick again.
fn flood(context: &Context, server: &Server, community: &Community) -> Result<(Measured, Measured, Duration)> {
    let next = mixed(community);
    let ask = |plan| {
        let next = Arc::clone(&next);
        load::run(server.address, plan, move |number| next[number % next.len()].clone())
    };
    let short = Duration::from_secs(context.pick(3, 10));
    let normal = ask(Plan { connections: 32, time: short, rate: None })?;
    let time = Duration::from_secs(context.pick(10, 60));
    let flood = ask(Plan { connections: context.pick(1_000, 4_000), time, rate: Some(normal.goodput() * TIMES) })?;
    let ended = Instant::now();
    wait_until("answers are as quick as before", || {
        let now = ask(Plan { connections: 32, time: Duration::from_millis(500), rate: None })?;
        Ok(now.p99() <= normal.p99() * 2 + Duration::from_millis(20))
    })?;
    Ok((normal, flood, ended.elapsed()))
}

/// Half sends, half reads of a page.
fn mixed(community: &Community) -> Arc<Vec<Vec<u8>>> {
    let members = &community.members;
    let request = |number: usize| {
        let (one, other) = (&members[number % MEMBERS], &members[(number + 1 + number / 2 % 7) % MEMBERS]);
        let send = Request::send(&one.token, &[other.id], "Is anybody still there?", None);
        if number.is_multiple_of(2) { send.bytes() } else { Request::get("/api/v2/pm/?limit=10", &one.token).bytes() }
    };
    Arc::new((0..MEMBERS * 14).map(request).collect())
}

/// A memory cgroup, of either version.
struct MemoryGroup {
    folder: PathBuf,
    /// Where it says who was killed.
    events: &'static str,
}

impl MemoryGroup {
    /// `None` where there are no memory cgroups, or not for us.
    fn new() -> Result<Option<Self>> {
        let root = Path::new("/sys/fs/cgroup");
        let first = root.join("memory");
        let (parent, limit, events) = if first.is_dir() {
            (first, "memory.limit_in_bytes", "memory.oom_control")
        } else {
            (root.to_owned(), "memory.max", "memory.events")
        };
        let folder = parent.join(format!("parlour-torture-{}", std::process::id()));
        if std::fs::create_dir(&folder).is_err() {
            return Ok(None);
        }
        let group = Self { folder, events };
        let limited = std::fs::write(group.folder.join(limit), (MEMORY << 20).to_string());
        Ok(limited.is_ok().then_some(group))
    }

    /// Shell words that move the process into the group and become the server.
    fn join(&self) -> String {
        format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.folder.display())
    }

    fn killed(&self) -> Result<u64> {
        let events = std::fs::read_to_string(self.folder.join(self.events))?;
        let line = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).context("a count of kills")?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // It goes once its process is gone; an empty one that stays does no harm.
        let _ = std::fs::remove_dir(&self.folder);
    }
}
