use crate::Answer;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::ops::Deref;

/// Somebody who sends requests, with or without credentials.
#[derive(Clone)]
pub struct Visitor {
    http: Client,
    base: String,
    token: Option<String>,
}

impl Visitor {
    pub(crate) fn new(http: Client, address: SocketAddr, token: Option<String>) -> Self {
        Self { http, base: format!("http://{address}"), token }
    }

    /// The token, if there is one.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request to be completed by the test; `path` may be a whole address.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.request_without_credentials(method, path);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The same without the credentials.
    pub(crate) fn request_without_credentials(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.http.request(method, url)
    }

    /// Sends a request that the test completed.
    pub async fn send_request(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let asked = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked} failed: {error:?}"));
        Answer::read(asked, response).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send_request(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send_request(self.request(Method::DELETE, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_request(self.request(Method::POST, path).json(&body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send_request(self.request(Method::PATCH, path).json(&body)).await
    }

    /// POST with any body.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send_request(self.request(Method::POST, path).header("content-type", content_type).body(body.into())).await
    }
}

/// A member of the community, signed in.
#[derive(Clone)]
pub struct Member {
    /// The member's id.
    pub id: i64,
    /// The member's name.
    pub username: String,
    visitor: Visitor,
}

impl Deref for Member {
    type Target = Visitor;
    fn deref(&self) -> &Visitor {
        &self.visitor
    }
}

impl Member {
    pub(crate) fn new(id: i64, username: &str, visitor: Visitor) -> Self {
        Self { id, username: username.to_owned(), visitor }
    }

    /// Tries to send `text` to `to`.
    pub async fn try_send(&self, to: &Member, text: &str) -> Answer {
        self.post("/api/v2/pm/", json!({ "recipients": [to.id], "message": text, "file_uuid": null })).await
    }

    /// Sends `text` to `to` and answers the message.
    pub async fn send(&self, to: &Member, text: &str) -> Value {
        self.try_send(to, text).await.expect(201)[0].clone()
    }

    /// Sends `count` messages to `to`, "message 1" first, and answers their ids.
    pub async fn send_many(&self, to: &Member, count: usize) -> Vec<i64> {
        let mut ids = Vec::with_capacity(count);
        for index in 1..=count {
            ids.push(self.send(to, &format!("message {index}")).await["id"].as_i64().expect("an id"));
        }
        ids
    }

    /// The page of the thread with `other` that `query` (such as `&limit=3`) asks for.
    pub async fn thread_with(&self, other: &Member, query: &str) -> Value {
        self.get(&format!("/api/v2/pm/?user={}{query}", other.id)).await.expect(200)
    }

    /// The first page of the member's conversations.
    pub async fn inbox(&self) -> Value {
        self.get("/api/v2/pm/").await.expect(200)
    }

    /// Deletes a message and asserts that it worked.
    pub async fn delete_message(&self, id: &Value) {
        assert_eq!(self.delete(&format!("/api/v2/pm/{id}/")).await.expect(204), Value::Null);
    }
}

/// The texts of a page's rows, in order.
#[must_use]
pub fn texts(page: &Value) -> Vec<&str> {
    rows(page).map(|row| row["message"].as_str().expect("a text")).collect()
}

/// The ids of a page's rows, in order.
#[must_use]
pub fn ids(page: &Value) -> Vec<i64> {
    rows(page).map(|row| row["id"].as_i64().expect("an id")).collect()
}

fn rows(page: &Value) -> impl Iterator<Item = &Value> {
    page["results"].as_array().expect("a page").iter()
}
