use super::Common;
use crate::app::App;
use crate::config::Config;
use anyhow::Context as _;
use clap::Args;
use parlour_core::Clock;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Flags of `parlour serve`.
#[derive(Args)]
pub struct ServeArgs {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Absolute address by which clients reach the server.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

pub(super) fn serve(common: &Common, args: &ServeArgs) -> anyhow::Result<()> {
    let flags = [
        ("--listen", "server.listen", args.listen.as_deref()),
        ("--public-url", "server.public_url", args.public_url.as_deref()),
    ];
    let config = common.layers(&flags)?.config()?;
    run(config, async |_, _| Ok(None))
}

/// Builds the application, listens, calls `ready` with the application and the address listened on, and serves until the process is told
/// to stop: there, at the configured further addresses, and where `ready` listens.
pub(super) fn run(
    config: Config,
    ready: impl AsyncFnOnce(&App, SocketAddr) -> anyhow::Result<Option<TcpListener>>,
) -> anyhow::Result<()> {
    crate::telemetry::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anybody can know that the server runs: from here on it stops well.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = crate::build(config, Clock::System)?;
        let server = &app.config.server;
        let mut listeners = Vec::new();
        for listen in std::iter::once(&server.listen).chain(&server.also_listen) {
            let listener = TcpListener::bind(listen).await;
            listeners.push(listener.with_context(|| format!("cannot listen on {listen}"))?);
        }
        let address = listeners[0].local_addr()?;
        let data_dir = app.config.storage.data_dir.display();
        if let Some(listen) = app.config.metrics_listen() {
            let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
            tracing::info!(address = %listener.local_addr()?, "serving metrics");
            tokio::spawn(crate::serve_metrics(app.clone(), listener));
        }
        let objects = app.core.objects().clone();
        tokio::spawn(async move {
            if let Err(reason) = objects.check().await {
                tracing::warn!(place = %objects.place(), reason, "the object store cannot be used");
            }
        });
        tracing::info!(%address, %data_dir, version = env!("CARGO_PKG_VERSION"), "listening");
        for further in &listeners[1..] {
            tracing::info!(address = %further.local_addr()?, "listening there too");
        }
        listeners.extend(ready(&app, address).await?);
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping: no new connections, accepted requests end first");
        };
        crate::run(app, listeners, stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}
