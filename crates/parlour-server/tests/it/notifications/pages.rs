//! Pages of notifications.

use super::{LIST, rows, three_friends, unseen};
use parlour_testkit::{Member, TestServer, both_databases};
use serde_json::Value;

/// Bob and Cyd take turns in writing to Ann: "0" is the first of seven messages and the last of as many rows.
async fn seven_rows(server: &TestServer) -> [Member; 3] {
    let [ann, bob, cyd] = three_friends(server).await;
    for number in 0..7 {
        let sender = if number % 2 == 0 { &bob } else { &cyd };
        sender.send(&ann, &number.to_string()).await;
    }
    [ann, bob, cyd]
}

fn numbers(page: &Value) -> Vec<String> {
    rows(page).concat().into_iter().map(|text| text.replace('!', "")).collect()
}

#[both_databases]
async fn the_links_lead_once_through_everything() {
    let server = TestServer::start().await;
    let [ann, bob, _] = seven_rows(&server).await;
    for (limit, lengths) in [(3, vec![3, 3, 1]), (7, vec![7]), (1, vec![1; 7])] {
        let (mut pages, mut path) = (Vec::new(), Some(format!("{LIST}?limit={limit}")));
        while let Some(next) = path {
            let page = ann.get(&next).await.expect(200);
            path = page["next"].as_str().map(str::to_owned);
            if let Some(previous) = page["previous"].as_str() {
                let before: &Value = pages.last().expect("a page before");
                assert_eq!(numbers(&ann.get(previous).await.expect(200)), numbers(before));
            }
            pages.push(page);
        }
        assert_eq!(pages.iter().map(|page| numbers(page).len()).collect::<Vec<_>>(), lengths);
        assert_eq!(pages.iter().flat_map(numbers).collect::<String>(), "6543210");
        assert_eq!(pages[0]["previous"], Value::Null);
    }
    for (offset, expected) in [(0, "65"), (2, "43"), (6, "0"), (7, ""), (1_000, "")] {
        let page = ann.get(&format!("{LIST}?limit=2&offset={offset}")).await.expect(200);
        assert_eq!(numbers(&page).concat(), expected, "a plain offset of {offset}");
        assert_eq!(page["next"].is_string(), offset < 5, "a plain offset of {offset}");
    }
    let next = ann.get(&format!("{LIST}?limit=2")).await.expect(200)["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with(&server.url(LIST)) && next.contains("limit=2&offset=2"), "{next}");
    bob.send(&ann, "new").await;
    assert_eq!(numbers(&ann.get(&next).await.expect(200)).concat(), "43", "what came in between shifts nothing");
}

#[both_databases]
async fn a_page_reads_its_own_rows_and_what_came_before_them_in_their_threads() {
    let server = TestServer::start().await;
    let [ann, ..] = seven_rows(&server).await;
    let second = ann.get(&format!("{LIST}?limit=1&offset=3")).await.expect(200);
    assert_eq!(rows(&second), [vec!["3!"]]);
    assert_eq!(unseen(&ann).await, 5, "Cyd's 3 and 1");
    let all = ann.get(LIST).await.expect(200);
    assert_eq!(rows(&all).concat(), ["6!", "5!", "4!", "3", "2!", "1", "0!"]);
    assert_eq!(unseen(&ann).await, 0);
}

#[both_databases]
async fn what_is_no_page_is_refused_by_name_and_marks_nothing() {
    let server = TestServer::start().await;
    let [ann, ..] = seven_rows(&server).await;
    for (query, field, code) in [
        ("limit=0", "limit", "out_of_range"),
        ("limit=x", "limit", "invalid"),
        ("limit=1&limit=1", "limit", "repeated"),
        ("offset=-1", "offset", "out_of_range"),
        ("offset=1.5", "offset", "invalid"),
        ("cursor=x", "cursor", "invalid"),
        ("cursor=0.5", "cursor", "invalid"),
        ("cursor=0.5.-1", "cursor", "invalid"),
        ("cursor=0.5.0.0", "cursor", "invalid"),
        ("cursor=20.5.0&offset=40", "cursor", "invalid"),
        ("cursor=%FF", "cursor", "invalid"),
    ] {
        ann.get(&format!("{LIST}?{query}")).await.refused_field(field, code);
    }
    assert_eq!(unseen(&ann).await, 7);
    for below in ["0", "-5", "9223372036854775807", "-9223372036854775808"] {
        ann.get(&format!("{LIST}?cursor=0.{below}.0")).await.expect(200);
    }
}
