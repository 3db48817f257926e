//! Audit files: whoever checks one has it from somebody else.

use wflo_journal::audit;

pub(crate) fn read(bytes: &[u8]) {
    match audit::verify(bytes) {
        Ok(verified) => assert!(!verified.explain().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
