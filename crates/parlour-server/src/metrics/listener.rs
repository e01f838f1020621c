use crate::app::App;
use crate::error::ApiError;
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once: a scraper has one, and so may a few others.
const CONNECTIONS: usize = 16;

/// Time for a whole connection.
const TIME: Duration = Duration::from_secs(60);

/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves the metrics at `/metrics`, until the process ends.
pub async fn serve(app: App, listener: TcpListener) {
    let router: Router = Router::new().route("/metrics", get(async move || answer(&app)));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            if let Ok(Err(error)) = tokio::time::timeout(TIME, connection).await {
                tracing::debug!(%error, "a connection for metrics broke");
            }
            drop(place);
        });
    }
}

fn answer(app: &App) -> Response {
    match app.metrics.as_ref().map(super::Metrics::text) {
        Some(Ok(text)) => {
            let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, format)], text).into_response()
        }
        Some(Err(error)) => ApiError::fault(error).into_response(),
        None => ApiError::not_found().into_response(),
    }
}
