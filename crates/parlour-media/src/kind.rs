/// Whether a type is one of the images that can be stripped and made a picture of.
#[must_use]
pub fn is_image(mimetype: &str) -> bool {
    matches!(mimetype, "image/jpeg" | "image/png" | "image/gif" | "image/webp")
}

/// What the names of files of a type end in, without the dot; `bin` for a type that is not known.
#[must_use]
pub fn extension(mimetype: &str) -> &'static str {
    match mimetype {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/webm" | "audio/webm" => "webm",
        "video/ogg" => "ogv",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/aac" => "aac",
        "audio/ogg" => "ogg",
        "audio/wav" => "wav",
        "audio/flac" => "flac",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/rtf" => "rtf",
        "text/plain" => "txt",
        _ => "bin",
    }
}
