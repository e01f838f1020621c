//! A way to PostgreSQL that can be cut, silenced, or lose the answer to a commit. It reads the lengths of PostgreSQL's messages and the words
//! of transactions, and nothing else.

use super::messages::{Message, Messages};
use anyhow::Result;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What happens to what comes by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Pass,
    /// One in so many messages inside a transaction is not passed on; its connection is closed at both ends.
    CutInTransaction(usize),
    /// One in so many commits is passed on, but its answer is not: the connection is closed once it came.
    SwallowCommit(usize),
    /// Connections are accepted and nothing ever comes back, not even later on, nor does anybody hear of an end.
    Silent,
}

/// A proxy on a port of its own, until it is dropped.
pub(super) struct Proxy {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    mode: Mutex<Mode>,
    done: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

/// One connection, and what has become of it.
struct Way {
    client: TcpStream,
    server: TcpStream,
    swallowing: AtomicBool,
    silent: AtomicBool,
}

impl Proxy {
    pub(super) fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, target)),
            mode: Mutex::new(Mode::Pass),
            done: AtomicUsize::new(0),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::Acquire) {
                    return;
                }
                // A connection that cannot be made is closed, as one of PostgreSQL's own would be.
                let _ = accepting.accept(client);
            }
        });
        Ok(Self { port, shared })
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().expect("no thread of a proxy panics") = mode;
    }

    /// How many connections were cut, or commits swallowed.
    pub(super) fn done(&self) -> usize {
        self.shared.done.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes whoever accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        for stream in self.shared.open.lock().expect("no thread of a proxy panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn mode(&self) -> Mode {
        *self.mode.lock().expect("no thread of a proxy panics")
    }

    fn accept(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        let server = TcpStream::connect(self.target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        self.open.lock().expect("no thread of a proxy panics").extend([client.try_clone()?, server.try_clone()?]);
        let silent = AtomicBool::new(self.mode() == Mode::Silent);
        let way = Arc::new(Way { client, server, swallowing: AtomicBool::new(false), silent });
        let (to, from) = ((Arc::clone(self), Arc::clone(&way)), (Arc::clone(self), way));
        std::thread::spawn(move || to.1.until_end(|| to.0.forth(&to.1)));
        std::thread::spawn(move || from.1.until_end(|| from.0.back(&from.1)));
        Ok(())
    }

    /// Whether what comes now on this way is lost.
    fn is_lost(&self, way: &Way) -> bool {
        if self.mode() == Mode::Silent {
            way.silent.store(true, Ordering::Release);
        }
        way.silent.load(Ordering::Acquire)
    }

    /// From the client to the server.
    fn forth(&self, way: &Way) -> Result<()> {
        let (mut messages, mut in_transaction) = (Messages::of_client(), false);
        let mut piece = [0; 16 * 1024];
        loop {
            let length = (&way.client).read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            if self.is_lost(way) {
                continue;
            }
            messages.push(&piece[..length]);
            let mut out = Vec::new();
            while let Some(message) = messages.next() {
                match (self.mode(), message.statement()) {
                    (_, Some("begin")) => in_transaction = true,
                    (Mode::SwallowCommit(one_in), Some("commit")) if fastrand::usize(..one_in) == 0 => {
                        way.swallowing.store(true, Ordering::Release);
                    }
                    (Mode::CutInTransaction(one_in), _) if in_transaction && fastrand::usize(..one_in) == 0 => {
                        (&way.server).write_all(&out)?;
                        self.done.fetch_add(1, Ordering::AcqRel);
                        return Ok(());
                    }
                    _ => {}
                }
                in_transaction &= !matches!(message.statement(), Some("commit" | "rollback"));
                out.extend(message.bytes());
            }
            (&way.server).write_all(&out)?;
        }
    }

    /// From the server to the client.
    fn back(&self, way: &Way) -> Result<()> {
        let mut messages = Messages::of_server();
        let mut piece = [0; 16 * 1024];
        loop {
            let length = (&way.server).read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            if self.is_lost(way) {
                continue;
            }
            let swallowing = way.swallowing.load(Ordering::Acquire);
            messages.push(&piece[..length]);
            let mut out = Vec::new();
            while let Some(message) = messages.next() {
                if swallowing && message.is_end_of_commit() {
                    self.done.fetch_add(1, Ordering::AcqRel);
                    return Ok(());
                }
                out.extend(message.bytes());
            }
            if !swallowing {
                (&way.client).write_all(&out)?;
            }
        }
    }
}

impl Way {
    /// One direction. With it ends the other one, unless nobody is to hear of it.
    fn until_end(&self, direction: impl FnOnce() -> Result<()>) {
        // Either end may go away at any time.
        let _ = direction();
        if !self.silent.load(Ordering::Acquire) {
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.server.shutdown(Shutdown::Both);
        }
    }
}

impl Message {
    /// The first word of a statement without parameters.
    fn statement(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.body_of(b'Q')?).ok()?;
        text.split([' ', '\0', ';']).next()
    }

    /// Whether this answers a commit: with what was done, or with why it was not.
    fn is_end_of_commit(&self) -> bool {
        self.body_of(b'C').is_some_and(|body| matches!(body, b"COMMIT\0" | b"ROLLBACK\0"))
            || self.body_of(b'E').is_some()
    }
}
