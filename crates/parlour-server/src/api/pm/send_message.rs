use super::groups_are_off;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{Body, CallerFrom, ClientAddress, Idempotency};
use crate::links::BaseUrl;
use crate::rate_limit;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use parlour_core::messages::{self, SendRequest, SentMessage};
use parlour_types::view::{Message, MessageContext, ThreadStatus};
use parlour_types::{ErrorCode, UserId};

/// What to send. JSON, urlencoded and multipart alike.
#[derive(utoipa::ToSchema)]
#[schema(as = SendMessage)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct SendMessageBody {
    /// To whom: one id or several. Each gets the message in the thread of their own.
    recipients: Recipients,
    /// The text: at most 10,000 characters by default, not blank. May be empty when there is a file.
    message: Option<String>,
    /// A file that the caller uploaded, or the thumbnail of it. Each recipient is shown the file.
    #[schema(format = "uuid")]
    file_uuid: Option<String>,
    /// A group's id instead of recipients; group conversations are switched off, so it answers 403.
    group: Option<i64>,
}

/// One id or several.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Recipients {
    /// One recipient.
    One(i64),
    /// Several recipients.
    Many(Vec<i64>),
}

/// The header that says a repeat was recognised.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Send a message
///
/// One message a recipient, in the thread with that recipient, which is opened when there is none. All or nothing: one recipient
/// who may not be written to refuses the whole send. The answer comes when every message is on disk.
///
/// With an `Idempotency-Key`, a repeat of the same send, at the same time or years later, sends nothing and answers what the first
/// one answered, with the header `Idempotency-Replayed: true`; only text that was taken back since does not return.
#[utoipa::path(
    post,
    path = "/api/v2/pm/",
    tag = "Private messages",
    operation_id = "send_message",
    params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this send: 1 to 255 visible ASCII characters, unique per sender, kept for ever", min_length = 1, max_length = 255)),
    request_body(content(
        (SendMessageBody = "application/json"),
        (SendMessageBody = "application/x-www-form-urlencoded"),
        (SendMessageBody = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "The messages, in the order of the recipients", body = Vec<Message>),
        (status = 403, description = "The sender is blocked, or a recipient may not be written to"),
        (status = 422, description = "The Idempotency-Key was used before with another body"),
        (status = 429, description = "More messages or new conversations than the community allows"),
    ),
    security(("token" = [])),
)]
pub async fn send_message(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    ClientAddress(address): ClientAddress,
    Idempotency(key): Idempotency,
    BaseUrl(base): BaseUrl,
    mut body: Body,
) -> Result<Response> {
    let recipients = body.ids::<UserId>("recipients");
    let message = body.text("message");
    let group = body.id::<UserId>("group");
    let file = body.file_uuid("file_uuid");
    body.finish()?;
    if group.is_some() {
        return Err(if recipients.is_empty() {
            groups_are_off()
        } else {
            ApiError::field("group", ErrorCode::Conflict, "Give either recipients or group.")
        });
    }
    let sent =
        messages::send_message(&app.core, caller, SendRequest { recipients, message, file, key, address }).await?;
    let link = app.message_links(&base, caller);
    let shown = sent.messages.iter().map(|SentMessage { message, receiver }| {
        let context = MessageContext {
            sender: &sent.sender,
            receiver,
            last_message_at: message.created_at,
            thread_status: ThreadStatus::Seen,
            hidden_text: &app.core.rules.hidden_text,
            link: &link,
        };
        Message::for_participant(message, context)
    });
    let rows: Vec<Message<'_>> = shown.collect();
    let mut response = (StatusCode::CREATED, Json(rows)).into_response();
    if let Some(allowance) = &sent.allowance {
        rate_limit::tell(response.headers_mut(), allowance);
    }
    if sent.replayed {
        response.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
