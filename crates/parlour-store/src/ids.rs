//! The one generator of ids for threads and messages.

use crate::db::Read;
use crate::error::{Result, StoreError};
use parlour_types::Timestamp;
use parlour_types::id::MAX_ID;
use std::time::{Duration, Instant};

/// 2026-01-01T00:00:00Z in milliseconds since 1970.
const EPOCH_MILLIS: i64 = 1_767_225_600_000;

/// Bits below the millisecond: 6 for the node (0 with the embedded database) and 6 for the number within the millisecond.
const SHIFT: u32 = 12;

/// Bits below the node.
const NODE_SHIFT: u32 = 6;

/// The highest id in use.
pub(crate) fn highest(read: &Read<'_>) -> Result<i64> {
    let mut highest = 0;
    for sql in [
        "select id from messages order by id desc limit 1",
        "select message_id from deleted_messages order by message_id desc limit 1",
        "select id from threads order by id desc limit 1",
    ] {
        highest = read.row(sql, &[], |row| row.int(0))?.unwrap_or(0).max(highest);
    }
    Ok(highest)
}

/// Numbers of nodes that there are.
#[cfg(test)]
const NODES: i64 = 64;

/// Issues ids of 53 bits: 41 bits of milliseconds since 2026 (until 2095), 6 bits of node, 6 bits of count.
///
/// Ids only ever grow. When the clock stands still or jumps back, or a millisecond is used up, counting goes on from the last
/// one issued. What was issued before a restart is read back from the database, so that no number comes twice.
#[derive(Debug, Default)]
pub(crate) struct IdGenerator {
    last: i64,
    /// An id that was asked for beyond what the lease allows.
    wanted: i64,
    node: i64,
    /// `None` where the process is alone with its database.
    lease: Option<Lease>,
    /// Whether ids may only be issued under a lease.
    shared: bool,
}

/// The right to issue ids of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    /// Whose ids.
    pub(crate) node: i64,
    /// Until when.
    pub(crate) until: Instant,
    /// Ids from here on may be another's, once the lease has ended.
    pub(crate) below: i64,
}

impl IdGenerator {
    /// A generator that issues nothing before it has a lease.
    pub(crate) fn shared() -> Self {
        Self { shared: true, ..Self::default() }
    }

    /// The smallest id that a generator without history issues at `now`.
    pub(crate) const fn floor(now: Timestamp) -> i64 {
        let millis = now.as_micros().div_euclid(1000) - EPOCH_MILLIS;
        if millis <= 0 { 1 } else { millis << SHIFT }
    }

    /// By how much ids grow in this time.
    pub(crate) fn span(time: Duration) -> i64 {
        i64::try_from(time.as_millis()).unwrap_or(MAX_ID >> SHIFT) << SHIFT
    }

    /// The id that would come next, as far as is known.
    pub(crate) fn wanted(&self) -> i64 {
        self.wanted.max(self.last)
    }

    /// Takes note of an id that is already in use.
    pub(crate) fn observe(&mut self, id: i64) {
        self.last = self.last.max(id);
    }

    /// Goes on under `lease`; without one nothing is issued any more.
    pub(crate) const fn hold(&mut self, lease: Option<Lease>) {
        self.lease = lease;
        if let Some(lease) = lease {
            self.node = lease.node;
        }
    }

    /// The next id.
    ///
    /// # Errors
    /// [`StoreError::IdsExhausted`] when none below 2^53 is left, [`StoreError::NoNode`] without a lease.
    pub(crate) fn next(&mut self, now: Timestamp) -> Result<i64> {
        let after = self.last.checked_add(1).ok_or(StoreError::IdsExhausted)?.max(Self::floor(now));
        // The bits of the node are its own: what lies before them moves up to them, what lies behind them on to the next millisecond.
        let (first, place) = (self.node << NODE_SHIFT, after & ((1 << SHIFT) - 1));
        let next = if place < first {
            after - place + first
        } else if place < first + (1 << NODE_SHIFT) {
            after
        } else {
            (((after >> SHIFT) + 1) << SHIFT) + first
        };
        if next > MAX_ID {
            return Err(StoreError::IdsExhausted);
        }
        if self.shared && !self.lease.is_some_and(|lease| next < lease.below && Instant::now() < lease.until) {
            self.wanted = next;
            return Err(StoreError::NoNode);
        }
        self.last = next;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_ids_grow_and_survive_a_double() {
        let mut ids = IdGenerator::default();
        let start = Timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        let mut last = 0;
        for count in 0..1_000_000_i64 {
            // The clock runs at 300 ids a millisecond, and jumps back an hour half way.
            let back = if count < 500_000 { 0 } else { 3_600_000_000 };
            let id = ids.next(start.plus_micros(count * 3 - back)).unwrap();
            assert!(id > last && id <= MAX_ID && id as f64 as i64 == id);
            assert_eq!(id & 0b1111_1100_0000, 0, "node bits");
            last = id;
        }
    }

    #[test]
    fn ids_already_used_are_not_issued_again_and_the_end_is_said() {
        let mut ids = IdGenerator::default();
        ids.observe(MAX_ID - 1);
        assert!(ids.next(Timestamp::from_micros(0)).is_err(), "only node bits are left below the end");
        let mut ids = IdGenerator::default();
        ids.observe(7);
        assert_eq!(ids.next(Timestamp::from_micros(0)).unwrap(), 8);
    }

    #[test]
    fn nodes_share_no_id_whatever_their_clocks_say() {
        let start = Timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        let until = Instant::now() + Duration::from_secs(600);
        let mut seen = std::collections::HashSet::new();
        for node in 0..NODES {
            let mut ids = IdGenerator::shared();
            assert!(matches!(ids.next(start), Err(StoreError::NoNode)), "nothing without a lease");
            ids.hold(Some(Lease { node, until, below: MAX_ID }));
            let mut last = 0;
            for count in 0..1_000_i64 {
                // Each clock is off by up to ten seconds, and now and then an id of another node is seen.
                if count % 97 == 0 {
                    ids.observe(IdGenerator::floor(start.plus_micros(count * 900)) + 77);
                }
                let id = ids.next(start.plus_micros(count * 40 + (node - 32) * 300_000)).unwrap();
                assert!(id > last && (id >> NODE_SHIFT) % NODES == node && seen.insert(id));
                last = id;
            }
            ids.hold(Some(Lease { node, until, below: last }));
            assert!(matches!(ids.next(start), Err(StoreError::NoNode)), "nothing beyond what was reserved");
        }
    }
}
