//! What is left of a request's body when the answer is ready.
//!
//! A handler may answer before it has read the whole body: a bad token, an unknown address, a body that is too large. A client that still
//! sends would then lose the answer to a reset connection, or its next request to one that ends unannounced. So the rest is read and
//! thrown away, within bounds; beyond them, the answer says that the connection ends.

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes thrown away at the most.
const MAX_BYTES: u64 = 16 << 20;

/// Time spent on it at the most.
const MAX_TIME: Duration = Duration::from_secs(5);

/// A body that its handler reads and that is taken back afterwards.
#[derive(Clone)]
pub(crate) struct RestOfBody(Arc<Mutex<Incoming>>);

/// Lends a request's body to its handler. A request without one has nothing to take back.
pub(crate) fn lend(request: Request<Incoming>) -> (Request<Body>, Option<RestOfBody>) {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return (Request::from_parts(parts, Body::new(body)), None);
    }
    let rest = RestOfBody(Arc::new(Mutex::new(body)));
    (Request::from_parts(parts, Body::new(rest.clone())), Some(rest))
}

impl RestOfBody {
    /// Reads to the end, within bounds, and answers whether the end was reached. The handler must be done.
    pub(crate) async fn read_to_end(self) -> bool {
        let Some(body) = Arc::into_inner(self.0) else { return false };
        let mut body = body.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reading = async {
            let mut read = 0;
            while !body.is_end_stream() {
                match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
                }
                if read > MAX_BYTES {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(MAX_TIME, reading).await.unwrap_or(false)
    }
}

impl hyper::body::Body for RestOfBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
