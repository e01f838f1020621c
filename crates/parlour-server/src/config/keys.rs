//! Every key there is, with what it is for.

/// A key of the configuration.
pub(super) struct Key {
    /// `section.name`, or `preferences.section.name`.
    pub(super) name: &'static str,
    /// What it is for, in words for the example file and the reference.
    pub(super) doc: &'static str,
    /// Whether its value is never printed and may come from a file named by `…_FILE`.
    pub(super) secret: bool,
}

const fn key(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc, secret: false }
}

const fn secret(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc, secret: true }
}

/// Every key there is, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    key("server.listen", "Address and port to listen on. Also --listen."),
    key(
        "server.also_listen",
        "Further addresses and ports to listen on, such as 127.0.0.1:80: the official page's socket drops the port of the address that it is given.",
    ),
    key(
        "server.public_url",
        "Absolute address by which clients reach the server, with its path if it has one, such as \"https://example.org/chat\". Links in answers begin with it. Empty: taken from a trusted proxy's headers, else from the Host header. Also --public-url.",
    ),
    key(
        "server.trusted_proxies",
        "IP addresses of proxies whose X-Forwarded-Proto, -Host and -Prefix headers count when no public_url is set, and whose X-Forwarded-For names the client.",
    ),
    key("server.cors_origins", "Origins of the browser apps that may call the API; \"*\" for any."),
    key("server.header_timeout", "A connection that takes longer to send the head of a request is closed."),
    key(
        "server.request_timeout",
        "A body that takes longer to arrive is answered 408, an answer that takes longer 503.",
    ),
    key("server.max_body", "A larger body is answered 413."),
    key("server.max_header", "A larger head is answered 431. At least 8KiB."),
    key("server.max_connections", "Connections served at once; further ones wait."),
    key("server.shutdown_grace", "How long accepted requests may take to end when the server stops."),
    key(
        "storage.data_dir",
        "Folder of everything the server keeps: the database and the secrets it made itself. Also --data-dir.",
    ),
    key(
        "storage.database",
        "\"sqlite:PATH\" or \"postgres://user@host:port/database\", several hosts with commas between; empty for parlour.db in the data directory. Also --database.",
    ),
    secret("postgres.user", "Who signs in at PostgreSQL. Empty: as storage.database says."),
    secret(
        "postgres.password",
        "The password there. Empty: as storage.database says. Kept out of the address it is in no list of processes.",
    ),
    key("postgres.connections", "Connections of this process to PostgreSQL at the most, from 4 on."),
    key("postgres.connect_timeout", "Connecting to one host takes no longer."),
    key("postgres.statement_timeout", "A statement that takes longer is given up; its request is answered 503."),
    key("postgres.wait_timeout", "A request that waits longer for a free connection is answered 503."),
    secret("copy.from_user", "Who signs in at the PostgreSQL that parlour copy reads. Empty: as postgres.user."),
    secret("copy.from_password", "The password there. Empty: as postgres.password."),
    secret("copy.to_user", "Who signs in at the PostgreSQL that parlour copy fills. Empty: as postgres.user."),
    secret("copy.to_password", "The password there. Empty: as postgres.password."),
    secret(
        "auth.jwt_secret",
        "Shared secret of the tokens (HS256), at least 32 bytes. Empty: made once and kept in jwt.secret in the data directory.",
    ),
    secret("auth.jwt_previous_secrets", "Secrets that still verify tokens while a new jwt_secret takes over."),
    secret(
        "auth.admin_key",
        "Key of the server-to-server API under /api/v2/admin/, at least 32 bytes. Empty: made once and kept in admin.key in the data directory.",
    ),
    key(
        "auth.provision",
        "What becomes of an unknown user with a good token: \"never\" answers 401, \"on_first_sight\" creates the user from the token's claims.",
    ),
    key("messages.max_chars", "Characters of a message at the most."),
    key("messages.max_recipients", "Recipients of one send at the most."),
    key(
        "messages.delete_window",
        "A message taken back within this time disappears; later its text is replaced. The official UI counts 60 s.",
    ),
    key("messages.hidden_text", "What stands in place of the text of a message that was taken back later."),
    key(
        "files.store",
        "Where the files of messages are kept: \"s3://bucket/prefix\", or empty for the folder files in the data directory.",
    ),
    key(
        "files.max_size",
        "A larger file is refused. The official UI sends files below 10 MiB, and images after its own encoding.",
    ),
    key("files.quota", "Bytes of all files of one member at the most, with the thumbnails of them."),
    key("files.quota_files", "Files of one member at the most."),
    key(
        "files.max_open_uploads",
        "Files that one member may be uploading in parts at a time. One that no part came to for an hour does not count.",
    ),
    key(
        "files.types",
        "MIME types that are taken. A file's type is decided by its bytes. What a browser would run, such as text/html or image/svg+xml, is sent as a download if you add it.",
    ),
    key("files.link_lifetime", "A link to a file works for between half of this and all of it."),
    key("files.upload_lifetime", "An upload in parts that no part comes to for so long is given up."),
    key("files.unused_lifetime", "A file that was not sent with any message goes after so long."),
    key("files.cleanup_interval", "How often the server looks for files that go."),
    key("files.upload_timeout", "An upload whose body takes longer to arrive is answered 408."),
    key("files.max_pixels", "Pixels of an image at the most, looked at before it is decoded."),
    key("files.max_frames", "Frames of an animation at the most."),
    key("files.thumbnail_side", "Pixels of the longer side of a thumbnail."),
    key(
        "files.image_workers",
        "Images worked on at once. Each may take up to 11 bytes a pixel, so 50 million pixels up to 550 MiB.",
    ),
    key("files.keep_metadata", "Whether images keep what cameras write into them: place, time, device."),
    key(
        "s3.endpoint",
        "Address of the S3-compatible service, such as \"https://s3.example.org\"; empty for Amazon's own.",
    ),
    key("s3.region", "The region."),
    secret("s3.access_key_id", "Id of the access key."),
    secret("s3.secret_access_key", "The access key."),
    key(
        "live.heartbeat",
        "A socket of the official client hears from the server at least this often. The client closes for good after 20s of silence.",
    ),
    key(
        "live.max_sockets_per_member",
        "Sockets and streams that one member may have open; further ones are answered 429.",
    ),
    key(
        "live.event_retention",
        "For how long an event stays in a member's log. A client that comes back later is told to fetch everything anew.",
    ),
    key("live.presence_grace", "For how long a member whose last socket or stream has gone still counts as there."),
    key(
        "live.max_sockets",
        "Sockets and streams open in all; further ones are answered 503. Each is a file handle and about 15 KiB of memory.",
    ),
    key(
        "live.max_wait",
        "A request that waits for an event is answered after so long at the latest, whatever it asks for. Keep it below the time-out of a proxy.",
    ),
    key("paging.default_limit", "Rows of a page when the request names no limit."),
    key("paging.max_limit", "Rows of a page at the most."),
    key(
        "limits.enabled",
        "Whether any of these limits counts. Beyond one, callers get 429 and are told when to come back.",
    ),
    key("limits.sends", "Messages that one member may send, one a recipient, as number/span; \"off\" for no limit."),
    key(
        "limits.sends_per_address",
        "The same from one address: a host, or the /64 network of an IPv6 customer. Behind a proxy, server.trusted_proxies must name it for this; an unnamed one on the same machine is not limited.",
    ),
    key("limits.uploads", "Files that one member may upload."),
    key("limits.uploads_per_address", "The same from one address."),
    key("limits.searches", "Searches for a recipient by one member. The official UI searches at every key."),
    key("limits.searches_per_address", "The same from one address."),
    key("limits.new_conversations", "Conversations that one member may begin with people never written to before."),
    key("limits.new_conversations_per_address", "The same from one address."),
    key("cache.users", "Memory for rendered users."),
    key("cache.pages", "Memory for the newest pages of threads and inboxes. 0B keeps none."),
    key("preferences.text.application_name", "The community's name, for the official UI."),
    key("preferences.style.font_family", "CSS font family of the official UI; empty for its own. So for the colours."),
    key("preferences.colors.colorback", "Colour of the page, such as #f5f5f5."),
    key("preferences.colors.colorprimary", "Colour of what matters."),
    key("preferences.colors.colorsecondary", "Colour of what matters less."),
    key("preferences.colors.navbarback", "Colour of the bar at the top."),
    key("preferences.colors.font_color", "Colour of text."),
    key("preferences.colors.font_color_secondary", "Colour of text that matters less."),
    key("preferences.logo.navbar_logo", "Address of the community's picture."),
    key("preferences.logo.navbar_logo_mobile", "Address of a small one."),
    key("preferences.staff.staff_badge_label", "What the badge of the staff says."),
    key("preferences.staff.staff_badge_icon", "Address of its picture."),
    key(
        "preferences.addons.private_messages_enabled",
        "Whether there are private messages. Switched off, the official UI hides them and /api/v2/pm/ answers 403; nothing is lost.",
    ),
    key(
        "preferences.configurations.url_template_post",
        "Address of a post in the community's own site; {name} stands for that field. So for all that follow: the official page does not start without them.",
    ),
    key("preferences.configurations.url_template_discussion", "Address of a discussion."),
    key("preferences.configurations.url_template_status", "Address of a status."),
    key("preferences.configurations.url_template_comment", "Address of a comment."),
    key("preferences.configurations.url_template_category", "Address of a category."),
    key("preferences.configurations.url_template_categories_list", "Address of all categories."),
    key("preferences.configurations.url_template_profile", "Address of a member's profile."),
    key("preferences.configurations.url_template_profile_settings", "Address of the settings of a profile."),
    key("preferences.configurations.url_template_notifications", "Address of the notifications."),
    key("preferences.configurations.url_template_private_message", "Address of the messages with a member."),
    key("preferences.configurations.url_template_incubator", "Address of an incubator."),
    key("preferences.configurations.url_template_live_stream", "Address of a live stream."),
    key(
        "preferences.other",
        "Further preferences for pages of your own, such as { \"text.application_slogan1\" = \"Grow together\" }: texts, whole numbers, true or false. From the environment or a flag, the whole table.",
    ),
    key(
        "features.enabled",
        "Features of the official UI that the community's other servers provide, such as \"webhook\". By default none is told of.",
    ),
    key(
        "log.level",
        "trace, debug, info, warn or error, or a filter such as \"info,parlour_server=debug\". debug logs every request.",
    ),
    key("log.format", "\"human\" or \"json\"."),
    key(
        "metrics.listen",
        "Address and port of the Prometheus metrics, such as \"127.0.0.1:9464\", at /metrics; empty for none. They name no member and hold no text, but are for the operator alone: keep the address internal.",
    ),
];

/// What begins every environment variable.
pub(super) const PREFIX: &str = "PARLOUR_";

/// The key called `section.name`.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The environment variable of a key: `PARLOUR_SERVER_LISTEN` for `server.listen`.
pub(super) fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The section of a key, and its name there.
pub(super) fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or((key, ""))
}
