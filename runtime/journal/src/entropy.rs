//! Randomness of the operating system.

use wflo_ports::{Entropy, SystemEntropyError};

/// Draws randomness from the operating system.
///
/// ```
/// use wflo_journal::SystemEntropy;
/// use wflo_ports::Entropy;
/// let mut bytes = [0; 32];
/// SystemEntropy.fill(&mut bytes).unwrap();
/// assert_ne!(bytes, [0; 32]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
        getrandom::fill(bytes).map_err(|error| SystemEntropyError { message: error.to_string() })
    }
}

/// Draws `N` bytes.
pub(crate) fn draw<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], SystemEntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
