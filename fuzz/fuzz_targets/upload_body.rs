//! The body of an upload: however it is cut into frames, it is read as the same fields and the same file, or refused alike; what is read
//! stands in the body.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parlour_fuzz::{MULTIPART, check_refusal};
use parlour_server::fuzzing::{self, MAX_FILE};
use parlour_types::text::clean_filename;
use std::io::Read as _;

/// What was read of a body.
#[derive(PartialEq, Eq, Debug)]
struct Upload {
    texts: [Option<String>; 2],
    are_fields_good: bool,
    file: Option<UploadedFile>,
}

#[derive(PartialEq, Eq, Debug)]
struct UploadedFile {
    content: Vec<u8>,
    filename: Option<String>,
}

fn read(frames: Vec<Bytes>) -> Option<Upload> {
    let form = fuzzing::upload(MULTIPART, frames).map_err(check_refusal).ok()?;
    let mut fields = form.fields;
    let texts = [fields.text("uuid"), fields.text("filename")];
    let are_fields_good = fields.finish().map_err(check_refusal).is_ok();
    let file = form.file.map(|mut file| {
        let mut content = Vec::new();
        file.file.read_to_end(&mut content).expect("a file that was written can be read");
        assert_eq!(content.len() as u64, file.size);
        UploadedFile { content, filename: file.filename }
    });
    Some(Upload { texts, are_fields_good, file })
}

/// Cuts where the bytes of `cuts` say, over and over.
fn cut(mut body: Bytes, cuts: &[u8]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    for size in cuts.iter().cycle() {
        if body.is_empty() {
            break;
        }
        frames.push(body.split_to(body.len().min(usize::from(*size) + 1)));
    }
    frames
}

fuzz_target!(|data: &[u8]| {
    // The first byte says how many of the next say where to cut.
    let Some((count, rest)) = data.split_first() else { return };
    let Some((cuts, body)) = rest.split_at_checked(usize::from(count % 8) + 1) else { return };
    let body = Bytes::copy_from_slice(body);
    let whole = read(vec![body.clone()]);
    let in_frames = read(cut(body.clone(), cuts));
    assert_eq!(whole, in_frames);
    assert_eq!(whole, read(cut(body.clone(), &[0])));
    let Some(upload) = whole else { return };
    if let Some(file) = upload.file {
        assert!(file.content.len() as u64 <= MAX_FILE);
        assert!(file.content.is_empty() || body.windows(file.content.len()).any(|window| window == file.content));
        if let Some(clean) = file.filename.as_deref().and_then(clean_filename) {
            assert!(!clean.is_empty() && clean.len() <= 255 && !clean.contains(['/', '\\', '\0', '\r', '\n']));
            assert_eq!(clean_filename(&clean), Some(clean));
        }
    }
});
