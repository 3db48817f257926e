//! The row of a run: what the store itself must know to order writers and find timers.

use wflo_model::Timestamp;

use super::codec::{Cursor, Malformed};

const VERSION: u8 = 1;

/// The row of a run in a store.
///
/// ```
/// use wflo_journal::RunRow;
/// let row = RunRow { head: 3, fence: 1, due: None, state: b"opaque".to_vec() };
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
        out.push(u8::from(self.due.is_some()));
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
        let due = match (from.flag()?, from.u64()?) {
            (true, due) => Some(Timestamp::from_micros(due)),
            (false, 0) => None,
            (false, _) => return Err(Malformed("a row without a timer has the time of one")),
        };
        Ok(Self { head, fence, due, state: from.rest().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let row = RunRow { head: 2, fence: 3, due: Some(Timestamp::from_micros(4)), state: b"s".to_vec() };
        assert_eq!(row.encode(), b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01\0\0\0\0\0\0\0\x04s");
    }

    proptest! {
        #[test]
        fn rows_come_back(head: u64, fence: u64, due: Option<u64>, state: Vec<u8>) {
            let row = RunRow { head, fence, due: due.map(Timestamp::from_micros), state };
            prop_assert_eq!(RunRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = RunRow::decode(&bytes);
        }
    }
}
