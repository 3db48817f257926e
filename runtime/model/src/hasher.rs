//! A digest of bytes that come one after another.

use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Takes bytes piece by piece and gives the SHA-256 of all of them.
///
/// ```
/// use wflo_model::{Digest, Hasher};
/// let mut hasher = Hasher::default();
/// hasher.update(b"hel");
/// hasher.update(b"lo");
/// assert_eq!(hasher.finish(), Digest::of(b"hello"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}
