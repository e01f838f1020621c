//! The closed list of codes that an error answer may carry (contract §1.5). Clients match on these names.

use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What went wrong, in one word that never changes once released.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// The code as it stands in an answer.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)+ }
            }

            /// What the code means, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => concat!($($doc,)+),)+ }
            }
        }

        // By hand, as the derivation does not see that the names come from this macro.
        impl utoipa::PartialSchema for ErrorCode {
            fn schema() -> RefOr<Schema> {
                let names = ErrorCode::ALL.iter().map(|code| code.as_str());
                let about = "What went wrong, in one word that never changes once released.";
                let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
                codes.description(Some(about)).into()
            }
        }

        impl utoipa::ToSchema for ErrorCode {}
    };
}

error_codes! {
    /// The field is missing or empty.
    Required = "required",
    /// The text holds nothing but white space.
    Blank = "blank",
    /// The value has the wrong type or form.
    Invalid = "invalid",
    /// The number lies outside the range that the field allows.
    OutOfRange = "out_of_range",
    /// The same parameter or key was given more than once.
    Repeated = "repeated",
    /// Two fields were given that exclude each other.
    Conflict = "conflict",
    /// No such object, or none that you may name here.
    DoesNotExist = "does_not_exist",
    /// The text is longer than the community allows.
    MaxLength = "max_length",
    /// More elements than the field allows.
    TooMany = "too_many",
    /// The body could not be read in the content type that it declares.
    ParseError = "parse_error",
    /// The request carries no credentials.
    NotAuthenticated = "not_authenticated",
    /// The credentials are not a token that this server accepts.
    TokenNotValid = "token_not_valid",
    /// The token is valid, but its user is unknown or deleted.
    AuthenticationFailed = "authentication_failed",
    /// You are not allowed to do this.
    PermissionDenied = "permission_denied",
    /// There is nothing here that you may see.
    NotFound = "not_found",
    /// The method is not supported at this address.
    MethodNotAllowed = "method_not_allowed",
    /// This address speaks WebSocket only, version 13.
    UpgradeRequired = "upgrade_required",
    /// The body's content type is none of those supported.
    UnsupportedMediaType = "unsupported_media_type",
    /// The body is larger than the server accepts.
    BodyTooLarge = "body_too_large",
    /// The file is larger than the community allows.
    FileTooLarge = "file_too_large",
    /// The file is of a type that the community does not take; its bytes say so, not its name.
    UnsupportedType = "unsupported_type",
    /// The file is truncated or damaged.
    BrokenFile = "broken_file",
    /// The MD5 checksum is not that of the bytes that came.
    Md5Mismatch = "md5_mismatch",
    /// The files of this member take all the room that the community gives to one.
    QuotaExceeded = "quota_exceeded",
    /// What `If-Match` or `If-Unmodified-Since` asks for is not so.
    PreconditionFailed = "precondition_failed",
    /// The idempotency key was used before with another body.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// You do this more often than the community allows; `Retry-After` says when to come back.
    Throttled = "throttled",
    /// The request took too long to arrive or to answer.
    TimedOut = "timed_out",
    /// A fault of the server's; the request id names it in the log.
    InternalError = "internal_error",
    /// The server cannot take the request right now; try again later.
    Unavailable = "unavailable",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_serialize_as_written() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.as_str()));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
