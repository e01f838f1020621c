-- Everything Parlour remembers. Times are microseconds since 1970 UTC; ids stay below 2^53.
-- Portable types only: bigint, text, bytea. Every unique key of a thread's tables begins with the thread, every one of a
-- member's tables with the member, so that both can be distributed later; a foreign key leads to the same thread or to a user.
--
-- Texts compare byte by byte (collate "C"), as SQLite's do. What a send writes refers to rows that its transaction holds locked, so
-- messages, inbox rows, events and keys have no foreign keys to look up; the doctor checks them instead. Rows that change with every
-- message leave room on their page, so that a change need not touch an index.

-- One row a name. directory_version counts the changes to users and to what their rendering shows.
create table counters (
    name  text collate "C" primary key,
    value bigint not null
);
insert into counters (name, value) values ('directory_version', 0);

create table users (
    id                 bigint primary key,
    username           text collate "C" not null,
    real_name          text collate "C" not null,
    ext_id             text collate "C",
    status             text collate "C" not null check (status in ('a', 'b', 'd', 'u')),
    role               text collate "C" check (role in ('admin', 'moderator', 'editor', 'publisher')),
    community_badge    bigint not null,
    avatar             text collate "C",
    email              text collate "C" not null,
    email_isvalid      bigint not null,
    date_joined        bigint not null,
    deleted_at         bigint,
    followers_counter  bigint not null default 0,
    followings_counter bigint not null default 0,
    -- The fields that Parlour keeps and never reasons about, as one JSON object.
    profile            text collate "C" not null,
    -- username and real_name in lower case, one a line: what a search looks into.
    search_text        text collate "C" not null,
    -- The directory_version that last changed this row.
    version            bigint not null
);
create unique index users_by_ext_id on users (ext_id) where ext_id is not null;
create index users_by_version on users (version);

create table user_settings (
    user_id                        bigint primary key references users (id),
    qa_frequency                   bigint not null,
    email_notification_not_qa      bigint not null,
    mobile_notifications_scmty     bigint not null,
    show_toast_notifications       bigint not null,
    toast_notifications_emit_sound bigint not null
);

create table follows (
    follower_id bigint not null references users (id),
    followed_id bigint not null references users (id),
    created_at  bigint not null,
    primary key (follower_id, followed_id)
);
create index follows_by_followed on follows (followed_id, follower_id);

-- user_id has hidden ("blocked", in the official UI's words) hidden_id.
create table hides (
    user_id    bigint not null references users (id),
    hidden_id  bigint not null references users (id),
    created_at bigint not null,
    primary key (user_id, hidden_id)
);

create table threads (
    id              bigint primary key,
    creator_id      bigint not null references users (id),
    other_id        bigint not null references users (id),
    created_at      bigint not null,
    -- The highest sequence number issued; 0 before the first message.
    last_seq        bigint not null,
    -- Sequence numbers that show nothing any more: the rows of deleted_messages.
    deleted_count   bigint not null,
    -- created_at of the newest message that is still shown.
    last_message_at bigint not null
) with (fillfactor = 70);

-- The one thread of two people, whoever wrote first.
create table direct_threads (
    low_user_id  bigint not null references users (id),
    high_user_id bigint not null references users (id),
    thread_id    bigint not null,
    primary key (low_user_id, high_user_id)
);

-- Clustered by (thread, sequence): a page is one range of neighbours.
create table messages (
    thread_id  bigint not null,
    seq        bigint not null,
    id         bigint not null,
    sender_id  bigint not null,
    created_at bigint not null,
    -- 0 as sent, 1 hidden (taken back after the first minute; the text is gone).
    status     bigint not null,
    text       text collate "C" not null,
    primary key (thread_id, seq)
);
create index messages_by_id on messages (id);

-- Messages deleted in their first minute: the holes in a thread's sequence. visible_before is the number of messages shown
-- before the hole, so positions and sequence numbers convert by one look-up in either direction. A deletion changes the
-- rows of later holes only, all of them younger than the message itself, so younger than messages.delete_window.
create table deleted_messages (
    thread_id      bigint not null references threads (id),
    seq            bigint not null,
    visible_before bigint not null,
    message_id     bigint not null,
    sender_id      bigint not null,
    created_at     bigint not null,
    primary key (thread_id, seq)
);
create index deleted_messages_by_position on deleted_messages (thread_id, visible_before, seq);
create index deleted_messages_by_id on deleted_messages (message_id);

create table members (
    thread_id    bigint not null references threads (id),
    user_id      bigint not null references users (id),
    -- Everything up to here has been seen.
    read_seq     bigint not null,
    -- Everything up to here was deleted by this member for themselves.
    cleared_seq  bigint not null,
    -- Shown messages of others after read_seq.
    unread_count bigint not null,
    -- last_message_at of this member's inbox row; null while the thread is not in the inbox.
    listed_at    bigint,
    primary key (thread_id, user_id)
) with (fillfactor = 70);

-- Clustered by (member, activity) and complete in itself: a page of the inbox is one range of neighbours.
create table inbox (
    user_id         bigint not null,
    last_message_at bigint not null,
    thread_id       bigint not null,
    creator_id      bigint not null,
    other_id        bigint not null,
    created_at      bigint not null,
    unread_count    bigint not null,
    message_id      bigint not null,
    message_status  bigint not null,
    text            text collate "C" not null,
    primary key (user_id, last_message_at, thread_id)
) with (fillfactor = 80);

-- Totals of a member's inbox, and the end of the member's event log.
create table mailboxes (
    user_id         bigint primary key references users (id),
    listed_threads  bigint not null default 0,
    unread_threads  bigint not null default 0,
    unread_messages bigint not null default 0,
    event_position  bigint not null default 0
) with (fillfactor = 70);

-- What happened to a member, in order, written with the change itself.
create table events (
    user_id    bigint not null,
    position   bigint not null,
    -- 1 message created, 2 message deleted, 3 message hidden, 4 thread seen, 5 thread cleared.
    kind       bigint not null,
    thread_id  bigint not null,
    -- The message's sequence number, or up to where the thread was seen or cleared.
    seq        bigint not null,
    created_at bigint not null,
    primary key (user_id, position)
);

-- Idempotency-Key of a send, with the messages that the first try made.
create table idempotency_keys (
    sender_id   bigint not null,
    key         text collate "C" not null,
    -- SHA-256 of what was asked for.
    fingerprint bytea   not null,
    -- The version of the sender that the first answer showed.
    sender_version bigint not null,
    -- JSON array of [message id, receiver id, the receiver's version], in the order of the first answer.
    messages    text collate "C" not null,
    created_at  bigint not null,
    primary key (sender_id, key)
);

-- How a user looked in a version that an idempotency key refers to, as JSON: a repeat answers what the first use answered.
create table user_renderings (
    user_id bigint not null,
    version bigint not null,
    json    text collate "C" not null,
    primary key (user_id, version)
);

-- External ids of imported messages, so that an import can be repeated.
create table imported_messages (
    ext_id     text collate "C" primary key,
    message_id bigint not null
);

-- Which process issues ids with which number inside them, and until when. PostgreSQL alone: an embedded database has one writer.
create table nodes (
    node       bigint primary key,
    owner      text collate "C" not null,
    -- By the database's own clock.
    expires_at bigint not null,
    -- Every id that this number has issued lies below.
    ids_below  bigint not null
);
insert into nodes (node, owner, expires_at, ids_below) select n, '', 0, 0 from generate_series(0, 63) n;
