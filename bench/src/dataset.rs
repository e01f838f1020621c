//! The community that is measured: built once, kept between runs.
//!
//! 1,000 users with full profiles, and 4,001 more who only write to one busy member; 10,000 threads, of which one has half of all
//! messages and the busy member has 5,000; 2,000,000 messages of about 120 bytes (ten times as many with `--scale 10`).

use anyhow::{Context as _, Result};
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use parlour_core::import::{Marks, OnRefusal, Outcome, Record, import_batch};
use parlour_core::{Clock, Core, Rules};
use parlour_store::objects::{Objects, Place};
use parlour_store::{DATABASE_FILE, Store};
use parlour_types::model::UserChange;
use parlour_types::{ThreadId, Timestamp, UserId};
use std::path::{Path, PathBuf};

/// Users who write to each other.
const USERS: i64 = 1_000;

/// Threads.
const THREADS: usize = 10_000;

/// Threads of the busy member.
const BUSY_THREADS: i64 = 5_000;

/// Messages at scale 1.
const MESSAGES: usize = 2_000_000;

/// Records of one transaction while building.
const BATCH: usize = 10_000;

/// The member with 5,000 threads.
pub(crate) const BUSY_MEMBER: i64 = 1;

/// The pair whose thread has half of all messages.
pub(crate) const LONG_THREAD: (i64, i64) = (2, 3);

/// A community on disk.
pub(crate) struct Dataset {
    pub(crate) folder: PathBuf,
    /// The pairs of all threads; the first is the long one.
    pub(crate) pairs: Vec<(i64, i64)>,
    /// Messages in all.
    pub(crate) messages: usize,
    /// The folder of the same community at scale 1, if this one is larger.
    pub(crate) small: Option<PathBuf>,
}

impl Dataset {
    /// Opens the community below `root`, building it first if it is not there.
    pub(crate) fn open(root: &Path, scale: usize) -> Result<Self> {
        let small = if scale > 1 { Some(Self::open(root, 1)?.folder) } else { None };
        let folder = root.join(format!("scale-{scale}"));
        let dataset = Self { pairs: pairs(), messages: MESSAGES * scale, folder, small };
        let done = dataset.folder.join("complete");
        if !done.exists() {
            if dataset.folder.exists() {
                std::fs::remove_dir_all(&dataset.folder)?;
            }
            std::fs::create_dir_all(&dataset.folder)?;
            dataset.build()?;
            std::fs::write(done, "")?;
        }
        Ok(dataset)
    }

    /// A member of the first thousand, and how many threads they have.
    pub(crate) fn ordinary_member(&self) -> (i64, usize) {
        let threads = |member: i64| self.pairs.iter().filter(|(one, other)| *one == member || *other == member).count();
        (4..=USERS)
            .map(|member| (member, threads(member)))
            .find(|(_, threads)| *threads >= 10)
            .unwrap_or((4, threads(4)))
    }

    /// Bytes of the database on disk.
    pub(crate) fn bytes(&self) -> Result<u64> {
        Ok(std::fs::metadata(self.folder.join(DATABASE_FILE))?.len())
    }

    /// Messages of the long thread.
    pub(crate) fn long_thread_messages(&self) -> usize {
        self.messages / 2
    }

    fn build(&self) -> Result<()> {
        let store = Store::open(self.folder.join(DATABASE_FILE))?;
        let objects = Objects::open(Place::Folder(self.folder.join("files")), self.folder.join("spool"))?;
        let core = Core::new(store, objects, Clock::System, Rules::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let now = core.clock.now();
        let progress = ProgressBar::new(self.messages as u64);
        progress.set_style(ProgressStyle::with_template("building {bar:40} {pos}/{len} messages  {eta} left")?);
        let mut batch = Vec::with_capacity(BATCH);
        let flush = |batch: &mut Vec<Record>| -> Result<()> {
            let outcomes = runtime.block_on(import_batch(&core, std::mem::take(batch), OnRefusal::Stop))?;
            progress.inc(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Imported)).count() as u64);
            Ok(())
        };
        batch.extend((1..=BUSY_THREADS + 1).map(user));
        for (index, (one, other)) in self.pairs.iter().enumerate() {
            let id = ThreadId::new(index as i64 + 1).context("a small id")?;
            let (one, other) = (id_of(*one), id_of(*other));
            batch.push(Record::Thread { id: Some(id), participants: [one, other], created_at: now.plus_micros(-1) });
            batch.push(Record::Follow { follower: one, followed: other, created_at: None });
            batch.push(Record::Follow { follower: other, followed: one, created_at: None });
        }
        flush(&mut batch)?;
        self.messages(now, |record| {
            batch.push(record);
            if batch.len() == BATCH { flush(&mut batch) } else { Ok(()) }
        })?;
        flush(&mut batch)?;
        progress.finish_and_clear();
        Ok(())
    }

    /// Half of the messages go to the long thread, the others to the other threads in turn.
    fn messages(&self, now: Timestamp, mut take: impl FnMut(Record) -> Result<()>) -> Result<()> {
        let mut random = Rng::with_seed(1);
        for number in 0..self.messages {
            let pair = if number % 2 == 0 { 0 } else { 1 + (number / 2) % (THREADS - 1) };
            let (one, other) = self.pairs[pair];
            let (sender, receiver) = if random.usize(..2) == 0 { (one, other) } else { (other, one) };
            take(Record::Message {
                id: None,
                ext_id: format!("{number:x}"),
                sender: id_of(sender),
                receiver: id_of(receiver),
                created_at: now.plus_micros((number as i64 - self.messages as i64) * 1_000),
                text: text(&mut random),
                file: None,
                marks: Marks::default(),
            })?;
        }
        Ok(())
    }
}

/// 60 to 180 characters of words.
pub(crate) fn text(random: &mut Rng) -> String {
    const WORDS: [&str; 16] = [
        "the",
        "garden",
        "tomorrow",
        "with",
        "seedlings",
        "maybe",
        "after",
        "work",
        "bring",
        "coffee",
        "and",
        "please",
        "water",
        "key",
        "Saturday",
        "thanks",
    ];
    let length = 60 + random.usize(..120);
    let mut text = String::with_capacity(length + 10);
    while text.len() < length {
        text.push_str(WORDS[random.usize(..WORDS.len())]);
        text.push(' ');
    }
    text
}

fn id_of(id: i64) -> UserId {
    UserId::new(id).expect("the data set's user ids are small")
}

fn user(id: i64) -> Record {
    let change = UserChange {
        username: Some(format!("member{id}")),
        real_name: Some(format!("Member Number {id}")),
        avatar: Some(Some(format!("https://media.example.org/avatars/{id}/big.jpg"))),
        bio: Some("Grows beans, reads about bees, and answers letters on Sundays.".into()),
        location: Some("Upper Valley".into()),
        website: Some("https://example.org/".into()),
        ..UserChange::default()
    };
    Record::User { id: id_of(id), change: Box::new(change) }
}

/// The long thread, the 5,000 threads of the busy member, and the rest spread evenly over the first thousand, so that most of them have
/// about ten.
fn pairs() -> Vec<(i64, i64)> {
    let mut pairs = vec![LONG_THREAD];
    pairs.extend((2..=BUSY_THREADS + 1).map(|other| (BUSY_MEMBER, other)));
    let mut step = 1;
    while pairs.len() < THREADS {
        step += 1;
        for one in 4..=USERS {
            let other = one + step;
            if other <= USERS && pairs.len() < THREADS {
                pairs.push((one, other));
            }
        }
    }
    pairs
}
