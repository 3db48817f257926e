//! Records of the journal: what is read is what was written, and what was not written is refused.

use wflo_journal::{Header, RunRow};

pub(crate) fn read(bytes: &[u8]) {
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(header.encode(), bytes, "another header has the same bytes");
    }
    if let Ok(row) = RunRow::decode(bytes) {
        assert_eq!(RunRow::decode(&row.encode()), Ok(row));
    }
}
