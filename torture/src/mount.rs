//! File systems of our own: images on a loop device, and memory. All of it needs root.

use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What can be mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
    Memory,
}

/// A mounted file system, gone when this value is.
pub(crate) struct Mount {
    kind: FileSystem,
    image: PathBuf,
    pub(crate) folder: PathBuf,
    mebibytes: u64,
}

/// Why nothing can be mounted here.
pub(crate) fn unavailable() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let tools = [("mkfs.ext4", "-V"), ("mkfs.xfs", "-V"), ("xfs_io", "-V"), ("mount", "-V"), ("umount", "-V")];
    let missing = tools.iter().find(|(tool, flag)| Command::new(tool).arg(flag).output().is_err());
    missing.map(|(tool, _)| format!("there is no {tool}"))
}

impl Mount {
    /// Makes and mounts an empty file system in `folder`.
    pub(crate) fn new(kind: FileSystem, folder: &Path, mebibytes: u64) -> Result<Self> {
        let name = format!("{kind:?}").to_lowercase();
        let (image, folder) = (folder.join(format!("{name}.image")), folder.join(name));
        std::fs::create_dir_all(&folder)?;
        let mount = Self { kind, image, folder, mebibytes };
        let make = match kind {
            FileSystem::Ext4 => Some("mkfs.ext4"),
            FileSystem::Xfs => Some("mkfs.xfs"),
            FileSystem::Memory => None,
        };
        if let Some(make) = make {
            std::fs::File::create(&mount.image)?.set_len(mebibytes << 20)?;
            run(Command::new(make).arg("-q").arg(&mount.image))?;
        }
        mount.mount("rw")?;
        Ok(mount)
    }

    /// Mounts it, after [`Mount::unmount`].
    pub(crate) fn mount(&self, options: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        match self.kind {
            FileSystem::Memory => {
                mount.args(["-t", "tmpfs", "-o", &format!("size={}m,{options}", self.mebibytes), "tmpfs"]);
            }
            FileSystem::Ext4 | FileSystem::Xfs => {
                mount.args(["-o", &format!("loop,{options}")]).arg(&self.image);
            }
        }
        run(mount.arg(&self.folder))
    }

    pub(crate) fn unmount(&self) -> Result<()> {
        run(Command::new("umount").arg(&self.folder))
    }

    /// Cuts it off from its device at once, as a power cut does: nothing that is not on the device gets there any more.
    pub(crate) fn cut(&self) -> Result<()> {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.folder))
    }

    /// Makes it read-only with files open for writing, as ext4 does by itself after a fault of its device. A plain remount is refused
    /// while they are open.
    pub(crate) fn turn_read_only(&self) -> Result<()> {
        ensure!(self.kind == FileSystem::Ext4, "only ext4 can do that");
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It is not mounted after a failed mount; lazily, so that a process that is just ending does not hold it.
        let _ = Command::new("umount").args(["-l", "-q"]).arg(&self.folder).output();
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
