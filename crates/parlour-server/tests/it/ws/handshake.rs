use super::ask;
use parlour_server::config::ProvisionMode;
use parlour_testkit::{Heard, TestServer, WsClient, both_databases};
use serde_json::json;
use std::time::Duration;

const NOTIFY: &str = "/ws/notify?subscribe-user";

#[both_databases]
async fn the_token_comes_back_as_the_sub_protocol_it_came_as() {
    let server = TestServer::with(|config| config.server.public_url = "https://example.org/chat".into()).await;
    let ann = server.member(1, "ann").await;
    let token = format!("__{}", ann.token().unwrap());
    for path in [NOTIFY, "/ws/notify/?subscribe-user", "/chat/ws/notify?subscribe-user", "/ws//notify", "/ws/stream"] {
        let answer = ask(&server.visitor(), path, &[("sec-websocket-protocol", &token)]).await;
        assert_eq!(answer.status, 101, "{path}: {}", answer.text);
        assert_eq!(answer.header("sec-websocket-protocol"), token, "{path}");
        assert_eq!(answer.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.header("upgrade"), "websocket");
    }
    for offer in [format!("parlour, {token}"), format!("{token}, parlour")] {
        let answer = ask(&server.visitor(), "/ws/stream", &[("sec-websocket-protocol", &offer)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("sec-websocket-protocol")), (101, "parlour"), "{offer}");
    }
    let answer = ask(&ann, "/ws/stream", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("sec-websocket-protocol")), (101, ""), "by the header");
}

#[both_databases]
async fn who_has_no_good_token_gets_no_socket() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    let token = format!("__{}", ann.token().unwrap());
    let nobody = format!("__{}", server.token(77));
    for path in [NOTIFY, "/ws/stream"] {
        let refused = async |protocol: &str, status, code| {
            ask(&server.visitor(), path, &[("sec-websocket-protocol", protocol)]).await.refused(status, code);
        };
        refused("", 401, "not_authenticated").await;
        refused("__", 401, "token_not_valid").await;
        refused("__garbage", 401, "token_not_valid").await;
        refused(&token[..token.len() - 2], 401, "token_not_valid").await;
        refused(&nobody, 401, "authentication_failed").await;
    }
    let answer = ask(&server.visitor(), NOTIFY, &[("sec-websocket-protocol", &token[2..])]).await;
    answer.refused_field("Sec-WebSocket-Protocol", "invalid");
    server.upsert(json!({ "id": 1, "status": "d" })).await;
    let answer = ask(&server.visitor(), NOTIFY, &[("sec-websocket-protocol", &token)]).await;
    answer.refused(401, "authentication_failed");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
    server.advance(Duration::from_secs(7200));
    ask(&server.visitor(), NOTIFY, &[("sec-websocket-protocol", &token)]).await.refused(401, "token_not_valid");
}

#[both_databases]
async fn a_socket_outlives_its_token() {
    let server = TestServer::start().await;
    let (_, bob) = server.ann_and_bob().await;
    let (mut official, mut stream) = (server.official(&bob).await, server.stream(&bob, None).await);
    server.advance(Duration::from_secs(7200));
    bob.get("/api/v2/pm/").await.refused(401, "token_not_valid");
    let token = format!("__{}", bob.token().unwrap());
    for path in [NOTIFY, "/ws/stream"] {
        let answer = ask(&server.visitor(), path, &[("sec-websocket-protocol", &token)]).await;
        answer.refused(401, "token_not_valid");
    }
    let sent = server.sign_in(1, "ann").send(&bob, "still there?").await;
    let frame = official.json().await;
    assert_eq!(frame["data"]["activity_type"], 37);
    assert_eq!(frame["data"]["notification_obj"]["message"]["id"], sent["id"]);
    assert_eq!(stream.event("message_created").await["message"]["id"], sent["id"]);
}

#[both_databases]
async fn an_unknown_member_is_created_where_the_community_wants_that() {
    let server = TestServer::with(|config| config.auth.provision = ProvisionMode::OnFirstSight).await;
    let ann = server.sign_in(1, "ann");
    server.official(&ann).await;
    ann.get("/api/v2/user/me/").await.expect(200);
}

#[both_databases]
async fn what_is_no_handshake_is_refused_in_the_error_shape() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    let token = format!("__{}", ann.token().unwrap());
    for path in [NOTIFY, "/ws/stream"] {
        let with = async |name, value| {
            ask(&server.visitor(), path, &[("sec-websocket-protocol", &token), (name, value)]).await
        };
        for (name, value) in [
            ("upgrade", ""),
            ("upgrade", "h2c"),
            ("connection", "close"),
            ("sec-websocket-version", ""),
            ("sec-websocket-version", "8"),
        ] {
            let answer = with(name, value).await;
            answer.refused(426, "upgrade_required");
            assert_eq!((answer.header("upgrade"), answer.header("sec-websocket-version")), ("websocket", "13"));
        }
        for key in ["", "short", "dGhlIHNhbXBsZSBub25jZSE="] {
            with("sec-websocket-key", key).await.refused_field("Sec-WebSocket-Key", "invalid");
        }
        server.visitor().post(path, json!({})).await.refused(405, "method_not_allowed");
    }
    let answer = ask(&server.visitor(), NOTIFY, &[("sec-websocket-protocol", "__a, ,b")]).await;
    answer.refused_field("Sec-WebSocket-Protocol", "invalid");
    for after in ["garbage", "2-0-00000000", "1-99-00000000", "1-1-0000000"] {
        let path = format!("/ws/stream?after={after}");
        let answer = ask(&server.visitor(), &path, &[("sec-websocket-protocol", &token)]).await;
        answer.refused_field("after", "invalid");
    }
}

#[both_databases]
async fn only_pages_of_the_community_get_a_socket() {
    let server = TestServer::with(|config| {
        config.server.cors_origins = vec!["https://community.example".into()];
        config.server.public_url = "https://chat.example:8443/under".into();
    })
    .await;
    let ann = server.member(1, "ann").await;
    let token = format!("__{}", ann.token().unwrap());
    for (origin, status) in [
        ("https://community.example", 101),
        ("https://chat.example:8443", 101),
        ("https://chat.example", 403),
        ("http://community.example", 403),
        ("https://community.example.evil", 403),
        ("https://evil.community.example", 403),
        ("https://COMMUNITY.example", 403),
        ("null", 403),
    ] {
        let headers = [("sec-websocket-protocol", &*token), ("origin", origin)];
        let answer = ask(&server.visitor(), NOTIFY, &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{origin}: {}", answer.text);
        if status == 403 {
            answer.refused(403, "permission_denied");
        }
    }
}

#[both_databases]
async fn sockets_of_a_member_and_in_all_have_a_limit() {
    let server = TestServer::with(|config| {
        config.live.max_sockets_per_member = 2;
        config.live.max_sockets = 3;
    })
    .await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = server.official(&ann).await;
    let _second = server.stream(&ann, None).await;
    let again = async |member: &parlour_testkit::Member| {
        let protocol = format!("__{}", member.token().unwrap());
        ask(&server.visitor(), NOTIFY, &[("sec-websocket-protocol", &protocol)]).await
    };
    again(&ann).await.refused(429, "throttled");
    ann.get("/api/v2/events/stream/").await.refused(429, "throttled");
    ann.get("/api/v2/events/?wait=1").await.refused(429, "throttled");
    let _third = server.official(&bob).await;
    let answer = again(&bob).await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    first.close().await;
    // The place is free as soon as the server has seen the close.
    let mut tries = 0;
    while again(&ann).await.status != 101 {
        tries += 1;
        assert!(tries < 1_000, "the place stays taken");
    }
}

#[both_databases]
async fn a_socket_takes_no_place_of_a_connection() {
    let server = TestServer::with(|config| config.server.max_connections = 4).await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(server.official(&bob).await);
    }
    ann.send(&bob, "hello").await;
    for socket in &mut sockets {
        assert!(matches!(socket.other().await, Heard::Json(_)));
    }
}

#[tokio::test]
async fn a_handshake_by_hand_is_answered_as_the_library_is() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    let socket = WsClient::open(server.address, NOTIFY, &[]).await;
    assert!(socket.is_err(), "without a token");
    server.official(&ann).await.close().await;
}
