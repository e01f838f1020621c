use parlour_testkit::{Member, TestServer, both_databases};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Server-sent events, read one by one.
struct Source {
    response: Response,
    text: String,
}

impl Source {
    async fn open(member: &Member, query: &str, last: Option<&str>) -> Self {
        let mut request = member.request(Method::GET, &format!("/api/v2/events/stream/{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The id and the data of the next event.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let (id, data) = (field("id: ").to_owned(), field("data: ").to_owned());
                self.text = rest.to_owned();
                if data.is_empty() {
                    continue;
                }
                return (id, serde_json::from_str(&data).unwrap());
            }
            let piece = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&piece.expect("the stream goes on")).unwrap());
        }
    }
}

#[both_databases]
async fn server_sent_events_are_those_of_the_socket() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut source = Source::open(&bob, "", None).await;
    let mut socket = server.stream(&bob, None).await;
    for number in 0..5 {
        ann.send(&bob, &format!("message {number}\nover two lines")).await;
    }
    let mut last = String::new();
    for _ in 0..5 {
        let event = loop {
            let (id, event) = source.next().await;
            assert_eq!(event["cursor"].as_str().unwrap_or_default(), id);
            if event["type"] == "message_created" {
                break event;
            }
        };
        assert_eq!(event, socket.event("message_created").await);
        last = event["cursor"].as_str().unwrap().to_owned();
    }
    drop(source);
    ann.send(&bob, "meanwhile").await;
    for (query, id) in [("", Some(&*last)), (&*format!("?after={last}"), None), ("?after=2-0-00000000", Some(&*last))] {
        let mut source = Source::open(&bob, query, id).await;
        assert_eq!(source.next().await, (last.clone(), json!({ "type": "ready", "cursor": last })));
        assert_eq!(source.next().await.1["message"]["message"], "meanwhile");
    }
}

#[both_databases]
async fn a_stream_refuses_what_is_no_cursor() {
    let server = TestServer::start().await;
    let (_, bob) = server.ann_and_bob().await;
    for path in ["/api/v2/events/stream/", "/api/v2/events/"] {
        for after in ["garbage", "1-0-00000000", "2-7-00000000", "2-0-0000000g"] {
            bob.get(&format!("{path}?after={after}")).await.refused_field("after", "invalid");
        }
    }
    let request = bob.request(Method::GET, "/api/v2/events/stream/").header("last-event-id", "garbage");
    bob.send_request(request).await.refused_field("Last-Event-ID", "invalid");
    server.visitor().get("/api/v2/events/stream/").await.refused(401, "not_authenticated");
    for wait in ["61", "-1", "x", "1.5"] {
        let answer = bob.get(&format!("/api/v2/events/?wait={wait}")).await;
        answer.refused_field("wait", if wait == "61" || wait == "-1" { "out_of_range" } else { "invalid" });
    }
}

#[both_databases]
async fn a_request_that_waits_is_answered_when_something_happens() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let cursor = bob.get("/api/v2/events/").await.expect(200)["cursor"].as_str().unwrap().to_owned();
    let wait = |cursor: &str| {
        let (bob, path) = (bob.clone(), format!("/api/v2/events/?after={cursor}&wait=60"));
        tokio::spawn(async move { bob.get(&path).await.expect(200) })
    };
    let waiting = wait(&cursor);
    while server.app.hub.open() == 0 {
        tokio::task::yield_now().await;
    }
    ann.send(&bob, "hello").await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer["events"][0]["message"]["message"], "hello");
    assert_eq!(answer["is_at_end"], true);
    // What has happened already is answered at once, and nothing is open any more.
    let began = Instant::now();
    assert_eq!(wait(&cursor).await.unwrap()["events"], answer["events"]);
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(server.app.hub.open(), 0);
    let after = answer["cursor"].as_str().unwrap();
    let answer = bob.get(&format!("/api/v2/events/?after={after}&wait=1")).await.expect(200);
    assert_eq!((&answer["events"], &answer["cursor"]), (&json!([]), &json!(after)), "nothing, and no error");
}
