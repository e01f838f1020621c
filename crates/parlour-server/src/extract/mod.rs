//! From a request to proven, typed values: credentials, query, path, body and idempotency key.

mod address;
mod admin;
mod caller;
mod disposition;
mod fields;
mod form;
mod idempotency;
mod page;
mod parts;
mod path;
mod query;
mod upload;

pub use address::ClientAddress;
pub use admin::AdminKey;
pub use caller::CallerFrom;
pub(crate) use caller::{bearer, caller_of};
pub use fields::{Body, essence, read_whole};
pub use idempotency::Idempotency;
pub use page::{PageQuery, page_query};
pub use path::{OwnPath, PathId, UserPath};
pub use query::Query;
pub use upload::{SpooledFile, UploadBounds, UploadForm, read_upload};
