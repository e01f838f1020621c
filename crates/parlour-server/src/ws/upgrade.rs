//! The handshake: who may have a socket, decided while there still is an answer to say why not.

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::caller_of;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use parlour_core::Caller;
use parlour_types::ErrorCode;
use sha1::{Digest, Sha1};

/// What stands before the token in its sub-protocol (contract §4.1).
const TOKEN: &str = "__";

/// What every server appends to the client's key (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request to speak WebSocket, well formed.
pub(super) struct Handshake {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
    /// The sub-protocols that the client offers, in its order.
    offered: Vec<HeaderValue>,
}

/// Why no socket comes of a request.
pub(super) enum NoSocket {
    /// As for any request.
    Refused(ApiError),
    /// It speaks something else, or another version.
    OtherProtocol,
}

impl From<ApiError> for NoSocket {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<NoSocket> for Response {
    fn from(no: NoSocket) -> Self {
        match no {
            NoSocket::Refused(error) => error.into_response(),
            NoSocket::OtherProtocol => {
                let message = "This address speaks WebSocket only, version 13.";
                let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, ErrorCode::UpgradeRequired, message);
                let mut response = error.into_response();
                let headers = response.headers_mut();
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                response
            }
        }
    }
}

impl Handshake {
    /// Reads the headers of a handshake, and whether the page it comes from may have one.
    pub(super) fn of(app: &App, parts: &mut Parts) -> Result<Self, NoSocket> {
        let headers = &parts.headers;
        let speaks =
            has_word(headers, &header::UPGRADE, "websocket") && has_word(headers, &header::CONNECTION, "upgrade");
        let version = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
        if !speaks || !version {
            return Err(NoSocket::OtherProtocol);
        }
        check_origin(app, headers)?;
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())).ok_or_else(|| {
            ApiError::field("Sec-WebSocket-Key", ErrorCode::Invalid, "16 bytes in Base64 are required.")
        })?;
        let (accept, offered) = (accept(key.as_bytes()), offered(headers)?);
        // Only the connection itself can say that it may be another one from here on.
        let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(NoSocket::OtherProtocol)?;
        Ok(Self { on_upgrade, accept, offered })
    }

    /// The sub-protocol that carries the token, and the caller whom that names.
    pub(super) async fn caller(&self, app: &App) -> Result<(Caller, HeaderValue)> {
        if self.offered.is_empty() {
            let message = "Authentication credentials were not provided.";
            return Err(ApiError::unauthenticated(ErrorCode::NotAuthenticated, message));
        }
        let with_token = self.offered.iter().find_map(|protocol| Some((token_in(protocol)?, protocol)));
        let Some((token, protocol)) = with_token else {
            let message = "Two underscores and the token are required.";
            return Err(ApiError::field("Sec-WebSocket-Protocol", ErrorCode::Invalid, message));
        };
        Ok((caller_of(app, token).await?, protocol.clone()))
    }

    /// Whether the client offers a sub-protocol.
    pub(super) fn offers(&self, protocol: &str) -> bool {
        self.offered.iter().any(|offered| offered == protocol)
    }

    /// Whether one of the sub-protocols carries a token.
    pub(super) fn has_token(&self) -> bool {
        self.offered.iter().any(|protocol| token_in(protocol).is_some())
    }

    /// The answer that makes the connection a socket, and what becomes the socket once the answer is out.
    pub(super) fn accept(self, protocol: Option<HeaderValue>) -> (Response, OnUpgrade) {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(mut protocol) = protocol {
            // It may be a token.
            protocol.set_sensitive(true);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        (response, self.on_upgrade)
    }
}

fn token_in(protocol: &HeaderValue) -> Option<&str> {
    protocol.to_str().ok()?.strip_prefix(TOKEN)
}

/// A page of a site that is not the community's must not speak for its visitor.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let allowed = &app.config.server.cors_origins;
    let is_own = app.public_url.origin().is_some_and(|own| origin == own);
    if is_own || allowed.iter().any(|allowed| allowed == "*" || origin == allowed.as_str()) {
        return Ok(());
    }
    let message = "Pages of this origin may not open a socket.";
    Err(ApiError::new(StatusCode::FORBIDDEN, ErrorCode::PermissionDenied, message))
}

/// Whether a header's list has a word, in whatever case.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|given| given.trim().eq_ignore_ascii_case(word))
}

fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

fn accept(key: &[u8]) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    // Base64 is what a header may hold.
    HeaderValue::from_str(&STANDARD.encode(digest)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The sub-protocols of a handshake, each a token of RFC 9110.
fn offered(headers: &HeaderMap) -> Result<Vec<HeaderValue>> {
    let wrong = || ApiError::field("Sec-WebSocket-Protocol", ErrorCode::Invalid, "A list of protocols is required.");
    let mut offered = Vec::new();
    for list in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for protocol in list.to_str().map_err(|_| wrong())?.split(',').map(str::trim) {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~=/".contains(&byte);
            if protocol.is_empty() || !protocol.bytes().all(is_token) {
                return Err(wrong());
            }
            offered.push(HeaderValue::from_str(protocol).map_err(|_| wrong())?);
        }
    }
    Ok(offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for other in ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE="] {
            assert!(!is_key(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn words_are_found_in_lists_and_protocols_kept_in_order() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(has_word(&headers, &header::CONNECTION, "upgrade"));
        assert!(!has_word(&headers, &header::CONNECTION, "up"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("parlour, __a.b-c"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("x"));
        assert_eq!(offered(&headers).unwrap(), ["parlour", "__a.b-c", "x"]);
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("a b"));
        assert!(offered(&headers).is_err());
    }
}
