-- Files that members uploaded or are uploading, and the pictures of them. Their bytes are in the object store, under names that begin with
-- the uuid. A row is there before its object, and goes after it.
create table files (
    owner_id       bigint not null references users (id),
    -- Sixteen bytes.
    uuid           bytea    not null,
    -- Of a picture: the file that it shows.
    parent_uuid    bytea,
    -- 0 uploading, 1 ready, 2 going, 3 its object was lost.
    state          bigint not null,
    filename       text collate "C"    not null,
    mimetype       text collate "C"    not null,
    -- Bytes of the object; 0 while only parts have come.
    size           bigint not null,
    -- Seconds.
    duration       bigint,
    -- The picture of it that is shown.
    thumbnail_uuid bytea,
    -- What the first part said of the whole.
    total_parts    bigint,
    total_size     bigint,
    -- Messages that show it.
    attached_count bigint not null,
    created_at     bigint not null,
    -- When it goes unless something happens; null while a message shows it.
    expires_at     bigint,
    primary key (owner_id, uuid)
);
create index files_by_expiry on files (expires_at) where expires_at is not null;
create index files_uploading on files (owner_id) where state = 0;
-- An object is named by the uuid alone.
create index files_by_uuid on files (uuid);

-- Parts of files that are uploading. Each try to send a part is an object of its own.
create table file_parts (
    owner_id    bigint not null references users (id),
    uuid        bytea    not null,
    part_index  bigint not null,
    attempt     bigint not null,
    -- Where it begins in the whole, if its sender said so.
    byte_offset bigint,
    size        bigint not null,
    -- Whether its object is stored.
    stored      bigint not null,
    primary key (owner_id, uuid, part_index, attempt)
);

-- What a member's rows of files and file_parts add up to.
create table file_usage (
    user_id bigint primary key references users (id),
    -- Files, not counting the pictures of them.
    files   bigint not null,
    bytes   bigint not null
);

-- The file of a message, one of its sender's.
alter table messages add column file_uuid bytea;
-- Which messages show a file.
create index messages_by_file on messages (sender_id, file_uuid) where file_uuid is not null;
-- The name of the newest message's file.
alter table inbox add column file_name text collate "C";
