//! Uploading as the official clients do it, and downloading as a browser does.

use crate::{Answer, Member, Visitor};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Where uploads go.
pub const UPLOAD: &str = "/api/v2/pm/upload/";

/// What Chromium puts between the parts of a form, made up once.
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW0";

/// How many bytes the official uploader puts into one part of a file.
pub const PART_BYTES: usize = 204_800;

/// The body of a form, written part by part as a browser writes it.
#[derive(Clone, Default)]
pub struct Form {
    body: Vec<u8>,
}

impl Form {
    /// A form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The content type that goes with it.
    #[must_use]
    pub fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// Adds a field.
    #[must_use]
    pub fn field(self, name: &str, value: impl ToString) -> Self {
        let disposition = format!("form-data; name=\"{name}\"");
        self.part(&disposition, None, value.to_string().as_bytes())
    }

    /// Adds the part `file`. The name is quoted as a browser quotes it.
    #[must_use]
    pub fn file(self, filename: &str, content_type: &str, bytes: &[u8]) -> Self {
        self.file_as("file", filename, content_type, bytes)
    }

    /// Adds a part with a file under another name.
    #[must_use]
    pub fn file_as(self, name: &str, filename: &str, content_type: &str, bytes: &[u8]) -> Self {
        let filename = filename.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
        let disposition = format!("form-data; name=\"{name}\"; filename=\"{filename}\"");
        self.part(&disposition, Some(content_type), bytes)
    }

    /// Adds a part with exactly these headers.
    #[must_use]
    pub fn part(mut self, disposition: &str, content_type: Option<&str>, bytes: &[u8]) -> Self {
        let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n");
        if let Some(content_type) = content_type {
            write!(head, "Content-Type: {content_type}\r\n").expect("memory");
        }
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// The whole body.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.body
    }
}

/// What came for a link.
#[derive(Clone, Debug)]
pub struct Download {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Download {
    /// A header's text, empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The bytes, if the status is the one expected.
    #[track_caller]
    #[must_use]
    pub fn expect(&self, status: u16) -> &[u8] {
        let said = || String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(500)]).into_owned();
        assert_eq!(self.status.as_u16(), status, "a link answered {}", said());
        &self.bytes
    }
}

impl Visitor {
    /// Posts a form to the upload address, with `query` behind it.
    pub async fn post_form(&self, query: &str, form: Form) -> Answer {
        self.post_raw(&format!("{UPLOAD}{query}"), &Form::content_type(), form.finish()).await
    }

    /// The same with the range that the uploader says of every part of a file.
    pub async fn post_form_in_range(&self, form: Form, first: usize, length: usize, total: usize) -> Answer {
        let last = (first + length).saturating_sub(1);
        let request = self.request(Method::POST, UPLOAD).header("content-type", Form::content_type());
        let request = request.header("content-range", format!("bytes {first}-{last}/{total}"));
        self.send_request(request.body(form.finish())).await
    }

    /// Uploads a file whole.
    pub async fn try_upload(&self, filename: &str, content_type: &str, bytes: &[u8]) -> Answer {
        self.post_form("", Form::new().file(filename, content_type, bytes)).await
    }

    /// Uploads one part of a file; the first of a file has no uuid yet.
    pub async fn try_chunk(
        &self,
        uuid: Option<&str>,
        (index, total): (usize, usize),
        part: (&str, &str, &[u8]),
    ) -> Answer {
        let form = Form::new().field("partindex", index).field("totalparts", total);
        let form = match uuid {
            Some(uuid) => form.field("uuid", uuid),
            None => form,
        };
        let (filename, content_type, bytes) = part;
        self.post_form("", form.file(filename, content_type, bytes)).await
    }

    /// Finishes an upload.
    pub async fn try_done(&self, uuid: &str, filename: &str, total_parts: usize) -> Answer {
        let form = Form::new().field("uuid", uuid).field("filename", filename).field("totalparts", total_parts);
        self.post_form("?done", form).await
    }

    /// Uploads a picture of a file.
    pub async fn try_thumbnail(&self, parent: &str, filename: &str, content_type: &str, bytes: &[u8]) -> Answer {
        self.post_form("", Form::new().file(filename, content_type, bytes).field("parentuuid", parent)).await
    }

    /// Opens a link as `<img>` does: with no credentials, whoever this is.
    pub async fn download(&self, url: &str) -> Download {
        self.download_with(url, &[]).await
    }

    /// The same with some headers.
    pub async fn download_with(&self, url: &str, headers: &[(&str, &str)]) -> Download {
        self.fetch(Method::GET, url, headers).await
    }

    /// The same with another method.
    pub async fn fetch(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Download {
        let mut request = self.request_without_credentials(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Download { status, headers, bytes: response.bytes().await.expect("a whole body").to_vec() }
    }
}

impl Member {
    /// Uploads a file whole and answers its uuid.
    pub async fn upload(&self, filename: &str, content_type: &str, bytes: &[u8]) -> String {
        uuid_of(&self.try_upload(filename, content_type, bytes).await.expect(200))
    }

    /// Uploads a file as the official uploader does: in parts if it is large, one after the other, and `done` in any case. Answers the uuid.
    pub async fn upload_in_parts(&self, filename: &str, content_type: &str, bytes: &[u8]) -> String {
        let total = bytes.len().div_ceil(PART_BYTES);
        let mut uuid = None;
        for (index, part) in bytes.chunks(PART_BYTES).enumerate() {
            let mut form = Form::new();
            if total > 1 {
                form = form.field("partindex", index).field("totalparts", total);
            }
            if let Some(uuid) = &uuid {
                form = form.field("uuid", uuid);
            }
            let form = form.file(filename, content_type, part);
            let answer = self.post_form_in_range(form, index * PART_BYTES, part.len(), bytes.len()).await;
            let found = uuid_of(&answer.expect(200));
            assert_eq!(*uuid.get_or_insert_with(|| found.clone()), found, "one file has one uuid");
        }
        let uuid = uuid.expect("a file that is not empty");
        assert_eq!(uuid_of(&self.try_done(&uuid, filename, total).await.expect(200)), uuid);
        uuid
    }

    /// Uploads a picture of a file and answers the picture's uuid.
    pub async fn upload_thumbnail(&self, parent: &str, filename: &str, content_type: &str, bytes: &[u8]) -> String {
        let answer = self.try_thumbnail(parent, filename, content_type, bytes).await.expect(200);
        assert_eq!(answer["parent_file_uuid"], parent);
        uuid_of(&answer)
    }

    /// Tries to send a file and no text.
    pub async fn try_send_file(&self, to: &Member, uuid: &str) -> Answer {
        self.post("/api/v2/pm/", json!({ "recipients": [to.id], "message": "", "file_uuid": uuid })).await
    }

    /// Sends a file and no text, and answers the message.
    pub async fn send_file(&self, to: &Member, uuid: &str) -> Value {
        self.try_send_file(to, uuid).await.expect(201)[0].clone()
    }
}

fn uuid_of(answer: &Value) -> String {
    answer["file_uuid"].as_str().unwrap_or_else(|| panic!("an answer without a uuid: {answer}")).to_owned()
}
