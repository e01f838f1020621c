//! The first page: what runs here and where to go on. A demo shows its members there, each with a request to copy.

use crate::app::App;
use crate::links::BaseUrl;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::Authority;
use http::{HeaderMap, header};
use parlour_types::text::escape_html;
use parlour_types::{ThreadId, UserId};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

/// How long the tokens that a demo shows are good for.
pub const DEMO_TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// A member of the demo.
#[derive(Clone, Copy, Debug)]
pub struct DemoMember {
    /// Who.
    pub id: UserId,
    /// Their name here.
    pub username: &'static str,
    /// Their name elsewhere.
    pub real_name: &'static str,
    /// A thread of theirs.
    pub thread: ThreadId,
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
h1 small { font-size: 1rem; font-weight: normal; opacity: .7; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem; border-top: 1px solid var(--line); }
td:first-child { white-space: nowrap; }
td:nth-child(2) { width: 100%; max-width: 0; }
code { font: 13px/1.4 ui-monospace, monospace; display: block; overflow: auto; white-space: nowrap; padding: .4rem; background: var(--soft); user-select: all; }
";

/// Puts the request of a row into the clipboard.
const SCRIPT: &str = "
addEventListener('click', async ({target}) => {
  if (!target.matches('button')) return;
  const code = target.closest('tr').querySelector('code');
  // Only pages from this machine, or with TLS, may use the clipboard.
  if (!navigator.clipboard) return getSelection().selectAllChildren(code);
  await navigator.clipboard.writeText(code.textContent);
  target.textContent = 'Copied';
});
";

/// The page loads nothing, and runs nothing but its own script.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let script = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// What runs here.
pub async fn home(State(app): State<App>, BaseUrl(base): BaseUrl, headers: HeaderMap) -> Response {
    let members = app.demo.get().filter(|_| is_of_this_server(&app, &headers));
    let members = members.map(|members| table(&app, &base, members)).unwrap_or_default();
    let base = escape_html(&base);
    let page = format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Parlour</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<h1>Parlour <small>{version}</small></h1>
<p>Private messages for a community. This server answers the private-message part of the SelfCommunity API v2.</p>
<ul>
<li><a href="{base}/docs/">The API, to read and to try</a></li>
<li><a href="{base}/api/v2/openapi.json">The same as an OpenAPI document</a></li>
<li><a href="{base}/readyz">Whether the server is ready</a></li>
</ul>
{members}</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page).into_response()
}

/// Whether a request names the server by a number, as this machine, or as it is configured. A page of another site whose name was made to lead
/// here names that site.
fn is_of_this_server(app: &App, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let host = authority.host();
    let configured = app.public_url.origin().and_then(|origin| origin.split_once("://"));
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || host == "localhost"
        || configured.is_some_and(|(_, configured)| configured == authority.as_str())
}

/// The members of a demo, each with a request that gets a thread of theirs.
fn table(app: &App, base: &str, members: &[DemoMember]) -> String {
    let mut text = String::from(
        "<h2>The members of this demo</h2>\n<p>Each line gets a thread of the member's. The tokens are good for a day, and for this demo alone.</p>\n\
         <table>\n",
    );
    for member in members {
        let token = app.auth.issue(member.id, app.core.clock.now(), DEMO_TOKEN_TTL);
        let _ = writeln!(
            text,
            "<tr><td><b>{username}</b><br>{real_name}, member&nbsp;{id}</td><td><code>curl '{base}/api/v2/pm/?thread={thread}' -H 'Authorization: Bearer {token}'</code></td>\
             <td><button type=\"button\">Copy</button></td></tr>",
            username = escape_html(member.username),
            real_name = escape_html(member.real_name),
            id = member.id,
            base = escape_html(base),
            thread = member.thread,
        );
    }
    let _ = write!(text, "</table>\n<script>{SCRIPT}</script>\n");
    text
}
