//! The artifacts of a run, for people.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wflo_model::{ArtifactAddress, Digest, FoundArtifact, PrincipalName, RunId, StepName};

use super::{Pieces, Shelf, Unreadable};
use crate::{Runtime, RuntimeError, SystemEvent};

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtifactView {
    /// The step that made it.
    pub step: StepName,
    /// The item, where the step fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Its name.
    pub artifact: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Reads an artifact from its beginning to its end, every piece checked.
pub struct ArtifactReader {
    run: RunId,
    found: FoundArtifact,
    pieces: Pieces,
}

impl Runtime {
    /// The artifacts that the steps of a run have made, in the order of the steps: those of steps and items that
    /// have succeeded.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn artifacts(&self, run: RunId) -> Result<Vec<ArtifactView>, RuntimeError> {
        let found = self.found_artifacts(run).await?.into_iter();
        Ok(found
            .map(|FoundArtifact { step, item, artifact }| ArtifactView {
                step,
                item,
                artifact: artifact.artifact.to_string(),
                bytes: artifact.bytes,
                digest: artifact.digest,
            })
            .collect())
    }

    /// One artifact of a run.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchArtifact`] where there is none, or where the address leaves open which of several.
    pub async fn artifact(
        &self,
        run: RunId,
        which: &ArtifactAddress,
    ) -> Result<ArtifactReader, RuntimeError> {
        let mut found = self.found_artifacts(run).await?;
        found.retain(|it| {
            it.artifact.artifact == which.artifact
                && which.step.as_ref().is_none_or(|step| *step == it.step)
                && (which.item.is_none() || which.item == it.item)
        });
        let none = |why: String| RuntimeError::NoSuchArtifact { run, why };
        if found.len() > 1 {
            return Err(none(format!("there are {} artifacts {which}: say of which item", found.len())));
        }
        let found = found.pop().ok_or_else(|| none(format!("there is no artifact {which}")))?;
        let keys = Arc::new(self.journal().keys(run).await?);
        let shelf = Shelf::new(self.journal().clone(), run, keys);
        let pieces = shelf.open(&found.artifact).await.map_err(|error| unreadable(run, &error))?;
        Ok(ArtifactReader { run, found, pieces })
    }

    /// As [`artifact`](Self::artifact), for whoever takes it out of the store: that they do is in the log of the store
    /// before any of it is given.
    ///
    /// # Errors
    /// As there; and where that log cannot be written.
    pub async fn take_artifact(
        &self,
        run: RunId,
        which: &ArtifactAddress,
        by: &PrincipalName,
    ) -> Result<ArtifactReader, RuntimeError> {
        let reader = self.artifact(run, which).await?;
        let FoundArtifact { step, item, artifact } = reader.found.clone();
        let (artifact, by) = (artifact.artifact, by.clone());
        self.system().append(SystemEvent::ArtifactTaken { run, step, item, artifact, by }).await?;
        Ok(reader)
    }

    async fn found_artifacts(&self, run: RunId) -> Result<Vec<FoundArtifact>, RuntimeError> {
        let (state, plan) = self.look(run).await?;
        let found = plan.steps.iter().flat_map(|step| {
            let made = state.step(&step.name).artifacts().into_iter();
            made.map(|(item, artifact)| {
                let (step, artifact) = (step.name.clone(), artifact.clone());
                FoundArtifact { step, item, artifact }
            })
            .collect::<Vec<_>>()
        });
        Ok(found.collect())
    }
}

impl ArtifactReader {
    /// Its size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.found.artifact.bytes
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchArtifact`] where they are gone, or are not what they were.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, RuntimeError> {
        self.pieces.next().await.map_err(|error| unreadable(self.run, &error))
    }
}

impl std::fmt::Debug for ArtifactReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactReader")
            .field("run", &self.run)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

fn unreadable(run: RunId, error: &Unreadable) -> RuntimeError {
    RuntimeError::NoSuchArtifact { run, why: error.to_string() }
}
