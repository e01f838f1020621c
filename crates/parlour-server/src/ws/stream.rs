use super::session::Protocol;
use super::socket;
use super::upgrade::{Handshake, NoSocket};
use crate::api::events::after;
use crate::app::App;
use crate::extract::{Query, bearer, caller_of};
use crate::links::BaseUrl;
use crate::live::{Door, Reader};
use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderValue;

/// The sub-protocol of the stream.
const PARLOUR: &str = "parlour";

/// `GET /ws/stream?after=<cursor>`: the stream of events as a socket. The token stands in the `Authorization` header, or in a sub-protocol
/// behind two underscores, beside `parlour`, which then is what comes back.
pub(crate) async fn stream(State(app): State<App>, BaseUrl(base): BaseUrl, request: Request) -> Response {
    open(&app, &base, request).await.unwrap_or_else(Response::from)
}

async fn open(app: &App, base: &str, request: Request) -> Result<Response, NoSocket> {
    let mut parts = request.into_parts().0;
    let handshake = Handshake::of(app, &mut parts)?;
    let (caller, mut protocol) = if handshake.has_token() || parts.headers.get(http::header::AUTHORIZATION).is_none() {
        let (caller, protocol) = handshake.caller(app).await?;
        (caller, Some(protocol))
    } else {
        (caller_of(app, bearer(&parts)?).await?, None)
    };
    if handshake.offers(PARLOUR) {
        protocol = Some(HeaderValue::from_static(PARLOUR));
    }
    let mut query = Query::parse(parts.uri.query().unwrap_or_default());
    let after = after(&mut query);
    query.finish()?;
    let reader = Reader::begin(app, caller, base, (Door::Socket, after)).await?;
    let (response, on_upgrade) = handshake.accept(protocol);
    socket::serve(on_upgrade, Protocol::Stream, reader);
    Ok(response)
}
