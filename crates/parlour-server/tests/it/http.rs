//! What HTTP itself asks of a server: addresses, methods, headers, slow and broken requests, and stopping.

use parlour_server::config::Duration as Span;
use parlour_testkit::{Answer, Member, TestServer, Visitor, both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use super::bad_input::assert_error_shape;

const PM: &str = "/api/v2/pm/";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bare connection.
struct Wire(TcpStream);

impl Wire {
    async fn to(server: &TestServer) -> Self {
        Self(TcpStream::connect(server.address).await.expect("a connection"))
    }

    /// Sends bytes, as far as the server takes them.
    async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.0.writable().await.is_ok() {
            match self.0.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Says that no more bytes come.
    async fn finish(&mut self) {
        let _ = poll_fn(|context| Pin::new(&mut self.0).poll_shutdown(context)).await;
    }

    /// Reads on; `false` when the server has closed the connection, in good order or not.
    async fn read(&self, said: &mut Vec<u8>) -> bool {
        let mut chunk = [0; 16 * 1024];
        loop {
            if self.0.readable().await.is_err() {
                return false;
            }
            match self.0.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => {
                    said.extend_from_slice(&chunk[..read]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    /// Everything that comes until the server closes the connection.
    async fn read_to_end(&self) -> String {
        let mut said = Vec::new();
        let reading = async { while self.read(&mut said).await {} };
        tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed");
        String::from_utf8_lossy(&said).into_owned()
    }

    /// What comes until `end` stands in it.
    async fn read_until(&self, end: &str) -> String {
        let mut said = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&said).contains(end) {
                assert!(self.read(&mut said).await, "closed before {end:?}: {}", String::from_utf8_lossy(&said));
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {end:?} came"));
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// Sends bytes, says that no more come, and answers what the server says before it closes.
async fn say(server: &TestServer, bytes: &[u8]) -> String {
    let mut wire = Wire::to(server).await;
    wire.write(bytes).await;
    wire.finish().await;
    wire.read_to_end().await
}

async fn is_alive(server: &TestServer) {
    assert_eq!(server.visitor().get("/healthz").await.expect(200), json!({ "status": "ok" }));
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    answer.refused(status, code);
    assert_error_shape(answer);
}

/// A POST's head with Ann's token.
fn send_head(server: &TestServer, more: &str) -> String {
    let token = server.token(1);
    format!(
        "POST {PM} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{more}\r\n"
    )
}

// ---- Addresses and methods ----

#[both_databases]
async fn an_unknown_address_is_not_found() {
    let server = TestServer::start().await;
    let paths = [
        "/nope",
        "/api",
        "/api/",
        "/api/v1/pm/",
        "/api/v2",
        "/api/v2/",
        "/api/v2/nope/",
        "/api/v2/pm/1/2/",
        "/api/v2/pm.json",
        "/API/V2/PM/",
        "/healthz/x",
        "/.env",
        "/%00",
        "/api/v2/user/me/x/",
    ];
    for path in paths {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let visitor = server.backend();
            assert_refused(&visitor.send_request(visitor.request(method, path)).await, 404, "not_found");
        }
    }
}

#[both_databases]
async fn an_address_that_climbs_leads_nowhere() {
    let server = TestServer::start().await;
    for path in
        ["/docs/../../etc/passwd", "/docs/../Cargo.toml", "/docs/..", "/api/v2/pm/../user/me", "/docs/%2e%2e/x", "/../"]
    {
        let said = say(&server, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 404 ") && said.contains("\"not_found\""), "{path} was answered {said}");
    }
}

#[both_databases]
async fn every_answer_from_400_on_has_the_error_shape_outside_the_api_too() {
    let server = TestServer::start().await;
    for path in ["/docs/%FF", "/docs/nope", "/docs/%2e%2e%2fCargo.toml", "/%FF", "/docs/a/b"] {
        let answer = server.visitor().get(path).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{path} answered {}", answer.status);
        assert_error_shape(&answer);
    }
}

#[both_databases]
async fn the_head_of_a_page_is_that_of_its_get_without_a_body() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send_many(&bob, 3).await;
    for path in ["/api/v2/pm/?user=2", PM] {
        let page = ann.get(path).await;
        let head = ann.send_request(ann.request(Method::HEAD, path)).await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), page.text.len().to_string(), "{path}");
        // Nothing of a body is left on the connection for the next answer.
        assert_eq!(ann.get(path).await.json(), page.json(), "{path}");
    }
}

#[both_databases]
async fn a_wrong_method_is_refused_and_the_right_ones_are_named() {
    let server = TestServer::start().await;
    let (ann, _) = server.ann_and_bob().await;
    let cases = [
        (PM, "PUT", "DELETE,GET,HEAD,POST"),
        (PM, "PATCH", "DELETE,GET,HEAD,POST"),
        (PM, "TRACE", "DELETE,GET,HEAD,POST"),
        (PM, "FOO", "DELETE,GET,HEAD,POST"),
        (PM, "get", "DELETE,GET,HEAD,POST"),
        ("/api/v2/pm/1/", "POST", "DELETE,GET,HEAD"),
        ("/api/v2/pm/search/", "POST", "GET,HEAD"),
        ("/api/v2/pm/search/", "DELETE", "GET,HEAD"),
        ("/api/v2/user/me/", "DELETE", "GET,HEAD"),
        ("/api/v2/user/1/settings/", "PUT", "GET,HEAD,PATCH"),
        ("/api/v2/user/2/follow/", "GET", "POST"),
        ("/api/v2/jwt/verify_token/", "GET", "POST"),
        ("/api/v2/admin/users/", "GET", "POST"),
        ("/api/v2/openapi.json", "POST", "GET,HEAD"),
        ("/healthz", "POST", "GET,HEAD"),
        ("/docs/", "POST", "GET,HEAD"),
        ("/docs", "DELETE", "GET,HEAD"),
    ];
    for (path, method, allowed) in cases {
        let request = ann.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
        let answer = ann.send_request(request).await;
        assert_refused(&answer, 405, "method_not_allowed");
        let mut named: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        named.sort_unstable();
        assert_eq!(named.join(","), allowed, "{method} {path}");
    }
}

#[both_databases]
async fn the_final_slash_and_doubled_ones_make_no_difference() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send(&bob, "hello").await;
    let page = bob.inbox().await;
    for path in ["/api/v2/pm", "//api/v2/pm/", "/api//v2///pm//", "///api/v2/pm", "/api/v2/pm?", "/api/v2/pm/?"] {
        assert_eq!(bob.get(path).await.expect(200), page, "{path}");
    }
    for path in [format!("/api/v2/pm/{}", sent["id"]), format!("//api/v2//pm/{}//", sent["id"])] {
        assert_eq!(bob.get(&path).await.expect(200)["message"], "hello", "{path}");
    }
    for path in ["/api/v2/pm", "//api/v2/pm/", "/api/v2//pm"] {
        ann.post(path, json!({ "recipients": [2], "message": "again" })).await.expect(201);
    }
    let next = bob.get("//api/v2/pm?user=1&limit=1").await.expect(200)["next"].clone();
    assert_eq!(next, server.url("/api/v2/pm/?limit=1&offset=1&user=1"));
    for path in ["/healthz", "//healthz", "/api/v2/openapi.json", "//api/v2//openapi.json"] {
        server.visitor().get(path).await.expect(200);
    }
}

#[both_databases]
async fn a_head_request_gets_the_head_of_the_answer() {
    let server = TestServer::start().await;
    let (ann, _) = server.ann_and_bob().await;
    for path in [PM, "/api/v2/user/me/", "/api/v2/openapi.json", "/healthz", "/readyz", "/docs/"] {
        let (get, head) = (ann.get(path).await, ann.send_request(ann.request(Method::HEAD, path)).await);
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""), "{path}");
        for name in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    let anonymous = server.visitor();
    let head = anonymous.send_request(anonymous.request(Method::HEAD, PM)).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (401, ""));
}

#[both_databases]
async fn odd_query_strings_are_as_good_as_none() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let thread = ann.send(&bob, "hello").await["thread_id"].clone();
    let inbox = bob.inbox().await;
    let queries = [
        "?",
        "?&",
        "?&&&",
        "?=",
        "?=x",
        "?x",
        "?x=y&x=z",
        "?limit=",
        "?limit=null",
        "?limit=undefined&offset=",
        "?thread=&user=null",
        "?cursor=",
        "?%",
        "?%zz=1",
        "?limit=20&",
        "?a=%F0%9F%98%80",
        "??",
        "?#x",
    ];
    for query in queries {
        assert_eq!(bob.get(&format!("{PM}{query}")).await.expect(200), inbox, "{query}");
    }
    let page = bob.get(&format!("{PM}?thread={thread}")).await.expect(200);
    for odd in [
        "&user=undefined",
        "&user=",
        "&user=null&group=undefined",
        "&user=2",
        "&cursor=x",
        "&",
        "&before_message=undefined",
    ] {
        assert_eq!(bob.get(&format!("{PM}?thread={thread}{odd}")).await.expect(200), page, "{odd}");
    }
}

// ---- Headers ----

/// One answer of every kind.
async fn answers_of_every_kind(server: &TestServer) -> Vec<Answer> {
    let (ann, bob) = server.ann_and_bob().await;
    let visitor = server.visitor();
    let preflight = visitor
        .request(Method::OPTIONS, PM)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    vec![
        ann.try_send(&bob, "hello").await,
        ann.inbox_answer().await,
        ann.get("/api/v2/pm/?user=2").await,
        ann.get("/api/v2/pm/abc/").await,
        ann.get("/api/v2/pm/777/").await,
        ann.delete("/api/v2/pm/?user=2").await,
        visitor.get(PM).await,
        visitor.get("/nope").await,
        ann.send_request(ann.request(Method::PUT, PM)).await,
        ann.post_raw(PM, "text/plain", "x").await,
        ann.post_raw(PM, "application/json", "x".repeat(2 << 20)).await,
        visitor.get("/healthz").await,
        visitor.get("/api/v2/openapi.json").await,
        visitor.get("/docs/").await,
        visitor.send_request(preflight).await,
    ]
}

trait InboxAnswer {
    async fn inbox_answer(&self) -> Answer;
}

impl InboxAnswer for Member {
    async fn inbox_answer(&self) -> Answer {
        self.get(PM).await
    }
}

#[both_databases]
async fn every_answer_has_a_request_id_of_its_own() {
    let server = TestServer::start().await;
    let mut seen = HashSet::new();
    for answer in answers_of_every_kind(&server).await {
        let id = answer.header("x-request-id").to_owned();
        assert!(!id.is_empty(), "{} has no request id", answer.asked);
        assert!(seen.insert(id), "{} has the request id of another", answer.asked);
    }
    let visitor = server.visitor();
    let forged = visitor.request(Method::GET, "/healthz").header("x-request-id", "forged");
    assert_ne!(visitor.send_request(forged).await.header("x-request-id"), "forged");
}

#[both_databases]
async fn no_cache_keeps_an_answer_and_no_browser_guesses_its_type() {
    let server = TestServer::start().await;
    for answer in answers_of_every_kind(&server).await {
        let asked = &answer.asked;
        assert_eq!(answer.header("cache-control"), "private, no-store", "{asked}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{asked}");
        let vary: Vec<String> = answer
            .headers
            .get_all("vary")
            .iter()
            .flat_map(|value| value.to_str().unwrap().split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        assert!(vary.contains(&"authorization".into()), "{asked} varies by {vary:?}");
    }
}

async fn preflight(server: &TestServer, origin: &str, method: &str) -> Answer {
    let visitor = server.visitor();
    let headers = "authorization,content-type,content-range,idempotency-key,range,if-range";
    let request = visitor
        .request(Method::OPTIONS, PM)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    visitor.send_request(request).await
}

#[track_caller]
fn assert_allows(answer: &Answer) {
    assert!(answer.status.is_success(), "{} answered {}", answer.asked, answer.status);
    let list = |name: &str| answer.header(name).to_ascii_lowercase().split(',').map(|x| x.trim().to_owned()).collect();
    let (headers, methods): (HashSet<String>, HashSet<String>) =
        (list("access-control-allow-headers"), list("access-control-allow-methods"));
    for name in
        ["authorization", "content-type", "content-range", "idempotency-key", "range", "if-range", "if-none-match"]
    {
        assert!(headers.contains(name), "{name} is allowed: {headers:?}");
    }
    for method in ["get", "post", "put", "patch", "delete", "options"] {
        assert!(methods.contains(method), "{method} is allowed: {methods:?}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), "", "no cookies");
}

#[both_databases]
async fn a_browser_app_of_any_origin_may_call_by_default() {
    let server = TestServer::start().await;
    let (ann, _) = server.ann_and_bob().await;
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        let answer = preflight(&server, "https://app.example", method).await;
        assert_allows(&answer);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    for (visitor, path, status) in [(&*ann, PM, 200), (&server.visitor(), PM, 401), (&server.visitor(), "/nope", 404)] {
        let request = visitor.request(Method::GET, path).header("origin", "https://app.example");
        let answer = visitor.send_request(request).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
        for name in ["x-request-id", "content-range", "accept-ranges", "content-length", "etag", "content-disposition"]
        {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
}

#[both_databases]
async fn only_the_configured_origins_may_call() {
    let origins = ["https://app.example", "https://other.example:8443"];
    let server = TestServer::with(|c| c.server.cors_origins = origins.map(str::to_owned).to_vec()).await;
    for origin in origins {
        let answer = preflight(&server, origin, "POST").await;
        assert_allows(&answer);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
    }
    let visitor = server.visitor();
    for foreign in [
        "https://evil.example",
        "http://app.example",
        "https://app.example.evil.example",
        "null",
        "https://APP.example:1",
    ] {
        assert_eq!(preflight(&server, foreign, "POST").await.header("access-control-allow-origin"), "", "{foreign}");
        let answer = visitor.send_request(visitor.request(Method::GET, PM).header("origin", foreign)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{foreign}");
    }
}

// ---- Slow, large and broken requests ----

#[both_databases]
async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let server = TestServer::with(|c| c.server.header_timeout = Span::seconds(1)).await;
    for half in ["GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", "GET /hea", "G"] {
        let wire = Wire::to(&server).await;
        wire.write(half.as_bytes()).await;
        let said = wire.read_to_end().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{half:?} was answered {said}");
    }
    is_alive(&server).await;
}

#[both_databases]
async fn a_body_that_does_not_come_to_its_end_is_not_waited_for() {
    let server = TestServer::with(|c| c.server.request_timeout = Span::seconds(1)).await;
    let (_, bob) = server.ann_and_bob().await;
    let half = r#"{"recipients":[2],"#;
    for more in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let body =
            if more.starts_with("Content") { half.to_owned() } else { format!("{:x}\r\n{half}\r\n", half.len()) };
        let wire = Wire::to(&server).await;
        wire.write((send_head(&server, more) + &body).as_bytes()).await;
        let said = wire.read_until("\"detail\"").await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(said.contains(r#"{"errors":[{"code":"timed_out","message":"#), "{said}");
        assert!(said.to_ascii_lowercase().contains("x-request-id: "), "{said}");
    }
    assert_eq!(bob.inbox().await["count"], 0);
}

#[both_databases]
async fn a_head_that_is_too_large_is_refused() {
    let server = TestServer::start().await;
    let large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(300_000));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: 1\r\n".repeat(200));
    for request in [large, many] {
        let said = say(&server, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }
    let long = say(&server, format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(300_000)).as_bytes()).await;
    assert!(long.starts_with("HTTP/1.1 414 ") || long.starts_with("HTTP/1.1 431 "), "{long}");
    is_alive(&server).await;
}

#[both_databases]
async fn the_configured_size_of_a_head_counts() {
    let server = TestServer::with(|c| c.server.max_header = parlour_server::config::ByteSize::kib(8)).await;
    let with_header =
        |bytes: usize| format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(bytes));
    assert!(say(&server, with_header(7_000).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert!(say(&server, with_header(9_000).as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

/// A body over the limit is answered even to a client that sends all of it first, and its rest is never taken for a request.
#[both_databases]
async fn a_body_that_is_too_large_is_refused_and_its_rest_is_no_request() {
    let server = TestServer::start().await;
    let (_, bob) = server.ann_and_bob().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50_000);
    let chunk = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let lengths = [format!("Content-Length: {}\r\n", smuggled.len()), "Transfer-Encoding: chunked\r\n".into()];
    for (length, body) in lengths.iter().zip([&smuggled, &chunk]) {
        let wire = Wire::to(&server).await;
        let request = send_head(&server, length) + body;
        let ((), said) = tokio::join!(wire.write(request.as_bytes()), wire.read_to_end());
        assert!(said.starts_with("HTTP/1.1 413 "), "{length}: {said:?}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{length}: {said}");
        assert!(said.contains(r#""code":"body_too_large""#), "{said}");
    }
    is_alive(&server).await;
    assert_eq!(bob.inbox().await["count"], 0);
}

/// A client that keeps its connections must know which are at their end: its next request would be lost on them.
#[both_databases]
async fn an_answer_before_the_end_of_the_body_says_so_when_the_connection_ends() {
    let server = TestServer::start().await;
    server.ann_and_bob().await;
    let ann = format!("Authorization: Bearer {}\r\n", server.token(1));
    let json = "Content-Type: application/json\r\n";
    let cases = [
        (413, format!("POST {PM} HTTP/1.1\r\n{ann}{json}"), 3 << 20),
        (401, format!("POST {PM} HTTP/1.1\r\n{json}"), 900_000),
        (401, format!("POST {PM} HTTP/1.1\r\n{json}"), 3 << 20),
        (404, format!("POST /nope HTTP/1.1\r\n{json}"), 3 << 20),
        (405, format!("PUT {PM} HTTP/1.1\r\n{ann}{json}"), 3 << 20),
        (415, format!("POST {PM} HTTP/1.1\r\n{ann}Content-Type: text/plain\r\n"), 3 << 20),
        (200, "GET /healthz HTTP/1.1\r\n".into(), 3 << 20),
    ];
    let mut lost = Vec::new();
    for (status, head, size) in cases {
        let body = " ".repeat(size);
        let next = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let both = format!("{head}Host: x\r\nContent-Length: {size}\r\n\r\n{body}{next}");
        let wire = Wire::to(&server).await;
        let ((), said) = tokio::join!(wire.write(both.as_bytes()), wire.read_to_end());
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {said:?}");
        let (first, rest) = said.split_once("\r\n\r\n").unwrap();
        let goes_on = rest.contains("HTTP/1.1 200 ");
        if !goes_on && !first.to_ascii_lowercase().contains("connection: close") {
            lost.push((status, size));
        }
    }
    assert_eq!(lost, [], "answers after which the connection ended unannounced: status and size of the body");
}

/// A client that uses its connections again gets every answer, whatever it sends too much of.
#[both_databases]
async fn a_client_that_sent_too_much_goes_on_with_its_next_request() {
    let server = TestServer::start().await;
    let (ann, _) = server.ann_and_bob().await;
    for size in [(1 << 20) + 1, 2 << 20, 4 << 20, 8 << 20] {
        for _ in 0..5 {
            let answer = ann.post_raw(PM, "application/json", " ".repeat(size)).await;
            assert_refused(&answer, 413, "body_too_large");
            ann.get(PM).await.expect(200);
        }
    }
    let limit = json!({ "recipients": [777], "message": "x" }).to_string();
    let exact = limit.clone() + &" ".repeat((1 << 20) - limit.len());
    ann.post_raw(PM, "application/json", exact).await.refused_field("recipients", "does_not_exist");
}

#[both_databases]
async fn garbage_on_the_socket_never_hurts_the_server() {
    let server = TestServer::start().await;
    let token = server.token(1);
    let noise: Vec<u8> = (0..=255_u8).cycle().take(5_000).collect();
    let long_line = vec![b'A'; 200_000];
    let authorized = format!("Authorization: Bearer {token}\r\n");
    let requests: Vec<Vec<u8>> = vec![
        b"".to_vec(), b"\r\n\r\n".to_vec(), b"\0\0\0\0\r\n\r\n".to_vec(), noise, long_line, b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(), b"GET / HTTP/0.9\r\n\r\n".to_vec(), b"GET /\r\n\r\n".to_vec(), b"GET  / HTTP/1.1\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n".to_vec(), b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n: empty\r\n\r\n".to_vec(), b"GET / HTTP/1.1\r\nX : space\r\n\r\n".to_vec(),
        b"GET /\xFF\xFE HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), b"GET ? HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Content-Length: 99999999999999999999\r\n\r\n").into_bytes(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello").into_bytes(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n").into_bytes(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Transfer-Encoding: gzip\r\n\r\nx").into_bytes(),
        format!("POST {PM} HTTP/1.1\r\nHost: x\r\n{authorized}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{").into_bytes(),
        format!("GET {PM} HTTP/1.1\r\nHost: a\r\nHost: b\r\n{authorized}\r\n").into_bytes(),
        format!("GET {PM} HTTP/1.1\r\n{authorized}\r\n").into_bytes(),
    ];
    for request in requests {
        let about: String = String::from_utf8_lossy(&request).chars().take(80).collect();
        let said = say(&server, &request).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1."), "{about:?} was answered {said}");
        assert!(!said.contains("HTTP/1.1 5") && !said.contains("HTTP/1.0 5"), "{about:?} was answered {said}");
        is_alive(&server).await;
    }
}

#[both_databases]
async fn an_absolute_target_and_http_1_0_are_answered() {
    let server = TestServer::start().await;
    let absolute = say(&server, b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(absolute.starts_with("HTTP/1.1 200 "), "{absolute}");
    let old = say(&server, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 ") || old.starts_with("HTTP/1.1 200 "), "{old}");
}

// ---- Where the server stands ----

/// The `next` link of Bob's thread with Ann, asked for at `path` with these headers.
async fn next_link(bob: &Visitor, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = bob.request(Method::GET, &format!("{path}?user=1&limit=1"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    bob.send_request(request).await.expect(200)["next"].as_str().expect("a link").to_owned()
}

const NEXT: &str = "/api/v2/pm/?limit=1&offset=1&user=1";

#[both_databases]
async fn a_public_address_with_a_path_stands_in_links_and_may_stand_in_requests() {
    for public_url in ["https://example.org/chat", "https://example.org/chat/"] {
        let server = TestServer::with(|c| c.server.public_url = public_url.into()).await;
        let (ann, bob) = server.ann_and_bob().await;
        ann.send_many(&bob, 3).await;
        for path in [PM, "/chat/api/v2/pm/", "/chat/api/v2/pm", "/chat//api/v2/pm/"] {
            assert_eq!(next_link(&bob, path, &[]).await, format!("https://example.org/chat{NEXT}"), "{path}");
        }
        let forged = [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http"), ("host", "evil.example")];
        assert_eq!(next_link(&bob, PM, &forged).await, format!("https://example.org/chat{NEXT}"));
        for path in ["/chat/healthz", "/healthz", "/chat/docs/", "/docs/", "/chat/api/v2/openapi.json"] {
            assert_eq!(bob.get(path).await.status.as_u16(), 200, "{path}");
        }
        for path in ["/chatter/healthz", "/cha/healthz", "/chat/chat/healthz", "/chathealthz"] {
            assert_refused(&bob.get(path).await, 404, "not_found");
        }
        ann.post("/chat/api/v2/pm/", json!({ "recipients": [2], "message": "x" })).await.expect(201);
    }
}

#[both_databases]
async fn forwarding_headers_of_a_stranger_are_ignored() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send_many(&bob, 2).await;
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "host=evil.example;proto=https"),
    ];
    assert_eq!(next_link(&bob, PM, &forged).await, server.url(NEXT));
    assert_eq!(next_link(&bob, PM, &[("host", "talk.example:8080")]).await, format!("http://talk.example:8080{NEXT}"));
}

#[both_databases]
async fn forwarding_headers_of_a_trusted_proxy_count_if_they_make_an_address() {
    let server = TestServer::with(|c| c.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send_many(&bob, 2).await;
    let proxy = [("x-forwarded-host", "example.org"), ("x-forwarded-proto", "https"), ("x-forwarded-prefix", "/chat/")];
    assert_eq!(next_link(&bob, PM, &proxy).await, format!("https://example.org/chat{NEXT}"));
    let two = [("x-forwarded-host", "example.org, inner"), ("x-forwarded-proto", "https,http")];
    assert_eq!(next_link(&bob, PM, &two).await, format!("https://example.org{NEXT}"));
    assert_eq!(next_link(&bob, PM, &[]).await, server.url(NEXT));
    for bad in [
        ("x-forwarded-host", "evil/path"),
        ("x-forwarded-host", "a@evil"),
        ("x-forwarded-host", "a b"),
        ("x-forwarded-host", "a?b"),
        ("x-forwarded-host", "<script>"),
        ("x-forwarded-host", ""),
        ("x-forwarded-proto", "javascript"),
        ("x-forwarded-proto", "ftp"),
        ("x-forwarded-prefix", "no-slash"),
        ("x-forwarded-prefix", "/a?b"),
        ("x-forwarded-prefix", "/<x>"),
    ] {
        let link = next_link(&bob, PM, &[bad]).await;
        assert!(link.starts_with("http://127.0.0.1:") && link.ends_with(NEXT), "{bad:?} made {link}");
        reqwest::Url::parse(&link).unwrap();
    }
}

// ---- Stopping ----

/// Waits until nobody listens at the address.
async fn is_refused(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "the server still accepts connections");
        tokio::task::yield_now().await;
    }
}

#[both_databases]
async fn a_request_that_is_still_arriving_when_the_server_stops_gets_its_answer() {
    let mut server = TestServer::start().await;
    let address = server.address;
    let (_, bob) = server.ann_and_bob().await;
    let body = r#"{"recipients":[2],"message":"the last one"}"#;
    let wire = Wire::to(&server).await;
    let head = send_head(&server, &format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len()));
    wire.write(head.as_bytes()).await;
    wire.read_until("100 Continue\r\n\r\n").await; // The handler waits for the body.
    wire.write(&body.as_bytes()[..10]).await;
    let stopping = tokio::spawn(async move {
        server.stop().await;
        server
    });
    is_refused(address).await;
    assert!(!stopping.is_finished(), "the server waits for the request");
    wire.write(&body.as_bytes()[10..]).await;
    let said = wire.read_to_end().await;
    assert!(said.starts_with("HTTP/1.1 201 ") && said.contains("the last one"), "{said}");
    let mut server = tokio::time::timeout(PATIENCE, stopping).await.expect("the server has drained").unwrap();
    is_refused(address).await;
    server.restart().await;
    let bob = server.sign_in(bob.id, &bob.username);
    assert_eq!(bob.inbox().await["results"][0]["message"], "the last one");
}

#[both_databases]
async fn an_idle_connection_does_not_keep_the_server_from_stopping() {
    let mut server = TestServer::start().await;
    let idle = Wire::to(&server).await;
    idle.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    idle.read_until("\"ok\"").await;
    let unused = Wire::to(&server).await;
    tokio::time::timeout(PATIENCE, server.stop()).await.expect("the server has drained");
    assert_eq!(idle.read_to_end().await, "");
    drop(unused);
}

// ---- Health and documentation ----

#[both_databases]
async fn the_server_says_that_it_lives_and_can_work() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.visitor().get(path).await.expect(200), json!({ "status": "ok" }));
    }
}

#[both_databases]
async fn the_documentation_loads_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let visitor = server.visitor();
    let page = visitor.get("/docs/").await;
    assert_eq!(page.status.as_u16(), 200);
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    for foreign in ["http:", "https:", "=\"//", "='//"] {
        assert!(!page.text.contains(foreign), "the page has an address of another host: {}", page.text);
    }
    let files: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.text.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(files.len() >= 4, "the page has scripts and styles: {files:?}");
    for file in files.into_iter().filter(|file| !file.starts_with("data:")) {
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        let answer = visitor.get(&path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        assert!(!answer.text.is_empty() && !answer.header("content-type").is_empty(), "{path}");
    }
    let start = visitor.get("/docs/swagger-initializer.js").await.text;
    assert!(start.contains("../api/v2/openapi.json") && !start.contains("petstore"), "{start}");
}

#[both_databases]
async fn the_documentation_s_address_without_its_slash_leads_there() {
    let server = TestServer::start().await;
    let said = say(&server, b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        said.starts_with("HTTP/1.1 308 ") && said.to_ascii_lowercase().contains("\r\nlocation: /docs/\r\n"),
        "{said}"
    );
    assert_eq!(server.visitor().get("/docs").await.status.as_u16(), 200, "followed");
    let below = TestServer::with(|c| c.server.public_url = "https://example.org/chat".into()).await;
    let said = say(&below, b"GET /chat/docs HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.to_ascii_lowercase().contains("\r\nlocation: /chat/docs/\r\n"), "{said}");
}

#[both_databases]
async fn the_openapi_document_is_3_1_and_whole() {
    let server = TestServer::start().await;
    let answer = server.visitor().get("/api/v2/openapi.json").await;
    let document = answer.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    for reference in answer.text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some_and(|found| *found != Value::Null), "{reference} leads nowhere");
    }
}
