use super::{Common, block_on, progress};
use clap::Args;
use parlour_core::Clock;
use parlour_store::doctor::{self, Problem, Report};
use parlour_store::objects::Objects;
use parlour_store::{Store, StoreError, Watch};
use serde_json::json;
use std::process::ExitCode;

/// Exit code of an examination that found problems, or left some.
const UNSOUND: u8 = 4;

/// Arguments of `parlour doctor`.
#[derive(Args)]
pub struct DoctorArgs {
    /// Derive again whatever can be; safe beside a running server.
    #[arg(long)]
    repair: bool,
    /// Look at the database alone, and not at what is in the folder or bucket of files.
    #[arg(long)]
    without_objects: bool,
}

pub(super) fn doctor(common: &Common, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = common.load()?;
    crate::telemetry::start(&config.log)?;
    let database = crate::database(&config)?;
    anyhow::ensure!(database.may_exist(), "there is no database at {database}");
    let (bar, watch) = progress::steps();
    let (found, left) = match Store::open(database) {
        Err(error) if error.is_damage() => (Report::unreadable(&error), None),
        Err(error) => return Err(error.into()),
        Ok(store) => {
            let objects = crate::open_objects(&config)?;
            block_on(async { Ok(examine(&store, &objects, args, &watch).await?) })?
        }
    };
    bar.finish_and_clear();
    print(common, &found, left.as_ref());
    let sound = left.as_ref().unwrap_or(&found).is_sound();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(UNSOUND) })
}

/// What was found, and what is left after a repair.
async fn examine(
    store: &Store,
    objects: &Objects,
    args: &DoctorArgs,
    watch: &Watch,
) -> Result<(Report, Option<Report>), StoreError> {
    let now = Clock::System.now();
    let look = async || {
        let mut report = doctor::examine(store, watch.clone()).await?;
        if !args.without_objects && !report.damaged {
            doctor::examine_objects(store, objects, now, &mut report, watch).await?;
        }
        Ok::<_, StoreError>(report)
    };
    let found = look().await?;
    if !args.repair || found.is_sound() || found.damaged {
        return Ok((found, None));
    }
    doctor::repair(store, &found, watch.clone()).await?;
    doctor::repair_objects(store, objects, now, &found, watch).await?;
    Ok((found, Some(look().await?)))
}

fn print(common: &Common, found: &Report, left: Option<&Report>) {
    let now = left.unwrap_or(found);
    let repaired = found.total.saturating_sub(now.total);
    if common.json {
        let report = json!({
            "sound": now.is_sound(),
            "checked": found.checked,
            "problems": found.problems,
            "total": found.total,
            "repaired": repaired,
        });
        println!("{report}");
        return;
    }
    found.problems.iter().for_each(|problem| println!("{}", describe(problem)));
    let unlisted = found.total - found.problems.len() as u64;
    if unlisted > 0 {
        println!("and {unlisted} more");
    }
    let checked = &found.checked;
    let looked_at = format!(
        "{} users, {} threads, {} messages, {} files",
        checked.users, checked.threads, checked.messages, checked.files
    );
    if checked.foreign_objects > 0 {
        println!("{} things beside the files are not Parlour's and were left alone", checked.foreign_objects);
    }
    match (found.total, now.total) {
        (0, _) => println!("sound: {looked_at}"),
        (total, 0) => println!("repaired: all {total} problems of {looked_at}"),
        (_, left) if now.problems.iter().any(|problem| !problem.repairable) => {
            println!(
                "{left} problems of {looked_at}, {repaired} repaired; what cannot be derived again: restore a backup"
            );
        }
        (_, left) => {
            println!("{left} problems of {looked_at}, {repaired} repaired; parlour doctor --repair repairs them");
        }
    }
}

/// Where a problem is that is in no row.
fn whole(problem: &Problem) -> &'static str {
    if problem.what.starts_with("objects.") { "object store" } else { "database" }
}

fn describe(problem: &Problem) -> String {
    let place = problem.place;
    let named = [("user", place.user), ("thread", place.thread), ("message", place.message), ("seq", place.seq)];
    let mut named: Vec<String> = named.iter().filter_map(|(name, id)| Some(format!("{name} {}", (*id)?))).collect();
    named.extend(place.file.map(|uuid| format!("file {uuid}")));
    let mut line =
        format!("{}: {}", if named.is_empty() { whole(problem).into() } else { named.join(", ") }, problem.what);
    let number = |number: Option<i64>| number.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
    if problem.stored.is_some() || problem.expected.is_some() {
        line.push_str(&format!(" is {}, should be {}", number(problem.stored), number(problem.expected)));
    }
    if let Some(detail) = &problem.detail {
        line.push_str(&format!(": {detail}"));
    }
    if !problem.repairable {
        line.push_str(" (cannot be derived again)");
    }
    line
}
