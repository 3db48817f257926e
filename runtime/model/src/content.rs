//! Content with its digest.

use std::fmt;
use std::sync::Arc;

use crate::Digest;

/// Bytes and the digest of them, which is taken once, however far they are passed on. Cloning it copies no bytes.
///
/// ```
/// use wflo_model::{Content, Digest};
/// let component = Content::new(b"\0asm".to_vec());
/// assert_eq!(component.digest(), Digest::of(b"\0asm"));
/// assert_eq!(component.bytes(), b"\0asm");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    digest: Digest,
    bytes: Arc<Vec<u8>>,
}

impl Content {
    /// Takes the digest of `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), bytes: Arc::new(bytes) }
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("digest", &self.digest).field("bytes", &self.bytes.len()).finish()
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}
