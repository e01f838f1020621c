//! The people: who they are, how they stand to each other, and keeping them in step with the community's own records.

mod relations;
mod search;
mod settings;
mod upsert;
mod users;

pub use relations::{
    Toggle, followed_among, hidden_ids, is_followed, is_follower, is_hidden, is_hidden_by, list_follows, set_follow,
    toggle_follow, toggle_hide,
};
pub use search::search_users;
pub use settings::{change_settings, get_settings};
pub use upsert::{
    FollowChange, FollowRef, Provision, UpsertOutcome, UpsertResult, UserRow, provision, upsert_follows, upsert_user,
    upsert_users,
};
pub use users::{UserAccess, get_me, get_user, list_users, user_exists};
