use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// What was asked, for the message of a failed test.
    pub asked: String,
}

impl Answer {
    pub(crate) async fn read(asked: String, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a whole body");
        Self { status, headers, text, asked }
    }

    /// The body, if the status is the one expected.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{} answered {}", self.asked, self.text);
        self.json()
    }

    /// The body as JSON; `null` for an empty one.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{} answered no JSON ({error}): {}", self.asked, self.text))
    }

    /// Asserts a refusal in the one error shape, as a whole: its status and the code of its only error.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        let body = self.expect(status);
        assert_eq!(body["errors"][0]["code"], code, "{} answered {body}", self.asked);
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{} answered {body}", self.asked);
    }

    /// Asserts a 400 in the one error shape that names `field` with `code`.
    #[track_caller]
    pub fn refused_field(&self, field: &str, code: &str) {
        let body = self.expect(400);
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{} answered {body}", self.asked));
        let of_field = errors.iter().find(|error| error["field"] == field);
        let messages = of_field.unwrap_or_else(|| panic!("{} does not name {field}: {body}", self.asked));
        assert_eq!(messages["messages"][0]["code"], code, "{} answered {body}", self.asked);
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{} answered {body}", self.asked);
    }

    /// A header's text, empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
