//! The figures: what is asked, against which floor, and where the bar lies.

use crate::dataset::{BUSY_MEMBER, Dataset, LONG_THREAD};
use crate::floor::bare_sends;
use crate::load::{self, Measured};
use crate::process::Server;
use crate::requests::{Requests, environment, request};
use crate::results::{Bar, Figure, Rounds, Samples};
use crate::zipf::Zipf;
use anyhow::{Context as _, Result};
use fastrand::Rng;
use std::path::Path;
use std::rc::Rc;

/// Connections of a load.
const CONNECTIONS: usize = 64;

/// Everything that a round needs.
struct Bench<'a> {
    dataset: &'a Dataset,
    requests: Requests,
    parlour: Server,
    /// The same without pages in memory.
    bare_reads: Server,
    /// The same on 2,000,000 messages, when the data set has more.
    small: Option<Server>,
    thread_floor: Server,
    inbox_floor: Server,
    /// A copy of the database for the bare inserts.
    bare: std::path::PathBuf,
    rounds: Rounds,
    samples: Samples,
    only: Option<&'a str>,
}

/// Measures everything whose name contains `only`.
pub(crate) fn measure(dataset: &Dataset, parlour: &Path, rounds: Rounds, only: Option<&str>) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir_in(&dataset.folder)?;
    let database = format!("{}/{}", dataset.folder.display(), parlour_store::DATABASE_FILE);
    for copy in ["served", "bare"] {
        std::fs::create_dir(folder.path().join(copy))?;
        std::fs::copy(&database, folder.path().join(copy).join(parlour_store::DATABASE_FILE))?;
    }
    let data_dir = folder.path().join("served").display().to_string();
    let environment = environment();
    let server = Server::start(parlour, &["serve", "--data-dir", &data_dir], &environment)?;
    let idle = server.memory_mib()?;
    let nothing_kept = [environment[0], environment[1], environment[2], ("PARLOUR_CACHE_PAGES", "0B")];
    let bare_reads = Server::start(parlour, &["serve", "--data-dir", &data_dir], &nothing_kept)?;
    let small = match &dataset.small {
        Some(small) => {
            Some(Server::start(parlour, &["serve", "--data-dir", &small.display().to_string()], &nothing_kept)?)
        }
        None => None,
    };
    let requests = Requests::new(dataset);
    let floor = |name: &str, request: &[u8]| -> Result<Server> {
        let file = folder.path().join(name);
        std::fs::write(&file, load::body(server.address, request)?)?;
        let file = file.display().to_string();
        Server::start(&std::env::current_exe()?, &["floor", "--file", &file], &[])
    };
    let thread_floor = floor("thread", &requests.thread(7_000, dataset.pairs[7_000], ""))?;
    let inbox_floor = floor("inbox", &requests.get(BUSY_MEMBER, "/api/v2/pm/"))?;
    let bare = folder.path().join("bare").join(parlour_store::DATABASE_FILE);
    let ready = server.ready_after;
    let samples = Samples::default();
    let mut bench = Bench {
        dataset,
        requests,
        parlour: server,
        bare_reads,
        small,
        thread_floor,
        inbox_floor,
        bare,
        rounds,
        samples,
        only,
    };
    bench.samples.add("memory, idle", idle);
    bench.samples.add("ready", ready.as_secs_f64() * 1e3);
    for round in 1..=rounds.count {
        eprintln!("round {round} of {}", rounds.count);
        bench.round()?;
    }
    let (busy, answers) = (bench.samples.median("floor, busy"), bench.samples.median("floor, answers"));
    if let (Some(busy), Some(answers)) = (busy, answers) {
        eprintln!("floors: {answers:.0} answers a second, their processor busy for {:.0} % of the time", busy * 100.0);
    }
    bench.figures()
}

impl Bench<'_> {
    fn wanted(&self, name: &str) -> bool {
        self.only.is_none_or(|only| name.contains(only))
    }

    /// Loads one server and notes answers a second and processor time an answer.
    fn load(
        &mut self,
        name: &'static str,
        cpu: &'static str,
        on: On,
        next: impl FnMut() -> Vec<u8>,
    ) -> Result<Option<f64>> {
        if !self.wanted(name) {
            return Ok(None);
        }
        let server = match on {
            On::Parlour => &self.parlour,
            On::NothingKept => &self.bare_reads,
            On::Small => match &self.small {
                Some(small) => small,
                None => return Ok(None),
            },
            On::ThreadFloor => &self.thread_floor,
            On::InboxFloor => &self.inbox_floor,
        };
        let before = server.cpu_seconds()?;
        let measured = load::run(server.address, CONNECTIONS, self.rounds.time, 200, next)?;
        let per_answer = (server.cpu_seconds()? - before) / measured.answers as f64 * 1e6;
        self.samples.add(name, measured.per_second());
        self.samples.add(cpu, per_answer);
        Ok(Some(measured.per_second()))
    }

    /// The same, right behind the floor.
    fn load_against(
        &mut self,
        (floor, any): (On, &[u8]),
        (name, cpu, on): (&'static str, &'static str, On),
        next: impl FnMut() -> Vec<u8>,
    ) -> Result<()> {
        if !self.wanted(name) {
            return Ok(());
        }
        let server = if matches!(floor, On::ThreadFloor) { &self.thread_floor } else { &self.inbox_floor };
        let before = server.cpu_seconds()?;
        let measured = load::run(server.address, CONNECTIONS, self.rounds.time, 200, || any.to_vec())?;
        let busy = (server.cpu_seconds()? - before) / measured.seconds;
        // A floor whose processor had time to spare would show what the load can do, and not what the server can.
        self.samples.add("floor, busy", busy);
        self.samples.add("floor, answers", measured.per_second());
        if let Some(per_second) = self.load(name, cpu, on, next)? {
            self.samples.add_ratio(name, per_second / measured.per_second());
        }
        Ok(())
    }

    fn round(&mut self) -> Result<()> {
        let pairs = &self.dataset.pairs;
        let all = self.requests.all_threads(self.dataset);
        let any = self.requests.thread(7_000, pairs[7_000], "");
        let (requests, zipf, mut random) = (Rc::clone(&all), Zipf::new(all.len()), Rng::with_seed(3));
        let floor = (On::ThreadFloor, &*any);
        self.load_against(floor, ("thread, hot", "thread, hot cpu", On::Parlour), move || {
            // Rank 0 is some ordinary thread, not the long one.
            requests[(zipf.rank(&mut random) * 7_919 + 7_000) % requests.len()].clone()
        })?;
        for named in [
            ("thread, uniform", "thread, uniform cpu", On::Parlour),
            ("thread, uniform, no page in memory", "thread, nothing kept cpu", On::NothingKept),
        ] {
            let (requests, mut random) = (Rc::clone(&all), Rng::with_seed(4));
            self.load_against(floor, named, move || requests[random.usize(..requests.len())].clone())?;
        }
        let (requests, mut random) = (Rc::clone(&all), Rng::with_seed(4));
        self.load("thread, uniform, 2,000,000 messages", "thread, small cpu", On::Small, move || {
            requests[random.usize(..requests.len())].clone()
        })?;
        self.depth()?;
        let busy = self.requests.get(BUSY_MEMBER, "/api/v2/pm/");
        let ordinary = self.requests.get(self.dataset.ordinary_member().0, "/api/v2/pm/?limit=10");
        let busy_ten = self.requests.get(BUSY_MEMBER, "/api/v2/pm/?limit=10");
        let floor = (On::InboxFloor, &*busy);
        self.load_against(floor, ("inbox, 5,000 threads", "inbox busy cpu", On::Parlour), || busy.clone())?;
        let bare = ("inbox, 5,000 threads, no page in memory", "inbox nothing kept cpu", On::NothingKept);
        self.load_against(floor, bare, || busy.clone())?;
        self.load("inbox, 10 rows of 5,000", "inbox busy ten cpu", On::NothingKept, || busy_ten.clone())?;
        self.load("inbox, 10 rows of 10", "inbox ordinary cpu", On::NothingKept, || ordinary.clone())?;
        if self.wanted("memory") {
            let memory = self.parlour.memory_mib()?;
            self.samples.add("memory, under read load", memory);
        }
        self.sends()
    }

    /// Pages of the long thread: the newest, and two in its middle, at changing places so that nothing can be remembered.
    fn depth(&mut self) -> Result<()> {
        let middle = self.dataset.long_thread_messages() / 2;
        let token = Rc::clone(&self.requests.tokens);
        let ask = move |more: String| request(&token, LONG_THREAD.0, "GET", &format!("/api/v2/pm/?thread=1{more}"), "");
        let newest = ask.clone();
        let mut random = Rng::with_seed(5);
        self.load("long thread, near its end", "long newest cpu", On::Parlour, move || {
            newest(format!("&offset={}", random.usize(..1000)))
        })?;
        let (deep, mut random) = (ask.clone(), Rng::with_seed(6));
        self.load("long thread, offset in its middle", "long offset cpu", On::Parlour, move || {
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
        self.load("long thread, before_message in its middle", "long before cpu", On::Parlour, move || {
            ask(format!("&before_message={}", ids[random.usize(..ids.len())]))
        })?;
        Ok(())
    }

    /// Sends over HTTP, and the same rows put bare into the same tables.
    fn sends(&mut self) -> Result<()> {
        for (name, clients) in [("send, 64 clients", 64), ("send, 1 client", 1)] {
            if !self.wanted(name) {
                continue;
            }
            let measured = self.send(clients)?;
            let (per_second, commit_us) = bare_sends(&self.bare, &self.dataset.pairs, clients, self.rounds.time)?;
            let (value, floor) = if clients == 1 {
                (measured.percentile_us(0.5), commit_us)
            } else {
                (measured.per_second(), per_second)
            };
            self.samples.add(name, value);
            self.samples.add_ratio(name, value / floor);
            if clients == 64 {
                self.samples.add("send p99", measured.percentile_us(0.99) / 1e3);
            }
        }
        Ok(())
    }

    fn send(&self, clients: usize) -> Result<Measured> {
        load::run(self.parlour.address, clients, self.rounds.time, 201, self.requests.sends(self.dataset))
    }

    fn figures(&self) -> Result<Vec<Figure>> {
        let samples = &self.samples;
        let mut figures = Vec::new();
        let rate = |name| samples.median(name).map(|value| format!("{value:.0}/s")).unwrap_or_default();
        for (name, bar) in [
            ("thread, hot", 0.80),
            ("thread, uniform", 0.33),
            ("thread, uniform, no page in memory", 0.33),
            ("inbox, 5,000 threads", 0.30),
            ("inbox, 5,000 threads, no page in memory", 0.30),
            ("send, 64 clients", 0.70),
        ] {
            figures.extend(samples.ratio(name).map(|ratio| Bar::AtLeast(bar).figure(name, rate(name), ratio)));
        }
        for (name, cpu, against) in [
            ("long thread, offset in its middle", "long offset cpu", "long newest cpu"),
            ("long thread, before_message in its middle", "long before cpu", "long newest cpu"),
            ("inbox, 10 rows of 5,000", "inbox busy ten cpu", "inbox ordinary cpu"),
        ] {
            let value = samples.median(cpu).map(|us| format!("{us:.1} µs CPU")).unwrap_or_default();
            figures.extend(samples.ratio_to(cpu, against).map(|ratio| Bar::AtMost(1.2).figure(name, value, ratio)));
        }
        if let Some(ratio) = samples.ratio_to("thread, nothing kept cpu", "thread, small cpu") {
            let value =
                samples.median("thread, nothing kept cpu").map(|us| format!("{us:.1} µs CPU")).unwrap_or_default();
            figures.push(Bar::AtMost(1.15).figure("thread, CPU against 2,000,000 messages", value, ratio));
        }
        if let Some(ratio) = samples.ratio("send, 1 client") {
            let value = samples.median("send, 1 client").map(|us| format!("{us:.0} µs p50")).unwrap_or_default();
            figures.push(Bar::AtMost(1.3).figure("send, 1 client", value, ratio));
        }
        for (name, unit, bar) in
            [("memory, idle", "MiB", 20.0), ("memory, under read load", "MiB", 200.0), ("ready", "ms", 150.0)]
        {
            let value = samples.median(name).filter(|_| self.wanted(name));
            figures.extend(value.map(|value| Bar::AtMost(bar).figure(name, format!("{value:.1} {unit}"), value)));
        }
        if self.wanted("bytes a message") {
            let bytes = self.dataset.bytes()? as f64 / self.dataset.messages as f64;
            figures.push(Bar::AtMost(260.0).figure("bytes a message", format!("{bytes:.0} B"), bytes));
        }
        Ok(figures)
    }
}

#[derive(Clone, Copy)]
enum On {
    Parlour,
    /// Parlour with no page in memory, so that every read asks the database.
    NothingKept,
    /// The same on the data set at scale 1.
    Small,
    ThreadFloor,
    InboxFloor,
}
