//! What ends a server when its owner goes away, in whatever way.

use crate::programs::Programs;
use anyhow::{Context as _, Result};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for the pipe's end, then stops the server, by force if need be, and removes both folders. A server that has stopped still stands
/// in its folder for a moment, which an unmount would feel; one that nobody has waited for yet does not.
const SCRIPT: &str = r#"
folder=$1; data=$2; shift 2
cat > /dev/null
server=$(head -n 1 "$data/postmaster.pid")
"$@" || kill -KILL "$server"
tries=0
while readlink "/proc/$server/cwd" && [ "$tries" -lt 1000 ]; do sleep 0.01; tries=$((tries + 1)); done
rm -rf -- "$data" "$folder"
"#;

/// A shell that stands beside the server. The kernel closes the pipe however this process ends, which is what makes it sure.
#[derive(Debug)]
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Watches over a server that may be started in `data` later on.
    pub(crate) fn start(programs: &Programs, folder: &Path, data: &Path) -> Result<Self> {
        let mut stop = programs.as_owner("pg_ctl");
        stop.args(["stop", "--silent", "--mode=immediate", "--timeout=20", "--pgdata"]).arg(data);
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "watcher"])
            .args([folder, data])
            .arg(stop.get_program())
            .args(stop.get_args())
            .env("LC_ALL", "C")
            // It keeps no file system busy.
            .current_dir("/")
            // Ctrl-C reaches everybody in the terminal's process group.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run sh")?;
        Ok(Self(child))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Whoever unmounts the file system next finds nobody on it.
        let _ = self.0.wait();
    }
}
