//! Attachments from outside: uploaded as the official clients do it, and in every other way; read by their links; removed when they are due.

mod bad_images;
mod bad_input;
mod bucket;
mod links;
mod names;
mod official_uploader;
mod parts;
mod quota;
mod removal;

use parlour_server::config::Config;
use parlour_testkit::{Answer, Backend, Member, TestServer, backend};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the tests' servers look for what is due.
const CLEANUP: &str = "50ms";

const PDF: &str = "application/pdf";

/// A file of `size` bytes that says it is a PDF and has no byte sequence twice.
fn pdf(size: usize) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut random = fastrand::Rng::with_seed(size as u64);
    bytes.resize_with(size.max(bytes.len()), || random.u8(..));
    bytes
}

/// An image without anything that would be taken from it.
fn photo() -> Vec<u8> {
    parlour_media::samples::png(1, false).expect("an image")
}

fn in_a_hurry(config: &mut Config) {
    config.files.cleanup_interval = serde_json::from_value(json!(CLEANUP)).expect("a span of time");
}

/// A server that soon removes what is due, and Ann (1) and Bob (2).
async fn ann_and_bob() -> (TestServer, Member, Member) {
    let server = TestServer::with(in_a_hurry).await;
    let (ann, bob) = server.ann_and_bob().await;
    (server, ann, bob)
}

/// All files below a folder, sorted.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Everything in the data directory but the database and the secrets.
fn stored(server: &TestServer) -> Vec<PathBuf> {
    let own = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_database = name.starts_with("parlour.db") || name.ends_with(".lock");
        !(path.parent() == Some(&server.data_dir()) && (is_database || ["jwt.secret", "admin.key"].contains(&name)))
    };
    files_below(&server.data_dir()).into_iter().filter(own).collect()
}

#[track_caller]
fn assert_nothing_is_stored(server: &TestServer, about: &str) {
    assert_eq!(stored(server), Vec::<PathBuf>::new(), "{about}");
}

/// Waits until the server has removed all but `count` files.
async fn wait_for_stored(server: &TestServer, count: usize, about: &str) {
    let deadline = Instant::now() + PATIENCE;
    while stored(server).len() != count {
        assert!(Instant::now() < deadline, "{about}: {count} files are expected, not {:?}", stored(server));
        tokio::task::yield_now().await;
    }
}

/// Whether this run is on PostgreSQL, where rounds cost more.
fn fewer_on_postgres(sqlite: usize, postgres: usize) -> usize {
    if backend() == Backend::Postgres { postgres } else { sqlite }
}

/// The address in an answer or a row.
#[track_caller]
fn url<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The file of the newest message that `reader` sees in the thread with `other`.
async fn newest_file(reader: &Member, other: &Member) -> Value {
    let page = reader.thread_with(other, "&limit=1").await;
    page["results"][0]["file"].clone()
}

/// Asserts a 400 in the error shape that names the field with one of the codes, which are separated by bars.
#[track_caller]
fn assert_names(answer: &Answer, field: &str, codes: &str, about: &str) {
    super::bad_input::assert_names(answer, field, codes, about);
}
