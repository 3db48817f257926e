//! The row of a run: what the store itself must know to order writers and find timers.

use wflo_model::Timestamp;

use super::codec::{Cursor, Malformed};

const VERSION: u8 = 1;
/// Bit of the flags: there is a timer.
const HAS_DUE: u8 = 1;
/// Bit of the flags: the run has ended.
const ENDED: u8 = 2;

/// The row of a run in a store.
///
/// ```
/// use wflo_journal::RunRow;
/// let row = RunRow { head: 3, fence: 1, due: None, ended: false, state: b"opaque".to_vec() };
/// assert_eq!(RunRow::decode(&row.encode()).unwrap(), row);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The newest event.
    pub head: u64,
    /// The number of the newest writer.
    pub fence: u64,
    /// When the run wants to be looked at again.
    pub due: Option<Timestamp>,
    /// Whether nothing is left to do: the run is not among the unfinished ones.
    pub ended: bool,
    /// What the layer above keeps with the run; opaque to the store.
    pub state: Vec<u8>,
}

impl RunRow {
    /// The encoding, version 1.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Four more than its length: the checksum goes behind it.
        let mut out = Vec::with_capacity(30 + self.state.len());
        out.push(VERSION);
        out.extend_from_slice(&self.head.to_be_bytes());
        out.extend_from_slice(&self.fence.to_be_bytes());
        out.push(if self.due.is_some() { HAS_DUE } else { 0 } | if self.ended { ENDED } else { 0 });
        out.extend_from_slice(&self.due.unwrap_or_default().micros().to_be_bytes());
        out.extend_from_slice(&self.state);
        out
    }

    /// Reads what [`RunRow::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are no row of version 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let head = from.u64()?;
        let fence = from.u64()?;
        let flags = from.u8()?;
        if flags & !(HAS_DUE | ENDED) != 0 {
            return Err(Malformed("the row has an unknown flag"));
        }
        let due = match (flags & HAS_DUE, from.u64()?) {
            (HAS_DUE, due) => Some(Timestamp::from_micros(due)),
            (_, 0) => None,
            _ => return Err(Malformed("a row without a timer has the time of one")),
        };
        Ok(Self { head, fence, due, ended: flags & ENDED != 0, state: from.rest().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let due = Some(Timestamp::from_micros(4));
        let row = RunRow { head: 2, fence: 3, due, ended: false, state: b"s".to_vec() };
        assert_eq!(row.encode(), b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01\0\0\0\0\0\0\0\x04s");
        let ended = RunRow { due: None, ended: true, ..row };
        assert_eq!(ended.encode(), b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x02\0\0\0\0\0\0\0\0s");
        let mut unknown = ended.encode();
        unknown[17] = 4;
        assert_eq!(RunRow::decode(&unknown).unwrap_err().to_string(), "the row has an unknown flag");
    }

    proptest! {
        #[test]
        fn rows_come_back(head: u64, fence: u64, due: Option<u64>, ended: bool, state: Vec<u8>) {
            let row = RunRow { head, fence, due: due.map(Timestamp::from_micros), ended, state };
            prop_assert_eq!(RunRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = RunRow::decode(&bytes);
        }
    }
}
