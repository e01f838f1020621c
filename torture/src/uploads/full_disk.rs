//! No space is left while files come, and then there is again.

use super::uploader::{content, form};
use super::{SETTINGS, wait_until_swept};
use crate::community::Community;
use crate::http::{Answer, Client, Request};
use crate::mount::{self, FileSystem, Mount};
use crate::report::{Context, Report, milliseconds};
use crate::server::wait_for;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// From free space to the next acknowledgement.
const RECOVERY: Duration = Duration::from_secs(5);

/// Bytes of an upload.
const SIZE: usize = 1 << 20;

/// Fills a disk under uploads; answers what was seen, in words.
pub(super) fn run(context: &Context, report: &mut Report) -> Result<String> {
    if context.is_small() {
        return Ok("no disk was filled".to_owned());
    }
    if let Some(reason) = mount::unavailable() {
        return Ok(format!("no disk was filled: {reason}"));
    }
    let mut slowest = Duration::ZERO;
    for (kind, mebibytes) in [(FileSystem::Memory, 32), (FileSystem::Ext4, 48)] {
        let mount = Mount::new(kind, &context.folder, mebibytes)?;
        slowest = slowest.max(fill(context, &mount, report)?);
    }
    Ok(format!("2 full disks: uploads refused with Retry-After, taken again after {} ms", milliseconds(slowest)))
}

fn fill(context: &Context, mount: &Mount, report: &mut Report) -> Result<Duration> {
    let mut start = context.start()?.on(&mount.folder.join("data"));
    start.settings.extend(SETTINGS.map(str::to_owned));
    let community = Community::create(&start, 2)?;
    let token = &community.members[0].token;
    let mut server = start.ready()?;
    let mut client = server.client();
    let post = |client: &mut Client, query: &str, fields: &[(&str, &str)], file: Option<&[u8]>| -> Result<Answer> {
        Ok(client.ask(&Request::form(token, query, form(fields, file)))?)
    };
    let bytes = content(1, SIZE);
    let whole = post(&mut client, "", &[], Some(&bytes))?.json()?;
    let uuid = whole["file_uuid"].as_str().context("a uuid")?.to_owned();
    let link = crate::history::path_of(whole["file_url"].as_str().context("a link")?);
    let halves = [("partindex", "0"), ("totalparts", "2")];
    let begun = post(&mut client, "", &halves, Some(&bytes[..SIZE / 2]))?.json()?;
    let begun = begun["file_uuid"].as_str().context("a uuid")?.to_owned();
    let rest = [("partindex", "1"), ("totalparts", "2"), ("uuid", &*begun)];
    post(&mut client, "", &rest, Some(&bytes[SIZE / 2..]))?.json()?;
    let done = [("uuid", &*begun), ("filename", "a.pdf"), ("totalparts", "2")];

    let filler = mount.folder.join("filler");
    fill_up(&filler)?;
    let refused = [("", &[][..], Some(&bytes[..])), ("", &rest, Some(&bytes[SIZE / 2..])), ("?done", &done, None)];
    for (query, fields, file) in refused {
        let answer = post(&mut client, query, fields, file)?;
        let is_refusal = matches!(answer.status, 503 | 507) && answer.header("retry-after").is_some();
        report.demand(is_refusal, || format!("on a full disk an upload{query} was answered {}", answer.status));
    }
    let read = |client: &mut Client| client.ask(&Request { method: "GET", path: link.clone(), ..Request::default() });
    let found = read(&mut client)?;
    report.demand(found.status == 200 && found.body == bytes, || "a file was not readable on a full disk".to_owned());
    report.demand(server.is_alive()?, || "the process has ended".to_owned());
    std::fs::remove_file(&filler)?;
    let recovered =
        wait_for(RECOVERY, "uploads are taken again", || Ok(post(&mut client, "", &[], Some(&bytes))?.status == 200));
    let recovered = recovered.unwrap_or_else(|error| {
        report.problem(format!("{error:#} after there was space"));
        RECOVERY
    });
    // The upload that was begun before can still be finished, unless it was given up meanwhile.
    let answer = post(&mut client, "?done", &done, None)?;
    let gone = String::from_utf8_lossy(&answer.body).contains("does_not_exist");
    report.demand(answer.status == 200 || gone, || format!("after a full disk `done` was answered {}", answer.status));
    let to = community.members[1].id;
    let sent = client.ask(&Request::send_file(token, to, &uuid, None))?;
    report.demand(sent.status == 201, || format!("after a full disk a file was not sent: {}", sent.status));
    wait_until_swept(&start.data_dir, report);
    context.stop_and_examine(server, &start, report)?;
    report.look_for_panics(&start.log)?;
    Ok(recovered)
}

/// Fills what is left, down to the last byte.
fn fill_up(filler: &Path) -> Result<()> {
    let mut file = File::create(filler)?;
    for size in [1 << 20, 4096, 1] {
        let piece = vec![1; size];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(())
}
