//! The server under torture: a process of its own, plain, traced or with limits.

use crate::http::Client;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take that is expected to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How to start a server.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) parlour: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// Where its standard error goes, at the end of what is there.
    pub(crate) log: PathBuf,
    pub(crate) address: SocketAddr,
    /// Settings, as `section.key=value`.
    pub(crate) settings: Vec<String>,
    /// What runs the program: `strace -D …`, or a shell that sets a limit and becomes it. The process keeps its number.
    pub(crate) wrapper: Vec<String>,
    /// The database, where it is not a file of `data_dir`. In the environment, as it holds a password.
    pub(crate) database: Option<String>,
}

/// A running server, killed when it goes away.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub(crate) ready_after: Duration,
    pub(crate) log: PathBuf,
}

impl Start {
    /// A start on a free port, with the data and the log in `folder`.
    pub(crate) fn new(parlour: &Path, folder: &Path, settings: &[String]) -> Result<Self> {
        Ok(Self {
            parlour: parlour.to_owned(),
            data_dir: folder.join("data"),
            log: folder.join("server.log"),
            address: free_address()?,
            settings: settings.to_vec(),
            wrapper: Vec::new(),
            database: None,
        })
    }

    /// Another server beside this one, on the same database and with the same secrets.
    pub(crate) fn beside(&self, log: &str) -> Result<Self> {
        Ok(Self { address: free_address()?, log: self.log.with_file_name(log), ..self.clone() })
    }

    /// A command of the program's, on the same data.
    pub(crate) fn command(&self, word: &str) -> Command {
        let mut command = Command::new(&self.parlour);
        command.arg(word).arg("--data-dir").arg(&self.data_dir);
        self.tell_database(&mut command);
        command
    }

    fn tell_database(&self, command: &mut Command) {
        if let Some(database) = &self.database {
            command.env("PARLOUR_STORAGE_DATABASE", database);
        }
    }

    /// The same start with another program around it.
    pub(crate) fn under(&self, wrapper: &[&str]) -> Self {
        Self { wrapper: wrapper.iter().map(|word| (*word).to_owned()).collect(), ..self.clone() }
    }

    /// The same start on other data.
    pub(crate) fn on(&self, data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), ..self.clone() }
    }

    fn spawn(&self) -> Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut words = self.wrapper.clone();
        words.push(self.parlour.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["serve", "--listen", &self.address.to_string(), "--data-dir"]);
        command.arg(&self.data_dir).args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        command.stdout(Stdio::null()).stderr(log).stdin(Stdio::null());
        self.tell_database(&mut command);
        command.spawn().with_context(|| format!("cannot run {}", words[0]))
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn ready(&self) -> Result<Server> {
        match self.ready_or_ended()? {
            Ok(server) => Ok(server),
            Err(status) => bail!("the server ended with {status} while it was starting; see {}", self.log.display()),
        }
    }

    /// Starts the server and waits until it is ready or ends by itself.
    pub(crate) fn ready_or_ended(&self) -> Result<Result<Server, ExitStatus>> {
        let started = Instant::now();
        let (child, log) = (self.spawn()?, self.log.clone());
        let mut server = Server { child, address: self.address, ready_after: Duration::ZERO, log };
        loop {
            if matches!(Client::new(self.address).status("/readyz"), Ok(200)) {
                server.ready_after = started.elapsed();
                return Ok(Ok(server));
            }
            if let Some(status) = server.child.try_wait()? {
                return Ok(Err(status));
            }
            ensure!(started.elapsed() < PATIENCE, "the server is not ready; see {}", self.log.display());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Server {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?).context("a process")?;
        Ok(kill_process(id, signal)?)
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait().map(drop)
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.terminate()?;
        self.wait()
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Resident memory in MiB, now and at its highest.
    pub(crate) fn memory_mib(&self) -> Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let size = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a resident size")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        Ok((size("VmRSS:")?, size("VmHWM:")?))
    }

    /// Seconds of processor time used so far, by all threads.
    pub(crate) fn processor_seconds(&self) -> Result<f64> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let statistics = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += statistics.split(' ').next().context("a number")?.parse::<u64>()?;
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// Files and sockets that it has open.
    pub(crate) fn handles(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port below those that the system gives to clients: a client that knocks at its own port would else answer itself.
fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    for _ in 0..10_000 {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free")
}

/// Waits until `condition` holds, and answers how long that took.
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> Result<bool>) -> Result<Duration> {
    wait_for(PATIENCE, what, condition)
}

/// Waits until `condition` holds, for so long at the most, and answers how long that took.
pub(crate) fn wait_for(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let started = Instant::now();
    while !condition()? {
        ensure!(started.elapsed() < patience, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(started.elapsed())
}
