//! The seam between a guest's artifacts and whoever keeps their bytes.

use async_trait::async_trait;
use wflo_model::{Artifact, ArtifactName, CallError};

use crate::Stop;

/// Keeps the bytes of artifacts for an attempt. Nothing here is journaled: what is written is seen by nobody before the
/// call that finishes it, and what is read follows from a digest that the journal has.
///
/// It comes out the same in every replay: what is written makes the same digests, and what is read is the same bytes.
#[async_trait]
pub trait Artifacts: Send {
    /// Begins an artifact; gives the number by which it is written.
    ///
    /// # Errors
    /// The inner error is the guest's: too many are open at a time, or the name is taken.
    fn create(&mut self, name: ArtifactName) -> Result<u32, CallError>;

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Stop::Fault`] for more than the attempt may write, [`Stop::Host`] where they cannot be kept.
    async fn write(&mut self, writer: u32, bytes: &[u8]) -> Result<(), Stop>;

    /// Keeps all that was written and says what came of it. The writer is gone.
    ///
    /// # Errors
    /// [`Stop::Host`] where it cannot be kept.
    async fn seal(&mut self, writer: u32) -> Result<Artifact, Stop>;

    /// Forgets what was written.
    fn discard(&mut self, writer: u32);

    /// Bytes of an artifact from `at` on: at least one and at most `most`, none behind its end.
    ///
    /// # Errors
    /// [`Stop::Host`] where they are gone or are not what they were.
    async fn read(&mut self, artifact: &Artifact, at: u64, most: usize) -> Result<Vec<u8>, Stop>;
}
