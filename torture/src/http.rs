//! A client that knows how far each request came: blocking, one connection, HTTP/1.1.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) body: Option<String>,
    /// A body of another kind than JSON, with its content type.
    pub(crate) form: Option<(String, Vec<u8>)>,
    /// Whether the connection ends with the answer.
    pub(crate) close: bool,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>, token: &str) -> Self {
        Self { method: "GET", path: path.into(), token: Some(token.to_owned()), ..Self::default() }
    }

    /// Sends `text` to `recipients`.
    pub(crate) fn send(token: &str, recipients: &[i64], text: &str, key: Option<&str>) -> Self {
        let body = serde_json::json!({ "recipients": recipients, "message": text }).to_string();
        let (token, key) = (Some(token.to_owned()), key.map(str::to_owned));
        Self { method: "POST", path: "/api/v2/pm/".to_owned(), token, key, body: Some(body), ..Self::default() }
    }

    /// Sends a file and no text.
    pub(crate) fn send_file(token: &str, recipient: i64, uuid: &str, key: Option<&str>) -> Self {
        let body = serde_json::json!({ "recipients": [recipient], "message": "", "file_uuid": uuid }).to_string();
        Self { body: Some(body), ..Self::send(token, &[], "", key) }
    }

    /// Uploads, with `query` behind the address.
    pub(crate) fn form(token: &str, query: &str, form: (String, Vec<u8>)) -> Self {
        let (path, token) = (format!("/api/v2/pm/upload/{query}"), Some(token.to_owned()));
        Self { method: "POST", path, token, form: Some(form), ..Self::default() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: parlour\r\n", self.method, self.path);
        let json = self.body.as_deref().map(|body| ("application/json", body.as_bytes()));
        let body = self.form.as_ref().map(|(content_type, body)| (&**content_type, &**body)).or(json);
        let mut header = |name: &str, value: &str| {
            head.extend([name, ": ", value, "\r\n"]);
        };
        if let Some(token) = &self.token {
            header("authorization", &format!("Bearer {token}"));
        }
        if let Some(key) = &self.key {
            header("idempotency-key", key);
        }
        if let Some((content_type, body)) = body {
            header("content-type", content_type);
            header("content-length", &body.len().to_string());
        }
        if self.close {
            header("connection", "close");
        }
        [head.as_bytes(), b"\r\n", body.map_or(b"", |(_, body)| body)].concat()
    }
}

/// What came back, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Takes one whole answer out of `buffer`, if it is there.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&buffer[..end])?.to_owned();
        let status = head.get(9..12).context("a status")?.parse()?;
        let mut answer = Self { status, head, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(Ok(0), str::parse)?;
        if buffer.len() < end + 4 + length {
            return Ok(None);
        }
        answer.body = buffer[end + 4..end + 4 + length].to_vec();
        buffer.drain(..end + 4 + length);
        Ok(Some(answer))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Result<Value> {
        ensure!(self.status < 300, "answered {}: {}", self.status, String::from_utf8_lossy(&self.body));
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// How far a request came that got no whole answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// When its last byte was handed to the system; `None` if that never happened.
    pub(crate) written: Option<Instant>,
    /// Bytes of an answer that came.
    pub(crate) received: usize,
    pub(crate) cause: Error,
}

impl From<Unanswered> for anyhow::Error {
    fn from(unanswered: Unanswered) -> Self {
        Self::new(unanswered.cause).context(format!("no answer, after {} bytes of one", unanswered.received))
    }
}

/// One connection, opened again when it is gone.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    /// When it was last of use.
    used: Option<Instant>,
}

/// A connection that lay idle for so long may be closed by the server in the moment in which it is written to.
const IDLE: Duration = Duration::from_secs(4);

impl Client {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::new(), used: None }
    }

    /// Asks once, without trying again.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer, Unanswered> {
        let mut progress = Unanswered { written: None, received: 0, cause: ErrorKind::Other.into() };
        if self.used.is_some_and(|used| used.elapsed() > IDLE) {
            self.stream = None;
        }
        let exchanged = self.exchange(request, &mut progress);
        self.used = Some(Instant::now());
        match exchanged {
            Ok(answer) => {
                if request.close || answer.header("connection") == Some("close") {
                    self.stream = None;
                }
                Ok(answer)
            }
            Err(cause) => {
                self.stream = None;
                Err(Unanswered { cause, ..progress })
            }
        }
    }

    fn exchange(&mut self, request: &Request, progress: &mut Unanswered) -> Result<Answer, Error> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                self.buffer.clear();
                none.insert(stream)
            }
        };
        stream.write_all(&request.bytes())?;
        progress.written = Some(Instant::now());
        let mut piece = [0; 32 * 1024];
        loop {
            match stream.read(&mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.buffer.extend_from_slice(&piece[..length]),
            }
            progress.received = self.buffer.len();
            if let Some(answer) = Answer::take(&mut self.buffer).map_err(Error::other)? {
                return Ok(answer);
            }
        }
    }

    /// Asks for JSON, on a server that is expected to answer.
    pub(crate) fn json(&mut self, request: &Request) -> Result<Value> {
        self.ask(request)?.json().with_context(|| format!("{} {}", request.method, request.path))
    }

    /// The status of a plain `GET`.
    pub(crate) fn status(&mut self, path: &str) -> Result<u16, Unanswered> {
        let request = Request { method: "GET", path: path.to_owned(), ..Request::default() };
        self.ask(&request).map(|answer| answer.status)
    }
}
