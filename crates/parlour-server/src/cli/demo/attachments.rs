//! Things that the demo's members send each other, each made here: a picture, a document, a voice note.

use image::{ImageFormat, Rgb, RgbImage};
use std::f32::consts::TAU;
use std::io::Cursor;

/// A file to send.
pub(super) struct Attachment {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Seconds that it lasts.
    pub(super) duration: Option<i64>,
    /// A picture of it, which the server makes of images alone.
    pub(super) thumbnail: Option<Vec<u8>>,
}

fn encode(image: &RgbImage, format: ImageFormat) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

/// A picture of the garden: beds under an evening sky.
pub(super) fn picture() -> anyhow::Result<Attachment> {
    const SIZE: (u32, u32) = (960, 640);
    let image =
        RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb(color(x as f32 / SIZE.0 as f32, y as f32 / SIZE.1 as f32)));
    let bytes = encode(&image, ImageFormat::Jpeg)?;
    Ok(Attachment { name: "evening in the garden.jpg", bytes, duration: None, thumbnail: None })
}

/// What stands at a place from 0 to 1, from the left and from the top.
fn color(x: f32, y: f32) -> [u8; 3] {
    let mix = |from: [f32; 3], to: [f32; 3], how_far: f32| {
        std::array::from_fn(|at| (from[at] + (to[at] - from[at]) * how_far.clamp(0.0, 1.0)) as u8)
    };
    let (sun_x, sun_y) = (0.72, 0.3);
    let from_sun = ((x - sun_x) * 1.5).hypot(y - sun_y);
    if from_sun < 0.09 {
        return [255, 236, 170];
    }
    let horizon = 0.56 + 0.03 * (x * 9.0).sin();
    if y < horizon {
        return mix([255.0, 196.0, 120.0], [70.0, 110.0, 170.0], from_sun * 1.1);
    }
    // Rows of beds that meet at the horizon.
    let depth = (y - horizon) / (1.0 - horizon);
    let row = ((x - 0.5) / (0.15 + depth) * 12.0).sin();
    let (leaf, soil) = ([60.0, 130.0, 60.0], [104.0, 74.0, 50.0]);
    let shade = 0.55 + 0.45 * depth;
    let dark = |color: [f32; 3]| color.map(|part| part * shade);
    mix(dark(soil), dark(leaf), row * 2.0 + 0.4)
}

/// A page with a watering plan, and what it looks like from afar: a title and lines.
pub(super) fn document() -> anyhow::Result<Attachment> {
    const SIZE: (u32, u32) = (420, 594);
    let image = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let is_inside = |from: (u32, u32), to: (u32, u32)| (from.0..to.0).contains(&x) && (from.1..to.1).contains(&y);
        let line = (0..5).find(|line| is_inside((50, 110 + line * 26), (190 + line * 37 % 130, 118 + line * 26)));
        let shade = if is_inside((50, 56), (250, 74)) { 40 } else { line.map_or(255, |_| 130) };
        Rgb([shade; 3])
    });
    let thumbnail = Some(encode(&image, ImageFormat::Png)?);
    Ok(Attachment { name: "watering plan.pdf", bytes: watering_plan(), duration: None, thumbnail })
}

fn watering_plan() -> Vec<u8> {
    const LINES: [&str; 6] = [
        "Watering plan, August",
        "Mon  beds 1-4   Ann",
        "Wed  beds 5-8   Bob",
        "Fri  greenhouse   Carla",
        "Sun  everything   whoever is up first",
        "The long hose is in the tool room.",
    ];
    let mut text = String::from("BT /F1 24 Tf 72 760 Td ");
    for (number, line) in LINES.iter().enumerate() {
        if number == 1 {
            text.push_str("/F1 14 Tf 0 -20 Td ");
        }
        text.push_str(&format!("({line}) Tj 0 -24 Td "));
    }
    text.push_str("ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut places = Vec::with_capacity(objects.len());
    for (number, object) in objects.iter().enumerate() {
        places.push(pdf.len());
        pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let table = pdf.len();
    let count = objects.len() + 1;
    pdf.push_str(&format!("xref\n0 {count}\n0000000000 65535 f \n"));
    places.iter().for_each(|place| pdf.push_str(&format!("{place:010} 00000 n \n")));
    pdf.push_str(&format!("trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"));
    pdf.into_bytes()
}

/// Seconds that the voice note lasts.
const NOTE_SECONDS: u32 = 3;

/// Somebody humming a tune, as WAV.
pub(super) fn voice_note() -> Attachment {
    Attachment { name: "tune.wav", bytes: tune(), duration: Some(i64::from(NOTE_SECONDS)), thumbnail: None }
}

fn tune() -> Vec<u8> {
    const RATE: u32 = 16_000;
    const TUNE: [f32; 6] = [196.0, 220.0, 246.9, 293.7, 246.9, 196.0];
    let samples = RATE * NOTE_SECONDS;
    let mut wav = Vec::with_capacity(44 + 2 * samples as usize);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + 2 * samples).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    for value in [1_u16, 1] {
        wav.extend_from_slice(&value.to_le_bytes());
    }
    for value in [RATE, 2 * RATE] {
        wav.extend_from_slice(&value.to_le_bytes());
    }
    for value in [2_u16, 16] {
        wav.extend_from_slice(&value.to_le_bytes());
    }
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&(2 * samples).to_le_bytes());
    let tone_samples = samples / TUNE.len() as u32;
    for sample in 0..samples {
        let tone = TUNE[((sample / tone_samples) as usize).min(TUNE.len() - 1)];
        let within = (sample % tone_samples) as f32 / tone_samples as f32;
        // Swells and fades, with two overtones.
        let loud = (within * TAU / 2.0).sin() * 0.3;
        let turn = sample as f32 / RATE as f32 * tone * TAU;
        let value = (turn.sin() + 0.4 * (2.0 * turn).sin() + 0.2 * (3.0 * turn).sin()) * loud;
        wav.extend_from_slice(&((value * f32::from(i16::MAX)) as i16).to_le_bytes());
    }
    wav
}
