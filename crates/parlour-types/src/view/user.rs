use crate::model;
use crate::model::{Gender, Role, UserStatus};
use crate::{Timestamp, UserId};
use serde::Serialize;

/// A member as others see them, embedded in messages, snippets and lists (contract §3.1).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub struct User<'a> {
    /// The community's number for the member.
    pub id: UserId,
    /// The name shown.
    pub username: &'a str,
    /// The person's name; may be empty.
    pub real_name: &'a str,
    /// Absolute address of the picture, if there is one.
    pub avatar: Option<&'a str>,
    /// Staff badge.
    pub community_badge: bool,
    /// Whether the account is deleted.
    pub deleted: bool,
    /// When it was deleted; only if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// `a` approved, `b` blocked, `d` deleted, `u` unregistered.
    pub status: UserStatus,
    /// The community's own key for the member.
    pub ext_id: Option<&'a str>,
    /// How many this member follows.
    pub followings_counter: i64,
    /// How many follow this member.
    pub followers_counter: i64,
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
    /// When the member joined.
    pub date_joined: Timestamp,
    /// Free text about the person.
    pub bio: &'a str,
    /// Place, as text.
    pub location: &'a str,
    /// Place, as `lat,lng`.
    pub location_lat_lng: &'a str,
    /// Position, as `lat,lng`.
    pub position_lat_lng: &'a str,
    /// Short description.
    pub description: &'a str,
    /// Home page.
    pub website: &'a str,
    /// `YYYY-MM-DD`.
    pub date_of_birth: Option<&'a str>,
    /// Gender.
    pub gender: Gender,
    /// Absolute address of the cover picture.
    pub cover: Option<&'a str>,
    /// Labels.
    pub tags: &'a [String],
    /// Points.
    pub reputation: i64,
    /// Whether the registration was approved.
    pub reg_approved: bool,
    /// Company.
    pub company_name: &'a str,
    /// Role in the company.
    pub company_role: &'a str,
}

impl<'a> From<&'a model::User> for User<'a> {
    fn from(user: &'a model::User) -> Self {
        let profile = &user.profile;
        Self {
            id: user.id,
            username: &user.username,
            real_name: &user.real_name,
            avatar: user.avatar.as_deref(),
            community_badge: user.community_badge,
            deleted: user.status.is_deleted(),
            deleted_at: user.deleted_at,
            status: user.status,
            ext_id: user.ext_id.as_deref(),
            followings_counter: user.followings_counter,
            followers_counter: user.followers_counter,
            posts_counter: profile.posts_counter,
            discussions_counter: profile.discussions_counter,
            statuses_counter: profile.statuses_counter,
            polls_counter: profile.polls_counter,
            categories_counter: profile.categories_counter,
            date_joined: user.date_joined,
            bio: &profile.bio,
            location: &profile.location,
            location_lat_lng: &profile.location_lat_lng,
            position_lat_lng: &profile.position_lat_lng,
            description: &profile.description,
            website: &profile.website,
            date_of_birth: profile.date_of_birth.as_deref(),
            gender: profile.gender,
            cover: profile.cover.as_deref(),
            tags: &profile.tags,
            reputation: profile.reputation,
            reg_approved: profile.reg_approved,
            company_name: &profile.company_name,
            company_role: &profile.company_role,
        }
    }
}

/// How the viewer stands to a member (contract §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// The viewer follows the member.
    Followed,
}

/// A member as asked for by id: with what the viewer may do.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct UserWithAccess<'a> {
    /// The member.
    #[serde(flatten)]
    pub user: User<'a>,
    /// `followed` when the viewer follows the member, else `null`.
    pub connection_status: Option<ConnectionStatus>,
    /// Whether the viewer may write to the member now (contract §6.2).
    pub can_send_pm_to: bool,
}

/// What the member may do in the community's other parts, none of which Parlour has, and to follow, which it has.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Permission {
    /// Contributions are no part of Parlour.
    pub create_contribute: bool,
    /// Polls are no part of Parlour.
    pub create_poll: bool,
    /// Locating contributions is no part of Parlour.
    pub locate_post: bool,
    /// Posts are no part of Parlour.
    pub create_post: bool,
    /// Groups are not made by members here.
    pub create_group: bool,
    /// Events are no part of Parlour.
    pub create_event: bool,
    /// Courses are no part of Parlour.
    pub create_course: bool,
    /// Live streams are no part of Parlour.
    pub create_live_stream: bool,
    /// Whether the member may follow others.
    pub follow_user: bool,
    /// Connections are not how this community relates.
    pub request_connection: bool,
    /// Connections are not how this community relates.
    pub accept_connection: bool,
}

/// The signed-in member's own view of themselves, `GET /api/v2/user/me/`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Me<'a> {
    /// The member.
    #[serde(flatten)]
    pub user: User<'a>,
    /// Mail address.
    pub email: &'a str,
    /// Whether it was verified.
    pub email_isvalid: bool,
    /// Role, if any.
    pub role: Option<Role>,
    /// What the member may do.
    pub permission: Permission,
    /// Notifications that the member has not read.
    pub unseen_interactions_counter: i64,
    /// Banners not seen; Parlour has none.
    pub unseen_notification_banners_counter: i64,
    /// Threads with something that the member has not seen.
    pub unread_threads_counter: i64,
    /// Messages of others that the member has not seen.
    pub unread_messages_counter: i64,
}

/// What waits for a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Threads with something unseen.
    pub unread_threads: i64,
    /// Messages of others not seen.
    pub unread_messages: i64,
    /// Notifications not read.
    pub unseen_notifications: i64,
}

impl<'a> Me<'a> {
    /// The member's own view.
    #[must_use]
    pub fn new(user: &'a model::User, waiting: Waiting) -> Self {
        Self {
            user: user.into(),
            email: &user.email,
            email_isvalid: user.email_isvalid,
            role: user.role,
            permission: Permission {
                create_contribute: false,
                create_poll: false,
                locate_post: false,
                create_post: false,
                create_group: false,
                create_event: false,
                create_course: false,
                create_live_stream: false,
                follow_user: user.status == UserStatus::Approved,
                request_connection: false,
                accept_connection: false,
            },
            unseen_interactions_counter: waiting.unseen_notifications,
            unseen_notification_banners_counter: 0,
            unread_threads_counter: waiting.unread_threads,
            unread_messages_counter: waiting.unread_messages,
        }
    }
}
