//! One record is one write, and can be trusted or not by itself. The encoding is frozen; numbers are little-endian:
//!
//! ```text
//! u32 length of the body | u32 crc32 of the body | body
//! body: u64 revision | u64 create revision | u16 position in its batch | u8 kind | u32 length of the key | key | value
//! ```
//!
//! The position names the batch (`revision - position` is its first revision). Batches are synced one by one, so that a
//! bad record followed by a good one of the same batch is a torn write, and one of a later batch is damage.

use crate::Revision;

/// The length and the checksum.
const HEADER: usize = 8;

/// The fixed part of the body.
const FIXED: usize = 8 + 8 + 2 + 1 + 4;

/// The largest sum of key and value.
pub(super) const MAX_DATA: usize = 16 << 20;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The key was written.
    Put = 1,
    /// The key was removed.
    Delete = 2,
    /// The last record of a checkpoint: `revision` is the checkpoint's, `create_revision` the number of records before.
    End = 3,
}

/// A record, borrowed from what was read or is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) revision: Revision,
    pub(super) create_revision: Revision,
    pub(super) position: u16,
    pub(super) kind: Kind,
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
}

impl<'a> Record<'a> {
    /// Appends the encoding. The key and value together are at most [`MAX_DATA`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (key, value) = (self.key.as_bytes(), self.value);
        out.extend_from_slice(&u32_of(FIXED + key.len() + value.len()));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.create_revision.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
        out.push(self.kind as u8);
        out.extend_from_slice(&u32_of(key.len()));
        out.extend_from_slice(key);
        out.extend_from_slice(value);
        let crc = crc32fast::hash(&out[start + HEADER..]);
        out[start + 4..start + HEADER].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the record at the start of `bytes`, and its encoded length; the error says what is wrong.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<(Self, usize), &'static str> {
        let (length, rest) = take_u32(bytes).ok_or("record is cut off")?;
        let (crc, rest) = take_u32(rest).ok_or("record is cut off")?;
        if !(FIXED..=FIXED + MAX_DATA).contains(&length) {
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
        let (revision, rest) = body.split_first_chunk()?;
        let (create_revision, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let (key_length, rest) = take_u32(rest)?;
        let (key, value) = rest.split_at_checked(key_length)?;
        Some(Self {
            revision: Revision::from_le_bytes(*revision),
            create_revision: Revision::from_le_bytes(*create_revision),
            position: u16::from_le_bytes(*position),
            kind: [Kind::Put, Kind::Delete, Kind::End].into_iter().find(|known| *known as u8 == *kind)?,
            key: std::str::from_utf8(key).ok()?,
            value,
        })
    }

    /// The first revision of the batch that the record was written in.
    pub(super) fn batch(&self) -> Revision {
        self.revision.saturating_sub(self.position.into())
    }
}

fn u32_of(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("the writer refuses data above MAX_DATA").to_le_bytes()
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'_> = Record {
        revision: 0x0102,
        create_revision: 3,
        position: 4,
        kind: Kind::Put,
        key: "/k",
        value: b"{}",
    };

    #[test]
    fn the_encoding_is_frozen() {
        let mut bytes = Vec::new();
        RECORD.encode(&mut bytes);
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
        assert_eq!(bytes, expected);
    }

    #[test]
    fn no_single_flipped_bit_goes_unseen() {
        let mut bytes = Vec::new();
        RECORD.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Ok((RECORD, bytes.len())));
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
