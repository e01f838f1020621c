use crate::app::App;
use crate::live::{Door, Ending, status_frame};
use parlour_core::live::{positions, standings};
use parlour_types::UserId;
use parlour_types::model::UserStatus;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// How often is looked after those who are connected: what another process did to them they see no later.
const TURN: Duration = Duration::from_secs(2);

/// Members whose logs are looked at in one question.
const MEMBERS: usize = 500;

/// Looks after those who are connected, again and again: whether their logs are longer than what they were told, because another process
/// wrote, and whether they still may be connected.
pub(crate) async fn watch_members(app: App) {
    let mut turns = tokio::time::interval_at(Instant::now() + TURN, TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut version = None;
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = app.hub.look() => {}
        }
        let members = app.hub.members();
        if members.is_empty() {
            continue;
        }
        if let Err(error) = look_at_logs(&app, &members).await {
            tracing::warn!(%error, "the logs of those who are connected could not be looked at");
        }
        match look_at_members(&app, &members, version).await {
            Ok(seen) => version = Some(seen),
            Err(error) => tracing::warn!(%error, "those who are connected could not be looked at"),
        }
    }
}

async fn look_at_logs(app: &App, members: &[(UserId, Option<i64>)]) -> parlour_core::Result<()> {
    for some in members.chunks(MEMBERS) {
        let users = some.iter().map(|(user, _)| *user).collect();
        for (user, end) in positions(&app.core, users).await? {
            let told = some.iter().find(|(known, _)| *known == user).and_then(|(_, told)| *told);
            if told.is_some_and(|told| told != end) {
                app.hub.wake(user);
            }
        }
    }
    Ok(())
}

/// Answers the version of the directory that was looked at.
async fn look_at_members(
    app: &App,
    members: &[(UserId, Option<i64>)],
    version: Option<i64>,
) -> parlour_core::Result<i64> {
    let connected: Arc<BTreeSet<UserId>> = Arc::new(members.iter().map(|(user, _)| *user).collect());
    let newcomers = app.hub.newcomers();
    let seen = match standings(&app.core, version, connected, newcomers.clone()).await {
        Ok(seen) => seen,
        Err(error) => {
            app.hub.still_new(&newcomers);
            return Err(error);
        }
    };
    for (user, status) in seen.members {
        let Some(before) = app.hub.stands(user, status) else { continue };
        match status {
            UserStatus::Deleted | UserStatus::Unregistered => app.hub.end(user, Ending::Deleted),
            UserStatus::Blocked => {
                tell_status(app, user, true);
                // Whatever they have open was opened by somebody who was not blocked. What they may still read, they can ask for anew.
                app.hub.end(user, Ending::Blocked);
            }
            UserStatus::Approved if before == UserStatus::Blocked => tell_status(app, user, false),
            UserStatus::Approved => {}
        }
    }
    Ok(seen.version)
}

fn tell_status(app: &App, user: UserId, is_blocked: bool) {
    let frame = status_frame(is_blocked, app.core.clock.now());
    match serde_json::to_vec(&frame) {
        Ok(json) => app.hub.tell(user, Door::Official, &json.into()),
        Err(error) => tracing::error!(%error, "a frame could not be written"),
    }
}
