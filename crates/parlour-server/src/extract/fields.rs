use super::form::{MAX_FIELDS, decode_pairs};
use super::query::parse_int;
use crate::app::App;
use crate::error::{ApiError, Result};
use axum::BoxError;
use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use parlour_core::FieldProblem;
use parlour_types::id::MAX_ID;
use parlour_types::{ErrorCode, FileUuid};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

/// A body of named fields in any of three content types: JSON, urlencoded, multipart (contract §1.1). It is read field by field;
/// problems are gathered, and [`Body::finish`] reports them all.
pub struct Body {
    fields: Vec<(String, Given)>,
    problems: Vec<FieldProblem>,
}

/// A field's value: typed in JSON, text in forms.
enum Given {
    Json(Value),
    Text(String),
}

impl Body {
    /// The text given for `name`; `null` counts as absent.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take_one(name)? {
            Given::Text(text) | Given::Json(Value::String(text)) => Some(text),
            Given::Json(Value::Null) => None,
            Given::Json(_) => {
                self.problem(name, ErrorCode::Invalid, "Not a valid string.");
                None
            }
        }
    }

    /// The whole number given for `name`, from `min` to `max`; `null` and empty count as absent.
    pub fn int(&mut self, name: &'static str, (min, max): (i64, i64)) -> Option<i64> {
        let given = self.take_one(name)?;
        match self.parse_number(name, given, min)? {
            value if value <= max => Some(value),
            _ => {
                self.problem(name, ErrorCode::OutOfRange, format!("Must be an integer from {min} to {max}."));
                None
            }
        }
    }

    /// The ids given for `name`: one number, an array, a form's repeated keys, `name[]`, `name[0]`, or a JSON array as text
    /// (contract §2.5).
    pub fn ids<T: TryFrom<i64>>(&mut self, name: &'static str) -> Vec<T> {
        let given: Vec<Given> = {
            let indexed = |key: &str| {
                let inside = key
                    .strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('['))
                    .and_then(|rest| rest.strip_suffix(']'));
                inside.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
            };
            let (matching, rest) =
                std::mem::take(&mut self.fields).into_iter().partition(|(key, _)| key == name || indexed(key));
            self.fields = rest;
            let matching: Vec<(String, Given)> = matching;
            matching.into_iter().map(|(_, given)| given).collect()
        };
        let mut values = Vec::new();
        for given in given {
            match given {
                Given::Json(Value::Array(items)) => values.extend(items.into_iter().map(Given::Json)),
                Given::Json(Value::Null) => {}
                Given::Text(text) if text.is_empty() => {}
                Given::Text(text) if text.trim_start().starts_with('[') => {
                    match serde_json::from_str::<Vec<Value>>(&text) {
                        Ok(items) => values.extend(items.into_iter().map(Given::Json)),
                        Err(_) => self.problem(name, ErrorCode::Invalid, "Not a valid list of integers."),
                    }
                }
                other => values.push(other),
            }
        }
        // An element that is empty is no id, unlike an empty field: what the official UI makes of a name typed freely is `null`.
        let is_empty = |given: &Given| match given {
            Given::Json(Value::Null) => true,
            Given::Text(text) | Given::Json(Value::String(text)) => text.is_empty(),
            Given::Json(_) => false,
        };
        if values.iter().any(is_empty) {
            self.problem(name, ErrorCode::Invalid, "A valid integer is required.");
        }
        values
            .into_iter()
            .filter_map(|given| self.parse_number(name, given, 1).and_then(|value| T::try_from(value).ok()))
            .collect()
    }

    /// The file named for `name`; `null` and empty count as absent.
    pub fn file_uuid(&mut self, name: &'static str) -> Option<FileUuid> {
        let text = self.text(name).filter(|text| !text.is_empty())?;
        let uuid = FileUuid::parse(&text);
        if uuid.is_none() {
            // Whatever is no name is the name of nothing.
            self.problem(name, ErrorCode::DoesNotExist, "You have no such file.");
        }
        uuid
    }

    /// The id given for `name`; `null` and empty count as absent.
    pub fn id<T: TryFrom<i64>>(&mut self, name: &'static str) -> Option<T> {
        self.int(name, (1, MAX_ID)).and_then(|value| T::try_from(value).ok())
    }

    /// A body outside of any request, for the fuzz targets.
    #[cfg(fuzzing)]
    pub(crate) async fn of(headers: &HeaderMap, bytes: Bytes) -> Result<Self> {
        Self::parse(content_type(headers)?, bytes).await
    }

    /// Notes a problem with `name`, unless one is noted already.
    pub fn problem(&mut self, name: &'static str, code: ErrorCode, message: impl Into<Cow<'static, str>>) {
        if !self.problems.iter().any(|problem| problem.field == name) {
            self.problems.push(FieldProblem::new(name, code, message));
        }
    }

    /// # Errors
    /// Every problem met so far.
    pub fn finish(self) -> Result<()> {
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.problems)) }
    }

    /// The text parts of a form that was read elsewhere, with the problems met there.
    pub(super) fn of_texts(texts: Vec<(String, String)>, problems: Vec<FieldProblem>) -> Self {
        Self { fields: texts.into_iter().map(|(name, text)| (name, Given::Text(text))).collect(), problems }
    }

    pub(super) async fn parse(content_type: Option<ContentType>, bytes: Bytes) -> Result<Self> {
        let mut problems = Vec::new();
        let fields = match content_type {
            _ if bytes.is_empty() => Vec::new(),
            Some(ContentType::Json) => parse_json(&bytes)?,
            Some(ContentType::Urlencoded) => {
                let pairs = decode_pairs(&bytes, &mut problems);
                pairs.into_iter().map(|(name, value)| (name, Given::Text(value))).collect()
            }
            Some(ContentType::Multipart { boundary }) => parse_multipart(bytes, boundary, &mut problems).await?,
            None => return Err(unsupported()),
        };
        if fields.len() > MAX_FIELDS || problems.len() > MAX_FIELDS {
            return Err(parse_error(TOO_MANY_FIELDS));
        }
        Ok(Self { fields, problems })
    }

    fn take_one(&mut self, name: &'static str) -> Option<Given> {
        let at = self.fields.iter().position(|(key, _)| key == name)?;
        let (_, given) = self.fields.swap_remove(at);
        if self.fields.iter().any(|(key, _)| key == name) {
            self.problem(name, ErrorCode::Repeated, "Give this field once.");
            return None;
        }
        Some(given)
    }

    fn parse_number(&mut self, name: &'static str, given: Given, min: i64) -> Option<i64> {
        let parsed = match &given {
            Given::Json(Value::Null) => return None,
            Given::Text(text) | Given::Json(Value::String(text)) if text.is_empty() => return None,
            Given::Text(text) | Given::Json(Value::String(text)) => parse_int(text, min),
            Given::Json(Value::Number(number)) => parse_int(&number.to_string(), min),
            Given::Json(_) => Err((ErrorCode::Invalid, "A valid integer is required.".into())),
        };
        parsed.map_err(|(code, message)| self.problem(name, code, message)).ok()
    }
}

/// Reads the whole body, up to the configured size and within the configured time.
///
/// # Errors
/// 413 when it is larger, 408 when it is slower, 400 when the connection breaks off.
pub async fn read_whole(request: Request, app: &App) -> Result<Bytes> {
    let server = &app.config.server;
    read_bounded(request.into_body(), server.max_body.as_usize(), server.request_timeout.get()).await
}

/// As [`read_whole`], for bounds of one's own.
pub(super) async fn read_bounded(body: HttpBody, limit: usize, timeout: Duration) -> Result<Bytes> {
    let mut body = Limited::new(body, limit);
    let reading = async {
        // Copied as it comes: a piece of a body keeps the whole buffer that it was read into, so that a client that sends single bytes
        // would have eight kilobytes kept for each.
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok::<_, BoxError>(whole.freeze())
    };
    match tokio::time::timeout(timeout, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let message = format!("The body is larger than {limit} bytes.");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::BodyTooLarge, message))
        }
        Ok(Err(_)) => Err(parse_error(BODY_BROKE_OFF)),
        Err(_) => Err(too_slow()),
    }
}

pub(super) const BODY_BROKE_OFF: &str = "The body broke off.";

pub(super) const MULTIPART_BROKEN: &str = "The multipart body is broken.";

/// A body that did not arrive in time.
pub(super) fn too_slow() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::TimedOut, "The body took too long.")
}

pub(super) fn parse_error(message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message)
}

impl FromRequest<App> for Body {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let content_type = content_type(request.headers())?;
        let bytes = read_whole(request, app).await?;
        Self::parse(content_type, bytes).await
    }
}

const TOO_MANY_FIELDS: &str = "The body has more than 1000 fields.";

/// The content types of a body of named fields.
pub(super) enum ContentType {
    Json,
    Urlencoded,
    Multipart { boundary: String },
}

fn unsupported() -> ApiError {
    let message = "Send application/json, application/x-www-form-urlencoded or multipart/form-data.";
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::UnsupportedMediaType, message)
}

/// The content type declared, without its parameters and in lower case.
pub fn essence(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The content type declared; `None` when there is none, which is right for an empty body only.
pub(super) fn content_type(headers: &HeaderMap) -> Result<Option<ContentType>> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    match essence(headers).as_deref() {
        Some("application/json") => Ok(Some(ContentType::Json)),
        Some("application/x-www-form-urlencoded") => Ok(Some(ContentType::Urlencoded)),
        Some("multipart/form-data") => match value.to_str().map(multer::parse_boundary) {
            Ok(Ok(boundary)) => Ok(Some(ContentType::Multipart { boundary })),
            _ => Err(parse_error("The multipart body names no boundary.")),
        },
        _ => Err(unsupported()),
    }
}

/// Parses a JSON object. A key given twice, and a value that is no JSON, are reported under the key's name.
fn parse_json(bytes: &[u8]) -> Result<Vec<(String, Given)>> {
    let at = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let fields = Object { at: &at }
        .deserialize(&mut deserializer)
        .and_then(|fields| {
            *at.borrow_mut() = None;
            deserializer.end().map(|()| fields)
        })
        .map_err(|error| {
            // serde_json's own words may quote the body; only the place is passed on.
            let place = format!("line {} column {}", error.line(), error.column());
            match at.take() {
                Some(Broken::Repeated(key)) => ApiError::field(key, ErrorCode::Repeated, "Give this key once."),
                Some(Broken::Value(key)) => {
                    ApiError::field(key, ErrorCode::ParseError, format!("Not valid JSON in UTF-8, at {place}."))
                }
                None => parse_error(format!("The body is not one JSON object, at {place}.")),
            }
        })?;
    Ok(fields.into_iter().map(|(key, value)| (key, Given::Json(value))).collect())
}

enum Broken {
    Repeated(String),
    Value(String),
}

/// Reads an object and remembers the key at which it broke.
struct Object<'a> {
    at: &'a RefCell<Option<Broken>>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Vec<(String, Value)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.iter().any(|(known, _)| *known == key) {
                *self.at.borrow_mut() = Some(Broken::Repeated(key));
                return Err(serde::de::Error::custom("repeated key"));
            }
            *self.at.borrow_mut() = Some(Broken::Value(key.clone()));
            let value = map.next_value()?;
            *self.at.borrow_mut() = None;
            fields.push((key, value));
            if fields.len() > MAX_FIELDS {
                // Enough for the refusal; the rest is only looked at for its form.
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            }
        }
        Ok(fields)
    }
}

async fn parse_multipart(
    bytes: Bytes,
    boundary: String,
    problems: &mut Vec<FieldProblem>,
) -> Result<Vec<(String, Given)>> {
    let broken = |_| parse_error(MULTIPART_BROKEN);
    let mut parts = multer::Multipart::with_reader(&bytes[..], boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        if fields.len() + problems.len() > MAX_FIELDS {
            break;
        }
        let name = part.name().unwrap_or_default().to_owned();
        let value = part.bytes().await.map_err(broken)?;
        match String::from_utf8(value.to_vec()) {
            Ok(value) => fields.push((name, Given::Text(value))),
            Err(_) => problems.push(FieldProblem::new(name, ErrorCode::Invalid, "Must be valid UTF-8.")),
        }
    }
    Ok(fields)
}
