//! The one generator of ids for threads and messages.

use parlour_types::Timestamp;
use parlour_types::id::MAX_ID;

/// 2026-01-01T00:00:00Z in milliseconds since 1970.
const EPOCH_MILLIS: i64 = 1_767_225_600_000;

/// Bits below the millisecond: 6 for the node (0 with the embedded database) and 6 for the number within the millisecond.
const SHIFT: u32 = 12;

/// Issues ids of 53 bits: 41 bits of milliseconds since 2026 (until 2095), 6 bits of node, 6 bits of count.
///
/// Ids only ever grow. When the clock stands still or jumps back, or a millisecond is used up, counting goes on from the last
/// one issued. What was issued before a restart is read back from the database, so that no number comes twice.
#[derive(Debug, Default)]
pub(crate) struct IdGenerator {
    last: i64,
}

impl IdGenerator {
    /// The smallest id that a generator without history issues at `now`.
    pub(crate) const fn floor(now: Timestamp) -> i64 {
        let millis = now.as_micros().div_euclid(1000) - EPOCH_MILLIS;
        if millis <= 0 { 1 } else { millis << SHIFT }
    }

    /// Takes note of an id that is already in use.
    pub(crate) fn observe(&mut self, id: i64) {
        self.last = self.last.max(id);
    }

    /// The next id, or `None` when none below 2^53 is left.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<i64> {
        let after = self.last.checked_add(1)?;
        // The node's bits stay 0: a full millisecond (64 ids) moves on to the next one.
        let after = if after & 0b1111_1100_0000 == 0 { after } else { ((after >> SHIFT) + 1) << SHIFT };
        let next = after.max(Self::floor(now));
        (next <= MAX_ID).then(|| {
            self.last = next;
            next
        })
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
        assert_eq!(ids.next(Timestamp::from_micros(0)), None, "only node bits are left below the end");
        let mut ids = IdGenerator::default();
        ids.observe(7);
        assert_eq!(ids.next(Timestamp::from_micros(0)), Some(8));
    }
}
