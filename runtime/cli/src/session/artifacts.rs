//! Operations on artifacts, each with why it does no harm to ask for it twice.

use serde::{Deserialize, Serialize};
use wflo::{Act, ArtifactView};
use wflo_model::{ArtifactAddress, Octets, RunId};

use super::deploy::Deploy;
use super::operation::{Operation, Sink, Streamed};
use super::operations::Who;
use super::service::{Refusal, Service};
use crate::failure::Failure;

/// The artifacts of a run. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Artifacts {
    pub(crate) run: RunId,
}

impl Operation for Artifacts {
    type Answer = Vec<ArtifactView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().artifacts(self.run).await?)
    }
}

/// An artifact, in pieces. That it was asked for is in the store's own log before any of it is given; whoever asks again
/// begins anew, and is in the log twice.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TakeArtifact {
    pub(crate) run: RunId,
    pub(crate) which: ArtifactAddress,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for TakeArtifact {
    type Answer = u64;

    async fn perform(self, service: &Service, sink: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Look).await?;
        let mut artifact = service.runtime().take_artifact(self.run, &self.which, &by).await?;
        let mut at = 0;
        while let Some(bytes) = artifact.next().await? {
            let size = bytes.len() as u64;
            if sink.send(Streamed::Bytes { at, bytes: Octets::from(bytes) }).await.is_err() {
                return Err(Failure::bug("whoever asked for the artifact has gone").into());
            }
            at += size;
        }
        Ok(at)
    }
}
