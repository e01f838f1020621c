//! Users: what they are found by, the counters of their follows, and the directory's version.

use super::{Place, Problem, Report, Unit, count, is_id};
use crate::db::Read;
use crate::users::search_text;
use crate::{Progress, Result, Watch};
use parlour_types::model::Profile;

pub(super) fn examine(read: &Read<'_>, report: &mut Report, watch: &Watch) -> Result<()> {
    watch(Progress { step: "checking users", done: 0, total: 0 });
    report.checked.users = count(read, "select count(*) from users")?;
    report.checked.follows = count(read, "select count(*) from follows")?;
    let (stored, least) = directory_versions(read)?;
    if stored.is_none_or(|stored| stored < least) {
        let problem = Problem::derived("counters.directory_version", Place::NOWHERE, stored, Some(least));
        report.add(problem, Some(Unit::Directory));
    }
    read.scan(
        "select u.id, u.username, u.real_name, u.search_text, u.profile,
             u.followers_counter, (select count(*) from follows f where f.followed_id = u.id),
             u.followings_counter, (select count(*) from follows f where f.follower_id = u.id) from users u",
        &[],
        |row| {
            let id = row.int(0)?;
            let place = Place::user(id);
            if !is_id(id) {
                report.add(Problem::lost("id.range", place), None);
            }
            if row.str(3)? != search_text(row.str(1)?, row.str(2)?) {
                let problem = Problem::derived("users.search_text", place, None, None);
                report.add(problem, Some(Unit::User(id)));
            }
            if serde_json::from_str::<Profile>(row.str(4)?).is_err() {
                report.add(Problem::lost("users.profile", place), None);
            }
            for (what, column) in [("users.followers_counter", 5), ("users.followings_counter", 7)] {
                let (stored, counted) = (row.int(column)?, row.int(column + 1)?);
                if stored != counted {
                    let problem = Problem::derived(what, place, Some(stored), Some(counted));
                    report.add(problem, Some(Unit::User(id)));
                }
            }
            Ok(())
        },
    )
}

/// The directory's version as stored, and the highest one that anything was given.
pub(super) fn directory_versions(read: &Read<'_>) -> Result<(Option<i64>, i64)> {
    let stored = read.row("select value from counters where name = 'directory_version'", &[], |row| row.int(0))?;
    let highest = |sql| read.row(sql, &[], |row| row.int_opt(0)).map(|version| version.flatten().unwrap_or(0));
    let users = highest("select max(version) from users")?;
    Ok((stored, users.max(highest("select max(version) from user_renderings")?)))
}
