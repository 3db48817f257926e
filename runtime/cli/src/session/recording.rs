//! Making tests of runs.

use serde::{Deserialize, Serialize};
use wflo::{Record, StepTest};

use super::operation::{Operation, Sink};
use super::service::{Refusal, Service};

/// Makes a test of an attempt. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RecordTest {
    pub(crate) what: Record,
}

impl Operation for RecordTest {
    type Answer = StepTest;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().record(&self.what).await?)
    }
}
