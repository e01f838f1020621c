//! Rows on their way. A row is its values one behind the other, each behind its length in 4 bytes (-1 for none): what PostgreSQL calls
//! the binary format of `copy`. The same row of either database is the same bytes, so a checksum of them says whether two tables are equal.

use super::tables::{Class, Table};
use crate::db::{Param, Row};
use crate::error::{Result, StoreError};
use bytes::{BufMut as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// Rows of a piece at the most.
pub(super) const MAX_ROWS: usize = 10_000;

/// A piece of so many bytes takes no further row.
const FULL_BYTES: usize = 2 << 20;

/// What the binary format begins with: a signature, no flags, no further header.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The end of the binary format, where the number of a row's values would be.
const END: i16 = -1;

/// Some rows of a table, in the order of its key.
#[derive(Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Piece {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(super) const fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn push(&mut self, table: &'static Table, row: &Row<'_>) -> Result<()> {
        for (number, column) in table.columns.iter().enumerate() {
            let pushed = match column.class {
                Class::Integer => row.int_opt(number).map(|value| self.push_value(value.map(i64::to_be_bytes))),
                Class::Text => row.str_opt(number).map(|value| self.push_value(value)),
                Class::Blob => row.bytes_opt(number).map(|value| self.push_value(value)),
            };
            pushed.map_err(|_| StoreError::Inconsistent { table: table.name, what: column.name })?;
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn push_value(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => {
                let value = value.as_ref();
                // A value of 2 GiB is none of Parlour's.
                self.bytes.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
                self.bytes.put_slice(value);
            }
            None => self.bytes.put_i32(-1),
        }
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.ends.iter().enumerate().map(|(number, end)| {
            let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[start..*end]
        })
    }

    /// The key of the last row, as it stands in the row.
    pub(super) fn last_key(&self, table: &Table) -> Option<&[u8]> {
        let row = self.rows().next_back()?;
        let mut rest = row;
        for _ in 0..table.key {
            take(&mut rest)?;
        }
        Some(&row[..row.len() - rest.len()])
    }

    /// The rows as PostgreSQL takes them.
    pub(super) fn as_copy(&self, table: &Table) -> Bytes {
        let columns = i16::try_from(table.columns.len()).unwrap_or(i16::MAX);
        let mut copy = BytesMut::with_capacity(HEAD.len() + self.bytes.len() + 2 * self.len() + 2);
        copy.put_slice(HEAD);
        for row in self.rows() {
            copy.put_i16(columns);
            copy.put_slice(row);
        }
        copy.put_i16(END);
        copy.freeze()
    }
}

/// The values of a row, or the first ones of it.
pub(super) fn values<'a>(table: &Table, mut row: &'a [u8]) -> Result<Vec<Param<'a>>> {
    let broken = || StoreError::Inconsistent { table: table.name, what: "row on its way" };
    let mut values = Vec::with_capacity(table.columns.len() + 1);
    for column in table.columns {
        if row.is_empty() {
            break;
        }
        values.push(match (take(&mut row).ok_or_else(broken)?, column.class) {
            (None, _) => Param::Null,
            (Some(value), Class::Integer) => Param::Int(i64::from_be_bytes(value.try_into().map_err(|_| broken())?)),
            (Some(value), Class::Text) => Param::Text(std::str::from_utf8(value).map_err(|_| broken())?),
            (Some(value), Class::Blob) => Param::Bytes(value),
        });
    }
    Ok(values)
}

/// Takes the first value off a row: `None` where there is none, `Some(None)` where it is null.
fn take<'a>(row: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, rest) = row.split_first_chunk()?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        *row = rest;
        return Some(None);
    };
    let (value, rest) = rest.split_at_checked(length)?;
    *row = rest;
    Some(Some(value))
}

/// What is known of the rows seen so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// For each row in turn, SHA-256 of the checksum before it and of the row, so that counting can go on where it stopped.
    pub(super) checksum: [u8; 32],
}

impl Tally {
    pub(super) fn add(&mut self, piece: &Piece) {
        self.rows += piece.len() as u64;
        self.bytes += piece.bytes.len() as u64;
        for row in piece.rows() {
            self.checksum = Sha256::new_with_prefix(self.checksum).chain_update(row).finalize().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::tables::TABLES;

    #[test]
    fn what_was_put_into_a_piece_comes_out_again_and_a_torn_row_is_no_panic() {
        let table = TABLES.iter().find(|table| table.name == "idempotency_keys").unwrap();
        let mut piece = Piece::default();
        piece.push_value(Some(7_i64.to_be_bytes()));
        piece.push_value(Some("ключ"));
        let key = piece.bytes.len();
        piece.push_value(Some([0xff, 0]));
        piece.push_value(None::<&str>);
        piece.ends.push(piece.bytes.len());
        assert_eq!(piece.last_key(table).unwrap(), &piece.bytes[..key]);
        let row = values(table, &piece.bytes).unwrap();
        assert!(matches!(row[..], [Param::Int(7), Param::Text("ключ"), Param::Bytes([0xff, 0]), Param::Null]));
        for end in 0..piece.bytes.len() {
            drop(values(table, &piece.bytes[..end]));
        }
    }
}
