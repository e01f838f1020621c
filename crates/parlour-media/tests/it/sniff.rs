//! Types from bytes: what each kind is called, and what poses as another.

use crate::common::{self, sniff};
use parlour_media::samples as made;

#[test]
fn images_are_known_by_their_first_bytes() {
    for (name, mimetype, bytes) in common::samples() {
        assert_eq!(sniff(&bytes), mimetype, "{name}");
        for before in [&b" "[..], b"\n", b"\xEF\xBB\xBF", b"\0", b"x"] {
            assert_eq!(sniff(&[before, &bytes].concat()), "application/octet-stream", "{name} behind {before:?}");
        }
    }
    assert_eq!(sniff(b"GIF88a"), "text/plain");
    assert_eq!(sniff(b"RIFF\x04\0\0\0WEBPXXXX"), "application/octet-stream");
}

#[test]
fn documents_and_sounds() {
    let files: [(&[u8], &str); 21] = [
        (b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n", "application/pdf"),
        (b"\n%PDF-1.7\n%\xE2\xE3\xCF\xD3\n", "application/octet-stream"),
        (b"GIF89a is not at the end: %PDF-1.7", "image/gif"),
        (b"{\\rtf1 words}", "application/rtf"),
        (b"%!PS-Adobe-3.0", "application/postscript"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
        (b"#!AMR\n\x3C", "audio/amr"),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01", "audio/ogg"),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x1E\x01vorbis", "audio/ogg"),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x2A\x80theora", "video/ogg"),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x08whatever", "application/ogg"),
        (b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "application/x-executable"),
        (b"MZ\x90\0\x03\0", "application/vnd.microsoft.portable-executable"),
        (b"\x1F\x8B\x08\0", "application/gzip"),
        (b"7z\xBC\xAF\x27\x1C", "application/x-7z-compressed"),
        (b"", "application/octet-stream"),
        (b"\x01\x02\x03", "application/octet-stream"),
        (b"\xFF\xFBnot a frame", "application/octet-stream"),
    ];
    for (bytes, expected) in files {
        assert_eq!(sniff(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
    let mp3_frame = [b"\xFF\xFB\x90\x64".to_vec(), vec![0; 413]].concat();
    assert_eq!(sniff(&mp3_frame.repeat(3)), "audio/mpeg");
    assert_eq!(sniff(&[mp3_frame, vec![1; 100]].concat()), "application/octet-stream");
    let aac_frame = [b"\xFF\xF1\x50\x80\x02\x1F\xFC".to_vec(), vec![0; 9]].concat();
    assert_eq!(sniff(&aac_frame.repeat(3)), "audio/aac");
}

#[test]
fn text_is_text_from_the_first_byte_to_the_last() {
    let long = "ä€𝄞 words\r\n\t".repeat(20_000);
    for text in [
        "a",
        "{\"a\": [1, 2]}",
        "a;b\n1;2\n",
        "#!/bin/sh\n",
        "\u{FEFF}words",
        "<3 you",
        "1 < 2",
        "a <b> c",
        "BM",
        "MZ",
        &long,
    ] {
        assert_eq!(sniff(text.as_bytes()), "text/plain", "{}", text.chars().take(20).collect::<String>());
    }
    for end in [&b"\0"[..], b"\x1B[0m", b"\xC3", b"\xFF", b"\x7F", b"\xC2\x85", b"\xED\xA0\x80"] {
        assert_eq!(sniff(&[long.as_bytes(), end].concat()), "application/octet-stream", "{end:?}");
    }
    // Characters are cut by reading in pieces at every place.
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "𝄞".repeat(10_000));
        assert_eq!(sniff(text.as_bytes()), "text/plain");
    }
}

#[test]
fn markup_is_markup_however_it_is_spelled() {
    let spellings = [
        ("<html><body>", "text/html"),
        ("<HTML>", "text/html"),
        ("<!DOCTYPE html>", "text/html"),
        ("<!doctype HtMl PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">", "text/html"),
        ("<!DOCTYPE>", "text/html"),
        ("<script>alert(1)</script>", "text/html"),
        ("<ScRiPt/x>alert(1)</script>", "text/html"),
        ("<img src=x onerror=alert(1)>", "text/html"),
        ("<x onfocus=alert(1) autofocus>", "text/html"),
        ("</p><script>alert(1)</script>", "text/html"),
        ("<!--", "text/html"),
        ("<!-- a --> words", "text/html"),
        ("<!-- a --><!-- b -->\n<svg/onload=alert(1)>", "image/svg+xml"),
        ("<![CDATA[", "text/html"),
        ("<svg xmlns=\"http://www.w3.org/2000/svg\">", "image/svg+xml"),
        ("<SVG>", "image/svg+xml"),
        ("<s:svg xmlns:s=\"http://www.w3.org/2000/svg\">", "image/svg+xml"),
        ("<?xml version=\"1.0\"?><svg>", "image/svg+xml"),
        ("<?xml version=\"1.0\"?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC \"a\" \"b\"><svg>", "image/svg+xml"),
        ("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \">\">]><svg>", "text/xml"),
        ("<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">", "text/html"),
        ("<?xml version=\"1.0\"?><feed>", "text/xml"),
        ("<?xml-stylesheet href=\"x\"?><x:y>", "text/xml"),
        ("<?php echo 1;", "text/xml"),
    ];
    let far = format!("{}<!-- {} -->{}", " ".repeat(30_000), "a ".repeat(30_000), "\r\n\t\x0C ".repeat(5_000));
    for (text, expected) in spellings {
        let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        for before in ["", "\u{FEFF}", " ", "\n\n\t ", "\u{FEFF} \r\n", "<!-- GIF89a -->", &far] {
            let text = format!("{before}{text}");
            let shown = &text[..text.len().min(60)];
            assert_eq!(sniff(text.as_bytes()), expected, "{shown}");
            assert_eq!(sniff(&utf_16(&text, u16::to_le_bytes)), expected, "UTF-16 {shown}");
            assert_eq!(sniff(&utf_16(&text, u16::to_be_bytes)), expected, "UTF-16 {shown}");
        }
        // Bytes that are no text behind it do not make it something else.
        assert_eq!(sniff(&[text.as_bytes(), b" \xFF\xD8\xFF\0"].concat()), expected, "{text}");
        // Nor do signatures that stand further inside.
        let mut tar = format!("{text:300}").into_bytes();
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(sniff(&tar), expected, "{text}");
    }
    for text in ["<ann@example.org> wrote:", "<>", "<", "< script>", "x<script>"] {
        assert_eq!(sniff(text.as_bytes()), "text/plain", "{text}");
    }
}

#[test]
fn polyglots_are_what_they_begin_as_and_broken_as_that() {
    for text in [
        "GIF89a/*<html>*/=1;<script>alert(1)</script>",
        "GIF89a<!--><script>alert(1)</script>",
        "GIF89a\0\0\0\0\0\0\0<html>",
    ] {
        assert_eq!(sniff(text.as_bytes()), "image/gif");
        assert!(common::shape(text.as_bytes(), "image/gif").is_err(), "{text}");
        assert!(common::strip(text.as_bytes(), "image/gif").is_err(), "{text}");
    }
    let jpeg = made::jpeg(1).unwrap();
    assert!(jpeg.windows(8).any(|part| part == b"<script>"));
    let stripped = common::strip(&jpeg, "image/jpeg").unwrap();
    assert!(!stripped.contains(&b'<') || !stripped.windows(8).any(|part| part == b"<script>"));
    // An image under another type's name is broken, and other types are no images.
    for (name, mimetype, bytes) in common::samples() {
        for other in ["image/jpeg", "image/png", "image/gif", "image/webp"] {
            assert_eq!(common::shape(&bytes, other).is_ok(), other == mimetype, "{name} as {other}");
        }
        for other in ["image/svg+xml", "image/heic", "application/pdf", "", "IMAGE/JPEG"] {
            assert!(matches!(common::shape(&bytes, other), Err(parlour_media::MediaError::NotAnImage)));
            assert!(matches!(common::strip(&bytes, other), Err(parlour_media::MediaError::NotAnImage)));
        }
    }
}

fn mp4_box(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], name, content].concat()
}

fn track(handler: &[u8; 4]) -> Vec<u8> {
    let handler = mp4_box(b"hdlr", &[b"\0\0\0\0\0\0\0\0", &handler[..], &[0; 12]].concat());
    mp4_box(b"trak", &mp4_box(b"mdia", &[mp4_box(b"mdhd", &[0; 24]), handler].concat()))
}

#[test]
fn mp4_is_told_by_brand_and_tracks() {
    let file = |brand: &[u8; 4], tracks: &[&[u8; 4]]| {
        let tracks: Vec<u8> = tracks.iter().flat_map(|handler| track(handler)).collect();
        let start = mp4_box(b"ftyp", &[&brand[..], b"\0\0\0\0isommp42"].concat());
        [start, mp4_box(b"mdat", &[7; 30_000]), mp4_box(b"moov", &[mp4_box(b"mvhd", &[0; 100]), tracks].concat())]
            .concat()
    };
    assert_eq!(sniff(&file(b"isom", &[b"vide", b"soun"])), "video/mp4");
    assert_eq!(sniff(&file(b"isom", &[b"soun"])), "audio/mp4");
    assert_eq!(sniff(&file(b"isom", &[])), "video/mp4");
    assert_eq!(sniff(&file(b"iso5", &[b"soun", b"vide"])), "video/mp4");
    assert_eq!(sniff(&file(b"M4A ", &[b"soun"])), "audio/mp4");
    assert_eq!(sniff(&file(b"qt  ", &[b"vide"])), "video/quicktime");
    assert_eq!(sniff(&file(b"heic", &[])), "image/heic");
    assert_eq!(sniff(&file(b"avif", &[])), "image/avif");
    assert_eq!(sniff(&file(b"3gp4", &[])), "video/3gpp");
    // A box that contains itself, as its length says, ends nowhere.
    let endless = [mp4_box(b"ftyp", b"isom\0\0\0\0"), b"\0\0\0\x01moov\0\0\0\0\0\0\0\0".to_vec()].concat();
    assert_eq!(sniff(&endless), "video/mp4");
}

#[test]
fn matroska_is_told_by_its_codecs() {
    let file = |kind: &[u8], codecs: &[&[u8]]| {
        let codecs: Vec<u8> =
            codecs.iter().flat_map(|codec| [&[0x86, 0x80 | codec.len() as u8], *codec].concat()).collect();
        [b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01", kind, b"\x18\x53\x80\x67\x16\x54\xAE\x6B", &codecs].concat()
    };
    assert_eq!(sniff(&file(b"\x42\x82\x84webm", &[b"A_OPUS"])), "audio/webm");
    assert_eq!(sniff(&file(b"\x42\x82\x84webm", &[b"A_OPUS", b"V_VP9"])), "video/webm");
    assert_eq!(sniff(&file(b"\x42\x82\x84webm", &[])), "video/webm");
    assert_eq!(sniff(&file(b"\x42\x82\x88matroska", &[b"V_MPEG4/ISO/AVC"])), "video/x-matroska");
    assert_eq!(sniff(&file(b"\x42\x82\x84xxxx", &[b"A_OPUS"])), "application/octet-stream");
}

/// An archive of entries with these names and contents, not compressed.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let offset = (file.len() as u32).to_le_bytes();
        let length = (content.len() as u32).to_le_bytes();
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &length,
            &length,
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset, name.as_bytes()].concat());
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (size, start) = ((directory.len() as u32).to_le_bytes(), (file.len() as u32).to_le_bytes());
    [&file[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &start, &[0, 0]].concat()
}

#[test]
fn office_documents_are_told_from_archives() {
    const OPEN_XML: &str = "application/vnd.openxmlformats-officedocument";
    let types = ("[Content_Types].xml", &[b'x'; 9000][..]);
    let office = |names: &[&'static str]| {
        zip(&[&[types][..], &names.iter().map(|name| (*name, &b"x"[..])).collect::<Vec<_>>()].concat())
    };
    assert_eq!(sniff(&office(&["word/document.xml"])), format!("{OPEN_XML}.wordprocessingml.document"));
    assert_eq!(sniff(&office(&["docProps/app.xml", "xl/workbook.xml"])), format!("{OPEN_XML}.spreadsheetml.sheet"));
    assert_eq!(sniff(&office(&["ppt/a", "_rels/.rels"])), format!("{OPEN_XML}.presentationml.presentation"));
    assert_eq!(sniff(&office(&["word/a", "word/vbaProject.bin"])), "application/vnd.ms-word.document.macroEnabled.12");
    assert_eq!(sniff(&office(&["word/a", "xl/a"])), "application/zip");
    assert_eq!(sniff(&zip(&[("word/document.xml", b"x")])), "application/zip");
    assert_eq!(sniff(&zip(&[])), "application/zip");
    for kind in [
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/epub+zip",
    ] {
        assert_eq!(sniff(&zip(&[("mimetype", kind.as_bytes()), ("content.xml", b"x")])), kind);
    }
    assert_eq!(sniff(&zip(&[("mimetype", b"text/html"), ("content.xml", b"x")])), "application/zip");
    assert_eq!(sniff(&office(&["word/a"])[..9000]), "application/zip");
}

#[test]
fn old_office_documents_are_told_by_their_directory() {
    let file = |name: &str, class: [u8; 16]| {
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
        header[30] = 9;
        header[48] = 1;
        let mut root = vec![0; 128];
        root[80..96].copy_from_slice(&class);
        let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        entry.resize(128, 0);
        [header, vec![0; 512], root, entry].concat()
    };
    assert_eq!(sniff(&file("WordDocument", [0; 16])), "application/msword");
    assert_eq!(sniff(&file("Workbook", [0; 16])), "application/vnd.ms-excel");
    assert_eq!(sniff(&file("PowerPoint Document", [0; 16])), "application/vnd.ms-powerpoint");
    assert_eq!(sniff(&file("x", *b"\x20\x08\x02\0\0\0\0\0\xC0\0\0\0\0\0\0\x46")), "application/vnd.ms-excel");
    assert_eq!(sniff(&file("x", [0; 16])), "application/x-ole-storage");
    assert_eq!(sniff(&file("Workbook", [0; 16])[..600]), "application/x-ole-storage");
}
