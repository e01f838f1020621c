//! The way to PostgreSQL fails: connections cut inside transactions, answers to commits that never come, and a silence that accepts
//! connections and says nothing.

use super::proxy::{Mode, Proxy};
use super::{BACK, everybody_is_back, finish, start_on, unavailable};
use crate::community::Community;
use crate::history::read_thread;
use crate::http::{Client, Request};
use crate::report::{Context, Report, milliseconds};
use crate::senders::{Senders, Tally};
use crate::server::{Server, wait_until};
use anyhow::Result;
use private_postgres::{Durability, Setup};
use std::time::{Duration, Instant};

/// Members who send.
const SENDERS: usize = 16;

/// The limits that the server is given.
const LIMITS: [&str; 3] = ["postgres.connect_timeout=1s", "postgres.statement_timeout=1s", "postgres.wait_timeout=1s"];

/// What these limits and the five seconds for which a late answer is still awaited come to: one who waits for a connection, asks, finds it
/// silent and connects once more.
const SILENCE: Duration = Duration::from_secs(1 + 1 + 5 + 1);

/// For what the machine adds to it.
const SLACK: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Seen {
    cuts: usize,
    swallowed: usize,
    refused_in_silence: usize,
    slowest_in_silence: Duration,
    back_after_silence: Duration,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    if let Some(reason) = unavailable() {
        return Ok(Report::not_run(reason));
    }
    let mut report = Report::default();
    let cluster = Setup::new(Durability::None).start()?;
    let proxy = Proxy::start(cluster.port())?;
    let mut start = start_on(context, &cluster, "cut")?;
    let own = format!(":{}/", cluster.port());
    start.database = start.database.map(|database| database.replace(&own, &format!(":{}/", proxy.port)));
    start.settings.extend(LIMITS.map(str::to_owned));
    let community = Community::create(&start, SENDERS)?;
    let server = start.ready()?;
    let mut senders = Senders::new(&community, 30);
    let seen = senders.drive(start.address, |tally| {
        let cuts = often(&proxy, Mode::CutInTransaction(30), context.pick(60, 1_000), tally, &mut report)?;
        let swallowed = often(&proxy, Mode::SwallowCommit(8), context.pick(40, 500), tally, &mut report)?;
        let mut seen = Seen { cuts, swallowed, ..Seen::default() };
        for round in 0..context.pick(1, 5) {
            be_silent(&proxy, &server, &community, tally, &mut seen, &mut report)?;
            let what = format!("silence {round}");
            let back = everybody_is_back(tally, SILENCE + SLACK, &what, &mut report)?;
            seen.back_after_silence = seen.back_after_silence.max(back);
        }
        Ok(seen)
    })?;
    let acknowledged = senders.acknowledged();
    let refused = senders.tally.refused();
    lose_one_answer(&proxy, &server, &community, &mut report)?;
    let checked = finish(context, (&cluster, "cut"), vec![(start, server)], &mut senders, &mut report)?;
    report.done = format!(
        "{} connections cut inside transactions, {} answers to commits lost, {SENDERS} senders: {acknowledged} sends acknowledged, {refused} \
         refused, {} messages compared, {} lost, {} doubled; in silence {} requests answered 503 within {} ms, everybody acknowledged again \
         {} ms after it",
        seen.cuts,
        seen.swallowed,
        checked.messages,
        checked.lost,
        checked.doubled,
        seen.refused_in_silence,
        milliseconds(seen.slowest_in_silence),
        milliseconds(seen.back_after_silence),
    );
    report.figure("cuts", seen.cuts);
    report.figure("lost_answers", seen.swallowed);
    report.figure("acknowledged", acknowledged);
    report.figure("lost", checked.lost);
    report.figure("doubled", checked.doubled);
    report.figure("slowest_in_silence_ms", milliseconds(seen.slowest_in_silence));
    report.figure("back_after_silence_ms", milliseconds(seen.back_after_silence));
    Ok(report)
}

/// Lets something happen to connections until it has happened so often.
fn often(proxy: &Proxy, mode: Mode, times: usize, tally: &Tally, report: &mut Report) -> Result<usize> {
    let (before, refused) = (proxy.done(), tally.refused());
    proxy.set(mode);
    wait_until("connections have failed often enough", || Ok(proxy.done() >= before + times))?;
    proxy.set(Mode::Pass);
    everybody_is_back(tally, BACK, "after broken connections", report)?;
    if matches!(mode, Mode::SwallowCommit(_)) {
        report.demand(tally.refused() > refused, || "no caller heard of an answer that was lost".to_owned());
    }
    Ok(proxy.done() - before)
}

/// Nothing comes back any more. Reads and sends are refused in time.
fn be_silent(
    proxy: &Proxy,
    server: &Server,
    community: &Community,
    tally: &Tally,
    seen: &mut Seen,
    report: &mut Report,
) -> Result<()> {
    let refused = tally.refused();
    proxy.set(Mode::Silent);
    let begun = Instant::now();
    let reads = std::thread::scope(|scope| {
        let read = |member: usize| {
            let (mut client, token) = (server.client(), &community.members[member].token);
            scope.spawn(move || {
                let asked = Instant::now();
                let answer = client.ask(&Request::get("/api/v2/pm/", token))?;
                anyhow::Ok((answer.status, answer.header("retry-after").is_some(), asked.elapsed()))
            })
        };
        let readers: Vec<_> = (0..SENDERS).map(read).collect();
        readers.into_iter().map(|reader| reader.join().expect("no reader panics")).collect::<Result<Vec<_>>>()
    })?;
    for (status, says_when, took) in reads {
        report.demand(status == 503 && says_when, || format!("a read in silence was answered {status}"));
        seen.slowest_in_silence = seen.slowest_in_silence.max(took);
        seen.refused_in_silence += 1;
    }
    wait_until("sends are refused", || Ok(tally.refused() >= refused + SENDERS))?;
    report.demand(begun.elapsed() <= (SILENCE + SLACK) * 2, || {
        format!("{SENDERS} sends in silence were refused only after {} ms", milliseconds(begun.elapsed()))
    });
    seen.refused_in_silence += tally.refused() - refused;
    seen.slowest_in_silence = seen.slowest_in_silence.max(tally.slowest_refusal());
    let slowest = seen.slowest_in_silence;
    report.demand(slowest <= SILENCE + SLACK, || format!("a refusal took {} ms", milliseconds(slowest)));
    proxy.set(Mode::Pass);
    Ok(())
}

/// The same by hand: the caller is refused, tries again under the same key, and the message is there once.
fn lose_one_answer(proxy: &Proxy, server: &Server, community: &Community, report: &mut Report) -> Result<()> {
    let (one, other) = (&community.members[0], &community.members[1]);
    let mut client: Client = server.client();
    let request = Request::send(&one.token, &[other.id], "the answer that was lost", Some("lost-answer"));
    let before = proxy.done();
    proxy.set(Mode::SwallowCommit(1));
    let refused = client.ask(&request)?;
    proxy.set(Mode::Pass);
    let says_when = refused.header("retry-after").is_some();
    report.demand(refused.status == 503 && says_when, || format!("a lost answer was told as {}", refused.status));
    let lost = proxy.done() - before;
    report.demand(lost == 1, || format!("{lost} answers to one send were lost"));
    let there = |client: &mut Client| -> Result<Vec<i64>> {
        let (rows, _) = read_thread(client, &one.token, other.id)?;
        Ok(rows.iter().filter(|row| row.text == "the answer that was lost").map(|row| row.id).collect())
    };
    let first = there(&mut client)?;
    report.demand(first.len() == 1, || format!("a send whose answer was lost is there {} times", first.len()));
    let again = client.json(&request)?;
    let same = there(&mut client)?;
    report.demand(first == same && again[0]["id"].as_i64() == same.first().copied(), || {
        format!("a repeated send is there as {same:?}, and as {first:?} before")
    });
    // It is taken back, so that only the senders' own are left.
    let id = same.first().copied().unwrap_or_default();
    let delete = Request { method: "DELETE", ..Request::get(format!("/api/v2/pm/{id}/"), &one.token) };
    let deleted = client.ask(&delete)?;
    report.demand(deleted.status < 300, || format!("a deletion was answered {}", deleted.status));
    Ok(())
}
