//! The wire format: a message is a run of numbered fields, each a number, eight bytes, four bytes, or a run of bytes.

use super::ProtobufFault;

/// The fields of one message, in the order of the bytes. After a fault it ends.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A field's value as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Whether all was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next bare number, as packed lists have them.
    pub(super) fn varint(&mut self) -> Result<u64, ProtobufFault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            match byte {
                2.. if shift == 63 => break,
                ..0x80 => return Ok(value),
                _ => {}
            }
        }
        Err(ProtobufFault::Overlong)
    }

    /// The next eight bytes.
    pub(super) fn fixed64(&mut self) -> Result<u64, ProtobufFault> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufFault> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(ProtobufFault::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn bytes(&mut self) -> Result<&'a [u8], ProtobufFault> {
        let length = usize::try_from(self.varint()?).map_err(|_| ProtobufFault::Truncated)?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(ProtobufFault::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn field(&mut self) -> Result<(u32, Payload<'a>), ProtobufFault> {
        let tag = self.varint()?;
        let Ok(number @ 1..=0x1fff_ffff) = u32::try_from(tag >> 3) else {
            return Err(ProtobufFault::FieldNumber(tag >> 3));
        };
        let payload = match (tag & 7) as u8 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(self.fixed64()?),
            2 => Payload::Bytes(self.bytes()?),
            5 => Payload::Fixed32(self.array().map(u32::from_le_bytes)?),
            other => return Err(ProtobufFault::WireType(other)),
        };
        Ok((number, payload))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Payload<'a>), ProtobufFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Payload<'a> {
    pub(super) fn varint(self) -> Result<u64, ProtobufFault> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(self.mismatch("a varint")) }
    }

    pub(super) fn double(self) -> Result<f64, ProtobufFault> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(self.mismatch("64 bits")) }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], ProtobufFault> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(self.mismatch("bytes")) }
    }

    pub(super) fn text(self) -> Result<&'a str, ProtobufFault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ProtobufFault::Utf8)
    }

    fn mismatch(self, wanted: &'static str) -> ProtobufFault {
        let found = match self {
            Self::Varint(_) => "a varint",
            Self::Fixed64(_) => "64 bits",
            Self::Bytes(_) => "bytes",
            Self::Fixed32(_) => "32 bits",
        };
        ProtobufFault::Mismatch { found, wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_one_after_the_other() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0];
        let fields: Vec<_> = Reader::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(
            fields,
            [
                (1, Payload::Varint(150)),
                (2, Payload::Bytes(b"hi")),
                (3, Payload::Fixed32(1)),
                (4, Payload::Fixed64(2)),
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_named_and_ends_the_message() {
        for (bytes, fault) in [
            (&[0x08][..], ProtobufFault::Truncated),
            (&[0x12, 5, 1], ProtobufFault::Truncated),
            (&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], ProtobufFault::Truncated),
            (&[0x21, 1, 2, 3], ProtobufFault::Truncated),
            (&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02], ProtobufFault::Overlong),
            (
                &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
                ProtobufFault::Overlong,
            ),
            (&[0x00], ProtobufFault::FieldNumber(0)),
            (&[0x80, 0x80, 0x80, 0x80, 0x10], ProtobufFault::FieldNumber(1 << 29)),
            (&[0x0b, 0x0c], ProtobufFault::WireType(3)),
        ] {
            let read: Vec<_> = Reader::new(bytes).collect();
            assert_eq!(read, [Err(fault)], "{bytes:x?}");
        }
        let most = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(&most).next(), Some(Ok((1, Payload::Varint(u64::MAX)))));
    }
}
