use super::session::Protocol;
use super::socket;
use super::upgrade::{Handshake, NoSocket};
use crate::app::App;
use crate::links::BaseUrl;
use crate::live::{Door, Reader};
use axum::extract::{Request, State};
use axum::response::Response;

/// `GET /ws/notify?subscribe-user`: the official client's socket (contract §4). Its sub-protocol is two underscores and the token, and comes
/// back as it is. A message that the member receives is pushed once to each of the member's sockets.
pub(crate) async fn notify(State(app): State<App>, BaseUrl(base): BaseUrl, request: Request) -> Response {
    open(&app, &base, request).await.unwrap_or_else(Response::from)
}

async fn open(app: &App, base: &str, request: Request) -> Result<Response, NoSocket> {
    let mut parts = request.into_parts().0;
    let handshake = Handshake::of(app, &mut parts)?;
    let (caller, protocol) = handshake.caller(app).await?;
    let reader = Reader::begin(app, caller, base, (Door::Official, None)).await?;
    let (response, on_upgrade) = handshake.accept(Some(protocol));
    socket::serve(on_upgrade, Protocol::Official { heartbeat: app.config.live.heartbeat.get() }, reader);
    Ok(response)
}
