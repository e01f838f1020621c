//! What is asked, as the bytes that go over the wire.

use crate::dataset::Dataset;
use fastrand::Rng;
use parlour_server::Auth;
use parlour_server::config::{ProvisionMode, Secret};
use parlour_types::UserId;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const JWT_SECRET: &str = "the-token-secret-of-the-benchmark-and-of-nothing-else";

/// What every measured server is told.
pub(crate) const fn environment() -> [(&'static str, &'static str); 3] {
    [
        ("PARLOUR_AUTH_JWT_SECRET", JWT_SECRET),
        ("PARLOUR_LOG_LEVEL", "warn"),
        // A few connections stand for a whole community here.
        ("PARLOUR_LIMITS_ENABLED", "false"),
    ]
}

/// Requests, ready to be sent.
pub(crate) struct Requests {
    pub(crate) tokens: Rc<BTreeMap<i64, String>>,
}

impl Requests {
    pub(crate) fn new(dataset: &Dataset) -> Self {
        let members: std::collections::BTreeSet<i64> = dataset.pairs.iter().map(|(one, _)| *one).collect();
        Self { tokens: Rc::new(members.into_iter().map(|id| (id, token(id))).collect()) }
    }

    pub(crate) fn get(&self, member: i64, path: &str) -> Vec<u8> {
        request(&self.tokens, member, "GET", path, "")
    }

    /// The newest page of the thread of a pair, as its first member.
    pub(crate) fn thread(&self, index: usize, pair: (i64, i64), more: &str) -> Vec<u8> {
        self.get(pair.0, &format!("/api/v2/pm/?thread={}{more}", index + 1))
    }

    /// The newest pages of all threads.
    pub(crate) fn all_threads(&self, dataset: &Dataset) -> Rc<Vec<Vec<u8>>> {
        Rc::new(dataset.pairs.iter().enumerate().map(|(index, pair)| self.thread(index, *pair, "")).collect())
    }

    /// Sends in threads chosen at random, the long one excepted.
    pub(crate) fn sends(&self, dataset: &Dataset) -> impl FnMut() -> Vec<u8> + use<> {
        let (tokens, pairs, mut random) = (Rc::clone(&self.tokens), dataset.pairs.clone(), Rng::with_seed(9));
        move || {
            let (from, to) = pairs[1 + random.usize(..pairs.len() - 1)];
            let text = crate::dataset::text(&mut random);
            let body = format!(r#"{{"recipients":[{to}],"message":"{text}","file_uuid":null}}"#);
            request(&tokens, from, "POST", "/api/v2/pm/", &body)
        }
    }
}

/// What lets a member in.
pub(crate) fn token(id: i64) -> String {
    let auth = Auth::new(&[Secret::new(JWT_SECRET.into())], Secret::default(), ProvisionMode::Never);
    let now = parlour_core::Clock::System.now();
    auth.issue(UserId::new(id).expect("a small id"), now, Duration::from_secs(24 * 3600))
}

pub(crate) fn request(tokens: &BTreeMap<i64, String>, member: i64, method: &str, path: &str, body: &str) -> Vec<u8> {
    let token = &tokens[&member];
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{length}\r\n{body}")
        .into_bytes()
}
