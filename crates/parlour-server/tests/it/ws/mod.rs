//! Sockets and streams: what is pushed, to whom, and what becomes of clients that misbehave.

mod abuse;
mod ending;
mod events;
mod handshake;
mod official;
mod stream;

use parlour_testkit::{Answer, Visitor};
use reqwest::Method;

/// A key of a handshake.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Asks for a socket with the headers of a handshake, but for those that are given as the empty text.
async fn ask(visitor: &Visitor, path: &str, headers: &[(&str, &str)]) -> Answer {
    let usual = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    let mut request = visitor.request(Method::GET, path);
    for (name, value) in usual {
        if !headers.iter().any(|(given, _)| *given == name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    visitor.send_request(request).await
}
