use crate::app::App;
use crate::error::{ApiError, Result};
use crate::media::{FileAnswer, FileHead, OpenedLink, body};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, Method};
use parlour_core::files;

/// Open a file
///
/// What the `url` and `thumbnail` of a message's file and the `file_url` of an upload lead to. The link itself is the permission, for the member
/// whom it was made for and for a while: no token is needed. It ends when the member is no longer shown the message.
///
/// Answers ranges, and conditions by `ETag` and date.
#[utoipa::path(
    get,
    path = "/media/pm/{token}",
    tag = "Files",
    operation_id = "get_file",
    params(
        ("token" = String, Path, description = "As it stands in a link"),
        ("Range" = Option<String>, Header, description = "Bytes of the file, such as `bytes=0-1023`"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = [u8]),
        (status = 206, description = "The bytes asked for", content_type = "application/octet-stream", body = [u8]),
        (status = 304, description = "The file is the one that the client has"),
        (status = 404, description = "No link of this server's, one that has expired, or a file that its member is not shown any more"),
        (status = 412, description = "The file is not the one that the client has"),
        (status = 416, description = "The range lies behind the end of the file"),
    ),
)]
pub async fn get_file(
    State(app): State<App>,
    token: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let Ok(Path(token)) = token else { return Err(ApiError::not_found()) };
    let now = app.core.clock.now();
    let OpenedLink { link, expires_at } = app.links.verify(&token, now).ok_or_else(ApiError::not_found)?;
    let file = files::open(&app.core, link).await?;
    let head = FileHead {
        uuid: file.uuid,
        purpose: link.purpose,
        mimetype: file.mimetype.clone(),
        filename: file.filename.clone(),
        size: file.size,
        created_at: file.created_at,
        link_expires_at: expires_at,
    };
    let answer = FileAnswer::new(&head, &method, &headers, now);
    match answer.content() {
        None => Ok(answer.into_response()),
        Some(range) => Ok(answer.with_content(body(files::read(&app.core, &file, range).await?))),
    }
}
