//! What an operator may count: requests, the writer, caches, connections, in the text format of Prometheus, on an address of its own.
//!
//! Labels come from the code alone: route patterns, methods that HTTP defines, statuses, cache names. So their number is bounded, and no
//! name, text, token or address can get into one.

mod gathered;
mod listener;

pub use listener::serve;

use crate::live::Hub;
use axum::extract::MatchedPath;
use gathered::Gathered;
use http::{Method, StatusCode};
use parlour_core::Core;
use parlour_store::Observation;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// Upper ends of the buckets of every span of time, in seconds.
const SECONDS: [f64; 16] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    connections: Gauge,
}

/// One answer's labels.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: Name,
    route: Route,
    status: u16,
}

/// A route's labels.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RouteLabels {
    method: Name,
    route: Route,
}

/// A word out of the code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Name(&'static str);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.0)
    }
}

/// The pattern of a route, never the address that was asked for; none for an address that has no route.
#[derive(Clone, Debug)]
struct Route(Option<MatchedPath>);

impl Route {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.as_str())
    }
}

impl Metrics {
    /// Begins to count, with what `core` and `hub` can tell of themselves.
    #[must_use]
    pub fn new(core: &Core, hub: &Hub) -> Self {
        let mut registry = Registry::with_prefix("parlour");
        let requests = Family::default();
        registry.register("http_requests", "Answers by method, route and status", requests.clone());
        let durations = Family::new_with_constructor(seconds as fn() -> Histogram);
        let about = "Time from the head of a request to its answer";
        registry.register_with_unit("http_request_duration", about, Unit::Seconds, durations.clone());
        let connections = Gauge::default();
        registry.register("http_connections_open", "Connections that are open", connections.clone());
        observe_writer(&mut registry, core);
        registry.register_collector(Box::new(Gathered { core: core.clone(), hub: hub.clone() }));
        Self { registry, requests, durations, connections }
    }

    /// Counts an answer.
    pub fn answered(&self, method: &Method, route: Option<&MatchedPath>, status: StatusCode, took: Duration) {
        let (method, route) = (method_name(method), Route(route.cloned()));
        let labels = RouteLabels { method, route };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
        let labels = RequestLabels { method, route: labels.route, status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts a connection as open for as long as what this answers lives.
    #[must_use]
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Everything counted so far, as text.
    fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A connection that is counted as open.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// Methods that HTTP defines; whatever else a client invents is one.
fn method_name(method: &Method) -> Name {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    Name(KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other"))
}

/// Registers what the writer does.
fn observe_writer(registry: &mut Registry, core: &Core) {
    let (commits, checkpoints) = (seconds(), seconds());
    let changes = Histogram::new(exponential_buckets(1.0, 2.0, 10));
    let failures: Counter = Counter::default();
    let about = "Time to bring a group of changes to disk, its sync included";
    registry.register_with_unit("store_commit", about, Unit::Seconds, commits.clone());
    registry.register("store_commit_changes", "Changes in a group that was brought to disk", changes.clone());
    registry.register("store_commit_failures", "Groups that could not be brought to disk", failures.clone());
    let about = "Time to fold the log into the database file";
    registry.register_with_unit("store_checkpoint", about, Unit::Seconds, checkpoints.clone());
    core.store.observe(Box::new(move |observation| match observation {
        Observation::Committed { changes: count, took } => {
            commits.observe(took.as_secs_f64());
            changes.observe(count as f64);
        }
        Observation::CommitFailed => drop(failures.inc()),
        Observation::Checkpointed { took } => checkpoints.observe(took.as_secs_f64()),
    }));
}
