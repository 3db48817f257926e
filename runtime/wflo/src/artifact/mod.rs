//! Artifacts: bytes of any size that a step makes or fetches, and hands on by reference.
//!
//! The bytes are blobs of the run, in pieces, sealed with its key; a blob more lists the pieces ([`index`]), and its name
//! is what the journal has. One is written in [`writing`] and read from [`shelf`]; what an attempt has of both is its
//! [`desk`]. The calls around them ([`call`]) are journaled as any others, and so an artifact is there when the event that
//! names it is, and not before.

mod call;
mod desk;
mod index;
mod receive;
mod shelf;
mod view;
mod writing;

pub(crate) use call::{ArtifactCall, HTTP, STORE, Save, artifact_of, saved};
pub(crate) use desk::Desk;
pub(crate) use receive::Receiving;
pub(crate) use shelf::{Pieces, Shelf, Unreadable};
pub use view::{ArtifactReader, ArtifactView};
pub(crate) use writing::{Unkept, Writing};
