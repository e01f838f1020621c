//! The k-th sync or write of the database fails, once.
//!
//! After a failed sync nobody knows what is on disk, and a second one that succeeds says nothing (the system has marked the pages clean). So
//! from then on nothing may be acknowledged until a restart, which reads back what is really there.

use crate::community::Community;
use crate::fault::demand_refusal;
use crate::report::{Context, Report, copy_folder};
use crate::senders::Senders;
use crate::server::Start;
use anyhow::Result;

/// Members who send.
const SENDERS: usize = 6;

/// Sync calls, in strace's words.
const SYNCS: &str = "fsync,fdatasync";

/// One failure.
struct Failure {
    calls: &'static str,
    /// Which call of the writer fails.
    when: usize,
    /// Only calls on this file of the data directory.
    file: Option<&'static str>,
}

impl Failure {
    fn name(&self) -> String {
        let file =
            self.file.map_or_else(String::new, |file| format!(" on {}", if file.is_empty() { "folder" } else { file }));
        format!("{} no. {}{file}", self.calls, self.when)
    }

    fn wrapper(&self, start: &Start) -> Vec<String> {
        let words = ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e"];
        let mut wrapper: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        wrapper.push(format!("trace={}", self.calls));
        wrapper.extend(["-e".to_owned(), format!("inject={}:error=EIO:when={}", self.calls, self.when)]);
        if let Some(file) = self.file {
            wrapper.extend([
                "-P".to_owned(),
                start.data_dir.join(file).display().to_string().trim_end_matches('/').to_owned(),
            ]);
        }
        wrapper
    }
}

/// What one failure did.
#[derive(Default)]
struct Outcome {
    report: Report,
    refused_to_start: bool,
    acknowledged: usize,
    lost: usize,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let template = context.start()?;
    let community = Community::create(&template, SENDERS)?;
    let outcomes = failures(context).into_iter().map(|failure| fail(context, &template, &community, &failure));
    let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
    let sum = |value: fn(&Outcome) -> usize| outcomes.iter().map(value).sum::<usize>();
    let (acknowledged, lost) = (sum(|outcome| outcome.acknowledged), sum(|outcome| outcome.lost));
    report.done = format!(
        "{} failures of fsync, fdatasync and pwrite64; {} at start, told and refused; in the others 0 acknowledged after the failure, \
         restart clean; {acknowledged} sends acknowledged, {lost} lost",
        outcomes.len(),
        sum(|outcome| usize::from(outcome.refused_to_start)),
    );
    report.figure("failures", outcomes.len());
    report.figure("acknowledged", acknowledged);
    report.figure("lost", lost);
    report.problems.extend(outcomes.into_iter().flat_map(|outcome| outcome.report.problems));
    Ok(report)
}

fn failures(context: &Context) -> Vec<Failure> {
    let mut failures = Vec::new();
    // Of the folder, in which the log appears; this is the server's own, since SQLite looks away when its one fails.
    failures.push(Failure { calls: SYNCS, when: 1, file: Some("") });
    // Of the log: its head, and then every commit.
    let syncs: Vec<usize> = if context.is_small() { vec![1, 2, 3, 10] } else { (1..=200).collect() };
    failures.extend(syncs.into_iter().map(|when| Failure { calls: SYNCS, when, file: Some("parlour.db-wal") }));
    // Of the database: a checkpoint.
    let checkpoints = 1..=context.pick(1, 5);
    failures.extend(checkpoints.map(|when| Failure { calls: SYNCS, when, file: Some("parlour.db") }));
    let writes: Vec<usize> = if context.is_small() { vec![1, 7, 100] } else { (1..=200).collect() };
    failures.extend(writes.into_iter().map(|when| Failure { calls: "pwrite64", when, file: None }));
    failures.extend((1..=context.pick(1, 5)).map(|when| Failure { calls: "pwrite64", when, file: Some("parlour.db") }));
    failures
}

fn fail(context: &Context, template: &Start, community: &Community, failure: &Failure) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let name = failure.name();
    let folder = context.folder.join(name.replace([' ', ',', '.'], "-"));
    let mut start = template.on(&folder);
    start.log = context.folder.join(format!("{}.log", name.replace([' ', ',', '.'], "-")));
    copy_folder(&template.data_dir, &folder)?;
    let wrapper = failure.wrapper(&start);
    let words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let Ok(mut server) = start.under(&words).ready_or_ended()? else {
        let log = std::fs::read_to_string(&start.log)?;
        outcome.report.demand(log.contains("parlour: "), || format!("{name}: the server ended without a word"));
        outcome.refused_to_start = true;
        return Ok(outcome);
    };
    let mut senders = Senders::new(community, 6 + failure.when as u64);
    let address = start.address;
    senders.drive(address, |tally| {
        demand_refusal(&mut server, community, tally, &name, &mut outcome.report)?;
        // A stop and a kill must both leave what a restart can read.
        if failure.when.is_multiple_of(2) { server.kill() } else { server.stop().map(drop) }
    })?;
    let server = start.ready()?;
    senders.settle(address)?;
    let mut problems = senders.tally.take_problems_and_faults();
    outcome.lost = senders.check(community, address, &mut problems)?.lost;
    outcome.report.problems.extend(problems.into_iter().map(|problem| format!("{name}: {problem}")));
    outcome.acknowledged = senders.acknowledged();
    context.stop_and_examine(server, &start, &mut outcome.report)?;
    outcome.report.look_for_panics(&start.log)?;
    if outcome.report.problems.is_empty() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(outcome)
}
