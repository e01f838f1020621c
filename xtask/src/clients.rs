//! What is looked at from outside: the official packages from npm, unmodified, and Parlour's own pages in a real browser. Some of it is
//! photographed for the documentation.

use crate::postgres::TestServer;
use crate::process::{Server, command, release_binary, root, run, target_folder};
use crate::tools::{CHROMIUM, ensure_node, ensure_tool};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The page that a developer copies, which is the one that is tested.
const EXAMPLE: &str = "examples/selfcommunity-react";

/// Takes the pictures of the documentation.
pub(crate) fn screenshot() -> Result<()> {
    let images = root().join("docs/images");
    std::fs::create_dir_all(&images)?;
    let parlour = release_binary()?;
    look_at_pages(&parlour, Some(&images.join("api-docs.png")))?;
    let ui = official_page()?;
    let mut script = command("node", &["picture.mjs"]);
    run(script.current_dir(&ui).env("PARLOUR_BIN", &parlour).env("PICTURE", images.join("official-ui.png")))
}

/// The SelfCommunity SDK, in node, against a server of its own.
pub(crate) fn official_sdk(binary: &Path, postgres: &TestServer) -> Result<()> {
    ensure_node()?;
    let folder = install(Path::new("tests/clients/sdk"))?;
    run(postgres.tell(command("npm", &["test"]).current_dir(&folder).env("PARLOUR_BIN", binary)))
}

/// The SelfCommunity message page, in Chromium, against a server of its own: everything that a member can do there.
pub(crate) fn official_ui(binary: &Path) -> Result<()> {
    let ui = official_page()?;
    let mut tests = command("npm", &["test"]);
    run(tests.current_dir(&ui).env("PARLOUR_BIN", binary).env("UI_ARTIFACTS", target_folder().join("ui")))
}

/// Installs what the official page is made of, and answers where it is looked at from.
fn official_page() -> Result<PathBuf> {
    ensure_node()?;
    ensure_tool(&CHROMIUM)?;
    install(Path::new(EXAMPLE))?;
    install(Path::new("tests/clients/ui"))
}

/// Opens the first page and the documentation of a demo in Chromium and checks what they show; with `picture`, leaves a screenshot of the
/// latter there.
pub(crate) fn look_at_pages(binary: &Path, picture: Option<&Path>) -> Result<()> {
    ensure_node()?;
    ensure_tool(&CHROMIUM)?;
    let (_data, server) = demo(binary)?;
    let pages = install(Path::new("tests/clients/pages"))?;
    let mut script = command("node", &["pages.mjs"]);
    script.current_dir(&pages).env("PARLOUR_URL", &server.url);
    if let Some(picture) = picture {
        script.env("PICTURE", picture);
    }
    run(&mut script)
}

/// A demo that runs as long as both are kept.
fn demo(binary: &Path) -> Result<(tempfile::TempDir, Server)> {
    let data = tempfile::tempdir()?;
    let folder = data.path().join("demo");
    let folder = folder.to_str().context("a path in UTF-8")?;
    let server = Server::start(binary, &["demo", "--socket-listen", "off", "--data-dir", folder])?;
    Ok((data, server))
}

/// Installs exactly what a folder's lock file says.
fn install(folder: &Path) -> Result<PathBuf> {
    let folder = root().join(folder);
    run(command("npm", &["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    Ok(folder)
}
