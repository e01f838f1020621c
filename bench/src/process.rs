//! Servers in the background, each on a core of its own, and what they cost.

use anyhow::{Context as _, Result, ensure};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The core of the servers; the load runs on another.
pub(crate) const SERVER_CORE: &str = "0";

/// A server, killed when it goes away.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process until it answered.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `program` on the servers' core.
    pub(crate) fn start(program: &std::path::Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(SERVER_CORE, program, arguments, environment)
    }

    /// Starts `program` with `arguments` and `--listen ADDRESS`, with one worker on one core, and waits until it answers.
    pub(crate) fn start_on(
        core: &str,
        program: &std::path::Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", core]).arg(program).args(arguments).args(["--listen", &address.to_string()]);
        command
            .envs(environment.iter().copied())
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().context("cannot run taskset (package util-linux)")?;
        while TcpStream::connect(address).is_err() {
            ensure!(child.try_wait()?.is_none(), "a server ended while it was starting");
            ensure!(started.elapsed() < Duration::from_secs(60), "a server does not answer");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Self { child, address, ready_after: started.elapsed() })
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of processor time used so far, by all threads.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let statistics = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += statistics.split(' ').next().context("a number")?.parse::<u64>()?;
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// Resident memory in MiB.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        self.status_mib("VmRSS:")
    }

    /// The most resident memory since the start, or since it was told to forget, in MiB.
    pub(crate) fn peak_memory_mib(&self) -> Result<f64> {
        self.status_mib("VmHWM:")
    }

    /// Begins anew with the peak.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    fn status_mib(&self, name: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a size")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
