use parlour_testkit::{Heard, Member, TestServer, WsClient, both_databases};
use serde_json::json;
use tokio_websockets::Message;

async fn sockets(server: &TestServer, member: &Member) -> [WsClient; 2] {
    [server.official(member).await, server.stream(member, None).await]
}

/// What a socket hears at last.
async fn end(socket: &mut WsClient) -> Heard {
    loop {
        match socket.next().await {
            Heard::Heartbeat | Heard::Json(_) => {}
            other => return other,
        }
    }
}

#[track_caller]
fn closed(heard: &Heard, code: u16) {
    assert!(matches!(heard, Heard::Closed(closed, _) if *closed == code), "{heard:?} is not {code}");
}

#[both_databases]
async fn bytes_and_large_texts_close_the_socket() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    for mut socket in sockets(&server, &ann).await {
        socket.send(Message::binary(vec![1, 2, 3])).await;
        closed(&end(&mut socket).await, 1003);
    }
    for mut socket in sockets(&server, &ann).await {
        socket.send(Message::text("x".repeat(4097))).await;
        closed(&end(&mut socket).await, 1009);
    }
    for mut socket in sockets(&server, &ann).await {
        // Three thousand bytes, twice, as one message: masked with zeros, which change nothing.
        let piece = |first: u8| {
            let mut frame = vec![first, 0x80 | 126, 0x0b, 0xb8, 0, 0, 0, 0];
            frame.extend([b'x'; 3000]);
            frame
        };
        socket.send_raw(&[piece(0x01), piece(0x80)].concat()).await;
        closed(&end(&mut socket).await, 1009);
    }
}

#[both_databases]
async fn what_is_no_frame_closes_the_socket() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    for (about, bytes, code) in [
        ("unmasked", &[0x81, 0x01, b'x'][..], 1002),
        ("reserved bits", &[0xf1, 0x80, 0, 0, 0, 0][..], 1002),
        ("unknown opcode", &[0x83, 0x80, 0, 0, 0, 0][..], 1002),
        ("no text", &[0x81, 0x81, 0, 0, 0, 0, 0xff][..], 1007),
        ("another protocol", &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], 1002),
        ("terabytes", &[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], 1009),
    ] {
        for mut socket in sockets(&server, &ann).await {
            socket.send_raw(bytes).await;
            let heard = end(&mut socket).await;
            assert!(matches!(heard, Heard::Closed(closed, _) if closed == code), "{about}: {heard:?}");
        }
    }
}

#[both_databases]
async fn a_flood_closes_the_socket() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    for mut socket in sockets(&server, &ann).await {
        for _ in 0..200 {
            socket.say("x").await;
        }
        closed(&end(&mut socket).await, 1008);
    }
    for mut socket in sockets(&server, &ann).await {
        for _ in 0..200 {
            socket.send(Message::ping("x")).await;
        }
        closed(&end(&mut socket).await, 1008);
    }
}

#[both_databases]
async fn a_message_that_never_ends_breaks_the_socket() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    for mut socket in sockets(&server, &ann).await {
        // The beginning of a text, and then pieces with nothing in them.
        socket.send_raw(&[0x01, 0x81, 0, 0, 0, 0, b'x']).await;
        let pieces = [0x00, 0x80, 0, 0, 0, 0].repeat(10_000);
        for _ in 0..100 {
            socket.send_raw(&pieces).await;
        }
        assert_eq!(end(&mut socket).await, Heard::Lost);
    }
}

/// Sends until the queues of a socket that reads nothing run over, with the connection's own buffers before them.
#[both_databases]
async fn a_client_that_never_reads_is_given_up_and_comes_back_with_its_cursor() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut lazy = server.stream(&bob, None).await;
    let cursor = lazy.event("ready").await["cursor"].as_str().unwrap().to_owned();
    let mut official = server.official(&bob).await;
    let mut awake = server.stream(&bob, None).await;
    awake.event("unread").await;
    let text = "x".repeat(9_000);
    let mut sent = 0;
    while server.app.hub.open() > 1 {
        assert!(sent < 3_000, "a client that never reads is kept");
        ann.send(&bob, &text).await;
        sent += 1;
        assert_eq!(awake.event("message_created").await["message"]["sender_id"], 1);
    }
    drop((lazy, awake));
    // What the official client had, it has; then it is told to come back.
    closed_or_lost(&end(&mut official).await);
    let mut again = server.stream(&bob, Some(&cursor)).await;
    for number in 0..sent {
        let event = again.event("message_created").await;
        assert_eq!(event["thread"]["unread_count"], sent, "{number}");
    }
    ann.send(&bob, "at last").await;
    assert_eq!(again.event("message_created").await["message"]["message"], json!("at last"));
}

#[track_caller]
fn closed_or_lost(heard: &Heard) {
    assert!(matches!(heard, Heard::Closed(1013, _) | Heard::Lost), "{heard:?}");
}

#[both_databases]
async fn a_client_that_reads_too_late_is_told_to_resync() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut late = server.stream(&bob, None).await;
    late.event("unread").await;
    let mut source = bob.request(reqwest::Method::GET, "/api/v2/events/stream/").send().await.unwrap();
    let text = "x".repeat(9_000);
    let mut sent = 0;
    // The log is read once for both; what one cannot take, the other cannot either.
    while server.app.hub.resyncs() < 2 {
        assert!(sent < 3_000, "a client that never reads is kept");
        ann.send(&bob, &text).await;
        sent += 1;
    }
    let mut came = 0;
    loop {
        match late.other().await {
            Heard::Json(event) if event["type"] == "message_created" => came += 1,
            Heard::Json(event) if event["type"] == "resync" => break,
            Heard::Json(event) => assert_eq!(event["type"], "unread"),
            // The server waited for a while only.
            Heard::Lost => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(came < sent, "some were given up");
    let mut text = String::new();
    while let Ok(Some(piece)) = source.chunk().await {
        text.push_str(std::str::from_utf8(&piece).unwrap_or_default());
    }
    assert!(text.matches("message_created").count() < sent);
}
