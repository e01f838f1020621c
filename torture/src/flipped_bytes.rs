//! One byte of a closed database is another one.
//!
//! SQLite keeps no checksum of its pages, so a byte inside a text or a number that nothing else depends on becomes another text or number
//! and nobody can know: these are counted apart. What must never be: a crash, another member's message, or a shorter list than before that
//! the doctor takes for sound.

use crate::community::Community;
use crate::doctor::{self, Diagnosis};
use crate::history::path_of;
use crate::http::{Client, Request};
use crate::parallel::trials;
use crate::report::{Context, Report, copy_folder};
use crate::senders::Senders;
use crate::server::{Server, Start, wait_until};
use anyhow::{Context as _, Result};
use fastrand::Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Members who send.
const SENDERS: usize = 5;

/// A page of the database.
const PAGE: usize = 4096;

/// What a flip did to what members are shown.
#[derive(PartialEq, Eq)]
enum Effect {
    /// Every answer as before.
    None,
    /// The same rows, one with another text or number.
    Value,
    /// A row is missing, doubled or elsewhere.
    Structure,
    /// An answer is an error, or the server does not start.
    Error,
}

struct Trial {
    effect: Effect,
    detected: bool,
    /// What the server's log says of an error that the doctor did not find.
    undetected: Option<String>,
    problems: Vec<String>,
}

/// All that a member can see, by what was asked.
type Seen = BTreeMap<(usize, String), Vec<Value>>;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let start = context.start()?;
    let community = Community::create(&start, SENDERS)?;
    let server = start.ready()?;
    let mut senders = Senders::new(&community, 13);
    senders.drive(start.address, |tally| {
        wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= 400)).map(drop)
    })?;
    // The first look marks everything as seen, the second one shows what every later one must show.
    look(&server, &community)?;
    let right = look(&server, &community)?.context("a sound database answers")?;
    server.stop()?;
    let sound = std::fs::read(start.data_dir.join("parlour.db"))?;
    let flips = choose(&sound, context.pick(50, 1_200));
    let results = trials(&flips, |index, offset| {
        let folder = context.folder.join(format!("flip-{index}"));
        let trial = flip(context, &start, *offset, index, &folder, &right, &community)?;
        if trial.problems.is_empty() {
            std::fs::remove_dir_all(&folder)?;
        }
        Ok(trial)
    })?;
    summarize(results, &mut report);
    Ok(report)
}

fn summarize(results: Vec<Trial>, report: &mut Report) {
    let count = |wanted: Effect| results.iter().filter(|trial| trial.effect == wanted).count();
    let found = |wanted: Effect| results.iter().filter(|trial| trial.effect == wanted && trial.detected).count();
    let (visible, detected) =
        (count(Effect::Structure) + count(Effect::Error), found(Effect::Structure) + found(Effect::Error));
    report.done = format!(
        "{} flipped bytes: {} changed nothing that is shown, {} an answer became an error or was refused, {} rows were missing or elsewhere \
         ({detected} of these {visible} detected), {} another text or number, which SQLite cannot tell ({} detected all the same)",
        results.len(),
        count(Effect::None),
        count(Effect::Error),
        count(Effect::Structure),
        count(Effect::Value),
        found(Effect::Value),
    );
    report.figure("flips", results.len());
    report.figure("visible", visible);
    report.figure("detected", detected);
    report.figure("other_values", count(Effect::Value));
    report.figure("other_values_detected", found(Effect::Value));
    let undetected: Vec<String> = results.iter().filter_map(|trial| trial.undetected.clone()).collect();
    report.figure("undetected_errors", undetected.clone());
    // 99 of 100 on many; on few, one may slip through.
    let enough = if visible < 100 { detected + 1 >= visible } else { detected * 100 >= visible * 99 };
    report.demand(enough, || format!("the doctor found {detected} of {visible} flips that change answers"));
    if !enough {
        report.problems.extend(undetected);
    }
    report.problems.extend(results.into_iter().flat_map(|trial| trial.problems));
}

/// Offsets anywhere, and every fourth in a page that holds texts of messages.
fn choose(sound: &[u8], count: usize) -> Vec<usize> {
    let holds_texts = |page: &&[u8]| page.windows(6).any(|window| window == b" xxxxx");
    let pages: Vec<&[u8]> = sound.chunks(PAGE).collect();
    let hot: Vec<usize> = (0..pages.len()).filter(|page| holds_texts(&pages[*page])).collect();
    let mut random = Rng::with_seed(14);
    (0..count)
        .map(|number| match number % 4 {
            0 if !hot.is_empty() => hot[random.usize(..hot.len())] * PAGE + random.usize(..PAGE),
            _ => random.usize(..sound.len()),
        })
        .collect()
}

fn flip(
    context: &Context,
    template: &Start,
    offset: usize,
    index: usize,
    folder: &Path,
    right: &Seen,
    community: &Community,
) -> Result<Trial> {
    copy_folder(&template.data_dir, folder)?;
    let file = std::fs::File::options().read(true).write(true).open(folder.join("parlour.db"))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64)?;
    byte[0] ^= 1 << (index % 8);
    file.write_all_at(&byte, offset as u64)?;
    drop(file);
    let mut report = Report::default();
    let name = format!("flip {index} at byte {offset}");
    let mut start = Start::new(&context.parlour, folder, &context.settings)?;
    start.data_dir = folder.to_owned();
    let detected = match doctor::examine(&start) {
        Ok(diagnosis) => !matches!(diagnosis, Diagnosis::Sound),
        Err(error) => {
            report.problem(format!("{name}: {}", format!("{error:#}").replace('\n', " ")));
            false
        }
    };
    let (effect, detected) = match start.ready_or_ended()? {
        // Not ready, or not even started: as loud as can be.
        Err(_) => (Effect::Error, true),
        Ok(mut server) => {
            let effect = match look(&server, community)? {
                None => Effect::Error,
                Some(seen) => compare(&seen, right, community, &name, &mut report),
            };
            let (one, other) = (&community.members[0], &community.members[1]);
            server.client().ask(&Request::send(&one.token, &[other.id], "and on", None))?;
            report.demand(server.is_alive()?, || format!("{name}: the server has ended"));
            (effect, detected)
        }
    };
    let silent = effect == Effect::Structure && !detected;
    report.demand(!silent, || format!("{name}: rows are missing or elsewhere, and the doctor finds nothing"));
    report.look_for_panics(&start.log)?;
    let undetected = if effect == Effect::Error && !detected { Some(first_fault(&start.log, &name)?) } else { None };
    Ok(Trial { effect, detected, undetected, problems: report.problems })
}

/// The reason that the log gives for an error.
fn first_fault(log: &Path, name: &str) -> Result<String> {
    let log = std::fs::read_to_string(log)?;
    let line = log.lines().find(|line| line.contains("reason=")).unwrap_or_default();
    Ok(format!("{name}: {}", line.split_once("reason=").map_or("an error without a reason", |(_, reason)| reason)))
}

/// Everything that every member can see; `None` if an answer is an error.
fn look(server: &Server, community: &Community) -> Result<Option<Seen>> {
    let mut client = server.client();
    let mut seen = Seen::new();
    for (index, member) in community.members.iter().enumerate() {
        let mut asked = vec!["/api/v2/pm/?limit=100".to_owned()];
        let others = community.members.iter().filter(|other| other.id != member.id);
        asked.extend(others.map(|other| format!("/api/v2/pm/?user={}&limit=100", other.id)));
        for path in asked {
            match rows(&mut client, &path, &member.token)? {
                Some(rows) => drop(seen.insert((index, path), rows)),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(seen))
}

fn rows(client: &mut Client, path: &str, token: &str) -> Result<Option<Vec<Value>>> {
    let mut all = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let answer = client.ask(&Request::get(&*path, token))?;
        match answer.status {
            200 => {}
            // "Nothing here" is an answer like an empty list, and is compared like one.
            404 => break,
            _ => return Ok(None),
        }
        let page = answer.json()?;
        all.extend(page["results"].as_array().context("results")?.iter().cloned());
        next = page["next"].as_str().map(path_of);
        // A broken chain may lead in a circle.
        if all.len() > 10_000 {
            return Ok(None);
        }
    }
    Ok(Some(all))
}

fn compare(seen: &Seen, right: &Seen, community: &Community, name: &str, report: &mut Report) -> Effect {
    let id = |row: &Value| row["id"].as_i64();
    let mut effect = Effect::None;
    for (asked, expected) in right {
        let found = seen.get(asked).map_or(&[][..], Vec::as_slice);
        if found == expected {
            continue;
        }
        let other_rows = found.len() != expected.len();
        let (found_ids, ids): (BTreeSet<_>, BTreeSet<_>) =
            (found.iter().map(id).collect(), expected.iter().map(id).collect());
        // A number may become that of another row, but no text may be one that this member must not see.
        let text = |row: &Value| row["message"].as_str().map(str::to_owned);
        let own: BTreeSet<_> = right
            .iter()
            .filter(|((member, _), _)| *member == asked.0)
            .flat_map(|(_, rows)| rows.iter().map(text))
            .collect();
        let all: BTreeSet<_> = right.values().flatten().map(text).collect();
        for foreign in found.iter().filter(|row| all.contains(&text(row)) && !own.contains(&text(row))) {
            let shown = text(foreign).unwrap_or_default();
            let member = community.members[asked.0].id;
            report.problem(format!(
                "{name}: {member} asks {} and sees another's message, {}",
                asked.1,
                &shown[..shown.len().min(12)]
            ));
        }
        if other_rows || (found_ids.len() != ids.len()) {
            effect = Effect::Structure;
        } else if effect == Effect::None {
            effect = Effect::Value;
        }
    }
    effect
}
