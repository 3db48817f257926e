//! The checksum around every value of the store.

use crate::error::ReadError;
use crate::key;

/// Bytes that [`frame`] adds.
pub(crate) const CHECKSUM: usize = 4;

/// Appends the CRC-32 (IEEE) of key and value. The key is in it, so that a value in the wrong place is seen.
///
/// It finds damage, not forgery: that is what the seal and the chain are for.
pub(crate) fn frame(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, &value);
    value.extend_from_slice(&sum);
    value
}

/// Checks and takes off what [`frame`] added.
pub(crate) fn unframe(key: &[u8], mut framed: Vec<u8>) -> Result<Vec<u8>, ReadError> {
    let corrupt = |what| Err(ReadError::corrupt(key::show(key), what));
    let Some(end) = framed.len().checked_sub(CHECKSUM) else {
        return corrupt("the record is cut short");
    };
    if checksum(key, &framed[..end]) != framed[end..] {
        return corrupt("the checksum does not fit");
    }
    framed.truncate(end);
    Ok(framed)
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    crc.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        assert_eq!(frame(b"12345", b"6789".to_vec()), b"6789\xcb\xf4\x39\x26", "the check value of CRC-32");
    }

    proptest! {
        #[test]
        fn values_come_back(key: Vec<u8>, value: Vec<u8>) {
            prop_assert_eq!(unframe(&key, frame(&key, value.clone())).unwrap(), value);
        }

        #[test]
        fn any_flipped_bit_is_seen(key: Vec<u8>, value: Vec<u8>, place: prop::sample::Index, bit in 0..8u8) {
            let mut framed = frame(&key, value);
            let place = place.index(framed.len());
            framed[place] ^= 1 << bit;
            prop_assert!(unframe(&key, framed).is_err());
        }
    }
}
