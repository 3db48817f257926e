//! Operations by which people step into a run, each with why it does no harm to ask for it twice.

use serde::{Deserialize, Serialize};
use wflo::{GcView, ReplayView, Resolution, Retention, RollbackView, RuntimeError};
use wflo_engine::{Event, Outcome};
use wflo_model::RunId;

use super::deploy::Deploy;
use super::operation::{Operation, Sink};
use super::operations::Who;
use super::service::{Refusal, Service};

/// Asks for the end of a run. Asked twice, the first counts; one that has ended as cancelled meanwhile has been asked.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Cancel {
    pub(crate) run: RunId,
    pub(crate) who: Who,
    pub(crate) reason: Option<String>,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for Cancel {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.requester(&self.deploy, self.who).await?;
        match service.runtime().cancel(self.run, &by, self.reason).await {
            Err(RuntimeError::Ended { status: wflo::RunStatus::Cancelled, .. }) if self.again => Ok(()),
            // It has withdrawn a rollback.
            Err(error @ RuntimeError::Ended { .. }) if self.again => {
                let rollback = service.runtime().show(self.run).await?.rollback;
                let is_withdrawn =
                    |it: &RollbackView| it.by.as_ref() == Some(&by) && it.refused == Some(Outcome::Cancelled);
                if rollback.as_ref().is_some_and(is_withdrawn) { Ok(()) } else { Err(error.into()) }
            }
            done => Ok(done?),
        }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// Settles a call of which nobody knew whether it was done. Asked again after its answer was lost, it finds what was
/// said in the journal.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) run: RunId,
    pub(crate) intent: u64,
    pub(crate) resolution: Resolution,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for Resolve {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        let by = service.requester(&self.deploy, self.who).await?;
        if self.again {
            let is_this = |event: &Event| match event {
                Event::Resolved { intent, resolution, by: said_by } => {
                    *intent == self.intent && *resolution == self.resolution && *said_by == by
                }
                _ => false,
            };
            if runtime.events(self.run).await?.iter().any(|recorded| is_this(&recorded.event)) {
                return Ok(());
            }
        }
        Ok(runtime.resolve(self.run, self.intent, self.resolution, &by).await?)
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// Runs the finished attempts of a run again from its journal. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Replay {
    pub(crate) run: RunId,
}

impl Operation for Replay {
    type Answer = ReplayView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().replay(self.run).await?)
    }
}

/// Drops old runs. Asked twice, there is nothing left to drop.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Gc {
    pub(crate) keep: Retention,
    pub(crate) dry_run: bool,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Gc {
    type Answer = GcView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, wflo::Act::Manage).await?;
        Ok(service.runtime().gc(self.keep, self.dry_run, &by).await?)
    }
}

/// Forgets what a run said; the answer is how many events it had. Asked again after its answer was lost, it finds the
/// run erased.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Erase {
    pub(crate) run: RunId,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for Erase {
    type Answer = Option<u64>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, wflo::Act::Manage).await?;
        match service.runtime().erase(self.run, &by).await {
            Err(RuntimeError::Prune(wflo_journal::PruneError::Erased { .. })) if self.again => Ok(None),
            erased => Ok(Some(erased?)),
        }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// Makes a run that goes on from where another stood. Asked again after its answer was lost, it names the fork that
/// goes on in the parent's place.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Fork {
    pub(crate) run: RunId,
    pub(crate) at: u64,
    pub(crate) keep: bool,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for Fork {
    type Answer = RunId;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let Self { run, at, keep, who, deploy, again } = self;
        let runtime = service.runtime();
        let by = service.requester(&deploy, who).await?;
        match runtime.fork(wflo::Fork { run, at, keep }, &by).await {
            Err(RuntimeError::Superseded { by }) if again => Ok(by),
            forked => Ok(forked?),
        }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}
