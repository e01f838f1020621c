-- Everything Parlour remembers. Times are microseconds since 1970 UTC; ids stay below 2^53.
-- Portable types only: integer, text, blob. Every unique key of a thread's tables begins with the thread, every one of a
-- member's tables with the member, so that both can be distributed later.

-- One row a name. directory_version counts the changes to users and to what their rendering shows.
create table counters (
    name  text primary key,
    value integer not null
) without rowid;
insert into counters (name, value) values ('directory_version', 0);

create table users (
    id                 integer primary key,
    username           text    not null,
    real_name          text    not null,
    ext_id             text,
    status             text    not null check (status in ('a', 'b', 'd', 'u')),
    role               text    check (role in ('admin', 'moderator', 'editor', 'publisher')),
    community_badge    integer not null,
    avatar             text,
    email              text    not null,
    email_isvalid      integer not null,
    date_joined        integer not null,
    deleted_at         integer,
    followers_counter  integer not null default 0,
    followings_counter integer not null default 0,
    -- The fields that Parlour keeps and never reasons about, as one JSON object.
    profile            text    not null,
    -- username and real_name in lower case, one a line: what a search looks into.
    search_text        text    not null,
    -- The directory_version that last changed this row.
    version            integer not null
);
create unique index users_by_ext_id on users (ext_id) where ext_id is not null;
create index users_by_version on users (version);

create table user_settings (
    user_id                        integer primary key references users (id),
    qa_frequency                   integer not null,
    email_notification_not_qa      integer not null,
    mobile_notifications_scmty     integer not null,
    show_toast_notifications       integer not null,
    toast_notifications_emit_sound integer not null
);

create table follows (
    follower_id integer not null references users (id),
    followed_id integer not null references users (id),
    created_at  integer not null,
    primary key (follower_id, followed_id)
) without rowid;
create index follows_by_followed on follows (followed_id, follower_id);

-- user_id has hidden ("blocked", in the official UI's words) hidden_id.
create table hides (
    user_id    integer not null references users (id),
    hidden_id  integer not null references users (id),
    created_at integer not null,
    primary key (user_id, hidden_id)
) without rowid;

create table threads (
    id              integer primary key,
    creator_id      integer not null references users (id),
    other_id        integer not null references users (id),
    created_at      integer not null,
    -- The highest sequence number issued; 0 before the first message.
    last_seq        integer not null,
    -- Sequence numbers that show nothing any more: the rows of deleted_messages.
    deleted_count   integer not null,
    -- created_at of the newest message that is still shown.
    last_message_at integer not null
);

-- The one thread of two people, whoever wrote first.
create table direct_threads (
    low_user_id  integer not null references users (id),
    high_user_id integer not null references users (id),
    thread_id    integer not null references threads (id),
    primary key (low_user_id, high_user_id)
) without rowid;

-- Clustered by (thread, sequence): a page is one range of neighbours.
create table messages (
    thread_id  integer not null references threads (id),
    seq        integer not null,
    id         integer not null,
    sender_id  integer not null,
    created_at integer not null,
    -- 0 as sent, 1 hidden (taken back after the first minute; the text is gone).
    status     integer not null,
    text       text    not null,
    primary key (thread_id, seq)
) without rowid;
create index messages_by_id on messages (id);

-- Messages deleted in their first minute: the holes in a thread's sequence. visible_before is the number of messages shown
-- before the hole, so positions and sequence numbers convert by one look-up in either direction. A deletion changes the
-- rows of later holes only, all of them younger than the message itself, so younger than messages.delete_window.
create table deleted_messages (
    thread_id      integer not null references threads (id),
    seq            integer not null,
    visible_before integer not null,
    message_id     integer not null,
    sender_id      integer not null,
    created_at     integer not null,
    primary key (thread_id, seq)
) without rowid;
create index deleted_messages_by_position on deleted_messages (thread_id, visible_before, seq);
create index deleted_messages_by_id on deleted_messages (message_id);

create table members (
    thread_id    integer not null references threads (id),
    user_id      integer not null references users (id),
    -- Everything up to here has been seen.
    read_seq     integer not null,
    -- Everything up to here was deleted by this member for themselves.
    cleared_seq  integer not null,
    -- Shown messages of others after read_seq.
    unread_count integer not null,
    -- last_message_at of this member's inbox row; null while the thread is not in the inbox.
    listed_at    integer,
    primary key (thread_id, user_id)
) without rowid;

-- Clustered by (member, activity) and complete in itself: a page of the inbox is one range of neighbours.
create table inbox (
    user_id         integer not null references users (id),
    last_message_at integer not null,
    thread_id       integer not null,
    creator_id      integer not null,
    other_id        integer not null,
    created_at      integer not null,
    unread_count    integer not null,
    message_id      integer not null,
    message_status  integer not null,
    text            text    not null,
    primary key (user_id, last_message_at, thread_id)
) without rowid;

-- Totals of a member's inbox, and the end of the member's event log.
create table mailboxes (
    user_id         integer primary key references users (id),
    listed_threads  integer not null default 0,
    unread_threads  integer not null default 0,
    unread_messages integer not null default 0,
    event_position  integer not null default 0
);

-- What happened to a member, in order, written with the change itself.
create table events (
    user_id    integer not null references users (id),
    position   integer not null,
    -- 1 message created, 2 message deleted, 3 message hidden, 4 thread seen, 5 thread cleared.
    kind       integer not null,
    thread_id  integer not null,
    -- The message's sequence number, or up to where the thread was seen or cleared.
    seq        integer not null,
    created_at integer not null,
    primary key (user_id, position)
) without rowid;

-- Idempotency-Key of a send, with the messages that the first try made.
create table idempotency_keys (
    sender_id   integer not null references users (id),
    key         text    not null,
    -- SHA-256 of what was asked for.
    fingerprint blob    not null,
    -- The version of the sender that the first answer showed.
    sender_version integer not null,
    -- JSON array of [message id, receiver id, the receiver's version], in the order of the first answer.
    messages    text    not null,
    created_at  integer not null,
    primary key (sender_id, key)
) without rowid;

-- How a user looked in a version that an idempotency key refers to, as JSON: a repeat answers what the first use answered.
create table user_renderings (
    user_id integer not null references users (id),
    version integer not null,
    json    text    not null,
    primary key (user_id, version)
) without rowid;

-- External ids of imported messages, so that an import can be repeated.
create table imported_messages (
    ext_id     text primary key,
    message_id integer not null
) without rowid;
