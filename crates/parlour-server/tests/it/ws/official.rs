use parlour_testkit::{HEARTBEAT, Heard, Member, TestServer, WsClient, both_databases};
use serde_json::{Value, json};

/// A message that is sent afterwards arrives: nothing else came before it.
async fn nothing_else(socket: &mut WsClient, sender: &Member, receiver: &Member) {
    let text = "the end";
    sender.send(receiver, text).await;
    let frame = socket.json().await;
    assert_eq!(frame["data"]["notification_obj"]["message"]["message"], text, "{frame}");
}

#[both_databases]
async fn the_heartbeat_is_echoed_at_once_and_sent_by_itself() {
    let server = TestServer::with(|config| config.live.heartbeat = "100ms".parse_duration()).await;
    let ann = server.member(1, "ann").await;
    let mut socket = server.official(&ann).await;
    for _ in 0..5 {
        assert_eq!(socket.next().await, Heard::Heartbeat, "by itself");
    }
    for _ in 0..20 {
        socket.say(HEARTBEAT).await;
        assert_eq!(socket.next().await, Heard::Heartbeat);
    }
}

#[both_databases]
async fn a_message_arrives_as_the_official_client_reads_it() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut bobs = server.official(&bob).await;
    let sent = ann.send(&bob, "<b>hello</b> & more").await;
    let frame = bobs.json().await;
    assert_eq!(frame["type"], "interaction");
    let data = &frame["data"];
    assert_eq!(data["activity_type"], 37);
    assert_eq!(data["thread_id"], sent["thread_id"]);
    let id = sent["id"].to_string();
    assert_eq!(data["feed_serialization_id"], id);
    assert_eq!((&data["count_interactions"], &data["count_notification_banners"]), (&json!(1), &json!(0)));
    let notification = &data["notification_obj"];
    assert_eq!(notification["type"], "private_message");
    assert_eq!((&notification["sid"], &notification["is_new"]), (&json!(id), &json!(true)));
    assert_eq!(notification["active_at"], sent["created_at"]);
    // As everywhere else, to the last field.
    let message = bob.get(&format!("/api/v2/pm/{id}/")).await.expect(200);
    assert_eq!(notification["message"], message);
    assert_eq!(message["message"], "&lt;b&gt;hello&lt;/b&gt; &amp; more");
    assert_eq!(notification["message"]["sender"]["username"], "ann");
    assert_eq!(notification["message"].get("group"), Some(&Value::Null), "there, and null");
    assert_eq!(notification["snippet"], bob.inbox().await["results"][0]);
    assert_eq!(notification["snippet"]["thread_status"], "new");
}

#[both_databases]
async fn a_pushed_file_opens_by_its_links() {
    for public_url in ["", "https://example.org/chat"] {
        let server = TestServer::with(|config| config.server.public_url = public_url.into()).await;
        let (ann, bob) = server.ann_and_bob().await;
        let (mut official, mut stream) = (server.official(&bob).await, server.stream(&bob, None).await);
        let uuid = ann.upload("plan.txt", "text/plain", b"between two").await;
        let picture = parlour_media::samples::png(1, false).unwrap();
        let thumbnail = ann.upload_thumbnail(&uuid, "plan.png", "image/png", &picture).await;
        let sent = ann.send_file(&bob, &thumbnail).await;
        let message = bob.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200);
        let frame = official.json().await;
        let notification = &frame["data"]["notification_obj"];
        assert_eq!((&notification["message"], &notification["snippet"]["headline"]), (&message, &json!("plan.txt")));
        let event = stream.event("message_created").await;
        assert_eq!((&event["message"], &event["thread"]["headline"]), (&message, &json!("plan.txt")));
        let base = if public_url.is_empty() { server.url("") } else { public_url.to_owned() };
        let open = async |name: &str| {
            let link = message["file"][name].as_str().unwrap();
            let path = link.strip_prefix(&base).unwrap_or_else(|| panic!("{link} is not below {base}"));
            server.visitor().download(path).await
        };
        assert_eq!(open("url").await.expect(200), b"between two");
        let picture = open("thumbnail").await;
        assert!(!picture.expect(200).is_empty() && picture.header("content-type").starts_with("image/"));
    }
}

#[both_databases]
async fn every_tab_of_the_receiver_hears_it_once_and_the_sender_never() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let cid = server.member(3, "cid").await;
    server.befriend(&[&bob, &cid]).await;
    let mut tabs = [server.official(&bob).await, server.official(&bob).await, server.official(&bob).await];
    let (mut anns, mut cids) = (server.official(&ann).await, server.official(&cid).await);
    for number in 0..20 {
        ann.send(&bob, &format!("message {number}")).await;
    }
    for tab in &mut tabs {
        for number in 0..20 {
            let frame = tab.json().await;
            assert_eq!(frame["data"]["notification_obj"]["message"]["message"], format!("message {number}"));
            // What is unread by the time of the push, which may be more than this message.
            let unseen = frame["data"]["count_interactions"].as_i64().unwrap();
            assert!((number + 1..=20).contains(&unseen), "{unseen} after {number}");
        }
    }
    bob.thread_with(&ann, "").await;
    nothing_else(&mut anns, &bob, &ann).await;
    nothing_else(&mut cids, &bob, &cid).await;
    for tab in &mut tabs {
        nothing_else(tab, &ann, &bob).await;
    }
}

/// The next frame that tells of no message: what was taken back at once may have been told before.
async fn no_message(socket: &mut WsClient) -> Value {
    loop {
        let frame = socket.json().await;
        if frame["data"]["activity_type"] != 37 {
            return frame;
        }
    }
}

#[both_databases]
async fn taking_a_message_back_is_told_to_the_other_alone() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let (mut anns, mut bobs) = (server.official(&ann).await, server.official(&bob).await);
    let only = ann.send(&bob, "the only one").await;
    ann.delete_message(&only["id"]).await;
    let frame = no_message(&mut bobs).await;
    let notification = &frame["data"]["notification_obj"];
    assert_eq!(notification["message"]["id"], only["id"]);
    assert_eq!(notification.get("snippet"), Some(&Value::Null), "the thread has left the inbox");
    let stays = ann.send(&bob, "stays").await;
    let sent = ann.send(&bob, "goes").await;
    ann.delete_message(&sent["id"]).await;
    let frame = no_message(&mut bobs).await;
    let data = &frame["data"];
    assert_eq!((&data["activity_type"], &data["thread_id"]), (&json!(105), &sent["thread_id"]));
    let notification = &data["notification_obj"];
    assert_eq!(notification["type"], "delete_private_message");
    assert_eq!(notification["message"]["id"], sent["id"]);
    assert_eq!(notification["message"]["status"], "deleted");
    assert_eq!(notification["snippet"]["headline"], "stays", "what is the newest now");
    server.advance(std::time::Duration::from_secs(61));
    ann.delete_message(&stays["id"]).await;
    let frame = bobs.json().await;
    let notification = &frame["data"]["notification_obj"];
    assert_eq!(frame["data"]["activity_type"], 105);
    assert_eq!(notification["message"]["status"], "hidden");
    assert_eq!(notification["message"], bob.get(&format!("/api/v2/pm/{}/", stays["id"])).await.expect(200));
    assert!(!frame.to_string().contains("stays"));
    nothing_else(&mut anns, &bob, &ann).await;
    nothing_else(&mut bobs, &ann, &bob).await;
}

#[both_databases]
async fn typing_and_presence_are_not_for_the_official_client() {
    let server = TestServer::with(|config| config.live.presence_grace = "0s".parse_duration()).await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "before").await;
    let mut bobs = server.official(&bob).await;
    // Another client of Bob's says when each was told.
    let mut stream = server.stream(&bob, None).await;
    stream.event("unread").await;
    ann.post("/api/v2/pm/typing/", json!({ "user": bob.id })).await.expect(204);
    assert_eq!(stream.event("typing").await["user_id"], ann.id);
    let anns = server.stream(&ann, None).await;
    let presence = |is_online: bool| json!({ "type": "presence", "user_id": ann.id, "is_online": is_online });
    assert_eq!(stream.event("presence").await, presence(true));
    anns.close().await;
    assert_eq!(stream.event("presence").await, presence(false));
    nothing_else(&mut bobs, &ann, &bob).await;
}

#[both_databases]
async fn what_happened_before_the_socket_was_open_is_not_told() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "before").await;
    let mut first = server.official(&bob).await;
    nothing_else(&mut first, &ann, &bob).await;
    let mut second = server.official(&bob).await;
    nothing_else(&mut second, &ann, &bob).await;
}

#[both_databases]
async fn whatever_else_the_client_says_is_passed_over() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut socket = server.official(&bob).await;
    for text in ["", "hello", "{", "{\"type\":\"typing\"}", "--heartbeat--", &"x".repeat(4096)] {
        socket.say(text).await;
    }
    nothing_else(&mut socket, &ann, &bob).await;
}

#[both_databases]
async fn after_a_restart_new_sockets_hear_what_comes_then() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let mut socket = server.official(&bob).await;
    ann.send(&bob, "before").await;
    socket.json().await;
    server.restart().await;
    assert_eq!(socket.other().await, Heard::Closed(1001, "the server stops".into()));
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    let mut socket = server.official(&bob).await;
    nothing_else(&mut socket, &ann, &bob).await;
}

/// Durations as the configuration file writes them.
trait Written {
    fn parse_duration(&self) -> parlour_server::config::Duration;
}

impl Written for str {
    fn parse_duration(&self) -> parlour_server::config::Duration {
        serde_json::from_value(json!(self)).unwrap()
    }
}
