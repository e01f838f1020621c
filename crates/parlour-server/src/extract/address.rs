use crate::app::App;
use crate::links::Peer;
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use std::convert::Infallible;
use std::net::IpAddr;

/// From where a request came, as far as limits go: the peer, or whom a trusted proxy names. Nobody when that is this machine itself, which
/// is then a proxy that `server.trusted_proxies` does not name, and all members would share its limits.
pub struct ClientAddress(pub Option<IpAddr>);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical());
        let client = peer.map(|peer| behind(peer, &parts.headers, &app.config.server.trusted_proxies));
        Ok(Self(client.filter(|client| !client.is_loopback())))
    }
}

/// Each proxy appends whom it heard from: the last one whom no trusted proxy vouches for is the client. What stands before is hearsay.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|proxy| proxy.to_canonical() == *address);
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let mut client = peer;
    for entry in forwarded.into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = entry.parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_proxy_names_its_client_and_nobody_else_can() {
        let client = |peer: &str, forwarded: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
            behind(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(client("192.0.2.1", &["198.51.100.9"]), "192.0.2.1", "a stranger's word");
        assert_eq!(client("10.0.0.1", &["198.51.100.9"]), "198.51.100.9");
        assert_eq!(client("10.0.0.1", &["203.0.113.5, 198.51.100.9"]), "198.51.100.9", "the client's own word");
        assert_eq!(client("10.0.0.1", &["203.0.113.5", "198.51.100.9, 10.0.0.2"]), "198.51.100.9", "two proxies");
        assert_eq!(client("10.0.0.1", &["198.51.100.9, rubbish"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["::ffff:198.51.100.9"]), "198.51.100.9");
    }
}
