//! Files that members upload, and where they are kept.

use super::values::{ByteSize, Duration, Secret};
use super::{Config, ConfigError};
use parlour_core::files::FileRules;
use parlour_store::objects::{Bucket, Place};
use serde::{Deserialize, Serialize};

/// Files that members upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// `s3://bucket/prefix`; empty for the folder `files` in the data directory.
    pub store: String,
    /// Bytes of a file at the most.
    pub max_size: ByteSize,
    /// Bytes of all files of a member at the most.
    pub quota: ByteSize,
    /// Files of a member at the most.
    pub quota_files: u32,
    /// Files that a member may be uploading at a time.
    pub max_open_uploads: u32,
    /// The MIME types that are taken.
    pub types: Vec<String>,
    /// How long links work.
    pub link_lifetime: Duration,
    /// When an upload is given up that no part comes to.
    pub upload_lifetime: Duration,
    /// When a file goes that was never sent.
    pub unused_lifetime: Duration,
    /// How often is looked for what goes.
    pub cleanup_interval: Duration,
    /// Time for the body of an upload.
    pub upload_timeout: Duration,
    /// Pixels of an image at the most.
    pub max_pixels: u64,
    /// Frames of an animation at the most.
    pub max_frames: u32,
    /// Pixels of the longer side of a thumbnail.
    pub thumbnail_side: u32,
    /// Images worked on at once.
    pub image_workers: usize,
    /// Whether images keep what cameras write into them.
    pub keep_metadata: bool,
}

impl Default for Files {
    fn default() -> Self {
        let rules = FileRules::default();
        Self {
            store: String::new(),
            max_size: ByteSize::mib(12),
            quota: ByteSize::mib(1024),
            quota_files: 10_000,
            max_open_uploads: 20,
            types: rules.types,
            link_lifetime: Duration::seconds(24 * 3600),
            upload_lifetime: Duration::seconds(24 * 3600),
            unused_lifetime: Duration::seconds(24 * 3600),
            cleanup_interval: Duration::seconds(60),
            upload_timeout: Duration::seconds(300),
            max_pixels: rules.max_pixels,
            max_frames: rules.max_frames,
            thumbnail_side: rules.thumbnail_side,
            image_workers: rules.image_workers,
            keep_metadata: rules.keep_metadata,
        }
    }
}

/// How to get at an S3-compatible service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Its address; empty for Amazon's own.
    pub endpoint: String,
    /// The region.
    pub region: String,
    /// The access key's id.
    pub access_key_id: Secret,
    /// The access key.
    pub secret_access_key: Secret,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: "us-east-1".into(),
            access_key_id: Secret::default(),
            secret_access_key: Secret::default(),
        }
    }
}

impl Config {
    /// Where files are kept.
    #[must_use]
    pub fn file_place(&self) -> Place {
        let Some(bucket) = self.files.store.strip_prefix("s3://") else {
            return Place::Folder(self.storage.data_dir.join("files"));
        };
        let (name, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        Place::Bucket(Bucket {
            name: name.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            endpoint: self.s3.endpoint.clone(),
            region: self.s3.region.clone(),
            access_key_id: self.s3.access_key_id.expose().to_owned(),
            secret_access_key: self.s3.secret_access_key.expose().to_owned(),
        })
    }

    pub(super) fn file_rules(&self) -> FileRules {
        let files = &self.files;
        FileRules {
            max_size: files.max_size.as_u64(),
            quota_bytes: files.quota.as_u64(),
            quota_files: files.quota_files.into(),
            max_open_uploads: files.max_open_uploads.into(),
            types: files.types.clone(),
            upload_lifetime_micros: files.upload_lifetime.as_micros(),
            unused_lifetime_micros: files.unused_lifetime.as_micros(),
            max_pixels: files.max_pixels,
            max_frames: files.max_frames,
            thumbnail_side: files.thumbnail_side,
            image_workers: files.image_workers,
            keep_metadata: files.keep_metadata,
        }
    }

    /// What is wrong with the settings of files.
    pub(super) fn check_files(&self) -> Result<(), ConfigError> {
        let wrong =
            |key: &str, why: &str| Err(ConfigError::Value { key: key.into(), origin: String::new(), why: why.into() });
        let (files, none) = (&self.files, std::time::Duration::ZERO);
        if !files.store.is_empty() && !matches!(self.file_place(), Place::Bucket(bucket) if !bucket.name.is_empty()) {
            return wrong("files.store", "must be s3://bucket or s3://bucket/prefix, or empty");
        }
        if files.max_size.as_u64() == 0 || files.max_size.as_u64() > 1 << 40 {
            return wrong("files.max_size", "must be from 1B to 1TiB");
        }
        let year = std::time::Duration::from_secs(366 * 24 * 3600);
        for (key, span) in [
            ("files.link_lifetime", files.link_lifetime),
            ("files.upload_lifetime", files.upload_lifetime),
            ("files.unused_lifetime", files.unused_lifetime),
            ("files.cleanup_interval", files.cleanup_interval),
            ("files.upload_timeout", files.upload_timeout),
        ] {
            if span.get() == none || span.get() > year {
                return wrong(key, "must be more than nothing and at most a year");
            }
        }
        if files.link_lifetime.get() < std::time::Duration::from_secs(2) {
            return wrong("files.link_lifetime", "must be at least 2s");
        }
        if !(1..=1_000_000_000).contains(&files.max_pixels) {
            return wrong("files.max_pixels", "must be from 1 to 1000000000");
        }
        if files.max_frames == 0 {
            return wrong("files.max_frames", "must be at least 1");
        }
        if !(16..=4096).contains(&files.thumbnail_side) {
            return wrong("files.thumbnail_side", "must be from 16 to 4096");
        }
        if !(1..=64).contains(&files.image_workers) {
            return wrong("files.image_workers", "must be from 1 to 64");
        }
        Ok(())
    }
}
