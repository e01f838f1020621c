//! Whether what is kept in memory is still what the database says, asked without opening a snapshot.
//!
//! Every commit, by whichever process, changes the header of the write-ahead log's index, which SQLite keeps in the file beside the
//! database whose name ends in `-shm` (its format is documented: <https://sqlite.org/walformat.html>). As long as that header is the one
//! that was last seen, nothing was committed since. Reading it is one system call and no lock.
//!
//! The writer of this process says what each of its commits changes. A header that moved without it moved by another process: then
//! everything kept is given up. Either way nothing that is out of date is ever taken for fresh:
//! - a header is compared at the moment of asking, so the answer is as true as a snapshot begun at that moment;
//! - what a commit changes is given up before its header counts as seen;
//! - what was read from a snapshot is kept only if nothing was committed since before that snapshot.
//!
//! The file must stay open until every connection of this process is closed: POSIX drops all of a process's locks on a file as soon as any
//! handle of it is closed. For the same reason a process opens a database as one [`Store`](crate::Store) only.

use crate::commits::{Change, Listener};
use crate::db::Touched;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of the header, which stands twice at the start of the file.
const HEADER_BYTES: usize = 48;

type Header = [u8; HEADER_BYTES];

/// A moment in which what is kept in memory was true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    generation: u64,
    /// The directory's version then; `None` until somebody has read it.
    pub directory_version: Option<i64>,
}

/// Watches the header and tells the listeners.
pub(crate) struct Freshness {
    index: Option<File>,
    state: Mutex<State>,
}

struct State {
    header: Header,
    /// Grows with every commit seen.
    generation: u64,
    directory_version: Option<i64>,
    /// The writer is about to commit, or has committed and not yet said what.
    own_commit: bool,
    listeners: Vec<Listener>,
}

impl Freshness {
    /// Watches the database at `path`, which must be open already. Where its index cannot be read in this way, nothing ever counts as
    /// fresh.
    pub(crate) fn watch(path: &Path) -> Self {
        // Elsewhere, reading a file may not show what another process wrote into its memory map.
        let readable = cfg!(any(target_os = "linux", target_os = "macos"));
        let state = State {
            header: [0; HEADER_BYTES],
            generation: 0,
            directory_version: None,
            own_commit: false,
            listeners: Vec::new(),
        };
        Self {
            index: readable.then(|| File::open(super::beside(path, "-shm")).ok()).flatten(),
            state: Mutex::new(state),
        }
    }

    /// Adds somebody who keeps things, and gives up what a change makes untrue.
    pub(crate) fn listen(&self, listener: Listener) {
        self.state().listeners.push(listener);
    }

    /// This moment, if what is kept is true in it.
    pub(crate) fn now(&self) -> Option<Moment> {
        let header = self.header()?;
        let mut state = self.state();
        if header != state.header {
            if state.own_commit {
                return None;
            }
            // Asked again under the lock: the first answer may have been older than what the writer has published since.
            state.catch_up(self.header()?);
        }
        Some(state.moment())
    }

    /// Lets `keep` put away what was read from a snapshot begun after `since`, unless something was committed in between.
    /// `directory_version` is what that snapshot says.
    pub(crate) fn keep(&self, since: Moment, directory_version: i64, keep: impl FnOnce()) {
        let mut state = self.state();
        if state.generation == since.generation && !state.own_commit {
            state.directory_version = Some(directory_version);
            keep();
        }
    }

    /// The writer holds the lock on the database and is about to commit.
    pub(crate) fn before_commit(&self) {
        let Some(header) = self.header() else { return };
        let mut state = self.state();
        state.catch_up(header);
        state.own_commit = true;
    }

    /// The writer's commit is done, or has failed; it changed what is `touched`; a touched directory is now at `version`.
    pub(crate) fn after_commit(&self, touched: &Touched, version: Option<i64>) {
        let header = self.header();
        let mut state = self.state();
        if !state.own_commit {
            return;
        }
        state.own_commit = false;
        let Some(header) = header else { return };
        if commits(&header) == commits(&state.header).wrapping_add(1) {
            state.generation += 1;
            if touched.directory {
                state.directory_version = version;
            }
            let change = if touched.everything { Change::Everything } else { Change::Threads(&touched.threads) };
            state.listeners.iter().for_each(|listener| listener(change));
            state.header = header;
        } else {
            // Nothing was committed, or somebody else came right behind.
            state.catch_up(header);
        }
    }

    /// Pages that the log holds, counting those that are in the database file already; `None` where that cannot be seen.
    pub(crate) fn log_pages(&self) -> Option<u32> {
        let header = self.header()?;
        Some(u32::from_ne_bytes([header[16], header[17], header[18], header[19]]))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header as it stands, unless it is being written.
    fn header(&self) -> Option<Header> {
        let mut both = [0; 2 * HEADER_BYTES];
        read_start(self.index.as_ref()?, &mut both).ok()?;
        // Writers change the second one first, readers look at the first one first: equal halves were not torn.
        let (first, second) = both.split_at(HEADER_BYTES);
        if first == second { first.try_into().ok() } else { None }
    }
}

impl State {
    const fn moment(&self) -> Moment {
        Moment { generation: self.generation, directory_version: self.directory_version }
    }

    /// Takes over a header that this process did not write.
    fn catch_up(&mut self, header: Header) {
        if header != self.header {
            self.generation += 1;
            self.directory_version = None;
            self.listeners.iter().for_each(|listener| listener(Change::Everything));
            self.header = header;
        }
    }
}

#[cfg(unix)]
fn read_start(file: &File, into: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, 0)
}

#[cfg(not(unix))]
fn read_start(_: &File, _: &mut [u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// SQLite's count of commits in a header.
fn commits(header: &Header) -> u32 {
    u32::from_ne_bytes([header[8], header[9], header[10], header[11]])
}
