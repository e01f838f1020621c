//! What the targets share: a send read out of a body, written again in every content type, and refusals that may not repeat what was
//! refused.

use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use parlour_server::error::ApiError;
use parlour_server::fuzzing::{self, Body};
use parlour_types::UserId;
use serde_json::{Value, json};

/// Stands in the seeds where members' words stand. No refusal may repeat it.
pub const CANARY: &str = "CANARY";

/// The content type of multipart bodies whose boundary is [`BOUNDARY`].
pub const MULTIPART: &str = "multipart/form-data; boundary=parlourfuzz";

/// The boundary of the target's multipart bodies.
pub const BOUNDARY: &str = "parlourfuzz";

/// A field of each kind, as a handler would read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields {
    pub recipients: Vec<UserId>,
    pub message: Option<String>,
    pub group: Option<UserId>,
    pub qa_frequency: Option<i64>,
}

impl Fields {
    /// Reads a body; `None` when it is refused, after looking at the refusal.
    #[must_use]
    pub fn read(content_type: &'static str, bytes: &[u8]) -> Option<Self> {
        Self::try_read(fuzzing::body(content_type, bytes)).map_err(check_refusal).ok()
    }

    fn try_read(body: Result<Body, ApiError>) -> Result<Self, ApiError> {
        let mut body = body?;
        let fields = Self {
            recipients: body.ids("recipients"),
            message: body.text("message"),
            group: body.id("group"),
            qa_frequency: body.int("qa_frequency", (-1, 1)),
        };
        body.finish()?;
        Ok(fields)
    }

    /// Asserts that these fields, written in any content type, are read as the same fields.
    pub fn survive_every_content_type(&self) {
        assert!(self.qa_frequency.is_none_or(|value| (-1..=1).contains(&value)));
        let json = self.as_json().to_string();
        assert_eq!(Self::read("application/json", json.as_bytes()).as_ref(), Some(self));
        let pairs = self.as_pairs();
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        assert_eq!(Self::read("application/x-www-form-urlencoded", form.as_bytes()).as_ref(), Some(self));
        if self.message.as_ref().is_none_or(|message| !message.contains(BOUNDARY)) {
            assert_eq!(Self::read(MULTIPART, &multipart(&pairs)).as_ref(), Some(self));
        }
    }

    fn as_json(&self) -> Value {
        json!({
            "recipients": self.recipients,
            "message": self.message,
            "group": self.group,
            "qa_frequency": self.qa_frequency,
        })
    }

    fn as_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.recipients.len() < 100 {
            pairs.extend(self.recipients.iter().map(|id| ("recipients", id.to_string())));
        } else {
            // A form has at most 1,000 fields, a list as text has no such limit.
            pairs.push(("recipients", json!(self.recipients).to_string()));
        }
        pairs.extend(self.message.clone().map(|message| ("message", message)));
        pairs.extend(self.group.map(|group| ("group", group.to_string())));
        pairs.extend(self.qa_frequency.map(|value| ("qa_frequency", value.to_string())));
        pairs
    }
}

fn multipart(pairs: &[(&str, String)]) -> Vec<u8> {
    let mut body = String::new();
    for (name, value) in pairs {
        body += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += &format!("--{BOUNDARY}--\r\n");
    body.into_bytes()
}

/// Asserts that a refusal is the client's fault, has the one error shape, and repeats nothing but names.
pub fn check_refusal(error: ApiError) {
    let response = error.into_response();
    let status = response.status();
    assert!(status.is_client_error(), "{status}");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).now_or_never();
    let body = body.expect("a body in memory is never waited for").expect("a body in memory does not break off");
    let body: Value = serde_json::from_slice(&body).expect("an error is JSON");
    let detail = body["detail"].as_str().expect("an error has a detail");
    assert!(!detail.is_empty() && !detail.contains(CANARY), "{detail}");
    let errors = body["errors"].as_array().expect("an error has a list of errors");
    assert!((1..=50).contains(&errors.len()));
    for error in errors {
        let messages = error.get("messages").cloned().unwrap_or_else(|| json!([error]));
        for message in messages.as_array().expect("a list of messages") {
            assert!(message["code"].is_string());
            let message = message["message"].as_str().expect("a message");
            assert!(!message.is_empty() && !message.contains(CANARY), "{message}");
        }
    }
}
