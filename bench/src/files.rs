//! Uploads and downloads, against a bare server that brings the same bytes to disk, or sends them from there; and the memory that many
//! uploads take at once.

use crate::process::Server;
use crate::requests::{environment, token};
use crate::results::{Bar, Figure, Rounds, Samples};
use crate::transfers::{self, Connection, Request};
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const UPLOAD: &str = "upload, 10 MiB";
const DOWNLOAD: &str = "download, 10 MiB";
const MEMORY: &str = "memory, 64 uploads of 10 MiB at once";

/// Bytes of a file.
const SIZE: usize = 10 << 20;

/// Connections of a load.
const CONNECTIONS: usize = 4;

/// Uploads at once, each of a member of their own.
const AT_ONCE: usize = 64;

const BOUNDARY: &str = "a-boundary-of-the-benchmark";

/// Whether anything here is asked for.
pub(crate) fn are_wanted(only: Option<&str>) -> bool {
    only.is_none_or(|only| [UPLOAD, DOWNLOAD, MEMORY].iter().any(|name| name.contains(only)))
}

/// Whether nothing else is.
pub(crate) fn alone_are_wanted(only: Option<&str>) -> bool {
    only.is_some_and(|only| ["upload", "download", "memory, 64"].iter().any(|beginning| only.starts_with(beginning)))
}

/// Measures everything here whose name contains `only`.
pub(crate) fn measure(folder: &Path, parlour: &Path, rounds: Rounds, only: Option<&str>) -> Result<Vec<Figure>> {
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let folder = tempfile::tempdir_in(folder)?;
    let data_dir = folder.path().join("served").display().to_string();
    create_members(parlour, &data_dir)?;
    let serve = ["serve", "--data-dir", &data_dir];
    // What was measured may go soon, so that the disk does not fill.
    let environment = [&environment()[..], &FILES].concat();
    let server = Server::start(parlour, &serve, &environment)?;
    let bare = folder.path().join("bare");
    std::fs::create_dir(&bare)?;
    let bare_folder = bare.display().to_string();
    let floor = Server::start(&std::env::current_exe()?, &["file-floor", "--folder", &bare_folder], &[])?;

    let content: &'static [u8] = Box::leak(content().into_boxed_slice());
    let form: &'static [u8] = Box::leak(form(content).into_boxed_slice());
    let upload = |number: usize| Request { head: upload_head(number, form.len()), body: form };
    let bare_upload = |_| Request { head: bare_head("POST", form.len()), body: form };
    let link = send_and_link(server.address, form)?;
    std::fs::write(bare.join("file"), content)?;
    let download = |_| Request { head: format!("GET {link} HTTP/1.1\r\nHost: localhost\r\n\r\n"), body: b"" };
    let bare_download = |_| Request { head: bare_head("GET", 0), body: b"" };

    let mut samples = Samples::default();
    let mut figures = Vec::new();
    if wanted(MEMORY) {
        let before = server.memory_mib()?;
        server.forget_peak()?;
        transfers::at_once(server.address, AT_ONCE, upload)?;
        let grown = server.peak_memory_mib()? - before;
        figures.push(Bar::AtMost(64.0).figure(MEMORY, format!("{grown:.1} MiB"), grown));
    }
    for round in 1..=rounds.count {
        eprintln!("files, round {round} of {}", rounds.count);
        if wanted(UPLOAD) {
            let bare = transfers::run(floor.address, CONNECTIONS, rounds.time, SIZE, bare_upload)?;
            let rate = transfers::run(server.address, CONNECTIONS, rounds.time, SIZE, upload)?;
            samples.add(UPLOAD, rate);
            samples.add_ratio(UPLOAD, rate / bare);
        }
        if wanted(DOWNLOAD) {
            let bare = transfers::run(floor.address, CONNECTIONS, rounds.time, SIZE, bare_download)?;
            let rate = transfers::run(server.address, CONNECTIONS, rounds.time, SIZE, download)?;
            samples.add(DOWNLOAD, rate);
            samples.add_ratio(DOWNLOAD, rate / bare);
        }
    }
    for name in [UPLOAD, DOWNLOAD] {
        let rate = samples.median(name).map(|rate| format!("{rate:.0} MiB/s")).unwrap_or_default();
        figures.extend(samples.ratio(name).map(|ratio| Bar::AtLeast(0.70).figure(name, rate, ratio)));
    }
    Ok(figures)
}

const FILES: [(&str, &str); 4] = [
    ("PARLOUR_FILES_QUOTA", "1TiB"),
    ("PARLOUR_FILES_QUOTA_FILES", "1000000"),
    ("PARLOUR_FILES_UNUSED_LIFETIME", "2s"),
    ("PARLOUR_FILES_CLEANUP_INTERVAL", "1s"),
];

/// A PDF, as far as anybody looks.
fn content() -> Vec<u8> {
    let mut content = b"%PDF-1.7\n".to_vec();
    let mut random = fastrand::Rng::with_seed(10);
    content.resize_with(SIZE, || random.u8(..));
    content
}

fn form(content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n"
    );
    [head.as_bytes(), content, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

fn upload_head(number: usize, length: usize) -> String {
    let member = i64::try_from(number).unwrap_or_default() + 1;
    format!(
        "POST /api/v2/pm/upload/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n",
        token(member)
    )
}

fn bare_head(method: &str, length: usize) -> String {
    format!("{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// Members who may write to the first one.
fn create_members(parlour: &Path, data_dir: &str) -> Result<()> {
    let mut import = Command::new(parlour);
    import.args(["import", "-", "--json", "--data-dir", data_dir]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = import.stderr(Stdio::null()).spawn()?;
    let mut lines = child.stdin.take().context("a pipe")?;
    writeln!(lines, r#"{{"type":"parlour","version":1}}"#)?;
    for id in 1..=AT_ONCE {
        writeln!(lines, r#"{{"type":"user","id":{id},"username":"member{id}"}}"#)?;
    }
    writeln!(lines, r#"{{"type":"follow","follower":2,"followed":1}}"#)?;
    drop(lines);
    ensure!(child.wait()?.success(), "the members could not be imported");
    Ok(())
}

/// Uploads the form, sends the file to the second member so that it stays, and answers the path that opens it.
fn send_and_link(address: std::net::SocketAddr, form: &'static [u8]) -> Result<String> {
    let mut connection = Connection::open(address)?;
    let upload = Request { head: upload_head(0, form.len()), body: form };
    let (_, uploaded) = connection.ask(&upload)?;
    let uploaded: serde_json::Value = serde_json::from_slice(&uploaded)?;
    let uuid = uploaded["file_uuid"].as_str().context("a uuid")?;
    let body = format!(r#"{{"recipients":[2],"message":"","file_uuid":"{uuid}"}}"#);
    let head = format!(
        "POST /api/v2/pm/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        token(1),
        body.len()
    );
    let (_, sent) = connection.ask(&Request { head, body: body.as_bytes() })?;
    let sent: serde_json::Value = serde_json::from_slice(&sent)?;
    let link = sent[0]["file"]["url"].as_str().context("a link")?;
    Ok(link[link.find("/media/").context("a link of this server's")?..].to_owned())
}
