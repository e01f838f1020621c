use crate::{FileUuid, MessageId, UserId};

/// A file as the messages that it is attached to show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Which one of its uploader's files.
    pub uuid: FileUuid,
    /// The name that its uploader gave it, without a path.
    pub filename: String,
    /// Bytes.
    pub size: i64,
    /// What its bytes are, as a MIME type.
    pub mimetype: String,
    /// Seconds that a sound or a film lasts, as its uploader says.
    pub duration: Option<i64>,
    /// Whether there is a picture of it.
    pub has_thumbnail: bool,
    /// Whether its content was lost, so that there is nothing to open.
    pub is_lost: bool,
}

impl Attachment {
    /// Whether it has something for this purpose: an image stands in for its own thumbnail.
    #[must_use]
    pub fn has(&self, purpose: Purpose) -> bool {
        let shown = match purpose {
            Purpose::File => true,
            Purpose::Thumbnail => self.has_thumbnail || self.mimetype.starts_with("image/"),
        };
        shown && !self.is_lost
    }
}

impl std::fmt::Debug for Attachment {
    /// Without the name, which is private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({}, {} bytes of {})", self.uuid, self.size, self.mimetype)
    }
}

/// What a link opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The file itself.
    File,
    /// The picture of it.
    Thumbnail,
}

/// Where the file of a link is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkSubject {
    /// At this message, as long as the viewer is shown it.
    Message(MessageId),
    /// Among the viewer's own uploads.
    Upload(FileUuid),
}

/// What a link to a file stands for: one purpose, for one viewer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileLink {
    /// Whose link it is.
    pub viewer: UserId,
    /// Where the file is found.
    pub subject: LinkSubject,
    /// What it opens.
    pub purpose: Purpose,
}
