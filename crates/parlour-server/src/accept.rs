//! The accept loop. `axum::serve` sets no time-out on the head of a request and no bound on connections, and cannot say when it has
//! drained; this one does all three.

use crate::api::events::MAX_WAIT;
use crate::app::App;
use crate::links::Peer;
use crate::metrics::Metrics;
use crate::middleware::{self, Routes, TimeLimits};
use crate::{gather, jobs, live, rest_of_body, routes};
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

/// Pause after the system refuses a connection for want of a file handle or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a peer has not acknowledged for so long it never will: as long as a socket's silence.
#[cfg(target_os = "linux")]
const VANISHED_MILLIS: u32 = 75_000;

/// Headers of one request at the most.
const MAX_HEADERS: usize = 100;

/// How long a stop waits for requests that were written before it and not yet read. Each answer ends its connection meanwhile, so only
/// idle ones are still open afterwards, and closing these drops nothing.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// Serves until `shutdown` resolves, then lets accepted requests end within the configured grace.
pub async fn run(app: App, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) {
    let server = &app.config.server;
    let usual = server.request_timeout.get();
    // A body that takes its time, and then as much work as for any other request.
    let upload = app.config.files.upload_timeout.get() + usual;
    let time_limits =
        TimeLimits { usual, routes: vec![("/api/v2/pm/upload/", upload), ("/api/v2/events/", usual + MAX_WAIT)] };
    let routes = Arc::new(Routes::new(routes::router(app.clone()), &server.cors_origins, time_limits));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(server.header_timeout.get())
        .max_headers(MAX_HEADERS)
        .max_buf_size(server.max_header.as_usize());
    let connections = Arc::new(Semaphore::new(server.max_connections));
    let jobs = [
        tokio::spawn(jobs::remove_files(app.clone())),
        tokio::spawn(jobs::trim_events(app.clone())),
        tokio::spawn(jobs::watch_members(app.clone())),
        tokio::spawn(live::tell_presence(app.clone())),
    ];
    let graceful = watch::Sender::new(());
    let mut shutdown = std::pin::pin!(shutdown);
    for turn in 0.. {
        let accepted = tokio::select! {
            accepted = accept(&listeners, turn, &connections) => accepted,
            () = &mut shutdown => break,
        };
        if let Some((stream, peer, place)) = accepted {
            serve_connection(&http, &graceful, (stream, peer, place), &app, &routes);
        }
    }
    app.draining.store(true, Ordering::Release);
    // Whatever they are at, it can be done again.
    jobs.iter().for_each(tokio::task::JoinHandle::abort);
    let grace = server.shutdown_grace.get();
    // Beside what follows: an event stream is a connection too, and what is still accepted may still be told.
    let (hub, over) = (app.hub.clone(), grace / 2);
    let ending = tokio::spawn(async move { hub.end_all(over).await });
    for (stream, peer, place) in listeners.into_iter().flat_map(|listener| waiting(listener, &connections)) {
        serve_connection(&http, &graceful, (stream, peer, place), &app, &routes);
    }
    // A place for everybody is free when the last connection has gone.
    let everybody = u32::try_from(server.max_connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(LAST_REQUESTS.min(grace), connections.acquire_many(everybody)).await;
    drop(graceful);
    let drained = async {
        let _ = connections.acquire_many(everybody).await;
        let _ = ending.await;
        app.hub.emptied().await;
    };
    if tokio::time::timeout(grace, drained).await.is_err() {
        tracing::warn!(grace_seconds = grace.as_secs(), "connections were still open at the end of the grace period");
    }
}

/// Takes the next connection. Each `turn` another listener comes first, so that a busy one cannot keep the others waiting.
async fn accept(
    listeners: &[TcpListener],
    turn: usize,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(connections).acquire_owned().await.ok()?;
    let next = |context: &mut Context<'_>| {
        let (later, first) = listeners.split_at(turn % listeners.len().max(1));
        let mut accepted = first.iter().chain(later).map(|listener| listener.poll_accept(context));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    };
    match std::future::poll_fn(next).await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection was gone before it was served");
            }
            give_up_vanished(&stream);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Has the system end a connection whose peer does not acknowledge what it is sent: an event stream to a telephone without a network would
/// stay open for a quarter of an hour.
fn give_up_vanished(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, VANISHED_MILLIS) {
        tracing::debug!(%error, "a connection may outlive its peer");
    }
}

/// Closes the port and answers the connections that the system had already taken for it: their clients know of no refusal.
fn waiting(
    listener: TcpListener,
    connections: &Arc<Semaphore>,
) -> impl Iterator<Item = (TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // The listener does not block: it answers an error when nobody waits any more.
    let listener = listener.into_std();
    std::iter::from_fn(move || {
        let place = Arc::clone(connections).try_acquire_owned().ok()?;
        let (stream, peer) = listener.as_ref().ok()?.accept().ok()?;
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer, place))
    })
}

fn serve_connection(
    http: &http1::Builder,
    graceful: &watch::Sender<()>,
    (stream, peer, place): (TcpStream, SocketAddr, OwnedSemaphorePermit),
    app: &App,
    routes: &Arc<Routes>,
) {
    let write_timeout = app.config.server.request_timeout.get();
    let open = app.metrics.as_ref().map(Metrics::connection);
    let (app, routes) = (app.clone(), Arc::clone(routes));
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, routes) = (app.clone(), Arc::clone(&routes));
        async move {
            let is_head = request.method() == Method::HEAD;
            let (mut request, rest) = rest_of_body::lend(request);
            request.extensions_mut().insert(Peer(peer));
            let mut response = middleware::answer(&app, &routes, request).await;
            // A body that was too slow for its handler gets no further patience.
            let slow = response.status() == StatusCode::REQUEST_TIMEOUT;
            let unread = match rest {
                Some(rest) => slow || !rest.read_to_end().await,
                None => false,
            };
            if unread || app.draining.load(Ordering::Acquire) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(gather::body(response, is_head))
        }
    });
    // A client that takes none of its answer for so long is gone, or means no good.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service).with_upgrades();
    let mut stopping = graceful.subscribe();
    tokio::spawn(async move {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            // The sender says nothing until it goes.
            _ = stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // A connection that breaks is the client's affair: what it asked for has its own answer and its own log line.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
        drop((place, open));
    });
}
