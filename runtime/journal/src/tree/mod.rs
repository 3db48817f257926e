//! The audit tree: one list of where every run stood, that only grows, and whose signed checkpoints can be kept
//! elsewhere.
//!
//! A chain proves that a run was not changed in its middle, and to whoever rewrites it as a whole, nothing. So now and
//! then, for each run that has moved, [`Journal::checkpoint`](crate::Journal::checkpoint) appends (run, newest event,
//! its hash) to a Merkle tree as RFC 6962 hashes it, and signs its size and root with Ed25519: a C2SP tlog-checkpoint,
//! in a C2SP signed note. Whoever has kept one checkpoint can tell that nothing under it was rewritten.
//!
//! The tree has no store of its own: it is a log like a run's, under a reserved id, sealed and fenced as they are.

mod checkpoint;
mod keys;
mod leaf;
mod log;
mod merkle;
mod moved;
mod note;
mod record;
mod rotation;

pub use checkpoint::Checkpoint;
pub use log::CheckpointError;
pub use note::{BadKey, BadNote, VerifierKey};

pub(crate) use checkpoint::SignedCheckpoint;
pub(crate) use leaf::Leaf;
pub(crate) use log::{Evidence, Tree};
pub(crate) use merkle::{is_consistent, is_included};
pub(crate) use moved::{MARKER, Moved};
pub(crate) use rotation::Rotation;
