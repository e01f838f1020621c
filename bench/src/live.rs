//! How soon a message is on every socket, against a bare broadcast of the same bytes; and what sockets cost on which nothing happens.

use crate::process::Server;
use crate::requests::{environment, token};
use crate::results::{Bar, Figure, Rounds, Samples};
use crate::sockets::{HEARTBEAT, PATIENCE, Sockets};
use crate::transfers::{Connection, Request};
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SECTION: &str = "live, ";
const MEMORY: &str = "live, memory of 10,000 idle sockets";
const PROCESSOR: &str = "live, CPU of 10,000 idle sockets";

/// Sockets of one member, and what is printed of them: the median and the slowest of a hundred from the request on, and the median from
/// the answer on.
const PUSHES: [(usize, [&str; 3]); 3] = [
    (1, ["live, 1 socket, p50", "live, 1 socket, p99", "live, 1 socket, p50 from the answer"]),
    (100, ["live, 100 sockets, p50", "live, 100 sockets, p99", "live, 100 sockets, p50 from the answer"]),
    (1_000, ["live, 1,000 sockets, p50", "live, 1,000 sockets, p99", "live, 1,000 sockets, p50 from the answer"]),
];

/// The member who sends.
const SENDER: i64 = 1;

/// The first of those who have sockets in [`PUSHES`].
const FIRST_RECIPIENT: i64 = 2;

/// Sockets on which nothing happens, each of a member of their own.
const IDLE: usize = 10_000;

/// Between two heartbeats of one of them.
const BEAT: Duration = Duration::from_secs(5);

/// As many open files as this needs.
const HANDLES: u64 = 20_000;

/// Whether anything here is asked for.
pub(crate) fn is_wanted(only: Option<&str>) -> bool {
    let names = PUSHES.iter().flat_map(|(_, names)| names).chain([&MEMORY, &PROCESSOR]);
    only.is_none_or(|only| names.into_iter().any(|name| name.contains(only)))
}

/// Whether nothing else is.
pub(crate) fn alone_is_wanted(only: Option<&str>) -> bool {
    only.is_some_and(|only| only.starts_with(SECTION.trim_end_matches(", ")))
}

/// Measures everything here whose name contains `only`.
pub(crate) fn measure(folder: &Path, parlour: &Path, rounds: Rounds, only: Option<&str>) -> Result<Vec<Figure>> {
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    raise_handles()?;
    let folder = tempfile::tempdir_in(folder)?;
    let data_dir = folder.path().join("served").display().to_string();
    create_members(parlour, &data_dir)?;
    let mut figures = Vec::new();
    if PUSHES.iter().any(|(_, names)| names.iter().any(|name| wanted(name))) {
        figures.extend(pushes(parlour, &data_dir, rounds)?.into_iter().filter(|figure| wanted(figure.name())));
    }
    if wanted(MEMORY) || wanted(PROCESSOR) {
        figures.extend(idle(parlour, &data_dir, rounds)?.into_iter().filter(|figure| wanted(figure.name())));
    }
    Ok(figures)
}

/// What is sent, and the sockets on which it arrives.
struct Way {
    sockets: Sockets,
    sender: Sender,
    /// A text that is not a heartbeat is what was sent. Sockets that hear it, from this one on.
    first: usize,
}

enum Sender {
    /// A request to Parlour, on a connection of its own.
    Request { connection: Connection, head: String, body: String },
    /// A text of the first socket.
    First(Vec<u8>),
}

/// Times from one send on.
#[derive(Default)]
struct Times {
    arrived: Vec<Duration>,
    from_the_answer: Vec<Duration>,
}

impl Way {
    /// Sends once, and waits until it is on every socket.
    fn send(&mut self, times: &mut Times) -> Result<()> {
        let mut left = self.sockets.len() - self.first;
        let begun = Instant::now();
        let mut answered = None;
        match &mut self.sender {
            Sender::Request { connection, head, body } => {
                connection.begin(&Request { head: head.clone(), body: body.as_bytes() })?;
            }
            Sender::First(text) => {
                let text = std::mem::take(text);
                self.sockets.send(0, &text)?;
                self.sender = Sender::First(text);
            }
        }
        let mut arrivals = Vec::with_capacity(left);
        loop {
            if answered.is_none() {
                answered = match &mut self.sender {
                    Sender::Request { connection, .. } => connection.has_answer()?.then(Instant::now),
                    Sender::First(_) => Some(begun),
                };
            }
            if left == 0 && answered.is_some() {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "a message does not arrive on {left} sockets");
            let first = self.first;
            self.sockets.read(Duration::ZERO, |number, text| {
                if number >= first && text != HEARTBEAT {
                    arrivals.push(Instant::now());
                    left = left.saturating_sub(1);
                }
            })?;
        }
        let answered = answered.unwrap_or(begun);
        times.arrived.extend(arrivals.iter().map(|arrived| *arrived - begun));
        times.from_the_answer.extend(arrivals.iter().map(|arrived| arrived.saturating_duration_since(answered)));
        Ok(())
    }

    /// Sends for a while, and answers the median, the slowest of a hundred, and the median from the answer on, in microseconds.
    fn round(&mut self, time: Duration) -> Result<[f64; 3]> {
        // Whoever is silent for long is not there any more.
        self.sockets.beat()?;
        let mut times = Times::default();
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.send(&mut times)?;
        }
        let percentile = |times: &mut Vec<Duration>, hundredths: usize| {
            times.sort_unstable();
            times[(times.len() * hundredths / 100).min(times.len() - 1)].as_secs_f64() * 1e6
        };
        Ok([
            percentile(&mut times.arrived, 50),
            percentile(&mut times.arrived, 99),
            percentile(&mut times.from_the_answer, 50),
        ])
    }
}

fn pushes(parlour: &Path, data_dir: &str, rounds: Rounds) -> Result<Vec<Figure>> {
    let environment = [&environment()[..], &[("PARLOUR_LIVE_MAX_SOCKETS_PER_MEMBER", "2000")]].concat();
    let server = Server::start(parlour, &["serve", "--data-dir", data_dir], &environment)?;
    let floor = Server::start(&std::env::current_exe()?, &["broadcast-floor"], &[])?;
    let mut ways = Vec::new();
    for ((sockets, names), recipient) in PUSHES.into_iter().zip(FIRST_RECIPIENT..) {
        let mut way = parlour_way(server.address, recipient, sockets)?;
        way.sockets.beat()?;
        let length = pushed_length(&mut way)?;
        // The first one sends.
        let room = |_| (format!("/{sockets}"), String::new());
        let bare = Sockets::open(floor.address, (0..=sockets).map(room).collect::<Vec<_>>().into_iter())?;
        let bare = Way { sockets: bare, sender: Sender::First(vec![b'x'; length]), first: 1 };
        ways.push((names, way, bare));
    }
    let mut samples = Samples::default();
    for round in 1..=rounds.count {
        eprintln!("live, round {round} of {}", rounds.count);
        for (names, way, bare) in &mut ways {
            let [floor_p50, floor_p99, _] = bare.round(rounds.time)?;
            let measured = way.round(rounds.time)?;
            for ((name, value), floor) in names.iter().zip(measured).zip([floor_p50, floor_p99, floor_p50]) {
                samples.add(name, value);
                samples.add_ratio(name, value / floor);
            }
        }
    }
    let mut figures = Vec::new();
    for name in PUSHES.iter().flat_map(|(_, names)| *names) {
        let value = samples.median(name).map(|us| format!("{us:.0} µs")).unwrap_or_default();
        figures.extend(samples.ratio(name).map(|ratio| Bar::None.figure(name, value, ratio)));
    }
    Ok(figures)
}

fn parlour_way(address: SocketAddr, recipient: i64, sockets: usize) -> Result<Way> {
    let one = notify(recipient);
    let sockets = Sockets::open(address, vec![one; sockets].into_iter())?;
    let body =
        format!(r#"{{"recipients":[{recipient}],"message":"{}","file_uuid":null}}"#, "A short letter. ".repeat(7));
    let head = format!(
        "POST /api/v2/pm/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        token(SENDER),
        body.len()
    );
    let sender = Sender::Request { connection: Connection::open(address)?, head, body };
    Ok(Way { sockets, sender, first: 0 })
}

fn notify(member: i64) -> (String, String) {
    ("/ws/notify?subscribe-user".to_owned(), format!("__{}", token(member)))
}

/// Sends once, and answers how long the frame is that comes of it.
fn pushed_length(way: &mut Way) -> Result<usize> {
    way.send(&mut Times::default())?;
    let Sender::Request { connection, head, body } = &mut way.sender else {
        anyhow::bail!("nothing is asked for here")
    };
    connection.begin(&Request { head: head.clone(), body: body.as_bytes() })?;
    let (mut length, mut left, mut answered) = (0, way.sockets.len(), false);
    let begun = Instant::now();
    while left > 0 || !answered {
        ensure!(begun.elapsed() < PATIENCE, "a message does not arrive");
        answered = answered || connection.has_answer()?;
        way.sockets.read(Duration::from_millis(1), |_, text| {
            if text != HEARTBEAT {
                length = text.len();
                left = left.saturating_sub(1);
            }
        })?;
    }
    Ok(length)
}

/// Many sockets that say that they are there, for a minute.
fn idle(parlour: &Path, data_dir: &str, rounds: Rounds) -> Result<Vec<Figure>> {
    let server = Server::start(parlour, &["serve", "--data-dir", data_dir], &environment())?;
    let before = server.memory_mib()?;
    let members = (1..).take(IDLE).map(notify).collect::<Vec<_>>();
    let mut sockets = Sockets::open(server.address, members.into_iter())?;
    eprintln!("live, {IDLE} sockets are open");
    sockets.beat()?;
    let time = if rounds.count == Rounds::FULL.count { Duration::from_secs(60) } else { 3 * BEAT };
    let (begun, used) = (Instant::now(), server.cpu_seconds()?);
    let (mut sent, mut heard) = (0_u32, 0_u32);
    let gap = BEAT / u32::try_from(IDLE)?;
    while begun.elapsed() < time {
        while gap * sent < begun.elapsed() {
            sockets.send(sent as usize % IDLE, HEARTBEAT)?;
            sent += 1;
        }
        sockets.read(Duration::from_millis(1), |_, text| heard += u32::from(text == HEARTBEAT))?;
    }
    let processor = (server.cpu_seconds()? - used) / begun.elapsed().as_secs_f64();
    // The bar is in millions of bytes.
    let memory = (server.memory_mib()? - before) * 1.048_576;
    ensure!(heard >= sent - u32::try_from(IDLE)? / 10, "{sent} heartbeats were sent and {heard} answered");
    Ok(vec![
        Bar::AtMost(150.0).figure(MEMORY, format!("{memory:.1} MB"), memory),
        Bar::AtMost(0.25).figure(PROCESSOR, format!("{:.1} %", processor * 100.0), processor),
    ])
}

/// Members of whom the first may write to those with sockets.
fn create_members(parlour: &Path, data_dir: &str) -> Result<()> {
    let mut import = Command::new(parlour);
    import.args(["import", "-", "--json", "--data-dir", data_dir]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = import.stderr(Stdio::null()).spawn()?;
    let mut lines = std::io::BufWriter::new(child.stdin.take().context("a pipe")?);
    writeln!(lines, r#"{{"type":"parlour","version":1}}"#)?;
    for id in 1..=IDLE {
        writeln!(lines, r#"{{"type":"user","id":{id},"username":"member{id}"}}"#)?;
    }
    for (_, recipient) in PUSHES.into_iter().zip(FIRST_RECIPIENT..) {
        writeln!(lines, r#"{{"type":"follow","follower":{recipient},"followed":{SENDER}}}"#)?;
    }
    drop(lines.into_inner()?);
    ensure!(child.wait()?.success(), "the members could not be imported");
    Ok(())
}

/// Allows this process, and the servers that it starts, as many open files as both sides of all sockets need.
fn raise_handles() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < HANDLES) {
        limit.current = Some(limit.maximum.map_or(HANDLES, |most| most.min(HANDLES)));
        setrlimit(Resource::Nofile, limit)?;
    }
    let least = u64::try_from(IDLE)? + 1_000;
    ensure!(limit.current.is_none_or(|current| current >= least), "{least} open files have to be allowed (ulimit -n)");
    Ok(())
}
