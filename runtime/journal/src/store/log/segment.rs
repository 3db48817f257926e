//! A segment of the log: a file that begins with who it belongs to and what comes before it.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `wflo log` |
//! | 8 | 4 | version, 2 |
//! | 12 | 4 | number of the segment, from 1 |
//! | 16 | 16 | id of the store |
//! | 32 | 8 | salt of the generation |
//! | 40 | 8 | number of its first record |
//! | 48 | 4 | link: the checksum of the record before that; zero for the first of a generation |
//! | 52 | 4 | bytes of the segment before, as far as there are records in it |
//! | 56 | 4 | zeros |
//! | 60 | 4 | CRC-32 of the 60 bytes before |

use wflo_model::StoreId;

use super::record::Salt;
use crate::record::Cursor;

/// Bytes before the first record.
pub(in crate::store) const FRONT: u32 = 64;
const MAGIC: [u8; 8] = *b"wflo log";
const VERSION: u32 = 2;

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Front {
    pub(in crate::store) segment: u32,
    pub(in crate::store) store: StoreId,
    pub(in crate::store) salt: Salt,
    /// The number of its first record.
    pub(in crate::store) first: u64,
    /// The checksum of the record before that.
    pub(in crate::store) link: u32,
    /// How far the records of the segment before go.
    pub(in crate::store) before: u32,
}

impl Front {
    pub(in crate::store) fn encode(&self) -> [u8; FRONT as usize] {
        let mut out = [0; FRONT as usize];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_be_bytes());
        out[12..16].copy_from_slice(&self.segment.to_be_bytes());
        out[16..32].copy_from_slice(self.store.as_bytes());
        out[32..40].copy_from_slice(&self.salt);
        out[40..48].copy_from_slice(&self.first.to_be_bytes());
        out[48..52].copy_from_slice(&self.link.to_be_bytes());
        out[52..56].copy_from_slice(&self.before.to_be_bytes());
        let sum = crc32fast::hash(&out[..60]);
        out[60..].copy_from_slice(&sum.to_be_bytes());
        out
    }

    /// What a file says that begins with these bytes; none where they are damaged, or not all there.
    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FRONT as usize)?;
        if crc32fast::hash(&bytes[..60]).to_be_bytes() != bytes[60..] {
            return None;
        }
        let mut from = Cursor::new(bytes.strip_prefix(&MAGIC)?);
        if from.u32().ok()? != VERSION {
            return None;
        }
        Some(Self {
            segment: from.u32().ok()?,
            store: StoreId::from_bytes(from.array().ok()?),
            salt: from.array().ok()?,
            first: from.u64().ok()?,
            link: from.u32().ok()?,
            before: from.u32().ok()?,
        })
    }
}

/// The name of a segment's file.
pub(in crate::store) fn file_name(segment: u32) -> String {
    format!("{segment:08}")
}

/// The segment whose file has this name.
pub(in crate::store) fn parse_name(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (file_name(number) == name && number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front() -> Front {
        Front {
            segment: 0x0102,
            store: StoreId::from_bytes([0xaa; 16]),
            salt: *b"saltsalt",
            first: 0x0304,
            link: 0x0506_0708,
            before: 0x090a,
        }
    }

    #[test]
    fn golden_bytes() {
        let bytes = front().encode();
        let expect = [
            &b"wflo log\0\0\0\x02\0\0\x01\x02"[..],
            &[0xaa; 16],
            b"saltsalt\0\0\0\0\0\0\x03\x04\x05\x06\x07\x08\0\0\x09\x0a\0\0\0\0",
        ];
        assert_eq!(bytes[..60], expect.concat());
        assert_eq!(bytes[60..], GOLDEN_SUM);
        assert_eq!(Front::decode(&bytes), Some(front()));
    }

    const GOLDEN_SUM: [u8; 4] = [247, 176, 120, 23];

    #[test]
    fn any_damaged_byte_is_seen() {
        let bytes = front().encode();
        for place in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[place] ^= 1 << (place % 8);
            assert_eq!(Front::decode(&damaged), None, "byte {place}");
            assert_eq!(Front::decode(&bytes[..place]), None, "{place} bytes");
        }
    }

    #[test]
    fn names_come_back() {
        assert_eq!(file_name(7), "00000007");
        assert_eq!(parse_name("00000007"), Some(7));
        for name in ["7", "00000000", "0000000a", "000000007", "00000007.tmp", ""] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
