//! Absolute links: `next` and `previous` under the address by which clients reach the server (contract §0.3 no. 2, §1.1).

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use parlour_types::Window;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use crate::app::App;

/// What stays as it is in a query value.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where the server stands, as its clients see it.
#[derive(Clone, Debug)]
pub struct PublicUrl {
    configured: Option<String>,
    trusted_proxies: Vec<IpAddr>,
    fallback: String,
}

impl PublicUrl {
    /// `configured` wins over everything. Without it, the forwarding headers of a trusted proxy count, then the `Host` header,
    /// then the address listened on.
    #[must_use]
    pub fn new(configured: &str, trusted_proxies: Vec<IpAddr>, listen: SocketAddr) -> Self {
        let configured = configured.trim_end_matches('/');
        Self {
            configured: (!configured.is_empty()).then(|| configured.to_owned()),
            trusted_proxies,
            fallback: format!("http://{listen}"),
        }
    }

    /// The path below which the server stands: empty, or `/chat` for `https://example.org/chat`.
    #[must_use]
    pub fn path_prefix(&self) -> &str {
        let Some((_, rest)) = self.configured.as_deref().and_then(|url| url.split_once("://")) else { return "" };
        rest.find('/').map_or("", |at| &rest[at..])
    }

    /// Scheme, host and port of the configured address, as browsers name the origin of its pages.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        let url = self.configured.as_deref()?;
        Some(url.strip_suffix(self.path_prefix()).unwrap_or(url))
    }

    /// The base of links in the answer to this request, without a slash at its end.
    fn base(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> String {
        if let Some(configured) = &self.configured {
            return configured.clone();
        }
        let header = |name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(|value| value.split(',').next().unwrap_or(value).trim())
        };
        let trusted = peer
            .is_some_and(|peer| self.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == peer.to_canonical()));
        let forwarded = |name| if trusted { header(name) } else { None };
        let scheme =
            forwarded("x-forwarded-proto").filter(|scheme| matches!(*scheme, "http" | "https")).unwrap_or("http");
        let host =
            forwarded("x-forwarded-host").or_else(|| header(header::HOST.as_str())).filter(|host| is_authority(host));
        let prefix =
            forwarded("x-forwarded-prefix").filter(|prefix| is_path(prefix)).unwrap_or("").trim_end_matches('/');
        host.map_or_else(|| self.fallback.clone(), |host| format!("{scheme}://{host}{prefix}"))
    }
}

fn is_authority(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte))
}

/// The address by which a request's client reaches the server, without a slash at its end.
pub struct BaseUrl(pub String);

impl FromRequestParts<App> for BaseUrl {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        Ok(Self(app.public_url.base(&parts.headers, peer)))
    }
}

/// The address of the list that a request asks for, from which the links to its other pages are made.
pub struct ListUrl {
    base: String,
    path: String,
}

/// The peer's address, put into the request by the accept loop.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl FromRequestParts<App> for ListUrl {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Ok(BaseUrl(base)) = BaseUrl::from_request_parts(parts, app).await;
        Ok(Self { base, path: parts.uri.path().to_owned() })
    }
}

impl ListUrl {
    /// The address by which the client reaches the server.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The links to the page after and before `window`. `kept` are the other parameters of the request, `cursor` says where the
    /// next page goes on in a list that is paged by key.
    #[must_use]
    pub fn links(&self, kept: &[(&str, String)], window: Window, more: bool, cursor: Option<String>) -> Links {
        let next = more.then(|| {
            let offset = window.offset.saturating_add(window.limit);
            let mut query = kept.to_vec();
            query.push(("limit", window.limit.to_string()));
            query.push(("offset", offset.to_string()));
            query.extend(cursor.map(|cursor| ("cursor", format!("{offset}.{cursor}"))));
            self.with(query)
        });
        let previous = (window.offset > 0).then(|| {
            let mut query = kept.to_vec();
            query.push(("limit", window.limit.to_string()));
            let offset = window.offset.saturating_sub(window.limit);
            query.extend((offset > 0).then(|| ("offset", offset.to_string())));
            self.with(query)
        });
        Links { next, previous }
    }

    fn with(&self, mut query: Vec<(&str, String)>) -> String {
        // Sorted, as Django REST framework writes them.
        query.sort();
        let mut link = String::with_capacity(self.base.len() + self.path.len() + 64);
        link.push_str(&self.base);
        link.push_str(&self.path);
        for (before, (name, value)) in std::iter::once('?').chain(std::iter::repeat('&')).zip(&query) {
            link.push(before);
            link.push_str(name);
            link.push('=');
            link.extend(utf8_percent_encode(value, QUERY));
        }
        link
    }
}

/// Links to neighbouring pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Links {
    /// The page after this one.
    pub next: Option<String>,
    /// The page before it.
    pub previous: Option<String>,
}

/// Where a list paged by key goes on: the numbers of the cursor in a `next` link, as long as they belong to its `offset`.
#[must_use]
pub fn cursor_numbers<const N: usize>(cursor: &str, offset: i64) -> Option<[i64; N]> {
    // As they are printed, so that one place has one cursor.
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    let mut numbers = cursor.split('.').map(number);
    if numbers.next()?? != offset {
        return None;
    }
    let mut found = [0; N];
    for place in &mut found {
        *place = numbers.next()??;
    }
    numbers.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: &str = "127.0.0.1:8080";

    fn base(configured: &str, trusted: &[&str], headers: &[(&'static str, &str)]) -> String {
        let url =
            PublicUrl::new(configured, trusted.iter().map(|ip| ip.parse().unwrap()).collect(), LISTEN.parse().unwrap());
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        url.base(&headers, Some("10.0.0.1".parse().unwrap()))
    }

    #[test]
    fn the_configured_address_wins_then_a_trusted_proxy_then_the_host() {
        let forwarded = [
            ("host", "inner:8080"),
            ("x-forwarded-host", "example.org"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/chat/"),
        ];
        assert_eq!(base("https://talk.example/", &["10.0.0.1"], &forwarded), "https://talk.example");
        assert_eq!(base("", &["10.0.0.1"], &forwarded), "https://example.org/chat");
        assert_eq!(base("", &["10.0.0.2"], &forwarded), "http://inner:8080");
        assert_eq!(base("", &[], &[]), "http://127.0.0.1:8080");
        assert_eq!(base("", &[], &[("host", "evil/../x")]), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_cursor_counts_only_with_its_own_offset() {
        assert_eq!(cursor_numbers("20.7.9", 20), Some([7, 9]));
        assert_eq!(cursor_numbers::<2>("20.7.9", 40), None);
        assert_eq!(cursor_numbers::<2>("20.7", 20), None);
        assert_eq!(cursor_numbers::<2>("20.7.9.1", 20), None);
        assert_eq!(cursor_numbers::<2>("x", 20), None);
        assert_eq!(cursor_numbers::<1>("20.-7", 20), Some([-7]));
        for other_form in ["+20.7", "020.7", "20.07", "20.+7", "20.-0", "20. 7"] {
            assert_eq!(cursor_numbers::<1>(other_form, 20), None, "{other_form}");
        }
    }
}
