use parlour_types::FileUuid;
use std::fmt;

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ObjectName {
    /// A whole file, or a picture of one.
    File(FileUuid),
    /// One try to send one part of it.
    Part {
        /// The file.
        uuid: FileUuid,
        /// Which part.
        index: i64,
        /// Which try.
        attempt: i64,
    },
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(uuid) => {
                let text = uuid.to_string();
                write!(f, "{}/{text}", &text[..2])
            }
            Self::Part { uuid, index, attempt } => write!(f, "parts/{uuid}/{index}-{attempt}"),
        }
    }
}

impl ObjectName {
    /// Reads a name; `None` for one that is not Parlour's.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let parsed = match name.split('/').collect::<Vec<_>>()[..] {
            [_, uuid] => Self::File(FileUuid::parse(uuid)?),
            ["parts", uuid, part] => {
                let (index, attempt) = part.split_once('-')?;
                Self::Part { uuid: FileUuid::parse(uuid)?, index: index.parse().ok()?, attempt: attempt.parse().ok()? }
            }
            _ => return None,
        };
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The file that it is, or is a part of.
    #[must_use]
    pub const fn uuid(&self) -> FileUuid {
        match self {
            Self::File(uuid) | Self::Part { uuid, .. } => *uuid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        let uuid = FileUuid::random();
        for name in [ObjectName::File(uuid), ObjectName::Part { uuid, index: 3, attempt: 12 }] {
            assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
        }
        let text = uuid.to_string();
        for name in ["", "x", "parts", &text, &format!("zz/{text}"), &format!("parts/{text}/3-12/x"), "parts/x/1-1"] {
            assert_eq!(ObjectName::parse(name), None, "{name}");
        }
        assert_eq!(ObjectName::parse(&format!("parts/{text}/03-1")), None);
    }
}
