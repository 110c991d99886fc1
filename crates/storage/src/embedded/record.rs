//! One record is one write, and can be trusted or not by itself. The encoding is frozen; numbers are little-endian:
//!
//! ```text
//! u32 length of the body | u32 crc32 of the body | body
//! body: u64 revision | u64 create revision | u16 position in its batch | u8 kind | u32 length of the key | key | value
//! ```
//!
//! The value of a write that ends begins with `u64 seconds since 1970`. The position names the batch (`revision -
//! position` is its first revision). Batches are synced one by one, so that a bad record followed by a good one of the
//! same batch is a torn write, and one of a later batch is damage.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Event, EventKind, KeyValue, Op, Revision,
    index::{Deadline, Entry, Write},
};

/// The length and the checksum.
const HEADER: usize = 8;

/// The fixed part of the body.
const FIXED: usize = 8 + 8 + 2 + 1 + 4;

/// What a deadline adds.
const DEADLINE: usize = 8;

/// The largest sum of key and value.
pub(super) const MAX_DATA: usize = 16 << 20;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The key was written.
    Put = 1,
    /// The key was removed.
    Delete = 2,
    /// The last record of a file that was written as a whole; see there for what its numbers mean.
    End = 3,
    /// The key was written, and ends at a deadline.
    PutUntil = 4,
    /// A part of a checkpoint, in a manifest; see there.
    Part = 5,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Put, Self::Delete, Self::End, Self::PutUntil, Self::Part];
}

/// A record, borrowed from what was read or is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) revision: Revision,
    pub(super) create_revision: Revision,
    pub(super) position: u16,
    pub(super) kind: Kind,
    /// Of [`Kind::PutUntil`], and only of that; else 0.
    pub(super) deadline: Deadline,
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
}

impl<'a> Record<'a> {
    /// A write as it stands in the log.
    pub(super) fn of_event(event: &'a Event, position: u16, expires: Option<Deadline>) -> Self {
        let (kind, value) = match &event.kind {
            EventKind::Put { value, .. } => (put(expires), &value[..]),
            EventKind::Delete { .. } => (Kind::Delete, &[][..]),
        };
        let Event { key, revision, create_revision, .. } = event;
        let (revision, create_revision) = (*revision, *create_revision);
        Self { revision, create_revision, position, kind, deadline: expires.unwrap_or(0), key, value }
    }

    /// A key as it stands in a part.
    pub(super) fn of_entry(entry: &'a Entry) -> Self {
        let KeyValue { key, value, create_revision, mod_revision: revision } = &entry.key_value;
        let (revision, create_revision, kind) = (*revision, *create_revision, put(entry.expires));
        let deadline = entry.expires.unwrap_or(0);
        Self { revision, create_revision, position: 0, kind, deadline, key, value }
    }

    /// The end of a file.
    pub(super) fn end(revision: Revision, create_revision: u64) -> Record<'static> {
        let (position, kind, deadline, key, value) = (0, Kind::End, 0, "", &b""[..]);
        Record { revision, create_revision, position, kind, deadline, key, value }
    }

    /// Appends the encoding. The key and value together are at most [`MAX_DATA`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (key, value) = (self.key.as_bytes(), self.value);
        let deadline = self.deadline.to_le_bytes();
        let deadline = if self.kind == Kind::PutUntil { &deadline[..] } else { &[] };
        out.extend_from_slice(&u32_of(FIXED + key.len() + deadline.len() + value.len()));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.create_revision.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
        out.push(self.kind as u8);
        out.extend_from_slice(&u32_of(key.len()));
        out.extend_from_slice(key);
        out.extend_from_slice(deadline);
        out.extend_from_slice(value);
        let crc = crc32fast::hash(&out[start + HEADER..]);
        out[start + 4..start + HEADER].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the record at the start of `bytes`, and its encoded length; the error says what is wrong.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<(Self, usize), &'static str> {
        let (length, rest) = take_u32(bytes).ok_or("record is cut off")?;
        let (crc, rest) = take_u32(rest).ok_or("record is cut off")?;
        if !(FIXED..=FIXED + DEADLINE + MAX_DATA).contains(&length) {
            return Err("record has an impossible length");
        }
        let body = rest.get(..length).ok_or("record is cut off")?;
        let record = Self::decode_body(body).ok_or("record does not parse")?;
        if crc32fast::hash(body) as usize != crc {
            return Err("record has a wrong checksum");
        }
        Ok((record, HEADER + length))
    }

    fn decode_body(body: &'a [u8]) -> Option<Self> {
        let (revision, rest) = take_u64(body)?;
        let (create_revision, rest) = take_u64(rest)?;
        let (position, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == *kind)?;
        let (key_length, rest) = take_u32(rest)?;
        let (key, rest) = rest.split_at_checked(key_length)?;
        let (deadline, value) = if kind == Kind::PutUntil { take_u64(rest)? } else { (0, rest) };
        let (position, key) = (u16::from_le_bytes(*position), std::str::from_utf8(key).ok()?);
        Some(Self { revision, create_revision, position, kind, deadline, key, value })
    }

    /// The first revision of the batch that the record was written in.
    pub(super) fn batch(&self) -> Revision {
        self.revision.saturating_sub(self.position.into())
    }

    /// What to write again when a log is replayed; `None` for a record that belongs in no log.
    pub(super) fn write(&self) -> Option<Write> {
        let (op, expires) = match self.kind {
            Kind::Put => (Op::Put(Bytes::copy_from_slice(self.value)), None),
            Kind::PutUntil => (Op::Put(Bytes::copy_from_slice(self.value)), Some(self.deadline)),
            Kind::Delete => (Op::Delete, None),
            Kind::End | Kind::Part => return None,
        };
        let (revision, create_revision) = (self.revision, self.create_revision);
        Some(Write { key: self.key.into(), revision, create_revision, op, expires })
    }

    /// The entry that a part keeps; `None` for a record that belongs in no part. The value is copied: a slice of the
    /// whole file would keep all of it in memory as long as any of its keys lives.
    pub(super) fn entry(&self) -> Option<Arc<Entry>> {
        let Write { key, revision: mod_revision, create_revision, op, expires } = self.write()?;
        let Op::Put(value) = op else { return None };
        Some(Arc::new(Entry { key_value: KeyValue { key, value, create_revision, mod_revision }, expires }))
    }
}

fn put(expires: Option<Deadline>) -> Kind {
    if expires.is_some() { Kind::PutUntil } else { Kind::Put }
}

/// For fuzzing: the record at the start of `bytes`, written anew, and its length.
#[doc(hidden)]
pub fn reread_record(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (record, length) = Record::decode(bytes).ok()?;
    let mut written = Vec::new();
    record.encode(&mut written);
    Some((written, length))
}

fn u32_of(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("the writer refuses data above MAX_DATA").to_le_bytes()
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

/// The number at the start of `bytes`, and the rest.
pub(super) fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'_> = Record {
        revision: 0x0102,
        create_revision: 3,
        position: 4,
        kind: Kind::Put,
        deadline: 0,
        key: "/k",
        value: b"{}",
    };

    const ENDING: Record<'_> = Record { kind: Kind::PutUntil, deadline: 0x0506, ..RECORD };

    fn encoded(record: &Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_encoding_is_frozen() {
        let expected: &[u8] = &[
            27, 0, 0, 0, // length
            0xa6, 0x12, 0x02, 0x38, // checksum
            2, 1, 0, 0, 0, 0, 0, 0, // revision
            3, 0, 0, 0, 0, 0, 0, 0, // create revision
            4, 0, // position
            1, // put
            2, 0, 0, 0, b'/', b'k', // key
            b'{', b'}', // value
        ];
        assert_eq!(encoded(&RECORD), expected);
        let expected: &[u8] = &[
            35, 0, 0, 0, // length
            0x1c, 0xc0, 0xc5, 0x7b, // checksum
            2, 1, 0, 0, 0, 0, 0, 0, // revision
            3, 0, 0, 0, 0, 0, 0, 0, // create revision
            4, 0, // position
            4, // put until
            2, 0, 0, 0, b'/', b'k', // key
            6, 5, 0, 0, 0, 0, 0, 0, // deadline
            b'{', b'}', // value
        ];
        assert_eq!(encoded(&ENDING), expected);
    }

    #[test]
    fn no_single_flipped_bit_goes_unseen() {
        for record in [RECORD, ENDING] {
            let mut bytes = encoded(&record);
            assert_eq!(Record::decode(&bytes), Ok((record, bytes.len())));
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(Record::decode(&bytes).is_err(), "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for length in 0..bytes.len() {
                assert!(Record::decode(&bytes[..length]).is_err(), "length {length}");
            }
        }
    }
}
