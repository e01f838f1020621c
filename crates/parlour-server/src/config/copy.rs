//! Who copies from one database to another.

use super::values::Secret;
use serde::{Deserialize, Serialize};

/// Who signs in at the two ends of `parlour copy`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Copying {
    /// At the database copied from; empty for `postgres.user`.
    pub from_user: Secret,
    /// The password there; empty for `postgres.password`.
    pub from_password: Secret,
    /// At the database copied to; empty for `postgres.user`.
    pub to_user: Secret,
    /// The password there; empty for `postgres.password`.
    pub to_password: Secret,
}
