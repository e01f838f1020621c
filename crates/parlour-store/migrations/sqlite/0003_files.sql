-- Files that members uploaded or are uploading, and the pictures of them. Their bytes are in the object store, under names that begin with
-- the uuid. A row is there before its object, and goes after it.
create table files (
    owner_id       integer not null references users (id),
    -- Sixteen bytes.
    uuid           blob    not null,
    -- Of a picture: the file that it shows.
    parent_uuid    blob,
    -- 0 uploading, 1 ready, 2 going, 3 its object was lost.
    state          integer not null,
    filename       text    not null,
    mimetype       text    not null,
    -- Bytes of the object; 0 while only parts have come.
    size           integer not null,
    -- Seconds.
    duration       integer,
    -- The picture of it that is shown.
    thumbnail_uuid blob,
    -- What the first part said of the whole.
    total_parts    integer,
    total_size     integer,
    -- Messages that show it.
    attached_count integer not null,
    created_at     integer not null,
    -- When it goes unless something happens; null while a message shows it.
    expires_at     integer,
    primary key (owner_id, uuid)
) without rowid;
create index files_by_expiry on files (expires_at) where expires_at is not null;
create index files_uploading on files (owner_id) where state = 0;
-- An object is named by the uuid alone.
create index files_by_uuid on files (uuid);

-- Parts of files that are uploading. Each try to send a part is an object of its own.
create table file_parts (
    owner_id    integer not null references users (id),
    uuid        blob    not null,
    part_index  integer not null,
    attempt     integer not null,
    -- Where it begins in the whole, if its sender said so.
    byte_offset integer,
    size        integer not null,
    -- Whether its object is stored.
    stored      integer not null,
    primary key (owner_id, uuid, part_index, attempt)
) without rowid;

-- What a member's rows of files and file_parts add up to.
create table file_usage (
    user_id integer primary key references users (id),
    -- Files, not counting the pictures of them.
    files   integer not null,
    bytes   integer not null
);

-- The file of a message, one of its sender's.
alter table messages add column file_uuid blob;
-- Which messages show a file.
create index messages_by_file on messages (sender_id, file_uuid) where file_uuid is not null;
-- The name of the newest message's file.
alter table inbox add column file_name text;
