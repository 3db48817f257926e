//! Names that no statement of a guest can spell.

use std::fmt::Write as _;

use wflo_ports::{DbError, Entropy};

use crate::SystemEntropy;

/// Begins the names of temporary things of the host, differently each time: `wflo_` and 128 bits.
///
/// It is made of letters, digits and `_` alone, so that a text which names such a thing has it in one piece, whatever
/// quotes are around it.
///
/// # Errors
/// When the system has no randomness to give.
pub(super) fn unguessable() -> Result<String, DbError> {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes).map_err(|error| DbError::Other(error.to_string()))?;
    Ok(bytes.iter().fold("wflo_".to_owned(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("text takes whatever is written to it");
        name
    }))
}
