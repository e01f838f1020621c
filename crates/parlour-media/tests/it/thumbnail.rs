//! Thumbnails: the right way up, small, and JPEG unless something shows through.

use crate::common::{self, LIMITS, samples, thumbnail};
use image::{GenericImageView as _, RgbaImage};
use parlour_media::{Limits, samples as made};

const SMALL: Limits = Limits { thumbnail_side: 24, ..LIMITS };

#[test]
fn every_image_has_one_and_it_fits() {
    for (name, mimetype, bytes) in samples() {
        let (thumbnail, _) = thumbnail(&bytes, mimetype, &SMALL).unwrap();
        assert!(thumbnail.width <= 24 && thumbnail.height <= 24, "{name}");
        let expected = if name == "a transparent PNG" { "image/png" } else { "image/jpeg" };
        assert_eq!(thumbnail.mimetype, expected, "{name}");
    }
}

#[test]
fn a_small_image_is_not_made_larger() {
    let (thumbnail, _) = thumbnail(&made::png(1, false).unwrap(), "image/png", &LIMITS).unwrap();
    assert_eq!((thumbnail.width, thumbnail.height), (made::WIDTH, made::HEIGHT));
}

#[test]
fn all_eight_orientations_are_applied() {
    for orientation in 1..=8 {
        // The corners from left to right and top to bottom: red, green, blue, white, as the stored image has them.
        let [red, green, blue, white] = ['r', 'g', 'b', 'w'];
        let expected = match orientation {
            1 => [red, green, blue, white],
            2 => [green, red, white, blue],
            3 => [white, blue, green, red],
            4 => [blue, white, red, green],
            5 => [red, blue, green, white],
            6 => [blue, red, white, green],
            7 => [white, green, blue, red],
            _ => [green, white, red, blue],
        };
        let files = [
            ("image/jpeg", made::jpeg(orientation).unwrap()),
            ("image/png", made::png(orientation, false).unwrap()),
            ("image/webp", made::webp_extended(orientation).unwrap()),
        ];
        for (mimetype, bytes) in files {
            for bytes in [common::strip(&bytes, mimetype).unwrap(), bytes] {
                let (thumbnail, image) = thumbnail(&bytes, mimetype, &SMALL).unwrap();
                let size = if orientation < 5 { (24, 16) } else { (16, 24) };
                assert_eq!((thumbnail.width, thumbnail.height), size, "{mimetype} {orientation}");
                assert_eq!(corners(&image.to_rgba8()), expected, "{mimetype} {orientation}");
            }
        }
    }
}

fn corners(image: &RgbaImage) -> [char; 4] {
    let (right, below) = (image.width() - 3, image.height() - 3);
    [(2, 2), (right, 2), (2, below), (right, below)].map(|(x, y)| match image.get_pixel(x, y).0 {
        [red, green, blue, _] if red > 150 && green > 150 && blue > 150 => 'w',
        [red, green, blue, _] if red > green.max(blue) => 'r',
        [red, green, blue, _] if green > red.max(blue) => 'g',
        _ => 'b',
    })
}

#[test]
fn transparency_and_nothing_else_makes_a_png() {
    let (_, image) = thumbnail(&made::png(1, true).unwrap(), "image/png", &SMALL).unwrap();
    assert!(image.pixels().any(|(_, _, pixel)| pixel.0[3] < 255));
    // An alpha channel that is opaque everywhere does not count.
    let (thumbnail, _) = thumbnail(&made::gif(2).unwrap(), "image/gif", &SMALL).unwrap();
    assert_eq!(thumbnail.mimetype, "image/jpeg");
}

#[test]
fn a_thumbnail_has_no_metadata() {
    for (name, mimetype, bytes) in samples() {
        let mut written = std::io::Cursor::new(Vec::new());
        parlour_media::thumbnail(&mut std::io::Cursor::new(bytes), mimetype, &SMALL, &mut written).unwrap();
        let written = written.into_inner();
        assert!(!written.windows(made::CANARY.len()).any(|part| part == made::CANARY), "{name}");
    }
}
