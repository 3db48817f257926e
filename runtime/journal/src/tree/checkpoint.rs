//! C2SP tlog-checkpoints (<https://c2sp.org/tlog-checkpoint>): the size and root of a tree.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use wflo_model::{Digest, StoreId};

use super::note::{BadNote, Note, VerifierKey, sign};

/// The size and root of the audit tree of a store.
///
/// ```
/// use wflo_journal::Checkpoint;
/// use wflo_model::{Digest, StoreId};
/// let origin = Checkpoint::origin_of(StoreId::from_bytes([7; 16]));
/// let checkpoint = Checkpoint { origin, size: 3, root: Digest::ZERO };
/// assert_eq!(checkpoint.to_string().lines().nth(1), Some("3"));
/// assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which tree: also the name under which its key signs.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Digest,
}

impl Checkpoint {
    /// The origin of the tree of a store.
    #[must_use]
    pub fn origin_of(store: StoreId) -> String {
        format!("wflo-store/{store}")
    }

    pub(crate) fn sign(&self, key: &SigningKey) -> String {
        sign(&self.origin, &self.to_string(), &[key])
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }
}

impl FromStr for Checkpoint {
    type Err = BadNote;

    fn from_str(text: &str) -> Result<Self, BadNote> {
        let bad = BadNote("its text is no checkpoint");
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next(), lines.next(), lines.next());
        let size = size.and_then(|size| size.parse().ok()).ok_or(bad)?;
        let root = root.and_then(|root| STANDARD.decode(root).ok()).ok_or(bad)?;
        let root = Digest::from_bytes(root.try_into().map_err(|_| bad)?);
        let this = Self { origin: origin.unwrap_or_default().to_owned(), size, root };
        // Other lines may be in checkpoints of other logs; wflo writes none, and there is one way to write these.
        if this.to_string() == text && !this.origin.is_empty() { Ok(this) } else { Err(bad) }
    }
}

/// A checkpoint as it was read, with its note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedCheckpoint<'a> {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note<'a>,
}

impl<'a> SignedCheckpoint<'a> {
    pub(crate) fn parse(note: &'a str) -> Result<Self, BadNote> {
        let note = Note::parse(note)?;
        Ok(Self { checkpoint: note.text.parse()?, note })
    }

    pub(crate) fn is_signed_by(&self, key: &VerifierKey) -> bool {
        key.name() == self.checkpoint.origin && self.note.is_signed_by(key)
    }
}
