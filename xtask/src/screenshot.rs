//! Parlour's pages in a real browser: checked by the tests, and photographed for the documentation.

use crate::process::{Server, command, release_binary, root, run};
use crate::tools::{CHROMIUM, NODE, NPM, ensure_tool};
use anyhow::{Context as _, Result};
use std::path::Path;

/// Takes the pictures of the documentation.
pub(crate) fn screenshot() -> Result<()> {
    let images = root().join("docs/images");
    std::fs::create_dir_all(&images)?;
    look_at_pages(&release_binary()?, Some(&images.join("api-docs.png")))
}

/// Opens the documentation page of a demo in Chromium and checks what it shows; with `picture`, leaves a screenshot there.
pub(crate) fn look_at_pages(binary: &Path, picture: Option<&Path>) -> Result<()> {
    for tool in [&NODE, &NPM, &CHROMIUM] {
        ensure_tool(tool)?;
    }
    let data = tempfile::tempdir()?;
    let folder = data.path().join("demo");
    let server = Server::start(binary, &["demo", "--data-dir", folder.to_str().context("a path in UTF-8")?])?;
    let pages = root().join("tests/clients/pages");
    run(command("npm", &["ci", "--no-audit", "--no-fund"]).current_dir(&pages))?;
    let mut script = command("node", &["docs.mjs"]);
    script.current_dir(&pages).env("PARLOUR_URL", &server.url);
    if let Some(picture) = picture {
        script.env("PICTURE", picture);
    }
    run(&mut script)
}
