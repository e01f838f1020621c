//! The community's own backend: users and follows in bulk, under the admin key, and users created by their first token.

use super::{ME, ids, view};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parlour_server::config::ProvisionMode;
use parlour_testkit::{Answer, JWT_SECRET, Member, TestServer, both_databases, texts};
use serde_json::{Value, json};

const USERS: &str = "/api/v2/admin/users/";
const FOLLOWS: &str = "/api/v2/admin/follows/";

async fn try_upsert(server: &TestServer, users: Value) -> Answer {
    server.backend().post(USERS, json!({ "users": users })).await
}

/// What became of each user.
async fn upsert(server: &TestServer, users: Value) -> Value {
    let mut body = try_upsert(server, users).await.expect(200);
    assert_eq!(super::keys(&body), ["results"]);
    body["results"].take()
}

async fn try_follow(server: &TestServer, follows: Value) -> Answer {
    server.backend().post(FOLLOWS, json!({ "follows": follows })).await
}

async fn follow(server: &TestServer, follows: Value) -> Value {
    try_follow(server, follows).await.expect(200)["results"].clone()
}

/// A moderator who looks at what is stored.
async fn watcher(server: &TestServer) -> Member {
    server.upsert(json!({ "id": 9000, "username": "watcher", "role": "moderator" })).await;
    server.sign_in(9000, "watcher")
}

async fn assert_nobody(watcher: &Member, id: i64) {
    watcher.get(&format!("/api/v2/user/{id}/")).await.refused(404, "not_found");
}

#[both_databases]
async fn users_are_created_updated_and_left_unchanged() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    let result = |id: i64, ext_id: Value, outcome: &str| json!({ "id": id, "ext_id": ext_id, "outcome": outcome });
    let users = json!([{ "id": 1, "username": "ann" }, { "id": 2, "username": "bob", "ext_id": "B" }]);
    let created = json!([result(1, Value::Null, "created"), result(2, json!("B"), "created")]);
    assert_eq!(upsert(&server, users.clone()).await, created);
    let unchanged = json!([result(1, Value::Null, "unchanged"), result(2, json!("B"), "unchanged")]);
    assert_eq!(upsert(&server, users).await, unchanged);
    assert_eq!(upsert(&server, json!([{ "id": 2 }])).await, json!([result(2, json!("B"), "unchanged")]));
    let mixed = json!([{ "id": 2, "bio": "hi" }, { "id": 1 }, { "id": 3, "username": "cyd" }, { "id": 3, "bio": "" }]);
    let expected = json!([
        result(2, json!("B"), "updated"),
        result(1, Value::Null, "unchanged"),
        result(3, Value::Null, "created"),
        result(3, Value::Null, "unchanged"),
    ]);
    assert_eq!(upsert(&server, mixed).await, expected);
    let bob = view(&watcher, 2).await;
    assert_eq!((&bob["username"], &bob["ext_id"], &bob["bio"]), (&json!("bob"), &json!("B"), &json!("hi")));
    assert_eq!(upsert(&server, json!([])).await, json!([]));
    let same_user = json!([{ "id": 1, "bio": "a" }, { "id": 1, "bio": "b" }]);
    let twice = json!([result(1, Value::Null, "updated"), result(1, Value::Null, "updated")]);
    assert_eq!(upsert(&server, same_user).await, twice, "rows count in their order");
    assert_eq!(view(&watcher, 1).await["bio"], "b");
}

#[both_databases]
async fn a_user_named_by_ext_id_alone_gets_an_id_and_keeps_it() {
    let mut server = TestServer::start().await;
    let row = json!([{ "ext_id": "crm:77", "username": "eve" }, { "ext_id": "crm:78", "username": "fay" }]);
    let created = upsert(&server, row.clone()).await;
    let (eve, fay) = (created[0]["id"].as_i64().unwrap(), created[1]["id"].as_i64().unwrap());
    assert!(eve > 0 && fay > 0 && eve != fay && eve.max(fay) < 1 << 53);
    assert_eq!((&created[0]["ext_id"], &created[0]["outcome"]), (&json!("crm:77"), &json!("created")));
    let unchanged = json!([
        { "id": eve, "ext_id": "crm:77", "outcome": "unchanged" },
        { "id": fay, "ext_id": "crm:78", "outcome": "unchanged" },
    ]);
    assert_eq!(upsert(&server, row.clone()).await, unchanged);
    server.restart().await;
    assert_eq!(upsert(&server, row).await, unchanged);
    let third = upsert(&server, json!([{ "ext_id": "crm:79", "username": "gus" }])).await[0]["id"].as_i64().unwrap();
    assert!(third != eve && third != fay, "an issued id is not issued again after a restart");
    let renamed = upsert(&server, json!([{ "ext_id": "crm:77", "username": "eva" }])).await;
    assert_eq!(renamed, json!([{ "id": eve, "ext_id": "crm:77", "outcome": "updated" }]));
    let me = server.sign_in(eve, "eva").get(ME).await.expect(200);
    assert_eq!((&me["username"], &me["ext_id"], &me["id"]), (&json!("eva"), &json!("crm:77"), &json!(eve)));
    try_upsert(&server, json!([{ "ext_id": "new" }])).await.refused_field("users[0].username", "required");
    try_upsert(&server, json!([{ "username": "who" }])).await.refused_field("users[0].id", "required");
}

#[both_databases]
async fn an_ext_id_belongs_to_one_user() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    upsert(&server, json!([{ "id": 1, "username": "ann", "ext_id": "A" }, { "id": 2, "username": "bob" }])).await;
    let clash = json!([{ "id": 2, "username": "rob" }, { "id": 2, "ext_id": "A" }]);
    try_upsert(&server, clash).await.refused_field("users[1].ext_id", "conflict");
    assert_eq!(view(&watcher, 2).await["username"], "bob", "nothing of the request is stored");
    let within = json!([{ "id": 3, "username": "c", "ext_id": "C" }, { "id": 4, "username": "d", "ext_id": "C" }]);
    try_upsert(&server, within).await.refused_field("users[1].ext_id", "conflict");
    assert_nobody(&watcher, 3).await;
    let moved = json!([{ "id": 1, "ext_id": null }, { "id": 2, "ext_id": "A" }]);
    upsert(&server, moved).await;
    assert_eq!((&view(&watcher, 1).await["ext_id"], &view(&watcher, 2).await["ext_id"]), (&Value::Null, &json!("A")));
    let by_ext_id = upsert(&server, json!([{ "ext_id": "A", "bio": "mine now" }])).await;
    assert_eq!(by_ext_id[0]["id"], 2);
    upsert(&server, json!([{ "id": 5, "username": "e", "ext_id": "a" }])).await;
    assert_eq!(view(&watcher, 5).await["ext_id"], "a", "case counts");
}

#[both_databases]
async fn one_bad_user_and_none_is_stored() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    upsert(&server, json!([{ "id": 1, "username": "ann" }])).await;
    let good = [json!({ "id": 1, "username": "anna" }), json!({ "id": 2, "username": "bob" })];
    let bad = [
        (json!({ "id": 3 }), "users[2].username", "required"),
        (json!({ "id": 3, "username": "" }), "users[2].username", "blank"),
        (json!({ "id": 3, "username": "x".repeat(151) }), "users[2].username", "max_length"),
        (json!({ "id": 3, "username": "c", "avatar": "javascript:alert(1)" }), "users[2].avatar", "invalid"),
        (json!({ "id": 3, "username": "c", "date_of_birth": "yesterday" }), "users[2].date_of_birth", "invalid"),
        (json!({ "id": 3, "username": "c", "ext_id": "" }), "users[2].ext_id", "blank"),
        (json!({ "id": 3, "username": 7 }), "users[2].username", "invalid"),
        (json!(3), "users[2]", "invalid"),
    ];
    for (row, field, code) in bad {
        try_upsert(&server, json!([good[0], good[1], row])).await.refused_field(field, code);
        assert_eq!(view(&watcher, 1).await["username"], "ann");
        assert_nobody(&watcher, 2).await;
        assert_nobody(&watcher, 3).await;
    }
}

#[both_databases]
async fn unknown_fields_and_wrong_types_are_named() {
    let server = TestServer::start().await;
    let wrong = [
        ("nickname", json!("n"), "invalid"),
        ("followers_counter", json!(7), "invalid"),
        ("username", json!(["n"]), "invalid"),
        ("real_name", json!(7), "invalid"),
        ("status", json!("x"), "invalid"),
        ("role", json!("king"), "invalid"),
        ("community_badge", json!("yes"), "invalid"),
        ("gender", json!("male"), "invalid"),
        ("tags", json!("vip"), "invalid"),
        ("reputation", json!("7"), "invalid"),
        ("date_joined", json!("2026-01-01"), "invalid"),
        ("posts_counter", json!(1.5), "invalid"),
        ("ext_id", json!(7), "invalid"),
        ("id", json!("2"), "out_of_range"),
        ("id", json!(0), "out_of_range"),
        ("id", json!(9_007_199_254_740_992_i64), "out_of_range"),
    ];
    for (field, value, code) in wrong {
        let mut row = json!({ "id": 2, "username": "bob" });
        row[field] = value;
        let answer = try_upsert(&server, json!([{ "id": 1, "username": "ann" }, row])).await;
        answer.refused_field(&format!("users[1].{field}"), code);
    }
    let two = try_upsert(&server, json!([{ "id": 1, "username": 1 }, { "id": 2, "username": 2 }])).await;
    two.refused_field("users[0].username", "invalid");
    two.refused_field("users[1].username", "invalid");
    let backend = server.backend();
    backend.post(USERS, json!({})).await.refused_field("users", "required");
    backend.post(USERS, json!({ "users": {} })).await.refused_field("users", "invalid");
    backend.post(USERS, json!({ "users": [], "dry_run": true })).await.refused_field("dry_run", "invalid");
    backend.post_raw(USERS, "application/json", "{\"users\": [").await.refused(400, "parse_error");
    backend
        .post_raw(USERS, "application/x-www-form-urlencoded", "users=[]")
        .await
        .refused(415, "unsupported_media_type");
}

#[both_databases]
async fn a_thousand_rows_are_taken_and_one_more_is_refused() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    let users = |count: i64| (1..=count).map(|id| json!({ "id": id, "username": "u" })).collect::<Vec<_>>();
    try_upsert(&server, json!(users(1001))).await.refused_field("users", "too_many");
    assert_nobody(&watcher, 1).await;
    assert_eq!(upsert(&server, json!(users(1000))).await.as_array().unwrap().len(), 1000);
    view(&watcher, 1000).await;
    let follows = |count: i64| (2..2 + count).map(|id| json!({ "follower": 1, "followed": id })).collect::<Vec<_>>();
    try_follow(&server, json!(follows(1001))).await.refused_field("follows", "too_many");
    assert_eq!(view(&watcher, 1).await["followings_counter"], 0);
    assert_eq!(follow(&server, json!(follows(999))).await.as_array().unwrap().len(), 999);
    assert_eq!(view(&watcher, 1).await["followings_counter"], 999);
}

#[both_databases]
async fn only_the_admin_key_opens_the_admin_api() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    for path in [USERS, FOLLOWS] {
        let body = json!({ "users": [{ "id": 1, "username": "ann" }] });
        server.visitor().post(path, body.clone()).await.refused(401, "not_authenticated");
        let admin = server.sign_in(9000, "watcher");
        server.upsert(json!({ "id": 9000, "role": "admin" })).await;
        for token in ["", "wrong", &parlour_testkit::ADMIN_KEY[1..], JWT_SECRET, admin.token().unwrap()] {
            let answer = server.visitor_with(token).post(path, body.clone()).await;
            assert_eq!(answer.expect(401)["errors"].as_array().unwrap().len(), 1, "{token}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
        }
        server.visitor_with("wrong").post(path, body).await.refused(401, "token_not_valid");
    }
    assert_nobody(&watcher, 1).await;
    server.backend().get("/api/v2/pm/").await.refused(401, "token_not_valid");
}

#[both_databases]
async fn follows_are_set_by_id_or_ext_id_and_repeat_without_effect() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    let users = json!([{ "id": 1, "username": "ann", "ext_id": "A" }, { "id": 2, "username": "bob", "ext_id": "2" },
                       { "id": 3, "username": "cyd", "ext_id": "1" }]);
    upsert(&server, users).await;
    let counters = async |id: i64| {
        let user = view(&watcher, id).await;
        (user["followings_counter"].as_i64().unwrap(), user["followers_counter"].as_i64().unwrap())
    };
    let follows = json!([
        { "follower": "A", "followed": "2" },
        { "follower": 2, "followed": "A", "following": true },
        { "follower": "1", "followed": 1 },
        { "follower": 1, "followed": 2 },
    ]);
    let (yes, no) = (json!({ "changed": true }), json!({ "changed": false }));
    assert_eq!(follow(&server, follows.clone()).await, json!([yes, yes, yes, no]));
    for _ in 0..2 {
        assert_eq!((counters(1).await, counters(2).await, counters(3).await), ((1, 2), (1, 1), (1, 0)));
        assert_eq!(follow(&server, follows.clone()).await, json!([no, no, no, no]));
    }
    assert_eq!(
        ids(&watcher.get("/api/v2/user/1/followers/").await.expect(200)),
        [2, 3],
        "a text is an ext_id, never an id"
    );
    let end = json!([{ "follower": 1, "followed": "2", "following": false }]);
    assert_eq!(follow(&server, end.clone()).await, json!([yes]));
    assert_eq!(follow(&server, end).await, json!([no]));
    assert_eq!((counters(1).await, counters(2).await), ((0, 2), (1, 0)));
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    ann.send(&bob, "Bob follows Ann").await;
    bob.try_send(&ann, "and she no longer follows him").await.refused(403, "permission_denied");
}

#[both_databases]
async fn one_bad_follow_and_none_is_set() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    upsert(&server, json!([{ "id": 1, "username": "ann", "ext_id": "A" }, { "id": 2, "username": "bob" }])).await;
    let good = json!({ "follower": 1, "followed": 2 });
    let bad = [
        (json!({ "follower": 1, "followed": 404 }), "followed", "does_not_exist"),
        (json!({ "follower": "nobody", "followed": 1 }), "follower", "does_not_exist"),
        (json!({ "follower": "2", "followed": 1 }), "follower", "does_not_exist"),
        (json!({ "follower": 1, "followed": "A" }), "followed", "invalid"),
        (json!({ "follower": 0, "followed": 1 }), "follower", "out_of_range"),
        (json!({ "follower": 1, "followed": 9_007_199_254_740_992_i64 }), "followed", "out_of_range"),
        (json!({ "follower": 1.5, "followed": 1 }), "follower", "invalid"),
        (json!({ "follower": 1, "followed": null }), "followed", "invalid"),
        (json!({ "follower": 1 }), "followed", "required"),
        (json!({ "follower": 1, "followed": 2, "following": "no" }), "following", "invalid"),
        (json!({ "follower": 1, "followed": 2, "since": 7 }), "since", "invalid"),
    ];
    for (row, field, code) in bad {
        try_follow(&server, json!([good, row])).await.refused_field(&format!("follows[1].{field}"), code);
        assert_eq!(view(&watcher, 2).await["followers_counter"], 0, "{field}");
    }
    server.backend().post(FOLLOWS, json!({})).await.refused_field("follows", "required");
}

#[both_databases]
async fn a_change_to_a_user_shows_at_once_wherever_others_see_them() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send(&bob, "hello").await;
    bob.send(&ann, "hi").await;
    let seen_by_bob = async || {
        let thread = bob.thread_with(&ann, "").await;
        let snippet = bob.inbox().await["results"][0]["sender"].clone();
        let single = bob.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200)["sender"].clone();
        let listed = bob.get("/api/v2/user/2/followers/").await.expect(200)["results"][0].clone();
        let mut all = vec![thread["results"][0]["sender"].clone(), thread["results"][1]["receiver"].clone()];
        all.extend([snippet, single, listed]);
        all
    };
    for (change, field) in [
        (json!("anna"), "username"),
        (json!("Anna Archer"), "real_name"),
        (json!("https://media.example/2.png"), "avatar"),
        (json!(true), "community_badge"),
        (json!("b"), "status"),
        (json!("d"), "status"),
    ] {
        server.upsert(json!({ "id": ann.id, field: change })).await;
        let seen = seen_by_bob().await;
        assert!(seen.iter().all(|user| user[field] == change), "{field}: {seen:?}");
        assert!(seen.iter().all(|user| *user == seen[0]), "the same everywhere: {seen:?}");
    }
    assert!(seen_by_bob().await.iter().all(|user| user["deleted"] == true));
    server.upsert(json!({ "id": ann.id, "status": "a" })).await;
    assert_eq!(bob.send(&ann, "back?").await["receiver"]["username"], "anna");
    let search = async |term: &str| ids(&bob.get(&format!("/api/v2/pm/search/?user={term}")).await.expect(200));
    assert_eq!(search("anna").await, [ann.id]);
    server.upsert(json!({ "id": ann.id, "username": "zoe", "real_name": "" })).await;
    assert_eq!((search("anna").await, search("zo").await), (vec![], vec![ann.id]));
}

/// A token with these claims besides what every token needs.
fn token(server: &TestServer, claims: Value) -> String {
    let now = server.now().as_seconds();
    let needed = json!({ "token_type": "access", "jti": "1", "iat": now, "exp": now + 60 });
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &super::with(needed, claims), &key).unwrap()
}

#[both_databases]
async fn a_good_token_of_an_unknown_user_is_refused_unless_the_community_wants_otherwise() {
    let server = TestServer::start().await;
    let watcher = watcher(&server).await;
    let stranger = server.visitor_with(&token(&server, json!({ "user_id": 77, "username": "eve" })));
    for path in [ME, "/api/v2/pm/", "/api/v2/pm/?user=9000", "/api/v2/user/9000/", "/api/v2/user/77/settings/"] {
        stranger.get(path).await.refused(401, "authentication_failed");
    }
    let send = json!({ "recipients": [9000], "message": "hello" });
    stranger.post("/api/v2/pm/", send).await.refused(401, "authentication_failed");
    assert_nobody(&watcher, 77).await;
}

#[both_databases]
async fn on_first_sight_a_good_token_creates_its_user() {
    let server = TestServer::with(|config| config.auth.provision = ProvisionMode::OnFirstSight).await;
    let watcher = watcher(&server).await;
    let eve = server.visitor_with(&token(&server, json!({ "user_id": 77, "username": "eve", "ext_id": "E-77" })));
    let me = eve.get(ME).await.expect(200);
    assert_eq!((&me["id"], &me["username"], &me["ext_id"]), (&json!(77), &json!("eve"), &json!("E-77")));
    assert_eq!((&me["status"], &me["role"], &me["date_joined"]), (&json!("a"), &Value::Null, &json!(server.now())));
    let send = json!({ "recipients": [9000], "message": "hello" });
    let fay = server.visitor_with(&token(&server, json!({ "user_id": 78, "ext_id": 42 })));
    assert_eq!(fay.post("/api/v2/pm/", send).await.expect(201)[0]["sender"]["id"], 78);
    let seen = view(&watcher, 78).await;
    assert_eq!((&seen["username"], &seen["ext_id"]), (&json!("user78"), &json!("42")));
    assert_eq!(watcher.inbox().await["results"][0]["message"], "hello");

    server.upsert(json!({ "id": 77, "username": "renamed" })).await;
    assert_eq!(eve.get(ME).await.expect(200)["username"], "renamed", "a token changes nobody");
    server.upsert(json!({ "id": 77, "status": "d" })).await;
    eve.get(ME).await.refused(401, "authentication_failed");
    assert_eq!(view(&watcher, 77).await["deleted"], true, "and brings nobody back");

    server.visitor_with("eyJ.no.token").get(ME).await.refused(401, "token_not_valid");
    let clash = server.visitor_with(&token(&server, json!({ "user_id": 79, "ext_id": "E-77" })));
    clash.get(ME).await.refused(401, "authentication_failed");
    assert_nobody(&watcher, 79).await;
    watcher
        .post("/api/v2/pm/", json!({ "recipients": [80], "message": "x" }))
        .await
        .refused_field("recipients", "does_not_exist");
    assert_nobody(&watcher, 80).await;
}

#[both_databases]
async fn on_first_sight_ten_requests_at_once_create_one_user() {
    let server = TestServer::with(|config| config.auth.provision = ProvisionMode::OnFirstSight).await;
    let eve = server.sign_in(77, "eve");
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let eve = eve.clone();
        requests.spawn(async move { eve.get(ME).await });
    }
    for answer in requests.join_all().await {
        assert_eq!(answer.expect(200)["id"], 77);
    }
    let watcher = watcher(&server).await;
    watcher.send(&eve, "welcome").await;
    assert_eq!(texts(&eve.thread_with(&watcher, "").await), ["welcome"]);
}
