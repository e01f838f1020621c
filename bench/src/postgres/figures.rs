//! The figures on PostgreSQL.

use super::bare::{BareReads, Question};
use super::bare_sends::BareSends;
use super::community::{Community, connect};
use crate::LOAD_CORE;
use crate::dataset::{BUSY_MEMBER, Dataset, LONG_THREAD};
use crate::load;
use crate::process::{SERVER_CORE, Server};
use crate::profile::watch;
use crate::requests::{Requests, environment, request};
use crate::results::{Bar, Figure, Rounds, Samples};
use crate::zipf::Zipf;
use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use parlour_store::statements;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use tokio::runtime::Runtime;

/// Connections of a load.
const CONNECTIONS: usize = 64;

/// Rows of a page, as the API answers them unless it is asked otherwise.
const PAGE: i64 = 20;

/// The figure with the bar.
const PAGE_OF_A_THREAD: &str = "thread, uniform";

/// Everything that a round needs.
struct Bench<'a> {
    dataset: &'a Dataset,
    requests: Requests,
    parlour: Server,
    community: Community,
    runtime: Runtime,
    threads: BareReads,
    inboxes: BareReads,
    groups: [(&'static str, usize, BareSends); 2],
    rounds: Rounds,
    samples: Samples,
    only: Option<&'a str>,
}

/// What the bare driver asks.
struct Texts {
    thread_page: String,
    inbox_page: String,
}

/// A server, and PostgreSQL with the community that it serves.
fn start(dataset: &Dataset, parlour: &Path, runtime: &Runtime) -> Result<(Community, Server, tempfile::TempDir)> {
    // Whatever PostgreSQL starts inherits the core.
    move_to(SERVER_CORE)?;
    let community = Community::start(dataset, runtime)?;
    move_to(LOAD_CORE)?;
    let folder = tempfile::tempdir()?;
    let (data_dir, url) = (folder.path().display().to_string(), community.url());
    let [secret, log, limits] = environment();
    let environment = [secret, log, limits, ("PARLOUR_STORAGE_DATABASE", &*url)];
    let server = Server::start_on(LOAD_CORE, parlour, &["serve", "--data-dir", &data_dir], &environment)?;
    Ok((community, server, folder))
}

/// Moves this process to another core.
fn move_to(core: &str) -> Result<()> {
    let moved = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", core, &std::process::id().to_string()])
        .output()
        .context("cannot run taskset (package util-linux)")?;
    ensure!(moved.status.success(), "taskset: {}", String::from_utf8_lossy(&moved.stderr).trim());
    Ok(())
}

/// Measures everything whose name contains `only`.
pub(crate) fn measure(dataset: &Dataset, parlour: &Path, rounds: Rounds, only: Option<&str>) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (community, server, _folder) = start(dataset, parlour, &runtime)?;
    let mut samples = Samples::default();
    samples.add("memory, idle", server.memory_mib()?);
    samples.add("ready", server.ready_after.as_secs_f64() * 1e3);
    eprintln!("{}", community.programs());
    let url = community.url();
    let texts = Texts { thread_page: statements::thread_page(), inbox_page: statements::inbox_page() };
    let threads =
        runtime.block_on(BareReads::best(&url, "threads", &thread_question(dataset, &texts.thread_page, None)))?;
    let inbox = inbox_question(&runtime, &url, &texts.inbox_page)?;
    let inboxes = runtime.block_on(BareReads::best(&url, "inboxes", &inbox))?;
    let group = |size| runtime.block_on(BareSends::connect(&url, size));
    let groups = [("send, 64 clients", 64, group(64)?), ("send, 1 client", 1, group(1)?)];
    let requests = Requests::new(dataset);
    let mut bench = Bench {
        dataset,
        requests,
        parlour: server,
        community,
        runtime,
        threads,
        inboxes,
        groups,
        rounds,
        samples,
        only,
    };
    for round in 1..=rounds.count {
        eprintln!("round {round} of {}", rounds.count);
        bench.round(&texts)?;
    }
    bench.tell();
    bench.figures()
}

/// Shows where Parlour and PostgreSQL spend their time under one kind of load.
pub(crate) fn profile(dataset: &Dataset, parlour: &Path, kind: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (community, server, folder) = start(dataset, parlour, &runtime)?;
    let requests = Requests::new(dataset);
    let (status, mut next): (u16, Box<dyn FnMut() -> Vec<u8>>) = match kind {
        "thread" => {
            let (all, mut random) = (requests.all_threads(dataset), Rng::with_seed(4));
            (200, Box::new(move || all[random.usize(..all.len())].clone()))
        }
        "inbox" => {
            let one = requests.get(BUSY_MEMBER, "/api/v2/pm/");
            (200, Box::new(move || one.clone()))
        }
        "send" => (201, Box::new(requests.sends(dataset))),
        other => bail!("no such load: {other}; on PostgreSQL there are thread, inbox and send"),
    };
    let mut load = |time| load::run_beside(server.address, CONNECTIONS, time, status, &mut next);
    load(std::time::Duration::from_secs(2))?;
    let mut processes = vec![server.id()];
    processes.extend(community.processes()?);
    watch(kind, &processes, folder.path(), load)
}

/// The newest pages of threads chosen at random, with the people known as Parlour knows them after a while.
fn thread_question<'q>(dataset: &'q Dataset, sql: &'q str, zipf: Option<Zipf>) -> Question<'q> {
    let mut random = Rng::with_seed(if zipf.is_some() { 3 } else { 4 });
    let next = move || {
        let pairs = &dataset.pairs;
        let index = match &zipf {
            Some(zipf) => (zipf.rank(&mut random) * 7_919 + 7_000) % pairs.len(),
            None => random.usize(..pairs.len()),
        };
        let (one, other) = pairs[index];
        (vec![one, other], vec![one, index as i64 + 1, PAGE, 0])
    };
    Question::new(sql, next)
}

/// The newest page of the busy member's inbox, whose people are known likewise.
fn inbox_question<'q>(runtime: &Runtime, url: &str, sql: &'q str) -> Result<Question<'q>> {
    let people = "select distinct unnest(array[creator_id, other_id]) from
         (select * from inbox where user_id = $1 order by last_message_at desc limit $2) newest";
    let known: Vec<i64> = runtime.block_on(async {
        let rows = connect(url).await?.query(people, &[&BUSY_MEMBER, &(PAGE + 1)]).await?;
        anyhow::Ok(rows.iter().map(|row| row.get(0)).collect())
    })?;
    // One row more says whether there is a next page.
    let next = move || (known.clone(), vec![BUSY_MEMBER, i64::MAX, i64::MAX, PAGE + 1, 0]);
    Ok(Question::new(sql, next))
}

impl Bench<'_> {
    fn wanted(&self, name: &str) -> bool {
        self.only.is_none_or(|only| name.contains(only))
    }

    /// Loads Parlour and notes answers a second, and the processor time an answer costs Parlour and PostgreSQL together.
    fn load(&mut self, name: &'static str, cpu: &'static str, next: impl FnMut() -> Vec<u8>) -> Result<Option<f64>> {
        if !self.wanted(name) {
            return Ok(None);
        }
        let (parlour, postgres) = (self.parlour.cpu_seconds()?, self.community.cpu_seconds()?);
        let measured = load::run_beside(self.parlour.address, CONNECTIONS, self.rounds.time, 200, next)?;
        let per_answer = |seconds: f64| seconds / measured.answers as f64 * 1e6;
        let parlour = per_answer(self.parlour.cpu_seconds()? - parlour);
        let postgres = per_answer(self.community.cpu_seconds()? - postgres);
        self.samples.add(name, measured.per_second());
        self.samples.add(cpu, parlour + postgres);
        if name == PAGE_OF_A_THREAD {
            self.samples.add("of a page, Parlour", parlour);
            self.samples.add("of a page, PostgreSQL", postgres);
        }
        Ok(Some(measured.per_second()))
    }

    /// The same, right behind the bare driver.
    fn load_against(
        &mut self,
        question: &Question<'_>,
        (name, cpu): (&'static str, &'static str),
        next: impl FnMut() -> Vec<u8>,
    ) -> Result<()> {
        if !self.wanted(name) {
            return Ok(());
        }
        let reads = if name.starts_with("inbox") { &self.inboxes } else { &self.threads };
        let postgres = self.community.cpu_seconds()?;
        let bare = self.runtime.block_on(reads.run(question, self.rounds.time))?;
        // A floor whose PostgreSQL had time to spare would show what the driver can do, and not what the statement costs.
        let busy = (self.community.cpu_seconds()? - postgres) / self.rounds.time.as_secs_f64();
        self.samples.add("bare, busy", busy);
        if name == PAGE_OF_A_THREAD {
            self.samples.add("bare, pages", bare);
        }
        if let Some(per_second) = self.load(name, cpu, next)? {
            self.samples.add_ratio(name, per_second / bare);
        }
        Ok(())
    }

    fn round(&mut self, texts: &Texts) -> Result<()> {
        let all = self.requests.all_threads(self.dataset);
        let (requests, zipf, mut random) = (Rc::clone(&all), Zipf::new(all.len()), Rng::with_seed(3));
        let question = thread_question(self.dataset, &texts.thread_page, Some(Zipf::new(all.len())));
        self.load_against(&question, ("thread, hot", "thread, hot cpu"), move || {
            requests[(zipf.rank(&mut random) * 7_919 + 7_000) % requests.len()].clone()
        })?;
        let mut random = Rng::with_seed(4);
        let question = thread_question(self.dataset, &texts.thread_page, None);
        self.load_against(&question, (PAGE_OF_A_THREAD, "thread, uniform cpu"), move || {
            all[random.usize(..all.len())].clone()
        })?;
        self.depth()?;
        let busy = self.requests.get(BUSY_MEMBER, "/api/v2/pm/");
        let question = inbox_question(&self.runtime, &self.community.url(), &texts.inbox_page)?;
        self.load_against(&question, ("inbox, 5,000 threads", "inbox busy cpu"), || busy.clone())?;
        let ordinary = self.requests.get(self.dataset.ordinary_member().0, "/api/v2/pm/?limit=10");
        let busy_ten = self.requests.get(BUSY_MEMBER, "/api/v2/pm/?limit=10");
        self.load("inbox, 10 rows of 5,000", "inbox busy ten cpu", || busy_ten.clone())?;
        self.load("inbox, 10 rows of 10", "inbox ordinary cpu", || ordinary.clone())?;
        if self.wanted("memory") {
            let memory = self.parlour.memory_mib()?;
            self.samples.add("memory, under read load", memory);
        }
        self.sends()
    }

    /// Pages of the long thread, as on SQLite.
    fn depth(&mut self) -> Result<()> {
        let middle = self.dataset.long_thread_messages() / 2;
        let token = Rc::clone(&self.requests.tokens);
        let ask = move |more: String| request(&token, LONG_THREAD.0, "GET", &format!("/api/v2/pm/?thread=1{more}"), "");
        let (newest, mut random) = (ask.clone(), Rng::with_seed(5));
        self.load("long thread, near its end", "long newest cpu", move || {
            newest(format!("&offset={}", random.usize(..1000)))
        })?;
        let (deep, mut random) = (ask.clone(), Rng::with_seed(6));
        self.load("long thread, offset in its middle", "long offset cpu", move || {
            deep(format!("&offset={}", middle + random.usize(..1000)))
        })?;
        if !self.wanted("before_message") {
            return Ok(());
        }
        let page = load::body(self.parlour.address, &ask(format!("&offset={middle}&limit=100")))?;
        let page: serde_json::Value = serde_json::from_slice(&page)?;
        let ids: Vec<i64> =
            page["results"].as_array().context("rows")?.iter().filter_map(|row| row["id"].as_i64()).collect();
        let mut random = Rng::with_seed(8);
        self.load("long thread, before_message in its middle", "long before cpu", move || {
            ask(format!("&before_message={}", ids[random.usize(..ids.len())]))
        })?;
        Ok(())
    }

    /// Sends over HTTP, and the statements of as many sends a group.
    fn sends(&mut self) -> Result<()> {
        for at in 0..self.groups.len() {
            let (name, clients) = (self.groups[at].0, self.groups[at].1);
            if !self.wanted(name) {
                continue;
            }
            let next = self.requests.sends(self.dataset);
            let measured = load::run_beside(self.parlour.address, clients, self.rounds.time, 201, next)?;
            let mut random = Rng::with_seed(7);
            let bare = self.groups[at].2.run(&self.dataset.pairs, &mut random, self.rounds.time);
            let (per_second, group_us) = self.runtime.block_on(bare)?;
            let (value, floor) = if clients == 1 {
                (measured.percentile_us(0.5), group_us)
            } else {
                (measured.per_second(), per_second)
            };
            self.samples.add(name, value);
            self.samples.add_ratio(name, value / floor);
        }
        Ok(())
    }

    /// What the floor was worth, and what a page costs whom.
    fn tell(&self) {
        let median = |name| self.samples.median(name).unwrap_or_default();
        if self.samples.median("bare, pages").is_some() {
            eprintln!(
                "bare: {:.0} pages a second, PostgreSQL busy for {:.0} % of the time",
                median("bare, pages"),
                median("bare, busy") * 100.0
            );
            let (parlour, postgres) = (median("of a page, Parlour"), median("of a page, PostgreSQL"));
            eprintln!("processor time of a page: Parlour {parlour:.1} µs, PostgreSQL {postgres:.1} µs");
        }
    }

    fn figures(&self) -> Result<Vec<Figure>> {
        let samples = &self.samples;
        let mut figures = Vec::new();
        let rate = |name| samples.median(name).map(|value| format!("{value:.0}/s")).unwrap_or_default();
        for (name, bar) in [
            ("thread, hot", Bar::AtLeast(0.80)),
            (PAGE_OF_A_THREAD, Bar::AtLeast(0.80)),
            ("inbox, 5,000 threads", Bar::None),
            ("send, 64 clients", Bar::AtLeast(0.70)),
        ] {
            figures.extend(samples.ratio(name).map(|ratio| bar.figure(name, rate(name), ratio)));
        }
        if let Some(ratio) = samples.ratio("send, 1 client") {
            let value = samples.median("send, 1 client").map(|us| format!("{us:.0} µs p50")).unwrap_or_default();
            figures.push(Bar::AtMost(1.3).figure("send, 1 client", value, ratio));
        }
        for (name, cpu, against) in [
            ("long thread, offset in its middle", "long offset cpu", "long newest cpu"),
            ("long thread, before_message in its middle", "long before cpu", "long newest cpu"),
            ("inbox, 10 rows of 5,000", "inbox busy ten cpu", "inbox ordinary cpu"),
        ] {
            let value = samples.median(cpu).map(|us| format!("{us:.1} µs CPU")).unwrap_or_default();
            figures.extend(samples.ratio_to(cpu, against).map(|ratio| Bar::AtMost(1.2).figure(name, value, ratio)));
        }
        for (name, unit, bar) in
            [("memory, idle", "MiB", 20.0), ("memory, under read load", "MiB", 200.0), ("ready", "ms", 150.0)]
        {
            let value = samples.median(name).filter(|_| self.wanted(name));
            figures.extend(value.map(|value| Bar::AtMost(bar).figure(name, format!("{value:.1} {unit}"), value)));
        }
        if self.wanted("bytes a message") {
            let bytes = self.community.loaded_bytes / self.dataset.messages as f64;
            figures.push(Bar::AtMost(260.0).figure("bytes a message", format!("{bytes:.0} B"), bytes));
        }
        Ok(figures)
    }
}
