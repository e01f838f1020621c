//! The answer that carries a file, decided without looking at the file itself.
//!
//! A file is what a member uploaded, and stands at the server's own address: no answer may let it act there. Its type is what its bytes
//! are, never guessed again; what a browser shows is shown in a document without any right, and what it need not show is saved.

use super::conditions::{Outcome, Validators, to_the_second};
use crate::error::ApiError;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parlour_types::model::Purpose;
use parlour_types::{ErrorCode, FileUuid, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;
use std::io;
use std::ops::Range;

/// What is known of a file before it is read.
#[derive(Clone)]
pub struct FileHead {
    /// Which one.
    pub uuid: FileUuid,
    /// The file or the picture of it: each has a content of its own.
    pub purpose: Purpose,
    /// What its bytes are, without parameters.
    pub mimetype: String,
    /// Under which name it is saved.
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// When its content came to be; it never changes.
    pub created_at: Timestamp,
    /// When the link by which it was asked for expires.
    pub link_expires_at: Timestamp,
}

/// An answer that lacks nothing but the content.
pub struct FileAnswer {
    response: Response,
    content: Option<Range<u64>>,
}

impl FileAnswer {
    /// Decides what a request for a file is answered.
    #[must_use]
    pub fn new(file: &FileHead, method: &Method, headers: &HeaderMap, now: Timestamp) -> Self {
        let etag = file.etag();
        let last_modified = to_the_second(file.created_at.as_micros());
        let outcome = Validators { etag: &etag, last_modified, size: file.size }.outcome(method, headers);
        let (status, range) = match outcome {
            Outcome::Whole => (StatusCode::OK, 0..file.size),
            Outcome::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Outcome::NotModified => return Self::without_content(not_modified(file, &etag, now)),
            Outcome::PreconditionFailed => return Self::without_content(precondition_failed()),
            Outcome::RangeNotSatisfiable => return Self::without_content(range_not_satisfiable(file.size)),
        };
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if status == StatusCode::PARTIAL_CONTENT {
            let Range { start, end } = range;
            headers.insert(header::CONTENT_RANGE, value(format!("bytes {start}-{}/{}", end - 1, file.size)));
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_TYPE, file.content_type());
        headers.insert(header::CONTENT_DISPOSITION, file.disposition());
        headers.insert(header::LAST_MODIFIED, value(httpdate::fmt_http_date(last_modified)));
        file.push_cache_headers(&etag, now, headers);
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(file.policy()));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        let is_asked_for = method != Method::HEAD && !range.is_empty();
        Self { response, content: is_asked_for.then_some(range) }
    }

    fn without_content(response: Response) -> Self {
        Self { response, content: None }
    }

    /// The bytes of the file that the answer carries; `None` when it carries none.
    #[must_use]
    pub fn content(&self) -> Option<Range<u64>> {
        self.content.clone()
    }

    /// The answer with those bytes.
    #[must_use]
    pub fn with_content(mut self, content: Body) -> Response {
        *self.response.body_mut() = content;
        self.response
    }

    /// The answer without any.
    #[must_use]
    pub fn into_response(self) -> Response {
        self.response
    }
}

/// The body of an answer, as it is read. A file that breaks off ends the connection, so that no client takes it for whole.
pub fn body<E: std::fmt::Display + 'static>(content: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Body {
    Body::from_stream(content.map_err(|error| {
        tracing::error!(%error, "a file could not be read to its end");
        io::Error::other("the file could not be read to its end")
    }))
}

fn not_modified(file: &FileHead, etag: &str, now: Timestamp) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    let headers = response.headers_mut();
    // That of the file: unsaid, it would be given as nought, the size of what is sent.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.size));
    file.push_cache_headers(etag, now, headers);
    response
}

fn precondition_failed() -> Response {
    let message = "The file is not the one that you ask for.";
    ApiError::new(StatusCode::PRECONDITION_FAILED, ErrorCode::PreconditionFailed, message).into_response()
}

fn range_not_satisfiable(size: u64) -> Response {
    let message = format!("The file has {size} bytes, and the range lies behind them.");
    let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::OutOfRange, message);
    let mut response = error.into_response();
    response.headers_mut().insert(header::CONTENT_RANGE, value(format!("bytes */{size}")));
    response
}

/// What a document that a browser opens may do: nothing, but show itself. A browser's own page around a picture needs its styles.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'";

/// As [`SANDBOX`], for what a browser's own page plays: it asks for the content once more, which it may only as a page of this server. No
/// script runs in it either way.
const PLAYER: &str = "sandbox allow-same-origin; default-src 'none'; media-src 'self'; style-src 'unsafe-inline'";

/// As [`SANDBOX`], for what a browser shows with a viewer, which is a sandbox itself. Safari and Firefox start it in no other one.
const VIEWER: &str = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'";

impl FileHead {
    fn etag(&self) -> String {
        let content = match self.purpose {
            Purpose::File => 'f',
            Purpose::Thumbnail => 't',
        };
        format!("\"{}-{content}\"", self.uuid)
    }

    fn content_type(&self) -> HeaderValue {
        // Text is taken only as UTF-8; unsaid, browsers would take it for something older.
        if self.mimetype.starts_with("text/") {
            value(format!("{}; charset=utf-8", self.mimetype))
        } else {
            value(self.mimetype.clone())
        }
    }

    fn policy(&self) -> &'static str {
        match self.mimetype.split_once('/') {
            Some(("audio" | "video", _)) => PLAYER,
            Some(("application", "pdf")) => VIEWER,
            _ => SANDBOX,
        }
    }

    /// For the client alone, and no longer than the link that it was asked for by.
    fn push_cache_headers(&self, etag: &str, now: Timestamp, headers: &mut HeaderMap) {
        let seconds = (self.link_expires_at.as_seconds() - now.as_seconds()).max(0);
        headers.insert(header::CACHE_CONTROL, value(format!("private, max-age={seconds}, immutable")));
        headers.insert(header::ETAG, value(etag.to_owned()));
    }

    /// Shown or saved, and under which name (RFC 6266): in ASCII for old clients, in full for all others.
    fn disposition(&self) -> HeaderValue {
        let kind = if self.is_shown() { "inline" } else { "attachment" };
        let mut text = format!("{kind}; filename=\"");
        text.extend(self.filename.chars().map(|character| if is_plain(character) { character } else { '_' }));
        text.push_str("\"; filename*=UTF-8''");
        // A String takes whatever is written to it.
        let _ = write!(text, "{}", utf8_percent_encode(&self.filename, NOT_ATTR_CHAR));
        value(text)
    }

    fn is_shown(&self) -> bool {
        // A drawing in SVG is a document, with all that a document can do.
        let is_drawn = ["image/", "video/", "audio/"].iter().any(|family| self.mimetype.starts_with(family));
        is_drawn && !self.mimetype.starts_with("image/svg") || self.mimetype == "application/pdf"
    }
}

/// Whether a character stands for itself between quotes, for every client: some take a percent sign for an escape.
fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') && !matches!(character, '"' | '\\' | '%')
}

/// All but `attr-char` (RFC 8187).
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A header of visible ASCII; anything else, which only a damaged row can hold, is left out.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use futures_util::stream;
    use hyper::server::conn::http1;
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    use parlour_types::text::clean_filename;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_500_000);

    fn file(mimetype: &str, filename: &str) -> FileHead {
        FileHead {
            uuid: FileUuid::from_bytes([0xab; 16]),
            purpose: Purpose::File,
            mimetype: mimetype.into(),
            filename: filename.into(),
            size: 10,
            created_at: NOW,
            link_expires_at: Timestamp::from_micros(1_800_000_100_000_000),
        }
    }

    /// Status, headers and content of an answer, on the way that handlers' answers take.
    async fn answered(file: FileHead, method: &str, headers: &[(&'static str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
        let handler = async move |method: Method, headers: HeaderMap| {
            let answer = FileAnswer::new(&file, &method, &headers, NOW);
            let Some(range) = answer.content() else { return answer.into_response() };
            let bytes = Bytes::from_static(b"0123456789").slice(range.start as usize..range.end as usize);
            answer.with_content(body(stream::iter([Ok::<_, io::Error>(bytes)])))
        };
        let router: Router = Router::new().route("/", get(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(router);
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
        let client = parlour_testkit::http_client();
        let mut request = client.request(method.parse().unwrap(), format!("http://{address}/"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let content = response.bytes().await.unwrap().to_vec();
        drop(client);
        serving.await.unwrap().unwrap();
        (status, headers, content)
    }

    #[tokio::test]
    async fn an_answer_says_all_that_a_browser_must_know() {
        let (status, headers, content) = answered(file("image/png", "a.png"), "GET", &[]).await;
        assert_eq!((status, content.as_slice()), (200, &b"0123456789"[..]));
        for (name, value) in [
            ("content-length", "10"),
            ("content-type", "image/png"),
            ("accept-ranges", "bytes"),
            ("etag", "\"abababab-abab-abab-abab-abababababab-f\""),
            ("last-modified", "Fri, 15 Jan 2027 08:00:00 GMT"),
            ("cache-control", "private, max-age=100, immutable"),
            ("content-disposition", "inline; filename=\"a.png\"; filename*=UTF-8''a.png"),
            ("content-security-policy", SANDBOX),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        let thumbnail = FileHead { purpose: Purpose::Thumbnail, ..file("image/png", "a.png") };
        assert_ne!(thumbnail.etag(), file("image/png", "a.png").etag());
    }

    #[tokio::test]
    async fn parts_and_refusals_carry_what_they_must() {
        let asked = async |method, headers: &[(&'static str, &str)]| {
            answered(file("text/plain", "a.txt"), method, headers).await
        };
        let (status, headers, content) = asked("GET", &[("range", "bytes=2-4")]).await;
        assert_eq!((status, content.as_slice()), (206, &b"234"[..]));
        assert_eq!(
            (&headers["content-range"], &headers["content-length"]),
            (&value("bytes 2-4/10".into()), &value("3".into()))
        );
        let (status, headers, content) = asked("HEAD", &[("range", "bytes=2-4")]).await;
        assert_eq!((status, &headers["content-length"], content.len()), (200, &value("10".into()), 0));
        let (status, headers, content) = asked("GET", &[("if-none-match", "*")]).await;
        assert_eq!((status, content.len()), (304, 0));
        assert!(headers.contains_key("etag") && headers.contains_key("cache-control"));
        assert!(
            !headers.contains_key("content-type") && headers.get("content-length").is_none_or(|length| length == "10")
        );
        let (status, headers, content) = asked("GET", &[("range", "bytes=10-")]).await;
        assert_eq!((status, &headers["content-range"]), (416, &value("bytes */10".into())));
        assert!(String::from_utf8_lossy(&content).contains("out_of_range"));
        let (status, _, content) = asked("GET", &[("if-match", "\"other\"")]).await;
        assert!(status == 412 && String::from_utf8_lossy(&content).contains("precondition_failed"));
        let empty = FileHead { size: 0, ..file("text/plain", "a.txt") };
        let (status, headers, content) = answered(empty, "GET", &[]).await;
        assert_eq!((status, &headers["content-length"], content.len()), (200, &value("0".into()), 0));
    }

    #[test]
    fn what_a_browser_need_not_show_is_saved() {
        for (mimetype, kind, content_type) in [
            ("image/jpeg", "inline", "image/jpeg"),
            ("video/mp4", "inline", "video/mp4"),
            ("audio/mpeg", "inline", "audio/mpeg"),
            ("application/pdf", "inline", "application/pdf"),
            ("image/svg+xml", "attachment", "image/svg+xml"),
            ("text/plain", "attachment", "text/plain; charset=utf-8"),
            ("text/html", "attachment", "text/html; charset=utf-8"),
            ("application/zip", "attachment", "application/zip"),
            ("application/xhtml+xml", "attachment", "application/xhtml+xml"),
            ("dam\naged", "attachment", ""),
        ] {
            let file = file(mimetype, "a");
            assert!(file.disposition().to_str().unwrap().starts_with(&format!("{kind}; ")), "{mimetype}");
            assert_eq!(file.content_type(), content_type);
            assert_eq!(file.policy().contains("sandbox"), mimetype != "application/pdf");
        }
    }

    #[test]
    fn a_link_that_has_expired_meanwhile_is_not_kept() {
        let late = FileHead { link_expires_at: NOW.plus_micros(-5_000_000), ..file("image/png", "a") };
        let answer = FileAnswer::new(&late, &Method::GET, &HeaderMap::new(), NOW).into_response();
        assert_eq!(answer.headers()["cache-control"], "private, max-age=0, immutable");
    }

    #[test]
    fn names_in_any_script_reach_the_disk() {
        for (name, expected) in [
            ("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
            ("naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
            ("文件.txt", "attachment; filename=\"__.txt\"; filename*=UTF-8''%E6%96%87%E4%BB%B6.txt"),
            ("a\"b%22'(c).txt", "attachment; filename=\"a_b_22'(c).txt\"; filename*=UTF-8''a%22b%2522%27%28c%29.txt"),
        ] {
            assert_eq!(file("application/zip", name).disposition(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_its_header(name in ".*|[\"\\\\;\r\n%'a. ]*") {
            // Even one that was never cleaned.
            let disposition = file("application/zip", &name).disposition();
            let text = disposition.to_str().unwrap();
            let (quoted, extended) = text
                .strip_prefix("attachment; filename=\"")
                .and_then(|rest| rest.split_once("\"; filename*=UTF-8''"))
                .unwrap();
            prop_assert!(!quoted.contains(['"', '\\', '%']));
            prop_assert!(!extended.contains(['"', '\\', ';', ' ', '\'', ',']));
            prop_assert_eq!(percent_decode_str(extended).decode_utf8().unwrap(), name.as_str());
            // What Parlour sends, Parlour takes.
            prop_assert!(clean_filename(&name).is_none_or(|clean| clean.len() < 256));
        }
    }
}
