//! How often: limits of members and of addresses, and what a caller is told about them.

use parlour_server::config::Frequency;
use parlour_testkit::{Answer, Member, TestServer, both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const PM: &str = "/api/v2/pm/";

/// A server where members may do little.
async fn strict() -> TestServer {
    TestServer::with(|config| {
        config.limits.enabled = true;
        config.limits.sends = Frequency::new(3, 60);
        config.limits.searches = Frequency::new(2, 60);
        config.limits.new_conversations = Frequency::new(1, 3600);
    })
    .await
}

fn assert_refused(answer: &Answer, limit: &str, rate: &str, wait: &str) {
    answer.refused(429, "throttled");
    assert_eq!(answer.header("ratelimit-policy"), format!("\"{limit}\";{rate}"));
    assert_eq!(answer.header("ratelimit"), format!("\"{limit}\";r=0;t={wait}"));
    assert_eq!(answer.header("retry-after"), wait);
}

async fn count(member: &Member, other: &Member) -> Value {
    member.thread_with(other, "").await["count"].clone()
}

#[both_databases]
async fn sends_beyond_the_limit_are_refused_change_nothing_and_come_back_in_time() {
    let server = strict().await;
    let (ann, bob) = server.ann_and_bob().await;
    for left in [2, 1, 0] {
        let sent = ann.try_send(&bob, "hello").await;
        sent.expect(201);
        assert_eq!(sent.header("ratelimit-policy"), "\"sends\";q=3;w=60");
        assert_eq!(sent.header("ratelimit"), format!("\"sends\";r={left};t={}", (3 - left) * 20));
    }
    assert_refused(&ann.try_send(&bob, "one too many").await, "sends", "q=3;w=60", "20");
    assert_eq!(count(&ann, &bob).await, 3);
    bob.try_send(&ann, "mine is another limit").await.expect(201);
    server.advance(Duration::from_secs(19));
    assert_refused(&ann.try_send(&bob, "too early").await, "sends", "q=3;w=60", "1");
    server.advance(Duration::from_secs(1));
    ann.try_send(&bob, "in time").await.expect(201);
    assert_eq!(count(&ann, &bob).await, 5);
}

#[both_databases]
async fn a_send_to_several_counts_once_for_each_and_goes_to_all_or_none() {
    let server = TestServer::with(|config| {
        config.limits.enabled = true;
        config.limits.sends = Frequency::new(3, 60);
    })
    .await;
    let (ann, bob) = server.ann_and_bob().await;
    let carla = server.member(3, "carla").await;
    server.befriend(&[&ann, &bob, &carla]).await;
    let both = json!({ "recipients": [2, 3], "message": "hello" });
    ann.post(PM, both.clone()).await.expect(201);
    assert_refused(&ann.post(PM, both).await, "sends", "q=3;w=60", "20");
    assert_eq!((count(&ann, &bob).await, count(&ann, &carla).await), (json!(1), json!(1)));
}

#[both_databases]
async fn new_conversations_beyond_the_limit_are_refused_and_old_ones_go_on() {
    let server = strict().await;
    let (ann, bob) = server.ann_and_bob().await;
    let carla = server.member(3, "carla").await;
    server.befriend(&[&ann, &bob, &carla]).await;
    ann.send(&bob, "the first one").await;
    assert_refused(&ann.try_send(&carla, "a second one").await, "new_conversations", "q=1;w=3600", "3600");
    assert_eq!(count(&ann, &carla).await, 0);
    assert_eq!(carla.inbox().await["count"], 0);
    ann.send(&bob, "goes on").await;
    // A conversation that was begun by the other is none of one's own.
    carla.send(&ann, "hello").await;
    server.advance(Duration::from_secs(60));
    ann.send(&carla, "an answer").await;
}

#[both_databases]
async fn searches_beyond_the_limit_are_refused() {
    let server = strict().await;
    let (ann, _) = server.ann_and_bob().await;
    let search = async || ann.get("/api/v2/pm/search/?user=bo").await;
    assert_eq!(search().await.header("ratelimit"), "\"searches\";r=1;t=30");
    search().await.expect(200);
    assert_refused(&search().await, "searches", "q=2;w=60", "30");
    ann.get(PM).await.expect(200);
}

#[both_databases]
async fn an_address_has_a_limit_of_its_own_which_a_trusted_proxy_tells_apart() {
    let server = TestServer::with(|config| {
        config.limits.enabled = true;
        config.limits.searches_per_address = Frequency::new(2, 60);
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let (ann, bob) = server.ann_and_bob().await;
    let search = async |who: &Member, from: Option<&str>| {
        let mut request = who.request(Method::GET, "/api/v2/pm/search/?user=b");
        if let Some(from) = from {
            request = request.header("x-forwarded-for", from);
        }
        who.send_request(request).await
    };
    search(&ann, Some("198.51.100.9")).await.expect(200);
    search(&bob, Some("203.0.113.1, 198.51.100.9")).await.expect(200);
    assert_refused(&search(&bob, Some("198.51.100.9")).await, "searches", "q=2;w=60", "30");
    search(&bob, Some("198.51.100.10")).await.expect(200);
    // The machine itself: a proxy that names nobody.
    for _ in 0..4 {
        search(&bob, None).await.expect(200);
    }
}

#[both_databases]
async fn a_repeat_of_a_send_is_answered_without_a_second_conversation_being_counted() {
    let server = strict().await;
    let (ann, bob) = server.ann_and_bob().await;
    for replayed in ["", "true"] {
        let request = ann.request(Method::POST, PM).header("idempotency-key", "k");
        let sent = ann.send_request(request.json(&json!({ "recipients": [bob.id], "message": "once" }))).await;
        sent.expect(201);
        assert_eq!(sent.header("idempotency-replayed"), replayed);
    }
    assert_eq!(count(&ann, &bob).await, 1);
}
