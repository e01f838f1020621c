//! The body of an upload: fields, and one file that goes to disk as it arrives.
//!
//! Neither the file nor its frames are ever in memory as a whole, and no write to disk holds up other requests. The file has no name in the
//! spool folder, so that nothing of it is left when the request ends, however it ends.

use super::fields::{Body, ContentType, content_type, parse_error, read_bounded, too_slow};
use super::parts::{Part, Parts};
use crate::error::{ApiError, Result};
use axum::body::{Body as HttpBody, HttpBody as _};
use axum::extract::Request;
use http::StatusCode;
use parlour_core::FieldProblem;
use parlour_types::ErrorCode;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

/// The parts that may hold the file: today's name, and that of the first clients (contract §2.8).
const FILE_PARTS: [&str; 2] = ["file", "qqfile"];

/// The field that an answer names when the file is wrong, whichever of its names it came under.
const FILE_FIELD: &str = "file";

/// Bytes that are written to disk at once.
const PIECE: usize = 128 * 1024;

/// Bytes of one text part.
const MAX_TEXT: usize = 64 * 1024;

/// Bytes of all text parts, with their names.
const MAX_TEXTS: usize = 128 * 1024;

/// Parts of a body.
const MAX_PARTS: usize = 100;

/// More than everything around a file of the largest size can take.
const AROUND_FILE: u64 = 8 << 20;

/// How much and how long.
#[derive(Clone, Copy)]
pub struct UploadBounds {
    /// Bytes of the file.
    pub max_file: u64,
    /// Bytes of a body that cannot carry a file, such as JSON.
    pub max_body: usize,
    /// Time for the body to arrive.
    pub timeout: Duration,
}

/// What an upload's body holds.
pub struct UploadForm {
    /// All but the file.
    pub fields: Body,
    /// The file, if there is one.
    pub file: Option<SpooledFile>,
}

/// A file that has arrived, as nothing but this handle knows it.
pub struct SpooledFile {
    /// Its content, from the start.
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// The name as it came; see [`parlour_types::text::clean_filename`].
    pub filename: Option<String>,
}

/// Reads the body of an upload.
///
/// # Errors
/// 400 for a body that is broken, breaks off or has a file too large or two of them, 408 for a slow one, 413 for too much text, 415 for
/// another content type, 503 when the spool folder cannot take the file.
pub async fn read_upload(request: Request, spool_folder: &Path, bounds: UploadBounds) -> Result<UploadForm> {
    let declared = content_type(request.headers())?;
    let body = request.into_body();
    let Some(ContentType::Multipart { boundary }) = declared else {
        let bytes = read_bounded(body, bounds.max_body, bounds.timeout).await?;
        return Ok(UploadForm { fields: Body::parse(declared, bytes).await?, file: None });
    };
    // What says beforehand that it is too large need not be read.
    if body.size_hint().lower() > bounds.max_file.saturating_add(AROUND_FILE) {
        return Err(too_large(bounds.max_file));
    }
    if body.is_end_stream() {
        return Ok(UploadForm { fields: Body::of_texts(Vec::new(), Vec::new()), file: None });
    }
    let reading = read_form(body, boundary, spool_folder, bounds.max_file);
    tokio::time::timeout(bounds.timeout, reading).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn read_form(body: HttpBody, boundary: String, spool_folder: &Path, max_file: u64) -> Result<UploadForm> {
    let mut parts = Parts::new(body, boundary);
    let mut texts = Texts::default();
    let mut file = None;
    let mut count = 0;
    while let Some(mut part) = parts.next().await? {
        count += 1;
        if count > MAX_PARTS {
            return Err(parse_error("The body has more than 100 parts."));
        }
        let disposition = part.disposition();
        let name = disposition.name.unwrap_or_default();
        if !FILE_PARTS.contains(&name.as_str()) {
            texts.read(name, &mut part).await?;
            continue;
        }
        if file.is_some() {
            return Err(ApiError::field(FILE_FIELD, ErrorCode::Repeated, "Give this field once."));
        }
        let mut spool = Spool::create(spool_folder).await?;
        while let Some(piece) = part.piece().await? {
            if spool.size + piece.len() as u64 > max_file {
                return Err(too_large(max_file));
            }
            spool = spool.take(&piece).await?;
        }
        let (content, size) = spool.finish().await?;
        file = Some(SpooledFile { file: content, size, filename: disposition.filename });
    }
    Ok(UploadForm { fields: Body::of_texts(texts.read, texts.problems), file })
}

fn too_large(max_file: u64) -> ApiError {
    ApiError::field(FILE_FIELD, ErrorCode::FileTooLarge, format!("The file is larger than {max_file} bytes."))
}

/// The text parts read so far.
#[derive(Default)]
struct Texts {
    read: Vec<(String, String)>,
    problems: Vec<FieldProblem>,
    bytes: usize,
}

impl Texts {
    async fn read(&mut self, name: String, part: &mut Part) -> Result<()> {
        let mut value = Vec::new();
        self.bytes += name.len();
        while let Some(piece) = part.piece().await? {
            value.extend_from_slice(&piece);
            self.bytes += piece.len();
            if value.len() > MAX_TEXT || self.bytes > MAX_TEXTS {
                let message = "A field has more than 64 KiB, or all of them together more than 128 KiB.";
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::BodyTooLarge, message));
            }
        }
        match String::from_utf8(value) {
            Ok(value) => self.read.push((name, value)),
            Err(_) => self.problems.push(FieldProblem::new(name, ErrorCode::Invalid, "Must be valid UTF-8.")),
        }
        Ok(())
    }
}

/// A file on its way to disk.
struct Spool {
    disk: Disk,
    /// Bytes taken.
    size: u64,
}

/// The file, and what is not yet written of it; one piece at the most.
struct Disk {
    file: File,
    gathered: Vec<u8>,
}

impl Spool {
    async fn create(folder: &Path) -> Result<Self> {
        let folder = folder.to_owned();
        let file = off_the_workers(move || tempfile::tempfile_in(folder)).await?;
        // All of it at once: grown as needed, it would be copied over and over, and end up larger.
        Ok(Self { disk: Disk { file, gathered: Vec::with_capacity(PIECE) }, size: 0 })
    }

    async fn take(mut self, bytes: &[u8]) -> Result<Self> {
        if self.disk.gathered.len() + bytes.len() > PIECE {
            self.disk = off_the_workers(move || self.disk.write()).await?;
        }
        self.disk.gathered.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        Ok(self)
    }

    /// The file, complete and from its start, and its size.
    async fn finish(self) -> Result<(File, u64)> {
        let file = off_the_workers(move || {
            let mut file = self.disk.write()?.file;
            file.rewind()?;
            Ok(file)
        });
        Ok((file.await?, self.size))
    }
}

impl Disk {
    fn write(mut self) -> io::Result<Self> {
        self.file.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(self)
    }
}

/// Does what waits for a disk where no other request waits for it.
async fn off_the_workers<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(ApiError::unavailable(format_args!("an upload cannot be spooled: {error}"))),
        Err(error) => Err(ApiError::fault(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};
    use http::header;
    use http_body_util::BodyExt as _;
    use serde_json::Value;
    use std::io::Read as _;

    const BOUNDS: UploadBounds = UploadBounds { max_file: 1 << 20, max_body: 1000, timeout: Duration::from_secs(60) };

    fn part(about: &str, content: &[u8]) -> Vec<u8> {
        let head = format!("--XX\r\nContent-Disposition: form-data; {about}\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    fn body(parts: &[Vec<u8>]) -> Vec<u8> {
        [&parts.concat()[..], b"--XX--\r\n"].concat()
    }

    fn in_frames(body: Vec<u8>, size: usize) -> HttpBody {
        let frames: Vec<_> = body.chunks(size).map(|frame| Ok::<_, io::Error>(Bytes::copy_from_slice(frame))).collect();
        HttpBody::from_stream(stream::iter(frames))
    }

    async fn read_with(body: HttpBody, content_type: &str, bounds: UploadBounds) -> Result<UploadForm> {
        let request = Request::builder().header(header::CONTENT_TYPE, content_type).body(body).unwrap();
        read_upload(request, &std::env::temp_dir(), bounds).await
    }

    async fn read(body: HttpBody) -> Result<UploadForm> {
        read_with(body, "multipart/form-data; boundary=XX", BOUNDS).await
    }

    /// Status, code and field of a refusal.
    async fn refusal(form: Result<UploadForm>) -> (u16, String, String) {
        let response = form.err().expect("a refusal").into_response();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
        let error = &body["errors"][0];
        let message = if error["messages"].is_array() { &error["messages"][0] } else { error };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (status, text(&message["code"]), text(&error["field"]))
    }

    fn content(file: &mut SpooledFile) -> Vec<u8> {
        let mut content = Vec::new();
        file.file.read_to_end(&mut content).unwrap();
        assert_eq!(file.size, content.len() as u64);
        content
    }

    #[tokio::test]
    async fn a_form_is_the_same_however_it_is_cut() {
        // Looks like a boundary, and is none.
        let tricky = [&b"\r\n--X\r\n\r--XX\n--XX\r\n--"[..], &[0, 255, b'\r'].repeat(900), b"\r\n--X"].concat();
        let whole = body(&[
            part("name=\"partindex\"", b"1"),
            part("name=\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: Text/Plain; charset=x", &tricky),
            part("name=\"uuid\"", "ö".as_bytes()),
        ]);
        for size in [1, 2, 3, 5, 7, 64, 1000, 100_000] {
            let mut form = read(in_frames(whole.clone(), size)).await.unwrap_or_else(|_| panic!("{size}"));
            assert_eq!(form.fields.int("partindex", (0, 9)), Some(1));
            assert_eq!(form.fields.text("uuid").as_deref(), Some("ö"));
            let mut file = form.file.expect("a file");
            assert_eq!(content(&mut file), tricky, "{size}");
            assert_eq!(file.filename.as_deref(), Some("a\"b.txt"));
        }
    }

    #[tokio::test]
    async fn a_file_is_as_large_as_it_may_be_and_no_larger() {
        let large: Vec<u8> = (0..1_u32 << 20).map(|number| (number % 251) as u8).collect();
        let form = read(in_frames(body(&[part("name=qqfile", &large)]), 60_000)).await;
        assert!(content(&mut form.unwrap_or_else(|_| panic!()).file.expect("a file")) == large);
        let form = read(in_frames(body(&[part("name=qqfile", &[&large[..], b"!"].concat())]), 60_000)).await;
        assert_eq!(refusal(form).await, (400, "file_too_large".into(), "file".into()));
        // One that never ends is not read to its end.
        let head = Bytes::from(part("name=file", b""));
        let endless =
            stream::iter([head]).chain(stream::repeat(Bytes::from_static(&[0; 1000]))).map(Ok::<_, io::Error>);
        let form = read(HttpBody::from_stream(endless)).await;
        assert_eq!(refusal(form).await, (400, "file_too_large".into(), "file".into()));
        // One that says how long it is is not read at all.
        let declared = HttpBody::from(vec![0; 10 << 20]);
        assert_eq!(refusal(read(declared).await).await, (400, "file_too_large".into(), "file".into()));
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        let texts = |count: usize, size: usize| vec![part("name=a", &vec![b'a'; size]); count];
        let head = |size: usize| part(&format!("name=a; x={}", "y".repeat(size)), b"");
        for (body, expected) in [
            (body(&[part("name=file", b"1"), part("name=qqfile", b"2")]), (400, "repeated", "file")),
            (body(&texts(1, MAX_TEXT + 1)), (413, "body_too_large", "")),
            (body(&texts(3, MAX_TEXT - 1)), (413, "body_too_large", "")),
            (body(&texts(MAX_PARTS + 1, 1)), (400, "parse_error", "")),
            (body(&[head(100_000)]), (400, "parse_error", "")),
            (head(100_000)[..80_000].to_vec(), (400, "parse_error", "")),
            (vec![b'-'; 5_000_000], (400, "parse_error", "")),
            (part("name=file", b"1"), (400, "parse_error", "")),
            (b"--XX".to_vec(), (400, "parse_error", "")),
            (b"nothing".to_vec(), (400, "parse_error", "")),
        ] {
            let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let got = refusal(read(in_frames(body, 5000)).await).await;
            assert_eq!(got, (expected.0, expected.1.into(), expected.2.into()), "{start}");
        }
        let mut form = read(in_frames(body(&[part("name=uuid", b"\xff")]), 9)).await.unwrap_or_else(|_| panic!());
        assert_eq!(form.fields.text("uuid"), None);
        assert!(form.fields.finish().is_err() && form.file.is_none());
    }

    #[tokio::test]
    async fn bodies_that_break_off_or_dawdle_are_told_apart() {
        let head = Bytes::from(part("name=file", b"1"));
        let broken = stream::iter([Ok(head.clone()), Err(io::Error::other("reset"))]);
        assert_eq!(refusal(read(HttpBody::from_stream(broken)).await).await.1, "parse_error");
        let slow = HttpBody::from_stream(stream::iter([Ok::<_, io::Error>(head)]).chain(stream::pending()));
        let bounds = UploadBounds { timeout: Duration::from_millis(20), ..BOUNDS };
        let form = read_with(slow, "multipart/form-data; boundary=XX", bounds).await;
        assert_eq!(refusal(form).await, (408, "timed_out".into(), String::new()));
    }

    #[tokio::test]
    async fn other_content_types_carry_no_file() {
        let mut form =
            read_with("{\"uuid\": \"x\", \"file\": {}}".into(), "application/json", BOUNDS).await.ok().unwrap();
        assert!(form.file.is_none() && form.fields.text("uuid").as_deref() == Some("x"));
        let mut form = read_with("uuid=x".into(), "application/x-www-form-urlencoded", BOUNDS).await.ok().unwrap();
        assert!(form.file.is_none() && form.fields.text("uuid").as_deref() == Some("x"));
        assert!(read_with(HttpBody::empty(), "multipart/form-data; boundary=XX", BOUNDS).await.is_ok());
        for (content_type, status) in [("multipart/form-data", 400), ("text/plain", 415), ("application/json", 413)] {
            assert_eq!(refusal(read_with(vec![b' '; 1001].into(), content_type, BOUNDS).await).await.0, status);
        }
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_the_servers_affair() {
        let body = in_frames(body(&[part("name=file", b"1")]), 9);
        let request = Request::builder().header(header::CONTENT_TYPE, "multipart/form-data; boundary=XX");
        let form = read_upload(request.body(body).unwrap(), Path::new("/proc/nowhere"), BOUNDS).await;
        let response = form.err().expect("a refusal").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }
}
