//! Places in a log.

use std::fmt;

/// A place in a log: a segment, and a byte of it. They are ordered as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Place(u64);

impl Place {
    pub(in crate::store) const fn new(segment: u32, byte: u32) -> Self {
        Self((segment as u64) << 32 | byte as u64)
    }

    pub(in crate::store) const fn from_u64(place: u64) -> Self {
        Self(place)
    }

    pub(in crate::store) const fn as_u64(self) -> u64 {
        self.0
    }

    pub(in crate::store) const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(in crate::store) const fn byte(self) -> u32 {
        self.0 as u32
    }

    /// The place so many bytes further on in the same segment.
    pub(in crate::store) const fn plus(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`log/{:08}`, byte {}", self.segment(), self.byte())
    }
}
