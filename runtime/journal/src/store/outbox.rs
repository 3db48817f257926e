//! What waits to leave: rows by the time when they are due.

use wflo_model::Timestamp;

/// Where something stands that waits to leave. The order is that of the time when it is due.
///
/// ```
/// use wflo_journal::OutboxKey;
/// use wflo_model::Timestamp;
/// let soon = OutboxKey { due: Timestamp::from_micros(1), id: [9; 16] };
/// let late = OutboxKey { due: Timestamp::from_micros(2), id: [0; 16] };
/// assert!(soon < late);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxKey {
    /// When it is to be tried.
    pub due: Timestamp,
    /// Which it is: the same however often it is tried.
    pub id: [u8; 16],
}

/// Something that waits to leave, as a store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Where it stands.
    pub key: OutboxKey,
    /// What it is, opaque.
    pub value: Vec<u8>,
}

/// A change of what waits, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxChange {
    /// What waits no longer, or not there. All of it must still be there: whoever else has taken one has taken it.
    pub remove: Vec<OutboxKey>,
    /// What waits from now on.
    pub put: Vec<OutboxRow>,
}
