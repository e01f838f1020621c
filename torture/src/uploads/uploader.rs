//! Members who upload files, send and delete them without pause, and remember what was acknowledged.

use crate::community::Community;
use crate::history::path_of;
use crate::http::{Answer, Client, Request};
use fastrand::Rng;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Pause before a request is repeated.
const PAUSE: Duration = Duration::from_millis(3);

/// How long one request is repeated.
const PATIENCE: Duration = Duration::from_secs(60);

const BOUNDARY: &str = "a-boundary-of-the-torture";

/// A file that was sent.
#[derive(Clone)]
pub(crate) struct Sent {
    /// What its bytes are made of.
    pub(crate) seed: u64,
    pub(crate) size: usize,
    /// The place of whoever got it.
    pub(crate) receiver: usize,
    pub(crate) message: i64,
    /// Its sender's link.
    pub(crate) link: String,
    /// Whether the message's deletion was begun.
    pub(crate) deleting: bool,
    /// Whether it was acknowledged.
    pub(crate) deleted: bool,
}

/// What all uploaders did.
#[derive(Default)]
pub(crate) struct Ledger {
    files: Mutex<Vec<Sent>>,
    unfinished: Mutex<Vec<(usize, String)>>,
    problems: Mutex<Vec<String>>,
    acknowledged: AtomicUsize,
    unanswered: AtomicUsize,
    ended: AtomicUsize,
}

impl Ledger {
    /// Files that were sent so far.
    pub(crate) fn files(&self) -> Vec<Sent> {
        self.files.lock().expect("no uploader panics").clone()
    }

    pub(crate) fn is_being_deleted(&self, place: usize) -> bool {
        self.files.lock().expect("no uploader panics")[place].deleting
    }

    /// Uploads that nobody finished, by their members' places.
    pub(crate) fn unfinished(&self) -> Vec<(usize, String)> {
        self.unfinished.lock().expect("no uploader panics").clone()
    }

    pub(crate) fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut self.problems.lock().expect("no uploader panics"))
    }

    /// Requests of any kind that were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Acquire)
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Acquire)
    }

    /// Uploaders that came to their end.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn note_end(&self) {
        self.ended.fetch_add(1, Ordering::AcqRel);
    }

    fn problem(&self, problem: String) {
        self.problems.lock().expect("no uploader panics").push(problem);
    }
}

/// The bytes of a file: a PDF, as far as anybody looks.
pub(crate) fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.resize_with(size.max(bytes.len()), || random.u8(..));
    bytes
}

/// A form with these fields and, if there is one, a file.
pub(crate) fn form(fields: &[(&str, &str)], file: Option<&[u8]>) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some(file) = file {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n"
        );
        body.extend_from_slice(&[head.as_bytes(), file, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// One member.
pub(crate) struct Uploader<'c> {
    member: usize,
    community: &'c Community,
    ledger: &'c Ledger,
    client: Client,
    random: Rng,
    number: u64,
}

impl<'c> Uploader<'c> {
    pub(crate) fn new(member: usize, address: SocketAddr, community: &'c Community, ledger: &'c Ledger) -> Self {
        let random = Rng::with_seed(5_000 + member as u64);
        Self { member, community, ledger, client: Client::new(address), random, number: 0 }
    }

    /// Uploads a file in one way or another, sends it, and perhaps deletes it again.
    pub(crate) fn step(&mut self) {
        self.number += 1;
        let seed = self.member as u64 * 1_000_000 + self.number;
        let size = self.random.usize(9..300_000);
        let bytes = content(seed, size);
        let uploaded = if self.random.bool() { self.whole(&bytes) } else { self.in_parts(&bytes) };
        if let Some(uuid) = uploaded {
            self.send_and_delete(&uuid, seed, size);
        }
    }

    fn token(&self) -> &'c str {
        &self.community.members[self.member].token
    }

    /// Repeats a request until it is answered by something other than 503.
    fn insist(&mut self, request: &Request) -> Option<Answer> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.client.ask(request) {
                Ok(answer) if answer.status != 503 => {
                    self.ledger.acknowledged.fetch_add(1, Ordering::AcqRel);
                    return Some(answer);
                }
                Ok(_) => {}
                Err(_) => drop(self.ledger.unanswered.fetch_add(1, Ordering::AcqRel)),
            }
            std::thread::sleep(PAUSE);
        }
        self.ledger.problem(format!("{} {} was not answered for a minute", request.method, request.path));
        None
    }

    /// Posts a form and answers the uuid. `None`, and a problem, for any refusal but that of an upload that was given up meanwhile.
    fn post(&mut self, query: &str, fields: &[(&str, &str)], file: Option<&[u8]>) -> Option<String> {
        let answer = self.insist(&Request::form(self.token(), query, form(fields, file)))?;
        let uuid = answer.json().ok().and_then(|body| body["file_uuid"].as_str().map(str::to_owned));
        let text = String::from_utf8_lossy(&answer.body);
        if uuid.is_none() && !text.contains("does_not_exist") {
            self.ledger.problem(format!("an upload{query} was answered {}: {text}", answer.status));
        }
        uuid
    }

    fn whole(&mut self, bytes: &[u8]) -> Option<String> {
        self.post("", &[], Some(bytes))
    }

    /// Sends the parts, some of them twice, and now and then leaves it at that.
    fn in_parts(&mut self, bytes: &[u8]) -> Option<String> {
        let length = bytes.len().div_ceil(self.random.usize(2..=5));
        let parts: Vec<&[u8]> = bytes.chunks(length).collect();
        let total = parts.len().to_string();
        let uuid = self.post("", &[("partindex", "0"), ("totalparts", &total)], Some(parts[0]))?;
        let left_at = if self.random.usize(..6) == 0 { self.random.usize(..parts.len()) } else { usize::MAX };
        let mut order: Vec<usize> = (1..parts.len()).chain([self.random.usize(..parts.len())]).collect();
        self.random.shuffle(&mut order);
        for (sent, index) in order.into_iter().enumerate() {
            if sent == left_at {
                self.ledger.unfinished.lock().expect("no uploader panics").push((self.member, uuid));
                return None;
            }
            let number = index.to_string();
            let fields = [("partindex", &*number), ("totalparts", &*total), ("uuid", &*uuid)];
            self.post("", &fields, Some(parts[index]))?;
        }
        self.post("?done", &[("uuid", &uuid), ("filename", "a.pdf"), ("totalparts", &total)], None)
    }

    fn send_and_delete(&mut self, uuid: &str, seed: u64, size: usize) {
        let receiver = (self.member + 1) % self.community.members.len();
        let to = self.community.members[receiver].id;
        let key = format!("u{}-{}", self.member, self.number);
        let Some(answer) = self.insist(&Request::send_file(self.token(), to, uuid, Some(&key))) else { return };
        let row = answer.json().map(|rows| rows[0].clone()).unwrap_or_default();
        let (Some(message), Some(link)) = (row["id"].as_i64(), row["file"]["url"].as_str().map(path_of)) else {
            let text = String::from_utf8_lossy(&answer.body);
            self.ledger.problem(format!("an acknowledged file was not sent: {}: {text}", answer.status));
            return;
        };
        let place = {
            let mut files = self.ledger.files.lock().expect("no uploader panics");
            files.push(Sent { seed, size, receiver, message, link, deleting: false, deleted: false });
            files.len() - 1
        };
        if self.random.usize(..3) > 0 {
            return;
        }
        let mark = |mark: fn(&mut Sent)| mark(&mut self.ledger.files.lock().expect("no uploader panics")[place]);
        mark(|file| file.deleting = true);
        let delete = Request { method: "DELETE", ..Request::get(format!("/api/v2/pm/{message}/"), self.token()) };
        let Some(answer) = self.insist(&delete) else { return };
        // A repeat finds nothing to delete any more.
        if !matches!(answer.status, 204 | 404) {
            self.ledger.problem(format!("a deletion was answered {}", answer.status));
        }
        mark(|file| file.deleted = true);
    }
}
