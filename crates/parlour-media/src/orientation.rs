//! The one part of EXIF that is needed to see an image: which way is up.

use image::metadata::Orientation;

/// Bytes of EXIF that are looked at. The tag stands in its first directory; a JPEG has no room for more.
pub(crate) const EXIF_READ: u64 = 0xFFFF;

/// What EXIF data says, a TIFF structure; some writers put JPEG's `Exif` in front of it in PNG and WebP too. Nothing, if it is not
/// turned.
pub(crate) fn read(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).filter(|orientation| *orientation != Orientation::NoTransforms)
}

/// The shortest EXIF data that says this: one directory with one tag.
pub(crate) fn write(orientation: Orientation) -> [u8; 26] {
    let mut exif = *b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    exif[19] = orientation.to_exif();
    exif
}
