//! Records of the store: any bytes are refused or read, and what is read is written again byte for byte.

use detectviz_storage::embedded::reread_record;

/// Bytes of a file, then the same as the body of a record whose length and checksum are right: no fuzzer guesses those.
pub(crate) fn store_record(data: &[u8]) {
    check(data);
    let Ok(length) = u32::try_from(data.len()) else { return };
    let crc = crc32fast::hash(data);
    check(&[&length.to_le_bytes()[..], &crc.to_le_bytes(), data].concat());
}

fn check(bytes: &[u8]) {
    if let Some((written, length)) = reread_record(bytes) {
        assert_eq!(bytes.get(..length), Some(&*written));
    }
}
