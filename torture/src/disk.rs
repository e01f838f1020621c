//! A disk that keeps what was synced and, of anything later, whatever it likes.
//!
//! Of what was written to a file after its last sync, any whole sectors may be there, in any order; so may a change of its length, and the
//! name of a file that appeared or went since its folder was synced. Nothing that was synced is ever taken away.

use crate::trace::Step;
use anyhow::Result;
use fastrand::Rng;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

enum Pending {
    Sector { at: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Whether the folder on the disk has its name, and what it was told since.
    named: bool,
    renamed: Option<bool>,
}

#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    /// The syncs under way: the file, and how much of what was pending they carry.
    syncs: HashMap<u32, (String, usize)>,
}

impl Disk {
    /// A disk with the files of `folder`, all of them synced. Those of messages are in folders of their own, and nobody sends any here.
    pub(crate) fn holding(folder: &Path) -> Result<Self> {
        let mut disk = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            let file = File { durable: std::fs::read(entry.path())?, named: true, ..File::default() };
            disk.files.insert(entry.file_name().to_string_lossy().into_owned(), file);
        }
        Ok(disk)
    }

    /// Takes one step.
    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Write { file, offset, data } => self.write(file, *offset as usize, data),
            Step::Truncate { file, length } => self.file(file).pending.push(Pending::Length(*length as usize)),
            Step::Open { file } => {
                let file = self.file(file);
                file.renamed = (!file.named).then_some(true);
            }
            Step::Unlink { file } => self.file(file).renamed = Some(false),
            Step::SyncBegins { thread, file } => {
                let pending = self.files.get(file).map_or(0, |file| file.pending.len());
                self.syncs.insert(*thread, (file.clone(), pending));
            }
            Step::SyncEnds { thread } => self.sync(*thread),
            Step::Acknowledge { .. } => {}
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        self.files.entry(name.to_owned()).or_default()
    }

    fn write(&mut self, file: &str, offset: usize, data: &[u8]) {
        let mut at = offset;
        while at < offset + data.len() {
            let end = (at / SECTOR * SECTOR + SECTOR).min(offset + data.len());
            let data = data[at - offset..end - offset].to_vec();
            self.file(file).pending.push(Pending::Sector { at, data });
            at = end;
        }
    }

    fn sync(&mut self, thread: u32) {
        let Some((name, pending)) = self.syncs.remove(&thread) else { return };
        if name.is_empty() {
            for file in self.files.values_mut() {
                file.named = file.renamed.take().unwrap_or(file.named);
            }
            return;
        }
        let File { durable, pending: waiting, .. } = self.file(&name);
        waiting.drain(..pending).for_each(|change| change.apply(durable));
    }

    /// The power goes: writes what is left of the files to `folder`. Of what was not synced, about `part` of a hundred is there.
    pub(crate) fn cut(&self, folder: &Path, part: usize, random: &mut Rng) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, file) in self.files.iter().filter(|(name, _)| !name.ends_with("-shm")) {
            let named = file.renamed.filter(|_| random.usize(..100) < part).unwrap_or(file.named);
            if !named {
                continue;
            }
            let mut content = file.durable.clone();
            for change in &file.pending {
                if random.usize(..100) < part {
                    change.apply(&mut content);
                }
            }
            std::fs::write(folder.join(name), content)?;
        }
        Ok(())
    }
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Sector { at, data } => {
                let end = at + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(data);
            }
            Self::Length(length) => content.resize(*length, 0),
        }
    }
}
