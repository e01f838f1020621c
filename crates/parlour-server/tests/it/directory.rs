//! The people that messages need: oneself, others, settings, follows and hides; the community's own backend, which keeps them in
//! step; and the list of conversations that they see.

mod admin;
mod inbox;

use parlour_testkit::{Member, TestServer, both_databases, ids, texts};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const ME: &str = "/api/v2/user/me/";

/// The object's keys, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The pages from `path` on, following `next` to its end.
async fn walk(member: &Member, path: &str) -> Vec<Value> {
    let mut pages = vec![member.get(path).await.expect(200)];
    while let Some(next) = pages.last().and_then(|page| page["next"].as_str()) {
        assert!(pages.len() < 100, "the links come to an end");
        pages.push(member.get(next).await.expect(200));
    }
    pages
}

fn ids_of_all(pages: &[Value]) -> Vec<i64> {
    pages.iter().flat_map(ids).collect()
}

/// What the member sees of the user `id`.
async fn view(member: &Member, id: i64) -> Value {
    member.get(&format!("/api/v2/user/{id}/")).await.expect(200)
}

/// What the member is told by `GET /api/v2/user/{id}/{question}/`.
async fn is(member: &Member, question: &str, id: i64) -> bool {
    let answer = member.get(&format!("/api/v2/user/{id}/{question}/")).await.expect(200);
    assert_eq!(keys(&answer), [question]);
    answer[question].as_bool().expect("yes or no")
}

/// Follows or hides, or ends that.
async fn toggle(member: &Member, what: &str, id: i64) {
    let answer = member.send_request(member.request(Method::POST, &format!("/api/v2/user/{id}/{what}/"))).await;
    assert_eq!(answer.expect(204), Value::Null);
}

async fn unseen(member: &Member) -> Value {
    member.get(ME).await.expect(200)["unseen_interactions_counter"].clone()
}

/// A user with every field that the community can give, except for a role.
fn whole_user() -> Value {
    json!({
        "id": 1, "username": "ann", "real_name": "Ann Archer", "ext_id": "A-1", "status": "a", "community_badge": true,
        "avatar": "https://media.example/ann.png", "date_joined": "2020-02-03T04:05:06.000007+00:00",
        "bio": "<b>hi</b>", "location": "Rome", "location_lat_lng": "41.9,12.5", "position_lat_lng": "1,2",
        "description": "archer", "website": "https://ann.example", "date_of_birth": "1990-12-31", "gender": "Female",
        "cover": "https://media.example/cover.png", "tags": ["vip", "beta"], "reputation": 7, "reg_approved": true,
        "company_name": "Bows", "company_role": "smith", "posts_counter": 1, "discussions_counter": 2,
        "statuses_counter": 3, "polls_counter": 4, "categories_counter": null
    })
}

/// `object` with the keys of `more` besides its own.
fn with(mut object: Value, more: Value) -> Value {
    object.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    object
}

#[both_databases]
async fn me_shows_every_field_and_others_see_all_but_the_private_ones() {
    let server = TestServer::start().await;
    let (_, bob) = server.ann_and_bob().await;
    let private = json!({ "email": "ann@example.org", "email_isvalid": true, "role": "editor" });
    server.upsert(with(whole_user(), private.clone())).await;
    let counters = json!({ "deleted": false, "followings_counter": 1, "followers_counter": 1 });
    let public = with(whole_user(), counters);
    let ann = server.sign_in(1, "ann");
    let me = ann.get(ME).await.expect(200);
    let permission = me["permission"].clone();
    let own = json!({
        "permission": permission, "unseen_interactions_counter": 0, "unseen_notification_banners_counter": 0,
        "unread_threads_counter": 0, "unread_messages_counter": 0
    });
    assert_eq!(me, with(with(public.clone(), private), own));
    assert_eq!(permission["follow_user"], true);
    let permitted = "accept_connection create_contribute create_course create_event create_group create_live_stream \
                     create_poll create_post follow_user locate_post request_connection";
    assert_eq!(keys(&permission), permitted.split_whitespace().collect::<Vec<_>>());
    assert!(permission.as_object().unwrap().values().all(Value::is_boolean));
    let access = json!({ "can_send_pm_to": true, "connection_status": "followed" });
    assert_eq!(view(&bob, ann.id).await, with(public.clone(), access));
    assert_eq!(ann.send(&bob, "hello").await["sender"], public);
}

#[both_databases]
async fn me_of_a_plain_member_has_the_defaults() {
    let server = TestServer::start().await;
    let ann = server.member(1, "ann").await;
    let mut me = ann.get(ME).await.expect(200);
    me.as_object_mut().unwrap().remove("permission");
    let expected = json!({
        "id": 1, "username": "ann", "real_name": "", "ext_id": null, "status": "a", "community_badge": false,
        "avatar": null, "date_joined": "2026-11-23T12:00:00.000000+00:00", "deleted": false,
        "followings_counter": 0, "followers_counter": 0, "posts_counter": null, "discussions_counter": null,
        "statuses_counter": null, "polls_counter": null, "categories_counter": null, "bio": "", "location": "",
        "location_lat_lng": "", "position_lat_lng": "", "description": "", "website": "", "date_of_birth": null,
        "gender": "Unspecified", "cover": null, "tags": [], "reputation": 0, "reg_approved": true,
        "company_name": "", "company_role": "", "email": "", "email_isvalid": false, "role": null,
        "unseen_interactions_counter": 0, "unseen_notification_banners_counter": 0,
        "unread_threads_counter": 0, "unread_messages_counter": 0
    });
    assert_eq!(me, expected);
    server.upsert(json!({ "id": 1, "status": "b" })).await;
    let blocked = ann.get(ME).await.expect(200);
    assert_eq!((&blocked["status"], &blocked["permission"]["follow_user"]), (&json!("b"), &json!(false)));
}

#[both_databases]
async fn the_unseen_counter_counts_unread_messages_and_drops_on_reading() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let cyd = server.member(3, "cyd").await;
    server.befriend(&[&ann, &bob, &cyd]).await;
    let from_bob = bob.send_many(&ann, 3).await;
    cyd.send_many(&ann, 2).await;
    assert_eq!((unseen(&ann).await, unseen(&bob).await), (json!(5), json!(0)), "one's own do not count");
    bob.delete_message(&json!(from_bob[1])).await;
    assert_eq!(unseen(&ann).await, 4, "what is deleted unread counts no more");
    ann.inbox().await;
    ann.get(&format!("/api/v2/pm/{}/", from_bob[0])).await.expect(200);
    assert_eq!(unseen(&ann).await, 4, "lists and single messages open no thread");
    ann.thread_with(&bob, "&limit=1").await;
    assert_eq!(unseen(&ann).await, 2);
    ann.thread_with(&cyd, "").await;
    assert_eq!(unseen(&ann).await, 0);
    bob.send(&ann, "again").await;
    cyd.send(&ann, "again").await;
    assert_eq!(unseen(&ann).await, 2);
    ann.send(&bob, "an answer").await;
    assert_eq!(unseen(&ann).await, 1, "who answers has seen what stands before");
    ann.delete("/api/v2/pm/?user=3").await.expect(204);
    assert_eq!((unseen(&ann).await, unseen(&bob).await), (json!(0), json!(1)));
}

#[both_databases]
async fn can_send_pm_to_says_for_every_pair_what_a_send_then_does() {
    let server = TestServer::start().await;
    let people = [
        json!({ "id": 1, "username": "ann" }),
        json!({ "id": 2, "username": "bob" }),
        json!({ "id": 3, "username": "moderator", "role": "moderator" }),
        json!({ "id": 4, "username": "badge", "community_badge": true }),
        json!({ "id": 5, "username": "blocked", "status": "b" }),
        json!({ "id": 6, "username": "deleted", "status": "d" }),
        json!({ "id": 7, "username": "hider" }),
    ];
    for person in people {
        server.upsert(person).await;
    }
    let members: Vec<Member> = [1, 2, 3, 4, 5, 7].map(|id| server.sign_in(id, "member")).into();
    let follows =
        [(2, 1), (1, 5), (1, 6), (7, 1), (1, 7)].map(|(a, b)| json!({ "follower": a, "followed": b })).to_vec();
    server.backend().post("/api/v2/admin/follows/", json!({ "follows": follows })).await.expect(200);
    toggle(&server.sign_in(7, "hider"), "hide", 1).await;
    toggle(&server.sign_in(7, "hider"), "hide", 3).await;
    let mut allowed = Vec::new();
    for sender in &members {
        for receiver in 1..=7 {
            let says = view(sender, receiver).await["can_send_pm_to"].as_bool().expect("yes or no");
            let sent = sender.post("/api/v2/pm/", json!({ "recipients": receiver, "message": "x" })).await;
            assert_eq!(says, sent.status == 201, "{} to {receiver}: {}", sender.id, sent.text);
            allowed.extend(says.then_some((sender.id, receiver)));
        }
    }
    let everybody_to_staff = [(1, 3), (1, 4), (2, 3), (2, 4), (4, 3)];
    let by_role = [(3, 1), (3, 2), (3, 4), (3, 5), (3, 7)];
    let others = [(1, 2), (7, 4)];
    let mut expected = [&everybody_to_staff[..], &by_role, &others].concat();
    expected.sort_unstable();
    assert_eq!(allowed, expected, "7 has hidden 1 and the moderator, 5 is blocked, 6 is deleted");
}

#[both_databases]
async fn who_follows_decides_the_connection_status_and_the_right_to_write() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.member(1, "ann").await, server.member(2, "bob").await);
    let stand = async |viewer: &Member, id: i64| {
        let user = view(viewer, id).await;
        (user["connection_status"].clone(), user["can_send_pm_to"].clone())
    };
    assert_eq!(stand(&ann, 2).await, (Value::Null, json!(false)));
    toggle(&bob, "follow", 1).await;
    assert_eq!(stand(&ann, 2).await, (Value::Null, json!(true)), "Bob follows Ann, so she may write");
    assert_eq!(stand(&bob, 1).await, (json!("followed"), json!(false)), "and he may not");
    toggle(&ann, "follow", 2).await;
    assert_eq!(stand(&ann, 2).await, (json!("followed"), json!(true)));
    assert_eq!(stand(&bob, 1).await, (json!("followed"), json!(true)));
    toggle(&bob, "follow", 1).await;
    assert_eq!(stand(&ann, 2).await, (json!("followed"), json!(false)));
    assert_eq!(stand(&ann, 1).await, (Value::Null, json!(false)), "nobody writes to themselves");
    ann.get("/api/v2/user/404/").await.refused(404, "not_found");
    ann.get("/api/v2/user/bob/").await.refused_field("id", "invalid");
    server.visitor().get("/api/v2/user/2/").await.refused(401, "not_authenticated");
}

#[both_databases]
async fn a_deleted_user_can_still_be_looked_at() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    assert_eq!(view(&ann, bob.id).await.get("deleted_at"), None);
    server.advance(Duration::from_secs(10));
    for (change, status, at) in [
        (json!({ "id": 2, "status": "d" }), "d", "2026-11-23T12:00:10.000000+00:00"),
        (json!({ "id": 2, "status": "u" }), "u", "2026-11-23T12:00:10.000000+00:00"),
        (json!({ "id": 2, "deleted_at": "2026-01-02T03:04:05Z" }), "u", "2026-01-02T03:04:05.000000+00:00"),
    ] {
        server.upsert(change).await;
        let user = view(&ann, bob.id).await;
        assert_eq!((&user["deleted"], &user["deleted_at"]), (&json!(true), &json!(at)));
        assert_eq!((&user["status"], &user["can_send_pm_to"]), (&json!(status), &json!(false)));
        assert_eq!(user["username"], "bob");
    }
    assert_eq!(ids(&ann.get("/api/v2/user/1/followers/").await.expect(200)), [2], "lists keep the deleted");
    server.upsert(json!({ "id": 2, "status": "a" })).await;
    let user = view(&ann, bob.id).await;
    assert_eq!((&user["deleted"], user.get("deleted_at")), (&json!(false), None));
    assert_eq!(user["can_send_pm_to"], true);
}

#[both_databases]
async fn settings_begin_with_the_defaults_and_change_one_by_one() {
    let mut server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let path = "/api/v2/user/1/settings/";
    let defaults = json!({
        "qa_frequency": -1, "email_notification_not_qa": 1, "mobile_notifications_scmty": 1,
        "show_toast_notifications": 1, "toast_notifications_emit_sound": 0,
        "share_read_receipts": 1, "share_typing": 1, "share_presence": 1
    });
    assert_eq!(ann.get(path).await.expect(200), defaults);
    assert_eq!(ann.patch(path, json!({})).await.expect(200), defaults);
    let mut expected = defaults.clone();
    for (field, value) in [
        ("qa_frequency", 1),
        ("qa_frequency", 0),
        ("email_notification_not_qa", 0),
        ("mobile_notifications_scmty", 0),
        ("show_toast_notifications", 0),
        ("toast_notifications_emit_sound", 1),
        ("share_read_receipts", 0),
        ("share_typing", 0),
        ("share_presence", 0),
        ("qa_frequency", -1),
    ] {
        expected[field] = json!(value);
        assert_eq!(ann.patch(path, json!({ field: value })).await.expect(200), expected);
        assert_eq!(ann.get(path).await.expect(200), expected);
    }
    let form = ann.request(Method::PATCH, path).form(&[("qa_frequency", "1"), ("show_toast_notifications", "1")]);
    expected["qa_frequency"] = json!(1);
    expected["show_toast_notifications"] = json!(1);
    assert_eq!(ann.send_request(form).await.expect(200), expected);
    assert_eq!(bob.get("/api/v2/user/2/settings/").await.expect(200), defaults, "Bob's are his own");
    server.restart().await;
    assert_eq!(server.sign_in(1, "ann").get(path).await.expect(200), expected);
}

#[both_databases]
async fn wrong_settings_and_those_of_others_are_refused() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let path = "/api/v2/user/1/settings/";
    let before = ann.get(path).await.expect(200);
    for field in before.as_object().unwrap().keys() {
        for (value, code) in [
            (json!(2), "out_of_range"),
            (json!(-2), "out_of_range"),
            (json!("often"), "invalid"),
            (json!(true), "invalid"),
            (json!(0.5), "invalid"),
            (json!([1]), "invalid"),
        ] {
            ann.patch(path, json!({ field: value })).await.refused_field(field, code);
        }
    }
    ann.patch(path, json!({ "email_notification_not_qa": -1 }))
        .await
        .refused_field("email_notification_not_qa", "out_of_range");
    let both = json!({ "show_toast_notifications": 0, "qa_frequency": 9 });
    ann.patch(path, both).await.refused_field("qa_frequency", "out_of_range");
    assert_eq!(ann.get(path).await.expect(200), before, "one wrong field refuses the whole change");
    bob.get(path).await.refused(403, "permission_denied");
    bob.patch(path, json!({ "qa_frequency": 0 })).await.refused(403, "permission_denied");
    bob.get("/api/v2/user/404/settings/").await.refused(403, "permission_denied");
    server.upsert(json!({ "id": 2, "role": "admin" })).await;
    bob.get(path).await.refused(403, "permission_denied");
    server.visitor().get(path).await.refused(401, "not_authenticated");
    assert_eq!(ann.get(path).await.expect(200), before);
}

#[both_databases]
async fn a_follow_is_toggled_and_moves_the_counters_of_both() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.member(1, "ann").await, server.member(2, "bob").await);
    let counters = async |id: i64| {
        let user = view(&ann, id).await;
        (user["followings_counter"].as_i64().unwrap(), user["followers_counter"].as_i64().unwrap())
    };
    for round in 0..2 {
        assert_eq!((counters(1).await, counters(2).await), ((0, 0), (0, 0)), "round {round}");
        toggle(&ann, "follow", 2).await;
        assert_eq!((counters(1).await, counters(2).await), ((1, 0), (0, 1)));
        assert_eq!(ann.get(ME).await.expect(200)["followings_counter"], 1);
        assert!(is(&ann, "is_followed", 2).await && !is(&ann, "is_follower", 2).await);
        assert!(!is(&bob, "is_followed", 1).await && is(&bob, "is_follower", 1).await);
        assert_eq!(ids(&bob.get("/api/v2/user/2/followers/").await.expect(200)), [1]);
        assert_eq!(ids(&bob.get("/api/v2/user/1/followings/").await.expect(200)), [2]);
        assert_eq!(bob.send(&ann, "hi").await["receiver"]["followings_counter"], 1, "rows show it at once");
        toggle(&ann, "follow", 2).await;
        assert!(!is(&ann, "is_followed", 2).await && !is(&bob, "is_follower", 1).await);
        assert_eq!(ids(&bob.get("/api/v2/user/2/followers/").await.expect(200)), [0; 0]);
    }
}

#[both_databases]
async fn a_follow_is_refused_to_oneself_to_nobody_to_the_blocked_and_across_a_hide() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.member(1, "ann").await, server.member(2, "bob").await);
    let follow = async |who: &Member, id: i64| who.post(&format!("/api/v2/user/{id}/follow/"), json!({})).await;
    follow(&ann, 1).await.refused_field("id", "invalid");
    for question in ["is_followed", "is_follower", "is_hidden", "followers", "followings"] {
        ann.get(&format!("/api/v2/user/404/{question}/")).await.refused(404, "not_found");
    }
    follow(&ann, 404).await.refused(404, "not_found");
    ann.post("/api/v2/user/404/hide/", json!({})).await.refused(404, "not_found");
    ann.post("/api/v2/user/1/hide/", json!({})).await.refused_field("id", "invalid");
    toggle(&bob, "hide", 1).await;
    follow(&ann, 2).await.refused(403, "permission_denied");
    follow(&bob, 1).await.refused(403, "permission_denied");
    toggle(&bob, "hide", 1).await;
    server.upsert(json!({ "id": 1, "status": "b" })).await;
    follow(&ann, 2).await.refused(403, "permission_denied");
    assert_eq!(view(&bob, 2).await["followers_counter"], 0);
}

/// Ann (1), whom the users 2 to `1 + count` follow and who follows them.
async fn ann_among(server: &TestServer, count: i64) -> Member {
    let ann = server.member(1, "ann").await;
    let users: Vec<_> = (2..2 + count).map(|id| json!({ "id": id, "username": format!("user {id}") })).collect();
    let mut follows: Vec<_> = (2..2 + count).map(|id| json!({ "follower": id, "followed": 1 })).collect();
    follows.extend((2..2 + count).map(|id| json!({ "follower": 1, "followed": id })));
    server.backend().post("/api/v2/admin/users/", json!({ "users": users })).await.expect(200);
    server.backend().post("/api/v2/admin/follows/", json!({ "follows": follows })).await.expect(200);
    ann
}

#[both_databases]
async fn followers_and_followings_are_read_to_the_end_by_their_links_or_by_offset() {
    let server = TestServer::start().await;
    let ann = ann_among(&server, 45).await;
    let all: Vec<i64> = (2..=46).collect();
    for list in ["followers", "followings"] {
        let path = format!("/api/v2/user/1/{list}/");
        let pages = walk(&ann, &format!("{path}?limit=10")).await;
        assert_eq!(pages.iter().map(|page| ids(page).len()).collect::<Vec<_>>(), [10, 10, 10, 10, 5]);
        assert_eq!(ids_of_all(&pages), all, "{list}");
        assert!(pages.iter().all(|page| page["count"] == 45));
        assert_eq!(pages[0]["previous"], Value::Null);
        assert!(pages[0]["next"].as_str().unwrap().starts_with(&server.url(&path)), "links are absolute");
        for (index, page) in pages.iter().enumerate().skip(1) {
            let previous = page["previous"].as_str().unwrap();
            assert!(previous.starts_with(&server.url(&path)), "{previous} is not absolute");
            let back = ann.get(previous).await.expect(200);
            assert_eq!(ids(&back), ids(&pages[index - 1]), "the link back leads to the page before");
        }
        let by_offset = async |offset: i64| {
            let page = ann.get(&format!("{path}?limit=10&offset={offset}")).await.expect(200);
            assert_eq!(page["next"].is_string(), offset + 10 < 45);
            ids(&page)
        };
        let mut found = Vec::new();
        for offset in [0, 10, 20, 30, 40, 50] {
            found.extend(by_offset(offset).await);
        }
        assert_eq!(found, all, "{list} by offset");
        assert_eq!(by_offset(9_007_199_254_740_991).await, [0; 0]);
        assert_eq!(ids(&ann.get(&path).await.expect(200)).len(), 20, "20 unless told");
        let first = &pages[0]["results"][0];
        let mut seen = view(&ann, 2).await;
        for key in ["can_send_pm_to", "connection_status"] {
            seen.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(*first, seen, "rows are whole users");
    }
}

#[both_databases]
async fn a_follower_who_leaves_between_two_pages_makes_no_gap() {
    let server = TestServer::start().await;
    let ann = ann_among(&server, 45).await;
    let first = ann.get("/api/v2/user/1/followers/?limit=10").await.expect(200);
    assert_eq!(ids(&first), (2..=11).collect::<Vec<_>>());
    for id in [2, 5, 11, 20] {
        toggle(&server.sign_in(id, "leaver"), "follow", 1).await;
    }
    let rest = walk(&ann, first["next"].as_str().unwrap()).await;
    let expected: Vec<i64> = (12..=46).filter(|id| *id != 20).collect();
    assert_eq!(ids_of_all(&rest), expected);
    assert!(rest.iter().all(|page| page["count"] == 41));
}

#[both_databases]
async fn a_page_has_at_most_a_hundred_rows_and_its_link_says_so() {
    let server = TestServer::start().await;
    let ann = ann_among(&server, 120).await;
    for path in ["/api/v2/user/1/followers/?", "/api/v2/user/1/followings/?", "/api/v2/pm/search/?user=user&"] {
        for limit in ["101", "1000", "9007199254740991"] {
            let page = ann.get(&format!("{path}limit={limit}")).await.expect(200);
            assert_eq!((ids(&page).len(), &page["count"]), (100, &json!(120)), "{path}");
            let next = page["next"].as_str().unwrap();
            assert!(next.contains("limit=100&") && next.contains("offset=100"), "{next}");
            let mut all = [ids(&page), ids(&ann.get(next).await.expect(200))].concat();
            all.sort_unstable();
            assert_eq!(all, (2..=121).collect::<Vec<_>>());
        }
    }
}

#[both_databases]
async fn lists_refuse_wrong_windows_and_cursors_by_name() {
    let server = TestServer::start().await;
    let ann = ann_among(&server, 25).await;
    let lists =
        ["/api/v2/user/1/followers/?", "/api/v2/user/1/followings/?", "/api/v2/pm/?", "/api/v2/pm/search/?user=u&"];
    for list in lists {
        for (wrong, code) in [
            ("x", "invalid"),
            ("1.5", "invalid"),
            ("-1", "out_of_range"),
            ("9007199254740992", "out_of_range"),
            ("99999999999999999999", "out_of_range"),
        ] {
            for name in ["limit", "offset"] {
                ann.get(&format!("{list}{name}={wrong}")).await.refused_field(name, code);
            }
        }
        ann.get(&format!("{list}limit=0")).await.refused_field("limit", "out_of_range");
        ann.get(&format!("{list}limit=5&limit=5")).await.refused_field("limit", "repeated");
        ann.get(&format!("{list}offset=5&offset=6")).await.refused_field("offset", "repeated");
    }
    for list in &lists[..3] {
        for wrong in
            ["cursor=x", "cursor=5.7.9.11.13&offset=5", "cursor=5.7.9&offset=6", "cursor=5.7", "cursor=5&offset=5"]
        {
            ann.get(&format!("{list}{wrong}")).await.refused_field("cursor", "invalid");
        }
    }
}

#[both_databases]
async fn while_one_of_two_hides_the_other_neither_writes() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let before = ann.send(&bob, "before").await;
    assert_eq!(ann.get("/api/v2/user/hidden_users_id/").await.expect(200), json!([]));
    toggle(&ann, "hide", 2).await;
    assert_eq!(ann.get("/api/v2/user/hidden_users_id/").await.expect(200), json!([2]));
    assert_eq!(bob.get("/api/v2/user/hidden_users_id/").await.expect(200), json!([]), "Bob is not told");
    assert!(is(&ann, "is_hidden", 2).await && !is(&bob, "is_hidden", 1).await);
    for (sender, receiver) in [(&ann, &bob), (&bob, &ann)] {
        sender.try_send(receiver, "hello?").await.refused(403, "permission_denied");
        assert_eq!(view(sender, receiver.id).await["can_send_pm_to"], false);
        assert_eq!(texts(&sender.thread_with(receiver, "").await), ["before"], "what was written stays readable");
    }
    assert_eq!(ids(&ann.thread_with(&bob, "").await), [before["id"].as_i64().unwrap()]);
    toggle(&bob, "hide", 1).await;
    toggle(&ann, "hide", 2).await;
    ann.try_send(&bob, "now?").await.refused(403, "permission_denied");
    toggle(&bob, "hide", 1).await;
    ann.send(&bob, "now").await;
    bob.send(&ann, "yes").await;
    assert!(!is(&ann, "is_hidden", 2).await);
}

#[both_databases]
async fn a_role_writes_across_a_hide_and_gets_no_answer() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    for role in ["admin", "moderator", "editor", "publisher"] {
        server.upsert(json!({ "id": 1, "role": role })).await;
        for (hider, hidden) in [(&bob, &ann), (&ann, &bob)] {
            toggle(hider, "hide", hidden.id).await;
            assert_eq!(view(&ann, 2).await["can_send_pm_to"], true);
            ann.send(&bob, role).await;
            bob.try_send(&ann, "hm").await.refused(403, "permission_denied");
            toggle(hider, "hide", hidden.id).await;
        }
    }
    server.upsert(json!({ "id": 1, "role": null })).await;
    toggle(&bob, "hide", 1).await;
    ann.try_send(&bob, "no longer").await.refused(403, "permission_denied");
}

#[both_databases]
async fn hidden_ids_come_as_a_plain_list_in_order() {
    let server = TestServer::start().await;
    let ann = ann_among(&server, 30).await;
    for id in [17, 3, 25, 8, 3] {
        toggle(&ann, "hide", id).await;
    }
    assert_eq!(ann.get("/api/v2/user/hidden_users_id/").await.expect(200), json!([8, 17, 25]));
}
