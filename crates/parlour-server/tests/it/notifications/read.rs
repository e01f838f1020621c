//! Marking notifications as read.

use super::{READ, list, rows, three_friends, unread, unseen};
use parlour_testkit::{TestServer, both_databases};
use serde_json::{Value, json};

#[both_databases]
async fn reading_one_reads_what_came_before_it_in_its_thread() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    let from_bob = bob.send_many(&ann, 4).await;
    let from_cyd = cyd.send_many(&ann, 2).await;
    let read = async |sids: Value| assert_eq!(ann.post(READ, json!({ "sids": sids })).await.expect(204), Value::Null);
    read(json!([from_bob[1].to_string()])).await;
    assert_eq!((unseen(&ann).await, unread(&ann).await), (4, (2, 6)), "and opens no thread");
    read(json!([from_bob[0].to_string()])).await;
    assert_eq!(unseen(&ann).await, 4, "what is read stays read");
    bob.delete_message(&json!(from_bob[0])).await;
    bob.delete_message(&json!(from_bob[2])).await;
    assert_eq!(unseen(&ann).await, 3, "one that was read and one that was not");
    read(json!([from_bob[3].to_string(), from_cyd[0].to_string()])).await;
    assert_eq!(unseen(&ann).await, 1);
    assert_eq!(
        rows(&list(&ann).await),
        [vec!["message 2!", "message 1"], vec!["message 4", "message 2"]],
        "Cyd's second alone is new"
    );
}

#[both_databases]
async fn what_is_no_notification_of_ones_own_is_passed_over() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    let for_ann = bob.send(&ann, "for ann").await;
    let by_ann = ann.send(&cyd, "by ann").await;
    let between_others = cyd.send(&bob, "for bob").await;
    let sids = [&between_others["id"], &by_ann["id"], &json!(4_711), &for_ann["thread_id"]].map(Value::to_string);
    ann.post(READ, json!({ "sids": sids })).await.expect(204);
    assert_eq!([unseen(&ann).await, unseen(&bob).await, unseen(&cyd).await], [1, 1, 1]);
    bob.post(READ, json!({ "sids": [for_ann["id"].to_string()] })).await.expect(204);
    assert_eq!(unseen(&ann).await, 1, "nobody reads for anybody else");
    let mut with_own = sids.to_vec();
    with_own.push(for_ann["id"].to_string());
    ann.post(READ, json!({ "sids": with_own })).await.expect(204);
    assert_eq!([unseen(&ann).await, unseen(&bob).await, unseen(&cyd).await], [0, 1, 1]);
}

#[both_databases]
async fn sids_come_in_every_way_in_which_recipients_do() {
    let server = TestServer::start().await;
    let [ann, bob, cyd] = three_friends(&server).await;
    let bodies = [
        ("application/json", r#"{"sids":["<b>","<c>"]}"#),
        ("application/json", r#"{"sids":[<b>,<c>]}"#),
        ("application/json", r#"{"sids":["<c>","<b>","<b>"]}"#),
        ("application/x-www-form-urlencoded", "sids=<b>&sids=<c>"),
        ("application/x-www-form-urlencoded", "sids[]=<b>&sids[]=<c>"),
        ("application/x-www-form-urlencoded", "sids[0]=<b>&sids%5B1%5D=<c>"),
        ("application/x-www-form-urlencoded", "sids=%5B%22<b>%22%2C%22<c>%22%5D"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\ncontent-disposition: form-data; name=\"sids\"\r\n\r\n<b>\r\n--x\r\ncontent-disposition: form-data; name=\"sids\"\r\n\r\n<c>\r\n--x--\r\n",
        ),
    ];
    for (content_type, body) in bodies {
        let (of_bob, of_cyd) = (bob.send(&ann, "b").await, cyd.send(&ann, "c").await);
        assert_eq!(unseen(&ann).await, 2);
        let body = body.replace("<b>", &of_bob["id"].to_string()).replace("<c>", &of_cyd["id"].to_string());
        ann.post_raw(READ, content_type, body.clone()).await.expect(204);
        assert_eq!(unseen(&ann).await, 0, "{body}");
    }
}

#[both_databases]
async fn what_is_no_sid_is_refused_by_name_and_marks_nothing() {
    let server = TestServer::start().await;
    let [ann, bob, _] = three_friends(&server).await;
    let sid = bob.send(&ann, "hello").await["id"].to_string();
    for (sids, code) in [
        (json!([]), "required"),
        (json!(null), "required"),
        (json!([sid, "abc"]), "invalid"),
        (json!([sid, ""]), "invalid"),
        (json!([sid, null]), "invalid"),
        (json!([sid, 1.5]), "invalid"),
        (json!([sid, true]), "invalid"),
        (json!([[sid]]), "invalid"),
        (json!({ "0": sid }), "invalid"),
        (json!([sid, "0"]), "out_of_range"),
        (json!([sid, "-1"]), "out_of_range"),
        (json!([sid, "9007199254740992"]), "out_of_range"),
        (json!([sid, "99999999999999999999999"]), "out_of_range"),
        (json!(vec![&sid; 1_001]), "too_many"),
    ] {
        ann.post(READ, json!({ "sids": sids })).await.refused_field("sids", code);
    }
    ann.post(READ, json!({})).await.refused_field("sids", "required");
    ann.post_raw(READ, "application/x-www-form-urlencoded", "sids=%FF").await.refused_field("sids", "invalid");
    ann.post_raw(READ, "text/plain", sid.clone()).await.refused(415, "unsupported_media_type");
    assert_eq!(unseen(&ann).await, 1);
    ann.post(READ, json!({ "sids": vec![&sid; 1_000] })).await.expect(204);
    assert_eq!(unseen(&ann).await, 0);
}
