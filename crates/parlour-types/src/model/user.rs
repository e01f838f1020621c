use crate::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// The state of an account (contract §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub enum UserStatus {
    /// In good standing.
    #[serde(rename = "a")]
    Approved,
    /// May read, may not send.
    #[serde(rename = "b")]
    Blocked,
    /// Deleted, and can be brought back.
    #[serde(rename = "d")]
    Deleted,
    /// Unregistered for good.
    #[serde(rename = "u")]
    Unregistered,
}

impl UserStatus {
    /// Deleted in either way: cannot sign in, cannot be written to.
    #[must_use]
    pub const fn is_deleted(self) -> bool {
        matches!(self, Self::Deleted | Self::Unregistered)
    }

    /// The status that a stored letter stands for.
    #[must_use]
    pub fn parse(letter: &str) -> Option<Self> {
        [Self::Approved, Self::Blocked, Self::Deleted, Self::Unregistered]
            .into_iter()
            .find(|status| status.as_str() == letter)
    }

    /// The one letter it is stored and sent as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "a",
            Self::Blocked => "b",
            Self::Deleted => "d",
            Self::Unregistered => "u",
        }
    }
}

/// A role in the community (contract §6.1). Whoever holds one may write to everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the community.
    Admin,
    /// Keeps the peace.
    Moderator,
    /// Looks after the content.
    Editor,
    /// Publishes.
    Publisher,
}

impl Role {
    /// The role that a word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Admin, Self::Moderator, Self::Editor, Self::Publisher].into_iter().find(|role| role.as_str() == word)
    }

    /// The word it is stored and sent as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Moderator => "moderator",
            Self::Editor => "editor",
            Self::Publisher => "publisher",
        }
    }
}

/// Gender as the contract spells it (§3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Gender {
    /// Male.
    Male,
    /// Female.
    Female,
    /// Not said.
    #[default]
    Unspecified,
}

/// The part of a user that Parlour keeps for the community and never reasons about (contract §3.1).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Free text about the person.
    pub bio: String,
    /// Place, as text.
    pub location: String,
    /// Place, as `lat,lng`.
    pub location_lat_lng: String,
    /// Position, as `lat,lng`.
    pub position_lat_lng: String,
    /// Short description.
    pub description: String,
    /// Home page.
    pub website: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: Option<String>,
    /// Gender.
    pub gender: Gender,
    /// Cover picture.
    pub cover: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Points.
    pub reputation: i64,
    /// Whether the registration was approved.
    pub reg_approved: bool,
    /// Company.
    pub company_name: String,
    /// Role in the company.
    pub company_role: String,
    /// Contributions; `null` where the community does not count them.
    pub posts_counter: Option<i64>,
    /// Discussions opened.
    pub discussions_counter: Option<i64>,
    /// Statuses written.
    pub statuses_counter: Option<i64>,
    /// Polls opened.
    pub polls_counter: Option<i64>,
    /// Categories followed.
    pub categories_counter: Option<i64>,
}

/// A member of the community.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The community's own number for the member.
    pub id: UserId,
    /// The name shown.
    pub username: String,
    /// The person's name; may be empty.
    pub real_name: String,
    /// The community's own key for the member, any text.
    pub ext_id: Option<String>,
    /// State of the account.
    pub status: UserStatus,
    /// Role, if any.
    pub role: Option<Role>,
    /// Staff badge.
    pub community_badge: bool,
    /// Absolute address of the picture.
    pub avatar: Option<String>,
    /// Mail address; only the member's own view has it.
    pub email: String,
    /// Whether the address was verified.
    pub email_isvalid: bool,
    /// When the member joined.
    pub date_joined: Timestamp,
    /// When the account was deleted.
    pub deleted_at: Option<Timestamp>,
    /// How many follow this member.
    pub followers_counter: i64,
    /// How many this member follows.
    pub followings_counter: i64,
    /// Everything else.
    pub profile: Profile,
}

/// Fields of a user that a community sets; what is `None` stays as it is, or gets its default in a new user.
///
/// A double option tells "not given" from "set to null".
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The name shown, 1 to 150 characters. Required in a new user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_name: Option<String>,
    /// The community's own key for the member, unique; `null` removes it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ext_id: Option<Option<String>>,
    /// `a` approved, `b` blocked, `d` deleted, `u` unregistered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<UserStatus>,
    /// `admin`, `moderator`, `editor`, `publisher`; `null` removes the role.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Role>)]
    pub role: Option<Option<Role>>,
    /// Staff badge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community_badge: Option<bool>,
    /// Absolute address of the picture; `null` removes it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub avatar: Option<Option<String>>,
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_isvalid: Option<bool>,
    /// When the member joined.
    #[serde(default, deserialize_with = "timestamp", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub date_joined: Option<Timestamp>,
    /// When the account was deleted; set by Parlour when only `status` says so.
    #[serde(default, deserialize_with = "timestamp", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub deleted_at: Option<Timestamp>,
    /// Free text about the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// Place, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Place, as `lat,lng`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_lat_lng: Option<String>,
    /// Position, as `lat,lng`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_lat_lng: Option<String>,
    /// Short description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// `YYYY-MM-DD`; `null` removes it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub date_of_birth: Option<Option<String>>,
    /// `Male`, `Female` or `Unspecified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// Absolute address of the cover picture; `null` removes it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cover: Option<Option<String>>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reputation: Option<i64>,
    /// Whether the registration was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reg_approved: Option<bool>,
    /// Company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// Role in the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_role: Option<String>,
    /// Contributions; `null` where the community does not count them.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub posts_counter: Option<Option<i64>>,
    /// Discussions opened.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub discussions_counter: Option<Option<i64>>,
    /// Statuses written.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub statuses_counter: Option<Option<i64>>,
    /// Polls opened.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub polls_counter: Option<Option<i64>>,
    /// Categories followed.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub categories_counter: Option<Option<i64>>,
}

/// A field that is present, even as `null`, is `Some`.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

fn timestamp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

impl User {
    /// A member who has only a number, a name and a day of joining.
    #[must_use]
    pub fn new(id: UserId, username: String, date_joined: Timestamp) -> Self {
        Self {
            id,
            username,
            real_name: String::new(),
            ext_id: None,
            status: UserStatus::Approved,
            role: None,
            community_badge: false,
            avatar: None,
            email: String::new(),
            email_isvalid: false,
            date_joined,
            deleted_at: None,
            followers_counter: 0,
            followings_counter: 0,
            profile: Profile { reg_approved: true, ..Profile::default() },
        }
    }

    /// Takes over every field that `change` gives. `now` dates a deletion that brings no date of its own.
    pub fn apply(&mut self, change: UserChange, now: Timestamp) {
        macro_rules! take {
            ($($field:ident),+ => $target:expr) => { $(if let Some(value) = change.$field { $target.$field = value; })+ };
        }
        take!(username, real_name, ext_id, status, role, community_badge, avatar, email, email_isvalid, date_joined => self);
        take!(
            bio, location, location_lat_lng, position_lat_lng, description, website, date_of_birth, gender, cover, tags,
            reputation, reg_approved, company_name, company_role, posts_counter, discussions_counter, statuses_counter,
            polls_counter, categories_counter => self.profile
        );
        self.deleted_at = match (self.status.is_deleted(), change.deleted_at) {
            (false, _) => None,
            (true, Some(at)) => Some(at),
            (true, None) => self.deleted_at.or(Some(now)),
        };
    }
}

/// What a member may switch (contract §5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Settings {
    /// −1 never, 0 at once, 1 daily: mail about everything but private messages.
    pub qa_frequency: i64,
    /// 0 or 1: mail about private messages.
    pub email_notification_not_qa: i64,
    /// 0 or 1: push to the phone.
    pub mobile_notifications_scmty: i64,
    /// 0 or 1: toasts in the page.
    pub show_toast_notifications: i64,
    /// 0 or 1: toasts make a sound.
    pub toast_notifications_emit_sound: i64,
    /// 0 or 1: whether others see what the member has read, and the member what they have.
    pub share_read_receipts: i64,
    /// 0 or 1: whether others see that the member is writing, and the member that they are.
    pub share_typing: i64,
    /// 0 or 1: whether others see that the member is there, and the member that they are.
    pub share_presence: i64,
}

impl Default for Settings {
    /// The values of the contract's example (appendix C), and everything shared.
    fn default() -> Self {
        Self {
            qa_frequency: -1,
            email_notification_not_qa: 1,
            mobile_notifications_scmty: 1,
            show_toast_notifications: 1,
            toast_notifications_emit_sound: 0,
            share_read_receipts: 1,
            share_typing: 1,
            share_presence: 1,
        }
    }
}

/// The settings that a request wants changed; what is `None` stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SettingsChange {
    /// See [`Settings::qa_frequency`].
    pub qa_frequency: Option<i64>,
    /// See [`Settings::email_notification_not_qa`].
    pub email_notification_not_qa: Option<i64>,
    /// See [`Settings::mobile_notifications_scmty`].
    pub mobile_notifications_scmty: Option<i64>,
    /// See [`Settings::show_toast_notifications`].
    pub show_toast_notifications: Option<i64>,
    /// See [`Settings::toast_notifications_emit_sound`].
    pub toast_notifications_emit_sound: Option<i64>,
    /// See [`Settings::share_read_receipts`].
    pub share_read_receipts: Option<i64>,
    /// See [`Settings::share_typing`].
    pub share_typing: Option<i64>,
    /// See [`Settings::share_presence`].
    pub share_presence: Option<i64>,
}

impl Settings {
    /// These settings with `change` taken over.
    #[must_use]
    pub fn with(self, change: SettingsChange) -> Self {
        Self {
            qa_frequency: change.qa_frequency.unwrap_or(self.qa_frequency),
            email_notification_not_qa: change.email_notification_not_qa.unwrap_or(self.email_notification_not_qa),
            mobile_notifications_scmty: change.mobile_notifications_scmty.unwrap_or(self.mobile_notifications_scmty),
            show_toast_notifications: change.show_toast_notifications.unwrap_or(self.show_toast_notifications),
            toast_notifications_emit_sound: change
                .toast_notifications_emit_sound
                .unwrap_or(self.toast_notifications_emit_sound),
            share_read_receipts: change.share_read_receipts.unwrap_or(self.share_read_receipts),
            share_typing: change.share_typing.unwrap_or(self.share_typing),
            share_presence: change.share_presence.unwrap_or(self.share_presence),
        }
    }
}
