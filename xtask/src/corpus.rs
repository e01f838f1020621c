//! A corpus of real chats as an import, and the proof that all of it can be read back.
//!
//! The corpus has one conversation a line: `{"participants":[1,2],"messages":[{"sender":1,"sent_at":"…","text":"…"},…]}`. Lines
//! with the same two people belong to the same thread.

use crate::process::{Server, command, output, release_binary};
use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

/// Rows asked for at once when reading back.
const LIMIT: usize = 100;

/// A message of the corpus.
struct Message {
    sender: i64,
    sent_at: String,
    text: String,
}

/// The messages of each pair of people, in the order in which they were sent.
type Threads = BTreeMap<(i64, i64), Vec<Message>>;

fn read(file: &str) -> Result<Threads> {
    let mut opened = File::open(file).with_context(|| format!("cannot open {file}"))?;
    let mut start = [0; 2];
    let packed = opened.read(&mut start)? == 2 && start == [0x1f, 0x8b];
    let opened = File::open(file)?;
    let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(opened)) } else { Box::new(opened) };
    let mut threads = Threads::new();
    for line in BufReader::new(reader).lines() {
        let conversation: Value = serde_json::from_str(&line?)?;
        let id = |value: &Value| value.as_i64().context("a user's number");
        let (one, other) = (id(&conversation["participants"][0])?, id(&conversation["participants"][1])?);
        let thread = threads.entry((one.min(other), one.max(other))).or_default();
        for message in conversation["messages"].as_array().context("messages")? {
            let text = |key: &str| message[key].as_str().map(str::to_owned).context("a text");
            thread.push(Message { sender: id(&message["sender"])?, sent_at: text("sent_at")?, text: text("text")? });
        }
    }
    // Conversations of one pair may overlap; the sort keeps the order within a second.
    threads.values_mut().for_each(|thread| thread.sort_by(|one, other| one.sent_at.cmp(&other.sent_at)));
    Ok(threads)
}

fn write(threads: &Threads, to: &mut impl Write) -> Result<()> {
    let mut line = |value: Value| writeln!(to, "{value}");
    line(json!({ "type": "parlour", "version": 1 }))?;
    let people: BTreeSet<i64> = threads.keys().flat_map(|(one, other)| [*one, *other]).collect();
    for id in people {
        line(json!({ "type": "user", "id": id, "username": format!("member{id}") }))?;
    }
    for (one, other) in threads.keys() {
        line(json!({ "type": "follow", "follower": one, "followed": other }))?;
        line(json!({ "type": "follow", "follower": other, "followed": one }))?;
    }
    for ((one, other), messages) in threads {
        for (index, message) in messages.iter().enumerate() {
            line(json!({
                "type": "message",
                "ext_id": format!("{one}-{other}-{index}"),
                "sender": message.sender,
                "receiver": if message.sender == *one { other } else { one },
                "created_at": message.sent_at,
                "text": message.text,
            }))?;
        }
    }
    Ok(())
}

pub(crate) fn convert(file: &str) -> Result<()> {
    let mut standard_output = BufWriter::new(std::io::stdout().lock());
    write(&read(file)?, &mut standard_output)?;
    Ok(standard_output.flush()?)
}

pub(crate) fn check(file: &str) -> Result<()> {
    let binary = release_binary()?;
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().join("data");
    let data_dir = data_dir.to_str().context("a path in UTF-8")?;
    let import = folder.path().join("import.ndjson");
    let mut threads = read(file)?;
    write(&threads, &mut BufWriter::new(File::create(&import)?))?;
    let blank = take_out_blanks(&mut threads);
    for round in ["first", "second"] {
        let started = Instant::now();
        let summary = import_file(&binary, &import, data_dir)?;
        println!("{round} import: {summary}, in {:.1} s", started.elapsed().as_secs_f64());
        ensure!(summary["refused"] == blank, "{blank} blank messages are refused, and nothing else");
        ensure!(round == "first" || summary["imported"] == 0, "a second import finds nothing new");
    }
    round_trip(&binary, Path::new(data_dir), folder.path())?;
    let server = Server::start(&binary, &["serve", "--data-dir", data_dir])?;
    let started = Instant::now();
    let (messages, pages) = read_back(&threads, &server, &binary, data_dir)?;
    println!(
        "read back {messages} messages of {} threads on {pages} pages, in {:.1} s: all there, in order",
        threads.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Export, import into a fresh directory, export: the same bytes, and a sound database.
fn round_trip(binary: &Path, data_dir: &Path, folder: &Path) -> Result<()> {
    let started = Instant::now();
    let fresh = folder.join("fresh");
    let (first, second) = (folder.join("first.ndjson"), folder.join("second.ndjson"));
    let export = |file: &Path, data_dir: &Path| {
        output(command(binary, &["export", "--data-dir"]).arg(data_dir).arg(file)).map(drop)
    };
    export(&first, data_dir)?;
    let summary = import_file(binary, &first, fresh.to_str().context("a path in UTF-8")?)?;
    ensure!(summary["refused"] == 0 && summary["known"] == 0, "an export is imported whole, not {summary}");
    export(&second, &fresh)?;
    let bytes = std::fs::read(&first)?;
    ensure!(bytes == std::fs::read(&second)?, "the export of an imported export is another one");
    output(command(binary, &["doctor", "--data-dir"]).arg(&fresh))?;
    println!(
        "export, import, export, doctor: {} equal bytes, in {:.1} s",
        bytes.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn take_out_blanks(threads: &mut Threads) -> usize {
    let count = |threads: &Threads| threads.values().map(Vec::len).sum::<usize>();
    let before = count(threads);
    threads.values_mut().for_each(|thread| thread.retain(|message| !message.text.trim().is_empty()));
    before - count(threads)
}

fn import_file(binary: &Path, file: &Path, data_dir: &str) -> Result<Value> {
    let mut import = command(binary, &["import", "--json", "--data-dir", data_dir]);
    let output = import.arg(file).output()?;
    // 3: done, except for refused lines.
    ensure!(matches!(output.status.code(), Some(0 | 3)), "the import ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn read_back(threads: &Threads, server: &Server, binary: &Path, data_dir: &str) -> Result<(usize, usize)> {
    let http = ureq::agent();
    let (mut messages, mut pages) = (0, 0);
    for ((one, other), expected) in threads {
        let user = one.to_string();
        let token = output(&mut command(binary, &["token", "--user", &user, "--data-dir", data_dir]))?;
        let mut found: Vec<Value> = Vec::new();
        let mut next = Some(format!("{}/api/v2/pm/?user={other}&limit={LIMIT}", server.url));
        while let Some(url) = next {
            let answer = http.get(url).header("Authorization", format!("Bearer {}", token.trim())).call()?;
            let page: Value = serde_json::from_reader(answer.into_body().into_reader())?;
            ensure!(page["count"] == expected.len(), "thread {one}-{other} counts {}", page["count"]);
            let mut rows = page["results"].as_array().context("results")?.clone();
            rows.extend(found);
            found = rows;
            next = page["next"].as_str().map(str::to_owned);
            pages += 1;
        }
        compare(&found, expected).with_context(|| format!("thread {one}-{other}"))?;
        messages += found.len();
    }
    Ok((messages, pages))
}

fn compare(found: &[Value], expected: &[Message]) -> Result<()> {
    ensure!(found.len() == expected.len(), "{} messages instead of {}", found.len(), expected.len());
    for (index, (row, message)) in found.iter().zip(expected).enumerate() {
        let text = row["message"].as_str().map(unescape);
        let sent_at = row["created_at"].as_str().and_then(|at| at.strip_suffix(".000000+00:00"));
        let same = text.as_deref() == Some(&*message.text)
            && row["sender_id"] == message.sender
            && sent_at == message.sent_at.strip_suffix('Z');
        if !same {
            bail!("message {index} differs");
        }
    }
    Ok(())
}

fn unescape(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}
