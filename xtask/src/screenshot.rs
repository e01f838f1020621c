//! Pictures for the documentation, taken in a real browser.

use crate::process::{Server, command, release_binary, root, run};
use crate::tools::{CHROMIUM, ensure_tool};
use anyhow::{Context as _, Result};

/// Takes a picture of the API's documentation page, as the demo serves it.
pub(crate) fn screenshot() -> Result<()> {
    ensure_tool(&CHROMIUM)?;
    let data = tempfile::tempdir()?;
    let folder = data.path().join("demo");
    let folder = folder.to_str().context("a path in UTF-8")?;
    let server = Server::start(&release_binary()?, &["demo", "--data-dir", folder])?;
    let images = root().join("docs/images");
    std::fs::create_dir_all(&images)?;
    let picture = format!("--screenshot={}", images.join("api-docs.png").display());
    let profile = format!("--user-data-dir={}", data.path().join("profile").display());
    let page = format!("{}/docs/#/Private%20messages/get_thread", server.url);
    run(&mut command(
        "chromium",
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1500",
            "--virtual-time-budget=10000",
            &profile,
            &picture,
            &page,
        ],
    ))
}
