//! What the official UI asks a whole platform for: preferences and features before anybody signed in, lists of what Parlour does not have,
//! connections, which are none, and the first page.

use super::cli::{Demo, done, parlour, serve_with};
use parlour_testkit::{Member, TestServer, both_databases, http_client};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const PREFERENCES: &str = "/api/v2/dynamic_preference/";
const FEATURES: &str = "/api/v2/feature/";

/// The rows of a list, which is whole.
fn whole(page: &Value) -> &Vec<Value> {
    let rows = page["results"].as_array().expect("rows");
    assert_eq!(page["count"], rows.len(), "everything is in the one page");
    assert_eq!((&page["next"], &page["previous"]), (&Value::Null, &Value::Null));
    rows
}

/// The preferences by `section.name`, as the UI keeps them.
async fn preferences(server: &TestServer) -> BTreeMap<String, Value> {
    let page = server.visitor().get(PREFERENCES).await.expect(200);
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    let by_name: BTreeMap<String, Value> = whole(&page)
        .iter()
        .map(|row| (format!("{}.{}", text(row, "section"), text(row, "name")), row["value"].clone()))
        .collect();
    assert_eq!(by_name.len(), page["count"], "each once");
    by_name
}

async fn walk(server: &TestServer, path: &str) -> Vec<Value> {
    let visitor = server.visitor();
    let mut page = visitor.get(path).await.expect(200);
    let mut rows = Vec::new();
    loop {
        rows.extend(page["results"].as_array().expect("rows").iter().cloned());
        let Some(next) = page["next"].as_str().map(str::to_owned) else { return rows };
        assert!(next.starts_with(&server.url("/api/v2/")), "{next} is absolute");
        assert!(rows.len() < 1_000, "the links come to an end");
        page = visitor.get(&next).await.expect(200);
    }
}

#[both_databases]
async fn the_official_page_finds_every_preference_that_it_dies_without() {
    let server = TestServer::start().await;
    let preferences = preferences(&server).await;
    for name in [
        "post",
        "discussion",
        "status",
        "comment",
        "category",
        "categories_list",
        "profile",
        "profile_settings",
        "notifications",
        "private_message",
        "incubator",
        "live_stream",
    ] {
        let template = &preferences[&format!("configurations.url_template_{name}")];
        assert!(template.is_string(), "{name}: {template}");
    }
    assert_eq!(preferences["addons.private_messages_enabled"], json!(true), "a boolean, not a text of it");
    assert_eq!(preferences["configurations.follow_enabled"], json!(true), "members follow each other");
    assert_eq!(preferences["configurations.connection_enabled"], json!(false));
    assert!(!preferences.contains_key("colors.colorprimary"), "an empty colour would be one");
}

#[both_databases]
async fn both_lists_come_whole_to_anybody_however_they_ask() {
    let server = TestServer::start().await;
    for path in [PREFERENCES, FEATURES] {
        let plain = server.visitor().get(path).await.expect(200);
        assert!(whole(&plain).len() > 20, "more than a page of any other list");
        for odd in ["?", "?limit=undefined&offset=null", "?limit="] {
            assert_eq!(server.visitor().get(&format!("{path}{odd}")).await.expect(200), plain, "{odd}");
        }
        let bare = path.trim_end_matches('/');
        assert_eq!(server.visitor().get(bare).await.expect(200), plain);
        // Who asks for parts gets parts.
        assert_eq!(walk(&server, &format!("{path}?limit=7")).await, *whole(&plain));
        assert_eq!(walk(&server, &format!("{path}?offset=3")).await, whole(&plain)[3..]);
        assert_eq!(server.visitor().get(&format!("{path}?offset=1000")).await.expect(200)["results"], json!([]));
        server.visitor().get(&format!("{path}?limit=x")).await.refused_field("limit", "invalid");
        server.visitor().get(&format!("{path}?offset=-1")).await.refused_field("offset", "out_of_range");
    }
}

#[both_databases]
async fn a_page_of_another_origin_may_read_both_without_a_preflight() {
    let server = TestServer::start().await;
    for path in [PREFERENCES, FEATURES] {
        let request = server.visitor().request(Method::GET, path).header("origin", "https://app.example");
        let answer = server.visitor().send_request(request).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        answer.expect(200);
    }
}

#[both_databases]
async fn preferences_and_features_are_the_communitys_own() {
    let server = TestServer::with(|config| {
        config.preferences.text.application_name = "Allotments <North>".into();
        config.preferences.colors.colorprimary = "#2e7d32".into();
        config.preferences.configurations.url_template_post.clear();
        config.preferences.other.insert("text.application_slogan1".into(), "Grow together".into());
        config.preferences.other.insert("configurations.stream_quality".into(), 7.into());
        config.features.enabled = vec!["webhook".into()];
    })
    .await;
    let preferences = preferences(&server).await;
    assert_eq!(preferences["text.application_name"], "Allotments <North>");
    assert_eq!(preferences["colors.colorprimary"], "#2e7d32");
    assert_eq!(preferences["configurations.url_template_post"], "", "there even when it says nothing");
    assert_eq!(preferences["text.application_slogan1"], "Grow together");
    assert_eq!(preferences["configurations.stream_quality"], 7, "a number stays one");
    let features = server.visitor().get(FEATURES).await.expect(200);
    let enabled: Vec<&str> = whole(&features)
        .iter()
        .filter(|feature| feature["enabled"].as_bool().expect("yes or no"))
        .map(|feature| feature["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(enabled, ["webhook"]);
}

#[both_databases]
async fn without_private_messages_nothing_of_them_answers_and_nothing_is_lost() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send(&bob, "before").await;
    server.restart_with(|config| config.preferences.addons.private_messages_enabled = false).await;
    assert_eq!(preferences(&server).await["addons.private_messages_enabled"], json!(false));
    let ann = server.sign_in(1, "ann");
    let document = server.visitor().get("/api/v2/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().unwrap();
    let of_messages = paths.iter().filter(|(path, _)| path.starts_with("/api/v2/pm/"));
    let mut asked = 0;
    for (path, operations) in of_messages {
        for method in
            ["GET", "POST", "DELETE"].into_iter().filter(|method| operations.get(method.to_lowercase()).is_some())
        {
            let method: Method = method.parse().unwrap();
            for path in [path.replace("{id}", "1"), path.replace("{id}", "1").trim_end_matches('/').to_owned()] {
                let request = |of: &parlour_testkit::Visitor| of.request(method.clone(), &path);
                ann.send_request(request(&ann)).await.refused(403, "permission_denied");
                let visitor = server.visitor();
                visitor.send_request(request(&visitor)).await.refused(401, "not_authenticated");
            }
            asked += 1;
        }
    }
    assert!(asked >= 12, "{asked} operations");
    // Nor does a socket's frame do what the address does not.
    let bob = server.sign_in(2, "bob");
    let (mut of_ann, mut of_bob) = (server.stream(&ann, None).await, server.stream(&bob, None).await);
    of_ann.say(&json!({ "type": "typing", "thread_id": sent["thread_id"] }).to_string()).await;
    of_ann.close().await;
    let sids = json!({ "sids": [sent["id"].to_string()] });
    bob.post("/api/v2/notification/read/", sids).await.expect(204);
    loop {
        let event = of_bob.json().await;
        assert_ne!(event["type"], "typing");
        if event["type"] == "notifications_read" {
            break;
        }
    }
    let other = ann.get("/api/v2/user/2/").await.expect(200);
    assert_eq!(other["can_send_pm_to"], false);
    server.restart_with(|config| config.preferences.addons.private_messages_enabled = true).await;
    let bob = server.sign_in(2, "bob");
    assert_eq!(bob.inbox().await["count"], 1);
    assert_eq!(bob.get("/api/v2/user/1/").await.expect(200)["can_send_pm_to"], true);
}

#[both_databases]
async fn what_parlour_does_not_have_is_an_empty_list() {
    let server = TestServer::start().await;
    let (ann, _bob) = server.ann_and_bob().await;
    for path in [
        "/api/v2/reaction/",
        "/api/v2/incubator/",
        "/api/v2/notification/banner/",
        "/api/v2/user/2/groups/",
        "/api/v2/user/2/events/",
        "/api/v2/user/2/courses/",
    ] {
        let page = ann.get(path).await.expect(200);
        assert_eq!(page, json!({ "count": 0, "next": null, "previous": null, "results": [] }), "{path}");
        ann.get(&format!("{path}?limit=0")).await.refused_field("limit", "out_of_range");
    }
    assert_eq!(ann.get("/api/v2/user/2/categories/").await.expect(200), json!([]), "a bare list");
    for path in ["unseen/count/", "undisposed/count/"] {
        let count = ann.get(&format!("/api/v2/notification/banner/{path}")).await.expect(200);
        assert_eq!(count, json!({ "count": 0 }));
    }
    for path in ["read/", "dispose/"] {
        ann.post(&format!("/api/v2/notification/banner/{path}"), json!({ "banner": [1] })).await.expect(204);
    }
    for list in ["groups", "events", "courses", "categories"] {
        ann.get(&format!("/api/v2/user/777/{list}/")).await.refused(404, "not_found");
    }
}

async fn status(member: &Member, id: i64) -> Value {
    let answer = member.get(&format!("/api/v2/user/{id}/connection_status/")).await.expect(200);
    answer["connection_status"].clone()
}

#[both_databases]
async fn a_connection_status_says_whom_one_follows() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.member(1, "ann").await, server.member(2, "bob").await);
    server.member(3, "cid").await;
    assert_eq!(status(&ann, 2).await, Value::Null);
    ann.send_request(ann.request(Method::POST, "/api/v2/user/2/follow/")).await.expect(204);
    assert_eq!(status(&ann, 2).await, "followed");
    assert_eq!(ann.get("/api/v2/user/2/").await.expect(200)["connection_status"], "followed");
    assert_eq!(status(&bob, 1).await, Value::Null, "not the other way round");

    let path = "/api/v2/user/connection/statuses/";
    let statuses = json!({ "connection_statuses": { "2": "followed", "3": null } });
    assert_eq!(ann.post(path, json!({ "users": [2, 3, 777] })).await.expect(200), statuses);
    let form = "application/x-www-form-urlencoded";
    assert_eq!(ann.post_raw(path, form, "users=2&users=3").await.expect(200), statuses);
    assert_eq!(ann.post(path, json!({ "users": [] })).await.expect(200), json!({ "connection_statuses": {} }));
    ann.post(path, json!({ "users": ["x"] })).await.refused_field("users", "invalid");
    let many: Vec<i64> = (1..=101).collect();
    ann.post(path, json!({ "users": many })).await.refused_field("users", "too_many");
}

#[both_databases]
async fn nobody_is_connected_and_nobody_can_be() {
    let server = TestServer::start().await;
    let (ann, _bob) = server.ann_and_bob().await;
    let answer = ann.get("/api/v2/user/2/is_connection/").await.expect(200);
    assert_eq!(answer, json!({ "is_connection": false }), "who follow each other are not connected");
    for action in ["request", "accept", "reject", "cancel_reject", "cancel_request", "remove"] {
        let post = async |id: &str| {
            let path = format!("/api/v2/user/{id}/connection/{action}/");
            ann.send_request(ann.request(Method::POST, &path)).await
        };
        post("2").await.refused(403, "permission_denied");
        post("777").await.refused(404, "not_found");
        post("x").await.refused_field("id", "invalid");
    }
}

#[both_databases]
async fn both_sides_can_ask_who_has_hidden_whom() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send_request(ann.request(Method::POST, "/api/v2/user/2/hide/")).await.expect(204);
    for (member, id, hidden, by) in [(&ann, 2, true, false), (&bob, 1, false, true)] {
        let is_hidden = member.get(&format!("/api/v2/user/{id}/is_hidden/")).await.expect(200);
        assert_eq!(is_hidden, json!({ "is_hidden": hidden }));
        let is_hidden_by = member.get(&format!("/api/v2/user/{id}/is_hidden_by/")).await.expect(200);
        assert_eq!(is_hidden_by, json!({ "is_hidden_by": by }));
    }
    ann.get("/api/v2/user/777/is_hidden_by/").await.refused(404, "not_found");
}

/// A page as a browser gets it.
async fn page(address: &str) -> (reqwest::header::HeaderMap, String) {
    let answer = http_client().get(address).header("origin", "https://elsewhere.example").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    (answer.headers().clone(), answer.text().await.unwrap())
}

#[both_databases]
async fn the_first_page_says_what_runs_and_shows_no_member_of_a_real_community() {
    let server = TestServer::start().await;
    server.member(1, "ann").await;
    let (headers, text) = page(&server.url("/")).await;
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let link = |path: &str| format!("href=\"{}\"", server.url(path));
    for part in ["Parlour", env!("CARGO_PKG_VERSION"), &link("/docs/"), &link("/api/v2/openapi.json")] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("Bearer") && !text.contains("ann"), "{text}");
}

#[both_databases]
async fn the_first_page_leads_on_below_the_path_of_the_public_address() {
    let server = TestServer::with(|config| config.server.public_url = "https://example.org/chat".into()).await;
    let (_, text) = page(&server.url("/chat/")).await;
    assert!(text.contains("href=\"https://example.org/chat/docs/\""), "{text}");
}

#[both_databases]
async fn a_demo_shows_its_tokens_to_no_page_whose_name_was_made_to_lead_here() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let text = async |host: &str| {
        let request = http_client().get(format!("{}/", demo.address())).header("host", host);
        request.send().await.unwrap().text().await.unwrap()
    };
    for host in ["127.0.0.1:8080", "localhost", "[::1]:80", "192.168.1.7:8080"] {
        assert!(text(host).await.contains("Bearer"), "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example"] {
        let text = text(host).await;
        assert!(text.contains("Parlour") && !text.contains("Bearer"), "{host}");
    }
}

#[both_databases]
async fn a_demo_signs_with_a_secret_of_its_own_and_shows_no_other_community() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "a secret of the real community, which has 32 bytes";
    let mut command = parlour(folder.path(), &["demo", "--listen", "127.0.0.1:0", "--socket-listen", "off"]);
    command.env("PARLOUR_AUTH_JWT_SECRET", secret);
    let demo = Demo::start_command(command);
    let (_, token) = demo.request(0);
    let server =
        TestServer::with(|config| config.auth.jwt_secret = parlour_server::config::Secret::new(secret.into())).await;
    server.member(1, "ann").await;
    server.visitor_with(&token).get("/api/v2/user/me/").await.refused(401, "token_not_valid");

    let other = tempfile::tempdir().unwrap();
    for (id, name) in [("1", "ann"), ("2", "someone-else"), ("20", "bob")] {
        // Where a demo looks: in a file of its own, whatever else is configured.
        let own = ["--set", "storage.database="];
        done(other.path(), &[&["user", "add", "--id", id, "--username", name][..], &own].concat());
    }
    let output =
        parlour(other.path(), &["demo", "--listen", "127.0.0.1:0", "--socket-listen", "off"]).output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("another community's data"), "{error}");
    assert!(output.stdout.is_empty(), "nothing is introduced");
}

#[both_databases]
async fn the_first_page_of_a_demo_has_a_request_for_every_member_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let address = demo.address();
    let (headers, text) = page(&format!("{address}/")).await;
    assert!(!headers.contains_key("access-control-allow-origin"), "no other page reads the tokens");
    assert_eq!(headers["cache-control"], "no-store");
    let requests: Vec<(&str, &str)> = text
        .split("<code>curl '")
        .skip(1)
        .map(|line| {
            let (url, rest) = line.split_once("' -H 'Authorization: Bearer ").expect("an address and a token");
            (url, rest.split('\'').next().expect("a token"))
        })
        .collect();
    assert_eq!(requests.len(), 12, "one for each member");
    for (url, token) in requests {
        assert!(url.starts_with(&address), "{url}");
        let answer = http_client().get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        let thread: Value = answer.json().await.unwrap();
        assert!(!thread["results"].as_array().unwrap().is_empty(), "{url} shows messages");
    }
}

#[both_databases]
async fn a_demo_serves_the_socket_where_the_official_page_looks_for_it_or_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start_with(folder.path(), &["--socket-listen", "127.0.0.1:0"]);
    let found = demo.introduction().split("socket at ws://").nth(1).expect("where the socket is");
    let socket: SocketAddr = found.split('/').next().unwrap().parse().expect("an address");
    assert_ne!(format!("http://{socket}"), demo.address());
    // Without an upgrade it says that it wants one: the socket is there.
    let answer = http_client().get(format!("http://{socket}/ws/notify?subscribe-user")).send().await.unwrap();
    assert_eq!(answer.status(), 426);

    let other = tempfile::tempdir().unwrap();
    let off = Demo::start_with(other.path(), &["--socket-listen", "off"]);
    assert!(!off.introduction().contains("ws://"));
    let refused = |flags: &[&str]| {
        let output = parlour(other.path(), &[&["demo", "--listen", "127.0.0.1:0"], flags].concat()).output().unwrap();
        assert!(!output.status.success(), "{flags:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = refused(&["--socket-listen", &socket.to_string()]);
    assert!(error.contains(&format!("cannot listen on {socket}")), "{error}");
    let error = refused(&["--socket-listen", "here"]);
    assert!(error.contains("--socket-listen") && error.contains("127.0.0.1:80"), "{error}");
}

#[both_databases]
async fn a_server_answers_at_every_address_that_it_listens_on() {
    let folder = tempfile::tempdir().unwrap();
    // Free a moment ago.
    let also = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_server, address) = serve_with(folder.path(), &["--set", &format!("server.also_listen={also}")]);
    for address in [address, format!("http://{also}")] {
        let answer = http_client().get(format!("{address}/healthz")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
    }
}
