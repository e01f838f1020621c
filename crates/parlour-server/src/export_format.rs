//! The export's format: lines that [`import_format`](crate::import_format) reads, in a fixed order with fixed keys, so that the same
//! community is the same bytes.

use crate::import_format::VERSION;
use parlour_core::import::OWN_KEY;
use parlour_store::export::{self, Item, Line, Picture};
use parlour_types::model::{MessageStatus, Profile, Settings, User, UserChange};
use parlour_types::{FileUuid, MessageId, ThreadId, Timestamp, UserId};
use serde::Serialize;
use std::borrow::Cow;
use std::io::Write;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Written<'a> {
    Parlour {
        version: i64,
    },
    User {
        id: UserId,
        #[serde(flatten)]
        fields: Box<UserChange>,
    },
    Follow {
        follower: UserId,
        followed: UserId,
        created_at: Timestamp,
    },
    Hide {
        user: UserId,
        hidden: UserId,
        created_at: Timestamp,
    },
    Settings {
        user: UserId,
        #[serde(flatten)]
        settings: Settings,
    },
    File {
        owner: UserId,
        uuid: FileUuid,
        filename: String,
        mimetype: String,
        size: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        duration: Option<i64>,
        created_at: Timestamp,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        thumbnail: Option<Thumbnail>,
    },
    Thread {
        id: ThreadId,
        participants: [UserId; 2],
        created_at: Timestamp,
    },
    Message {
        id: MessageId,
        ext_id: Cow<'a, str>,
        sender: UserId,
        receiver: UserId,
        created_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<MessageStatus>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<FileUuid>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        unread: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        cleared_by: &'a [UserId],
    },
}

#[derive(Serialize)]
struct Thumbnail {
    uuid: FileUuid,
    mimetype: String,
    size: i64,
}

/// Writes the first line.
pub(crate) fn write_header(to: &mut impl Write) -> std::io::Result<()> {
    write(to, &Written::Parlour { version: VERSION })
}

/// Writes one line.
pub(crate) fn write_line(to: &mut impl Write, item: Item<'_>) -> std::io::Result<()> {
    let line = match item {
        Item::User(user) => Written::User { id: user.id, fields: Box::new(every_field(*user)) },
        Item::Follow(follower, followed, created_at) => Written::Follow { follower, followed, created_at },
        Item::Hide(user, hidden, created_at) => Written::Hide { user, hidden, created_at },
        Item::Settings(user, settings) => Written::Settings { user, settings },
        Item::File(file) => self::file(*file),
        Item::Thread(thread) => Written::Thread {
            id: thread.id,
            participants: [thread.creator_id, thread.other_id],
            created_at: thread.created_at,
        },
        Item::Message(line) => message(line),
    };
    write(to, &line)
}

fn write(to: &mut impl Write, line: &Written<'_>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

fn file(file: export::File) -> Written<'static> {
    let thumbnail = file.picture.map(|Picture { uuid, mimetype, size }| Thumbnail { uuid, mimetype, size });
    Written::File {
        owner: file.owner,
        uuid: file.uuid,
        filename: file.facts.filename,
        mimetype: file.facts.mimetype,
        size: file.facts.size,
        duration: file.facts.duration,
        created_at: file.created_at,
        lost: file.is_lost,
        thumbnail,
    }
}

fn message(line: Line<'_>) -> Written<'_> {
    let shown = line.status == MessageStatus::Created;
    Written::Message {
        id: line.id,
        ext_id: line.ext_id.map_or_else(|| format!("{OWN_KEY}{}", line.id).into(), Cow::Borrowed),
        sender: line.sender,
        receiver: line.receiver,
        created_at: line.created_at,
        status: (!shown).then_some(line.status),
        text: (shown && !(line.text.is_empty() && line.file.is_some())).then_some(line.text),
        file: line.file,
        unread: line.unread,
        cleared_by: line.cleared_by,
    }
}

/// A change that makes a new user into this one.
fn every_field(user: User) -> UserChange {
    let Profile {
        bio,
        location,
        location_lat_lng,
        position_lat_lng,
        description,
        website,
        date_of_birth,
        gender,
        cover,
        tags,
        reputation,
        reg_approved,
        company_name,
        company_role,
        posts_counter,
        discussions_counter,
        statuses_counter,
        polls_counter,
        categories_counter,
    } = user.profile;
    UserChange {
        username: Some(user.username),
        real_name: Some(user.real_name),
        ext_id: Some(user.ext_id),
        status: Some(user.status),
        role: Some(user.role),
        community_badge: Some(user.community_badge),
        avatar: Some(user.avatar),
        email: Some(user.email),
        email_isvalid: Some(user.email_isvalid),
        date_joined: Some(user.date_joined),
        deleted_at: user.deleted_at,
        bio: Some(bio),
        location: Some(location),
        location_lat_lng: Some(location_lat_lng),
        position_lat_lng: Some(position_lat_lng),
        description: Some(description),
        website: Some(website),
        date_of_birth: Some(date_of_birth),
        gender: Some(gender),
        cover: Some(cover),
        tags: Some(tags),
        reputation: Some(reputation),
        reg_approved: Some(reg_approved),
        company_name: Some(company_name),
        company_role: Some(company_role),
        posts_counter: Some(posts_counter),
        discussions_counter: Some(discussions_counter),
        statuses_counter: Some(statuses_counter),
        polls_counter: Some(polls_counter),
        categories_counter: Some(categories_counter),
    }
}
