//! Operations about what waits to be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wflo::OutboxLine;

use super::deploy::Deploy;
use super::operation::{Operation, Sink};
use super::service::{Refusal, Service};

/// What waits to be told. Reads, unless all of it is to be tried now: asked twice, it is tried twice.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Outbox {
    /// Try everything now.
    pub(crate) retry: bool,
}

impl Operation for Outbox {
    type Answer = Vec<OutboxLine>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        if self.retry {
            service.runtime().retry_outbox().await?;
        }
        Ok(service.runtime().outbox().await?)
    }
}

/// Tells people what there is to be told, for so long at most; the answer is what is left. Asked twice, there is less
/// to tell.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Tell {
    pub(crate) deploy: Deploy,
    pub(crate) time: Duration,
}

impl Operation for Tell {
    type Answer = Vec<OutboxLine>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        if runtime.outbox().await?.is_empty() {
            return Ok(Vec::new());
        }
        let host = service.host(&self.deploy).await?;
        Ok(Box::pin(runtime.tell_for(&host, self.time)).await?)
    }
}
