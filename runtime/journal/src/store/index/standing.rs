//! How far the index has come.
//!
//! Version 1: `01 ‖ store16 ‖ salt8 ‖ checkpoint8 ‖ place8 ‖ next8 ‖ link4`, with the checksum that every value has.

use wflo_model::StoreId;

use crate::record::{Cursor, Malformed};
use crate::store::log::{End, Place, Salt};

const VERSION: u8 = 1;

/// What an index says of itself: which log it is of, and up to where everything in that log is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Standing {
    pub(in crate::store) store: StoreId,
    pub(in crate::store) salt: Salt,
    /// How many checkpoints there have been: one more each time.
    pub(in crate::store) checkpoint: u64,
    /// The first record that may not be in it.
    pub(in crate::store) end: End,
}

impl Standing {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(self.store.as_bytes());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.checkpoint.to_be_bytes());
        out.extend_from_slice(&self.end.at.as_u64().to_be_bytes());
        out.extend_from_slice(&self.end.next.to_be_bytes());
        out.extend_from_slice(&self.end.link.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let out = Self {
            store: StoreId::from_bytes(from.array()?),
            salt: from.array()?,
            checkpoint: from.u64()?,
            end: End { at: Place::from_u64(from.u64()?), next: from.u64()?, link: from.u32()? },
        };
        from.finish()?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let standing = Standing {
            store: StoreId::from_bytes([0xaa; 16]),
            salt: *b"saltsalt",
            checkpoint: 0x0102,
            end: End { at: Place::new(3, 0x0405), next: 0x0607, link: 0x0809_0a0b },
        };
        let expect = [
            &b"\x01"[..],
            &[0xaa; 16],
            b"saltsalt\0\0\0\0\0\0\x01\x02\0\0\0\x03\0\0\x04\x05\0\0\0\0\0\0\x06\x07\x08\x09\x0a\x0b",
        ];
        assert_eq!(standing.encode(), expect.concat());
        assert_eq!(Standing::decode(&expect.concat()).unwrap(), standing);
        assert!(Standing::decode(&expect.concat()[1..]).is_err());
    }
}
