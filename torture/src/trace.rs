//! What a server did to its files and told its clients, in order, as strace saw it.

use anyhow::{Context as _, Result, ensure};
use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::Path;

/// The calls that matter.
pub(crate) const CALLS: &str =
    "trace=pwrite64,fsync,fdatasync,ftruncate,openat,rename,unlink,unlinkat,write,writev,sendto,sendmsg";

/// One step. Files are named without their folder; the folder itself is the empty name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write {
        file: String,
        offset: u64,
        data: Vec<u8>,
    },
    Truncate {
        file: String,
        length: u64,
    },
    /// A file appears in the folder, or is found there.
    Open {
        file: String,
    },
    Unlink {
        file: String,
    },
    SyncBegins {
        thread: u32,
        file: String,
    },
    SyncEnds {
        thread: u32,
    },
    /// A 201 leaves for its client, with this text in it.
    Acknowledge {
        text: String,
    },
}

/// Reads what `strace -f -y -xx` wrote, as far as it is about files in `folder` and about answers.
pub(crate) fn read(trace: &Path, folder: &Path) -> Result<Vec<Step>> {
    let folder = folder.to_str().context("a path in UTF-8")?;
    let mut open = HashMap::new();
    let mut steps = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open(trace)?).lines() {
        let line = line?;
        let (thread, call) = line.split_once(' ').context("a thread")?;
        line_steps(thread.parse()?, call.trim_start(), folder, &mut open, &mut steps)
            .with_context(|| format!("a line of the trace: {}", line.chars().take(120).collect::<String>()))?;
    }
    Ok(steps)
}

/// `open` remembers the syncs under way.
fn line_steps(thread: u32, call: &str, folder: &str, open: &mut HashMap<u32, ()>, steps: &mut Vec<Step>) -> Result<()> {
    if let Some(resumed) = call.strip_prefix("<... ") {
        // Everything but a sync counts from its beginning.
        if open.remove(&thread).is_some() && resumed.contains("sync resumed") {
            ensure!(resumed.trim_end().ends_with("= 0"), "a sync failed");
            steps.push(Step::SyncEnds { thread });
        }
        return Ok(());
    }
    let Some((name, arguments)) = call.split_once('(') else { return Ok(()) };
    // A failed call did nothing.
    if arguments.contains(") = -1 ") {
        return Ok(());
    }
    let file = || file_in(arguments, folder);
    match name {
        "fsync" | "fdatasync" => {
            let Some(file) = file()? else { return Ok(()) };
            steps.push(Step::SyncBegins { thread, file });
            if arguments.contains("<unfinished") {
                open.insert(thread, ());
            } else {
                steps.push(Step::SyncEnds { thread });
            }
        }
        "pwrite64" => {
            let Some(file) = file()? else { return Ok(()) };
            let mut quoted = arguments.splitn(3, '"').skip(1);
            let data = unhex(quoted.next().context("data")?)?;
            let numbers = quoted.next().context("numbers")?;
            let offset = numbers.split([',', ')', '<']).nth(2).context("an offset")?.trim().parse()?;
            steps.push(Step::Write { file, offset, data });
        }
        "ftruncate" => {
            let Some(file) = file()? else { return Ok(()) };
            let length = arguments.split([',', ')', '<']).nth(2).context("a length")?.trim().parse()?;
            steps.push(Step::Truncate { file, length });
        }
        "openat" | "unlink" | "unlinkat" | "rename" => {
            let Some(path) = arguments.split('"').nth(1) else { return Ok(()) };
            let path = String::from_utf8(unhex(path)?)?;
            let Some(file) = path.strip_prefix(folder).map(|file| file.trim_start_matches('/').to_owned()) else {
                return Ok(());
            };
            ensure!(name != "rename", "the server renames a file, which nobody here knows how to tear");
            match name {
                "openat" if arguments.contains("O_CREAT") => steps.push(Step::Open { file }),
                "openat" => {}
                _ => steps.push(Step::Unlink { file }),
            }
        }
        _ => steps.extend(acknowledgement(arguments)?),
    }
    Ok(())
}

/// The file of the descriptor that the arguments begin with.
fn file_in(arguments: &str, folder: &str) -> Result<Option<String>> {
    let Some(path) = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')) else { return Ok(None) };
    let path = String::from_utf8(unhex(path.0)?)?;
    Ok(path.strip_prefix(folder).map(|file| file.trim_start_matches('/').to_owned()))
}

/// The text that a 201 carries to its client.
fn acknowledgement(arguments: &str) -> Result<Option<Step>> {
    let created: String = b"HTTP/1.1 201".iter().map(|byte| format!("\\x{byte:02x}")).collect();
    if !arguments.contains(&created) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for piece in arguments.split('"').skip(1).step_by(2) {
        bytes.extend(unhex(piece)?);
    }
    let answer = String::from_utf8_lossy(&bytes);
    let text = answer.split_once("\"message\":\"").and_then(|(_, rest)| rest.split_once('"'));
    Ok(Some(Step::Acknowledge { text: text.context("an answer with its message")?.0.to_owned() }))
}

/// `\x61\x62` as bytes.
fn unhex(text: &str) -> Result<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |piece: &[u8]| match piece {
        [b'\\', b'x', high, low] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(4).map(|piece| byte(piece).context("a byte in hexadecimal")).collect()
}
