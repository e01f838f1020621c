//! Secrets that the server makes itself when none are given: created once in the data directory, mode 0600.

use crate::auth::Auth;
use crate::config::{Config, Secret};
use crate::media::MediaLinks;
use anyhow::Context as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// The token secret's file in the data directory.
const JWT_SECRET_FILE: &str = "jwt.secret";

/// The admin key's file in the data directory.
const ADMIN_KEY_FILE: &str = "admin.key";

/// Creates the data directory, for its owner's eyes only, unless it exists.
pub(crate) fn create_data_dir(config: &Config) -> anyhow::Result<()> {
    let folder = &config.storage.data_dir;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("cannot create the data directory {}", folder.display()))
}

/// What is made of the configured secrets, or of those of the data directory: tokens, and links to files.
pub(crate) fn open(config: &Config) -> anyhow::Result<(Auth, MediaLinks)> {
    create_data_dir(config)?;
    let folder = &config.storage.data_dir;
    let mut secrets = vec![given_or_made(&config.auth.jwt_secret, &folder.join(JWT_SECRET_FILE))?];
    secrets.extend(config.auth.jwt_previous_secrets.iter().cloned());
    let admin_key = given_or_made(&config.auth.admin_key, &folder.join(ADMIN_KEY_FILE))?;
    let links = MediaLinks::new(&secrets, config.files.link_lifetime.get());
    Ok((Auth::new(&secrets, admin_key, config.auth.provision), links))
}

fn given_or_made(given: &Secret, path: &Path) -> anyhow::Result<Secret> {
    if !given.is_empty() {
        return Ok(given.clone());
    }
    make(path).with_context(|| format!("cannot create the secret {}", path.display()))?;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the secret {}", path.display()))?;
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    anyhow::ensure!(
        secret.expose().len() >= crate::auth::MIN_SECRET_BYTES,
        "the secret {} has less than {} bytes",
        path.display(),
        crate::auth::MIN_SECRET_BYTES
    );
    Ok(secret)
}

/// Writes 32 random bytes as hex under another name and links them into place, so that nobody ever reads half a secret and, of two
/// processes, one wins.
fn make(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
