//! Every number of the community, named, with its unit.

use crate::files::FileRules;
use crate::limits::LimitRules;

/// How much, how many, how long, how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whether the community has private messages at all (contract §6.2).
    pub private_messages: bool,
    /// Characters of a message at the most (contract §2.5).
    pub max_message_chars: usize,
    /// Recipients of one send at the most.
    pub max_recipients: usize,
    /// A message younger than this is deleted without a trace, an older one is hidden: 60 s (contract §2.6).
    pub delete_window_micros: i64,
    /// What a hidden message shows (contract §2.6, §8 no. 13).
    pub hidden_text: String,
    /// Rows of a page when none are asked for (contract §8 no. 37).
    pub default_limit: i64,
    /// Rows of a page at the most.
    pub max_limit: i64,
    /// Users or follows in one bulk request at the most.
    pub max_bulk_rows: usize,
    /// Memory for rendered users, in bytes.
    pub user_cache_bytes: u64,
    /// Memory for the newest pages of threads and inboxes, in bytes.
    pub page_cache_bytes: u64,
    /// How much, how many, how long of files.
    pub files: FileRules,
    /// How often members and addresses may do what others notice.
    pub limits: LimitRules,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            private_messages: true,
            max_message_chars: 10_000,
            max_recipients: 100,
            delete_window_micros: 60_000_000,
            hidden_text: "Message delete".into(),
            default_limit: 20,
            max_limit: 100,
            max_bulk_rows: 1_000,
            user_cache_bytes: 32 << 20,
            page_cache_bytes: 128 << 20,
            files: FileRules::default(),
            limits: LimitRules::default(),
        }
    }
}

/// Notifications marked as read by one request at the most.
pub const MAX_MARKED: usize = 1_000;

/// Characters of a username at the most.
pub const MAX_USERNAME_CHARS: usize = 150;

/// Characters of any other text of a profile at the most.
pub const MAX_PROFILE_CHARS: usize = 10_000;

/// Characters of an external id or an idempotency key at the most.
pub const MAX_KEY_CHARS: usize = 255;
