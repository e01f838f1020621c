//! What an operator can count, and that nothing private is counted.

use parlour_server::serve_metrics;
use parlour_testkit::{Backend, TestServer, backend, both_databases, http_client};
use std::collections::BTreeMap;
use tokio::net::TcpListener;

/// A server with metrics, and where they are.
async fn measured() -> (TestServer, String) {
    let server = TestServer::with(|config| config.metrics.listen = "127.0.0.1:0".into()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(serve_metrics(server.app.clone(), listener));
    (server, url)
}

/// Every sample by its name and labels, as they stand in the text.
async fn samples(url: &str) -> BTreeMap<String, f64> {
    let answer = http_client().get(url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let sample = |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

#[both_databases]
async fn requests_commits_caches_and_connections_are_counted() {
    let (server, url) = measured().await;
    let (ann, bob) = server.ann_and_bob().await;
    let before = samples(&url).await;
    ann.send(&bob, "hello").await;
    ann.try_send(&ann, "to myself").await.expect(400);
    for _ in 0..3 {
        bob.thread_with(&ann, "").await;
    }
    ann.get("/nowhere/CANARY/").await.expect(404);
    ann.send_request(ann.request("CANARY".parse().unwrap(), "/api/v2/pm/")).await.expect(405);
    let after = samples(&url).await;
    let grown =
        |name: &str| after.get(name).copied().unwrap_or_default() - before.get(name).copied().unwrap_or_default();
    let pm = |method: &str, status: u16| {
        grown(&format!("parlour_http_requests_total{{method=\"{method}\",route=\"/api/v2/pm/\",status=\"{status}\"}}"))
    };
    assert_eq!((pm("POST", 201), pm("POST", 400), pm("GET", 200), pm("other", 405)), (1.0, 1.0, 3.0, 1.0));
    assert_eq!(grown("parlour_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}"), 1.0);
    let of_reads = "{method=\"GET\",route=\"/api/v2/pm/\"}";
    assert_eq!(grown(&format!("parlour_http_request_duration_seconds_count{of_reads}")), 3.0);
    assert!(grown(&format!("parlour_http_request_duration_seconds_sum{of_reads}")) > 0.0);
    // The send, and what the first read marked as seen.
    assert_eq!(grown("parlour_store_commit_seconds_count"), 2.0);
    assert_eq!(grown("parlour_store_commit_changes_sum"), 2.0);
    assert_eq!(grown("parlour_store_commit_failures_total"), 0.0);
    match backend() {
        Backend::Sqlite => {
            let hits = grown("parlour_cache_hits_total{cache=\"pages\"}");
            assert_eq!(hits, 1.0, "the third read found the page of the second");
            assert!(after["parlour_cache_bytes{cache=\"pages\"}"] > 0.0);
            assert!(after["parlour_store_database_bytes"] > 0.0 && after["parlour_store_log_bytes"] > 0.0);
        }
        Backend::Postgres => {
            assert!(grown("parlour_store_round_trips_total") > 0.0);
            assert!(!after.contains_key("parlour_store_database_bytes"), "another server's");
        }
    }
    assert_eq!(after["parlour_store_accepts_writes"], 1.0);
    assert_eq!(after["parlour_store_changes_waiting"], 0.0);
    assert!(after["parlour_http_connections_open"] >= 1.0);
    assert!(after["parlour_process_resident_bytes"] > 1e6 && after["parlour_process_open_files"] > 3.0);
    let private = ["CANARY", "hello", "ann", "nowhere"];
    assert!(after.keys().all(|name| private.iter().all(|word| !name.contains(word))), "{after:?}");
}

#[both_databases]
async fn sockets_and_what_they_are_told_are_counted() {
    let (server, url) = measured().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut official = server.official(&bob).await;
    let mut stream = server.stream(&bob, None).await;
    stream.event("unread").await;
    for text in ["CANARY one", "CANARY two"] {
        ann.send(&bob, text).await;
        official.json().await;
        stream.event("message_created").await;
        stream.event("unread").await;
    }
    let counted = samples(&url).await;
    let of = |name: &str, protocol: &str| counted[&format!("parlour_live_{name}{{protocol=\"{protocol}\"}}")];
    assert_eq!((of("sockets_open", "official"), of("sockets_open", "stream")), (1.0, 1.0));
    assert_eq!((of("sockets_open", "sse"), of("sockets_open", "poll")), (0.0, 0.0));
    // What begins the stream, and each message with the totals behind it.
    assert_eq!((of("frames_total", "official"), of("frames_total", "stream")), (2.0, 6.0));
    assert_eq!((of("resyncs_total", "official"), of("resyncs_total", "stream")), (0.0, 0.0));
    assert!(counted.keys().all(|name| !name.contains("CANARY")), "{counted:?}");
}

#[tokio::test]
async fn the_sqlite_log_is_folded_into_the_database_while_the_server_runs() {
    let (server, url) = measured().await;
    let (ann, bob) = server.ann_and_bob().await;
    let long = "x".repeat(10_000);
    // Each send writes its text three times: to the thread, and to either inbox.
    let mut sent = 0;
    while samples(&url).await.get("parlour_store_checkpoint_seconds_count").is_none_or(|count| *count == 0.0) {
        assert!(sent < 2_000, "the log grows without end");
        for _ in 0..20 {
            ann.send(&bob, &long).await;
        }
        sent += 20;
    }
    assert!(samples(&url).await["parlour_store_log_bytes"] < 16e6);
    assert_eq!(ann.thread_with(&bob, "").await["count"], sent);
}

#[both_databases]
async fn metrics_are_served_nowhere_else_and_only_when_asked_for() {
    let (server, url) = measured().await;
    server.visitor().get("/metrics").await.expect(404);
    assert_eq!(http_client().get(url.replace("/metrics", "/api/v2/pm/")).send().await.unwrap().status(), 404);
    assert!(TestServer::start().await.app.metrics.is_none());
}
