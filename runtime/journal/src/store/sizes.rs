//! How large the parts of a store become.

use super::log::SEGMENT;

/// How large the parts of a [`SledStore`](super::SledStore) become. They are no part of its format: a store may be
/// opened with others each time, as tests do that want many small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Bytes of a segment of the log, after which the next one is begun.
    pub segment: u32,
    /// Bytes of log after which the index is brought up to date. A store that was killed reads as many again when it
    /// is opened, and holds as many in memory at most, but for what comes in meanwhile.
    pub checkpoint: u64,
    /// Bytes of log for which the index is brought up to date when the store is closed. Fewer are read again.
    pub at_the_end: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { segment: SEGMENT, checkpoint: 8 << 20, at_the_end: 256 << 10 }
    }
}
