use super::arrive::{Incoming, on_a_thread};
use super::{FileRules, refuse};
use crate::{Core, Error, FieldProblem, Result};
use parlour_media::{Limits, MediaError};
use parlour_store::StoreError;
use parlour_types::ErrorCode;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom, Write as _};

/// A file as it will be stored.
pub(super) struct Prepared {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) mimetype: &'static str,
    /// The picture of an image.
    pub(super) picture: Option<Picture>,
}

/// A picture of a file.
pub(super) struct Picture {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) mimetype: &'static str,
}

/// Looks what came, by its bytes; takes from an image what its camera wrote into it, and makes a picture of it.
pub(super) async fn prepare(core: &Core, incoming: Incoming) -> Result<Prepared> {
    let Incoming { file, size, .. } = incoming;
    let (file, mimetype) = recognize(core, file).await?;
    if !core.rules.files.types.iter().any(|taken| taken == mimetype) {
        let message = format!("Files of the type {mimetype} are not taken.");
        return refuse("file", ErrorCode::UnsupportedType, message);
    }
    if !parlour_media::is_image(mimetype) {
        return Ok(Prepared { file, size, mimetype, picture: None });
    }
    let rules = core.rules.files.clone();
    let (clean, picture) = (core.files.objects.spool()?, core.files.objects.spool()?);
    work_on_image(core, move || prepare_image((file, size), mimetype, &rules, (clean, picture))).await
}

/// Makes a picture out of what came to be one.
pub(super) async fn prepare_picture(core: &Core, incoming: Incoming) -> Result<Picture> {
    let (file, mimetype) = recognize(core, incoming.file).await?;
    if !parlour_media::is_image(mimetype) {
        return refuse("file", ErrorCode::UnsupportedType, "A thumbnail must be a JPEG, PNG, GIF or WebP image.");
    }
    let (rules, to) = (core.rules.files.clone(), core.files.objects.spool()?);
    work_on_image(core, move || picture_of(&mut BufReader::new(file), mimetype, &limits(&rules), to)).await
}

pub(super) async fn recognize(core: &Core, file: File) -> Result<(File, &'static str)> {
    on_a_thread(core, move || {
        let mut file = file;
        file.seek(SeekFrom::Start(0))?;
        let mimetype = parlour_media::sniff(&mut file)?;
        Ok((file, mimetype))
    })
    .await
}

/// Decoding takes long and much memory: only so many at a time.
async fn work_on_image<T: Send + 'static>(
    core: &Core,
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T> {
    let _turn = core.files.images.acquire().await.map_err(|_| StoreError::WriterStopped)?;
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::ReadPanicked)?;
    done.map_err(|error| match error {
        MediaError::Io(error) => core.files.objects.spool_failed(error).into(),
        refusal => {
            let code = match &refusal {
                MediaError::TooManyPixels { .. } | MediaError::TooManyFrames { .. } => ErrorCode::FileTooLarge,
                _ => ErrorCode::BrokenFile,
            };
            Error::Invalid(vec![FieldProblem::new("file", code, sentence(&refusal.to_string()))])
        }
    })
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

const fn limits(rules: &FileRules) -> Limits {
    Limits { max_pixels: rules.max_pixels, max_frames: rules.max_frames, thumbnail_side: rules.thumbnail_side }
}

fn prepare_image(
    (file, size): (File, u64),
    mimetype: &'static str,
    rules: &FileRules,
    (clean, picture): (File, File),
) -> Result<Prepared, MediaError> {
    let limits = limits(rules);
    let mut from = BufReader::new(file);
    parlour_media::inspect(&mut from, mimetype, &limits)?;
    let (file, size) = if rules.keep_metadata {
        (from.into_inner(), size)
    } else {
        let mut to = BufWriter::new(clean);
        from.rewind()?;
        parlour_media::strip_metadata(&mut from, &mut to, mimetype)?;
        ended(to)?
    };
    let mut from = BufReader::new(file);
    let picture = picture_of(&mut from, mimetype, &limits, picture)?;
    Ok(Prepared { file: from.into_inner(), size, mimetype, picture: Some(picture) })
}

fn picture_of(from: &mut BufReader<File>, mimetype: &str, limits: &Limits, to: File) -> Result<Picture, MediaError> {
    from.rewind()?;
    let mut to = BufWriter::new(to);
    let made = parlour_media::thumbnail(from, mimetype, limits, &mut to)?;
    let (file, size) = ended(to)?;
    Ok(Picture { file, size, mimetype: made.mimetype })
}

fn ended(mut to: BufWriter<File>) -> std::io::Result<(File, u64)> {
    to.flush()?;
    let file = to.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}
