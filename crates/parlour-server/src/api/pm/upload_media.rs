use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{Body, CallerFrom, ClientAddress, SpooledFile, UploadBounds, UploadForm, read_upload};
use crate::links::BaseUrl;
use crate::rate_limit;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Uri, header};
use parlour_core::Caller;
use parlour_core::files::{self, Claims, Finish, Incoming, MAX_PARTS, Part};
use parlour_core::limits::Allowance;
use parlour_types::id::MAX_ID;
use parlour_types::model::{FileLink, LinkSubject, Purpose};
use parlour_types::text::clean_filename;
use parlour_types::{ErrorCode, FileUuid};
use serde::Serialize;

/// One of four requests (contract §2.8). Every field but `file` is also known by its older name, which begins with `qq`, and `file` as
/// `qqfile`.
#[derive(utoipa::ToSchema)]
#[schema(as = UploadMedia)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct UploadMediaBody {
    /// The bytes of a file, of a part of one, or of a thumbnail. Not needed with `done`.
    #[schema(value_type = Option<String>, format = Binary)]
    file: Option<Vec<u8>>,
    /// The file's id, as the answer to the first part gave it: with every part but the first, and with `done`.
    #[schema(format = "uuid")]
    uuid: Option<String>,
    /// Which part, from 0 on. Parts may come in any order, and again.
    #[schema(minimum = 0)]
    partindex: Option<i64>,
    /// How many parts there are.
    #[schema(minimum = 1, maximum = 10000)]
    totalparts: Option<i64>,
    /// Where the part begins in the file; must be true.
    #[schema(minimum = 0)]
    partbyteoffset: Option<i64>,
    /// Bytes of the part; must be true.
    #[schema(minimum = 0)]
    chunksize: Option<i64>,
    /// Bytes of the file; must be true.
    #[schema(minimum = 0)]
    totalfilesize: Option<i64>,
    /// The file's name; otherwise the one that `file` comes with.
    filename: Option<String>,
    /// Taken, and not believed: the bytes say what a file is.
    filetype: Option<String>,
    /// Seconds that a sound or a film lasts.
    #[schema(minimum = 0)]
    duration: Option<i64>,
    /// The MD5 checksum of the file, in hex; must be true.
    md5: Option<String>,
    /// The file that `file` is a thumbnail of.
    #[schema(format = "uuid")]
    parentuuid: Option<String>,
}

/// What was uploaded.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Uploaded {
    /// Opens it, for its uploader and for a while. Absent for a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    file_url: Option<String>,
    /// Its id: the same for all parts of a file, and a thumbnail's own.
    #[schema(value_type = String, format = "uuid")]
    file_uuid: FileUuid,
    /// Of a thumbnail: the file that it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    parent_file_uuid: Option<FileUuid>,
}

/// Upload a file
///
/// Four requests in one. With `parentuuid`: a thumbnail of a file that is uploaded. With `partindex` or `totalparts`: one part of a file. With
/// `?done`: all parts were sent; also right for a file that was sent whole, and as often as you like. Otherwise: a file as a whole.
///
/// What a file is, is decided by its bytes. Images lose what cameras write into them, but for their orientation, and get a thumbnail. A file that
/// no message shows after a while is removed. Everything that is answered is on disk.
#[utoipa::path(
    post,
    path = "/api/v2/pm/upload/",
    tag = "Private messages",
    operation_id = "upload_media",
    params(("done" = Option<String>, Query, description = "All parts were sent; its value does not matter")),
    request_body(content(
        (UploadMediaBody = "multipart/form-data"),
        (UploadMediaBody = "application/json"),
        (UploadMediaBody = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "What was uploaded", body = Uploaded),
        (status = 403, description = "The caller is blocked"),
        (status = 429, description = "More uploads than the community allows"),
    ),
    security(("token" = [])),
)]
pub async fn upload_media(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    ClientAddress(address): ClientAddress,
    BaseUrl(base): BaseUrl,
    request: Request,
) -> Result<Response> {
    let is_done = asks_done(request.uri());
    let range = ContentRange::of(request.headers());
    let settings = &app.config.files;
    let bounds = UploadBounds {
        max_file: settings.max_size.as_u64(),
        max_body: app.config.server.max_body.as_usize(),
        timeout: settings.upload_timeout.get(),
    };
    let UploadForm { fields, file } = read_upload(request, app.core.objects().spool_folder(), bounds).await?;
    let mut asked = Asked::read(fields, range)?;
    if is_done {
        let uuid = asked.uuid.ok_or_else(|| required("uuid"))?;
        let finish = Finish { uuid, filename: asked.filename, total_parts: asked.total_parts, claims: asked.claims };
        let uuid = files::finish(&app.core, caller, finish).await?;
        return Ok(uploaded(&app, caller, &base, uuid, None));
    }
    let file = file.ok_or_else(|| {
        ApiError::field("file", ErrorCode::Required, "Send the file as a part of a multipart/form-data body.")
    })?;
    let filename = asked.filename.take().or_else(|| file.filename.as_deref().and_then(clean_filename));
    asked.check_part(&file)?;
    let incoming = Incoming { file: file.file, size: file.size, filename };
    if let Some(parent) = asked.parent {
        let uuid = files::upload_thumbnail(&app.core, caller, parent, incoming, asked.claims).await?;
        return Ok(uploaded(&app, caller, &base, uuid, Some(parent)));
    }
    let caller_at = (caller, address);
    if let Some(part) = asked.part(incoming.size)? {
        let (uuid, allowance) = files::upload_part(&app.core, caller_at, part(incoming)).await?;
        let answer = Uploaded { file_url: None, file_uuid: uuid, parent_file_uuid: None };
        return Ok(told(Json(answer).into_response(), allowance));
    }
    if asked.offset.is_some_and(|offset| offset > 0) {
        return Err(ApiError::field("partindex", ErrorCode::Required, "A part of a file says which one it is."));
    }
    let (uuid, allowance) = files::upload(&app.core, caller_at, incoming, asked.claims).await?;
    Ok(told(uploaded(&app, caller, &base, uuid, None), allowance))
}

fn told(mut response: Response, allowance: Option<Allowance>) -> Response {
    if let Some(allowance) = &allowance {
        rate_limit::tell(response.headers_mut(), allowance);
    }
    response
}

fn uploaded(app: &App, caller: Caller, base: &str, uuid: FileUuid, parent: Option<FileUuid>) -> Response {
    let link = FileLink { viewer: caller.user_id, subject: LinkSubject::Upload(uuid), purpose: Purpose::File };
    let file_url = Some(app.file_link(base, link));
    Json(Uploaded { file_url, file_uuid: uuid, parent_file_uuid: parent }).into_response()
}

fn required(field: &'static str) -> ApiError {
    ApiError::field(field, ErrorCode::Required, "This field is required.")
}

/// Whether the query says that all parts were sent: `?done`, `?done=…`, `?done/` (contract §8 no. 18).
fn asks_done(address: &Uri) -> bool {
    let pairs = address.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split('=').next().unwrap_or_default()).any(|name| name.trim_end_matches('/') == "done")
}

/// What the official uploader says of the bytes it sends, beside the form.
#[derive(Clone, Copy)]
struct ContentRange {
    start: u64,
    length: u64,
    total: Option<u64>,
}

impl ContentRange {
    /// `bytes 0-204799/649134`; anything else says nothing.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let (range, total) =
            headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
        Some(Self { start, length: end.checked_sub(start)?.checked_add(1)?, total: total.trim().parse().ok() })
    }
}

/// The fields of an upload.
struct Asked {
    uuid: Option<FileUuid>,
    parent: Option<FileUuid>,
    part_index: Option<i64>,
    total_parts: Option<i64>,
    offset: Option<u64>,
    part_size: Option<u64>,
    filename: Option<String>,
    claims: Claims,
    range: Option<ContentRange>,
}

impl Asked {
    fn read(mut body: Body, range: Option<ContentRange>) -> Result<Self> {
        const SIZES: (i64, i64) = (0, MAX_ID);
        let md5 = either(&mut body, ["md5", "qqmd5"], Body::text).filter(|text| !text.is_empty());
        let sum = md5.as_deref().and_then(parse_md5);
        if md5.is_some() && sum.is_none() {
            body.problem("md5", ErrorCode::Invalid, "Must be 32 hexadecimal digits.");
        }
        let int = |body: &mut Body, name: &'static str| body.int(name, SIZES);
        let size = |body: &mut Body, names| either(body, names, int).map(i64::unsigned_abs);
        let given_size = size(&mut body, ["totalfilesize", "qqtotalfilesize"]);
        let given_offset = size(&mut body, ["partbyteoffset", "qqpartbyteoffset"]);
        let filename = either(&mut body, ["filename", "qqfilename"], Body::text);
        let asked = Self {
            uuid: either(&mut body, ["uuid", "qquuid"], Body::file_uuid),
            parent: either(&mut body, ["parentuuid", "qqparentuuid"], Body::file_uuid),
            part_index: either(&mut body, ["partindex", "qqpartindex"], int),
            total_parts: either(&mut body, ["totalparts", "qqtotalparts"], |body, name| body.int(name, (1, MAX_PARTS))),
            offset: given_offset.or(range.map(|range| range.start)),
            part_size: size(&mut body, ["chunksize", "qqchunksize"]),
            filename: filename.as_deref().and_then(clean_filename),
            claims: Claims {
                md5: sum,
                total_size: given_size.or(range.and_then(|range| range.total)),
                duration: either(&mut body, ["duration", "qqduration"], int),
            },
            range,
        };
        body.finish()?;
        Ok(asked)
    }

    /// Whether the bytes that came are as many as was said.
    fn check_part(&self, file: &SpooledFile) -> Result<()> {
        let wrong = |field| ApiError::field(field, ErrorCode::Invalid, "The file that came has another size.");
        if self.part_size.is_some_and(|size| size != file.size) {
            return Err(wrong("chunksize"));
        }
        if self.range.is_some_and(|range| range.length != file.size) {
            return Err(wrong("Content-Range"));
        }
        Ok(())
    }

    /// The part that the fields describe, once it gets its bytes; `None` for a whole file.
    fn part(&self, size: u64) -> Result<Option<impl FnOnce(Incoming) -> Part + use<>>> {
        let (index, total_parts) = match (self.part_index, self.total_parts) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(required("totalparts")),
            (None, Some(_)) => return Err(required("partindex")),
            (Some(index), Some(total_parts)) => (index, total_parts),
        };
        let only = total_parts == 1 && self.claims.total_size.is_some_and(|total| total != size);
        if only {
            return Err(ApiError::field("totalfilesize", ErrorCode::Invalid, "The file has another size."));
        }
        let (uuid, byte_offset, total_size) = (self.uuid, self.offset, self.claims.total_size);
        Ok(Some(move |incoming| Part { uuid, index, total_parts, byte_offset, total_size, incoming }))
    }
}

/// A field by today's name or, if that is not given, by its older one.
fn either<T>(
    body: &mut Body,
    [name, older]: [&'static str; 2],
    read: impl Fn(&mut Body, &'static str) -> Option<T>,
) -> Option<T> {
    let today = read(body, name);
    let before = read(body, older);
    today.or(before)
}

fn parse_md5(text: &str) -> Option<[u8; 16]> {
    let mut sum = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(sum)
}
