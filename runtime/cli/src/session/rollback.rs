//! Operations that undo what a run did, and that show what it changed; each with why it does no harm to ask twice.

use serde::{Deserialize, Serialize};
use wflo::{ChangesView, RollbackTrial, RollbackView, RuntimeError};
use wflo_model::{RunId, StepName};

use super::deploy::Deploy;
use super::operation::{Operation, Sink};
use super::operations::Who;
use super::service::{Refusal, Service};

/// Has what a run did undone. Asked again after its answer was lost, a rollback that is under way, or over, is this one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Rollback {
    pub(crate) run: RunId,
    pub(crate) to: Option<StepName>,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for Rollback {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        let by = service.requester(&self.deploy, self.who).await?;
        if self.again
            && let Some(rollback) = runtime.show(self.run).await?.rollback
            && (rollback.by, &rollback.to) == (Some(by.clone()), &self.to)
        {
            return Ok(());
        }
        match runtime.rollback(self.run, self.to.clone(), &by).await {
            // One under way goes on, if it is the same: what was to stay with this one may be undone by that.
            Err(error @ RuntimeError::NotRollable { .. }) => {
                let run = runtime.show(self.run).await?;
                let is_same = |it: &RollbackView| it.to == self.to && it.only.is_empty();
                let goes_on = run.is_rolling_back() && run.rollback.as_ref().is_some_and(is_same);
                if goes_on { Ok(()) } else { Err(error.into()) }
            }
            begun => Ok(begun?),
        }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// What a rollback would do and leave, tried in the databases and rolled back. It changes nothing.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RollbackPlan {
    pub(crate) run: RunId,
    pub(crate) to: Option<StepName>,
    pub(crate) deploy: Deploy,
}

impl Operation for RollbackPlan {
    type Answer = RollbackTrial;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let (runtime, to) = (service.runtime(), self.to.as_ref());
        match service.host(&self.deploy).await {
            Ok(host) => Ok(runtime.rollback_trial(self.run, to, &host).await?),
            // What is known without the deployment is said all the same.
            Err(failure) => {
                let plan = runtime.rollback_plan(self.run, to).await?;
                Ok(RollbackTrial::untried(plan, failure.message()))
            }
        }
    }
}

/// The rows that the steps of a run changed. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) run: RunId,
}

impl Operation for Changes {
    type Answer = Vec<ChangesView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().changes(self.run).await?)
    }
}
