//! What happens to every request: its address is brought into one form, it gets an id and a time limit; its answer gets the headers
//! that all answers have, and a line in the log. Handlers that panic answer 500.

use crate::app::App;
use crate::error::{ApiError, InternalReason};
use crate::rate_limit;
use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use parlour_types::ErrorCode;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};

/// The header that names a request in answers and logs.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Lets browser apps of the configured origins call the API (contract §1.1, CORS).
fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_RANGE,
            header::ACCEPT,
            HeaderName::from_static("idempotency-key"),
            // What goes on with a stream of events.
            HeaderName::from_static("last-event-id"),
            // What asks for a part of a file, or for one that has changed.
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_UNMODIFIED_SINCE,
        ])
        .expose_headers([
            REQUEST_ID.clone(),
            header::RETRY_AFTER,
            rate_limit::POLICY.clone(),
            rate_limit::LIMIT.clone(),
            HeaderName::from_static("idempotency-replayed"),
            header::ACCEPT_RANGES,
            header::CONTENT_DISPOSITION,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ETAG,
            header::LAST_MODIFIED,
        ])
        .max_age(Duration::from_secs(3600))
}

/// How long a request may take, its body and its answer together.
pub struct TimeLimits {
    /// Of every route that has no limit of its own.
    pub usual: Duration,
    /// Routes with a limit of their own, by their whole path: few, and looked up before the route is known.
    pub routes: Vec<(&'static str, Duration)>,
}

impl TimeLimits {
    /// The limit of a request for this path.
    fn of(&self, path: &str) -> Duration {
        self.routes.iter().find(|(route, _)| *route == path).map_or(self.usual, |(_, limit)| *limit)
    }
}

/// The routes. What concerns all of them stands around the router, not in it: there every layer would cost each request two allocations.
pub struct Routes {
    /// For callers that are no pages of other origins.
    plain: Router,
    /// For those that may be.
    cross_origin: Cors<Router>,
    time_limits: TimeLimits,
}

impl Routes {
    /// Puts the routes together.
    pub fn new(router: Router, cors_origins: &[String], time_limits: TimeLimits) -> Self {
        let plain = router.route_layer(tower::layer::layer_fn(NoteRoute));
        let cross_origin = cors(cors_origins).layer(plain.clone());
        Self { plain, cross_origin, time_limits }
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        // The first page is for people, and what a demo shows there is no other page's to read.
        let cross_origin = (request.method() == Method::OPTIONS || request.headers().contains_key(header::ORIGIN))
            && request.uri().path() != "/";
        let answered = if cross_origin {
            self.cross_origin.clone().oneshot(request).await
        } else {
            // A router is always ready.
            self.plain.clone().call(request).await
        };
        let Ok(response) = answered;
        response
    }
}

/// Notes in every answer which route it came from.
#[derive(Clone)]
struct NoteRoute<S>(S);

impl<S> Service<Request<Body>> for NoteRoute<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Noting<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Noting { answer: self.0.call(request), route }
    }
}

pin_project_lite::pin_project! {
    /// An answer that will carry its route.
    struct Noting<F> {
        #[pin]
        answer: F,
        route: Option<MatchedPath>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Noting<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.answer.poll(context).map_ok(|mut response| {
            if let Some(route) = this.route.take() {
                response.extensions_mut().insert(route);
            }
            response
        })
    }
}

/// Answers one request.
pub async fn answer(app: &App, routes: &Routes, mut request: Request<Body>) -> Response {
    let started = Instant::now();
    let id = next_request_id();
    normalize(&mut request, app.public_url.path_prefix());
    let method = request.method().clone();
    let limit = routes.time_limits.of(request.uri().path());
    // A body that is slow on purpose is answered by its reader within the same limit; a second one leaves room for that.
    let answer = AssertUnwindSafe(routes.answer(request)).catch_unwind();
    let outcome = tokio::time::timeout(limit + Duration::from_secs(1), answer).await;
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::fault("a handler panicked").into_response(),
        Err(_) => {
            let mut error = ApiError::unavailable("the answer took too long");
            error.set_code(ErrorCode::TimedOut);
            error.into_response()
        }
    };
    finish(&mut response, &id);
    let took = started.elapsed();
    if let Some(metrics) = &app.metrics {
        metrics.answered(&method, response.extensions().get::<MatchedPath>(), response.status(), took);
    }
    log(&response, &method, &id, took);
    response
}

/// Brings an address into the form of the routes: without the public address's own path, without doubled slashes, and below `/api/`
/// with a final slash (contract §1.1, §8 no. 40). No redirect, which would lose bodies.
fn normalize(request: &mut Request<Body>, prefix: &str) {
    let path = request.uri().path();
    let path = path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(path);
    if path.len() == request.uri().path().len() && path.ends_with('/') && !path.contains("//") {
        return;
    }
    let mut clean = String::with_capacity(path.len() + 1);
    for character in path.chars() {
        if character != '/' || !clean.ends_with('/') {
            clean.push(character);
        }
    }
    if clean.starts_with("/api/") && !clean.ends_with('/') && !clean.ends_with(".json") {
        clean.push('/');
    }
    if clean == request.uri().path() {
        return;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{clean}?{query}"),
        None => clean,
    };
    if let Ok(target) = PathAndQuery::try_from(target) {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(target);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

fn finish(response: &mut Response, id: &HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(&REQUEST_ID, id.clone());
    // What one member may see must never come out of a cache to another.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    headers.append(header::VARY, HeaderValue::from_static("Origin, Authorization"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The route, never the address itself: an address may carry what somebody searched for.
fn log(response: &Response, method: &Method, id: &HeaderValue, took: Duration) {
    let status = response.status().as_u16();
    let route = response.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let id = id.to_str().unwrap_or_default();
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match response.extensions().get::<InternalReason>() {
        Some(InternalReason(reason)) => {
            tracing::error!(request_id = id, %method, route, status, duration_us, reason, "request failed");
        }
        None => tracing::debug!(request_id = id, %method, route, status, duration_us, "request"),
    }
}

/// A number that no other request of this process has, behind one that no other process has.
fn next_request_id() -> HeaderValue {
    static PROCESS: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| getrandom::u32().unwrap_or_default());
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let text = format!("{:08x}{:08x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_may_have_a_time_limit_of_its_own() {
        let limits = TimeLimits { usual: Duration::from_secs(30), routes: vec![("/slow/", Duration::from_secs(300))] };
        for (path, seconds) in [("/slow/", 300), ("/slow/er/", 30), ("/slow", 30), ("/", 30)] {
            assert_eq!(limits.of(path), Duration::from_secs(seconds), "{path}");
        }
    }
}
