//! The operations, each with why it does no harm to ask for it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo::{ApprovalView, CostView, LogView, RunLine, RunStatus, RunView, RuntimeError, StepStatus, Verdict};
use wflo_engine::{Event, Recorded, VoteRefused};
use wflo_journal::ReadError;
use wflo_manifest::Plan;
use wflo_model::{ApprovalId, Digest, PrincipalName, RunId, StepName};

use super::brought::Brought;
use super::deploy::Deploy;
use super::operation::{Operation, Sink, Streamed, Telling};
use super::service::{Refusal, Service};
use crate::failure::{Code, Failure};
use crate::words;

/// How often a run that is driven is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Somebody, and how they prove it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// By their token.
    Principal { name: PrincipalName, token: String },
    /// The user of this machine: whoever can open the socket could open the store.
    Local { user: String },
}

/// Runs, newest first. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Runs {
    pub(crate) workflow: Option<String>,
    pub(crate) status: Option<RunStatus>,
    pub(crate) limit: Option<usize>,
}

impl Operation for Runs {
    type Answer = Vec<RunLine>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let mut runs = service.runtime().runs().await?;
        runs.retain(|run| self.workflow.as_ref().is_none_or(|name| *name == run.workflow));
        runs.retain(|run| self.status.is_none_or(|status| status == run.status));
        runs.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(runs)
    }
}

/// One run. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) run: RunId,
}

impl Operation for Show {
    type Answer = RunView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().show(self.run).await?)
    }
}

/// One event, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventView {
    pub(crate) seq: u64,
    pub(crate) at: String,
    /// Seconds since the first event.
    pub(crate) since: f64,
    pub(crate) step: Option<StepName>,
    pub(crate) attempt: u32,
    pub(crate) text: String,
}

/// The events of a run, in words: the bodies stay where they are, they may be large. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Events {
    pub(crate) run: RunId,
}

impl Operation for Events {
    type Answer = Vec<EventView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let (mut views, mut began) = (Vec::new(), None);
        let runtime = service.runtime();
        let view = |event: Recorded| {
            let began = *began.get_or_insert(event.time);
            views.push(EventView {
                seq: event.seq,
                at: event.time.to_string(),
                since: event.time.since(began).as_secs_f64(),
                text: words::describe(&event),
                step: event.place.step,
                attempt: event.place.attempt,
            });
            Ok(())
        };
        runtime.each_event(self.run, 0, view).await?;
        Ok(views)
    }
}

/// The events of the store's own log, in words. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SystemEvents {}

impl Operation for SystemEvents {
    type Answer = Vec<SystemEventView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let view = |recorded: &wflo::SystemRecorded| SystemEventView {
            seq: recorded.seq,
            at: recorded.time.to_string(),
            by: recorded.event.by().cloned(),
            text: recorded.event.to_string(),
        };
        Ok(service.runtime().system_events().await?.iter().map(view).collect())
    }
}

/// One event of the store's own log, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SystemEventView {
    pub(crate) seq: u64,
    pub(crate) at: String,
    /// Who did it; none where nobody is known to have.
    pub(crate) by: Option<PrincipalName>,
    pub(crate) text: String,
}

/// What the steps of a run logged after event `after`, and up to which event that is. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Logs {
    pub(crate) run: RunId,
    pub(crate) after: u64,
}

impl Operation for Logs {
    type Answer = (Vec<LogView>, u64);

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let (mut views, mut upto) = (Vec::new(), self.after);
        let runtime = service.runtime();
        let view = |event: Recorded| {
            upto = event.seq;
            views.extend(LogView::of(vec![event]));
            Ok(())
        };
        runtime.each_event(self.run, self.after, view).await?;
        Ok((views, upto))
    }
}

/// What waits for a decision. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Approvals {}

impl Operation for Approvals {
    type Answer = Vec<ApprovalView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().approvals(false).await?)
    }
}

/// One approval. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) id: ApprovalId,
}

impl Operation for Approval {
    type Answer = ApprovalView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().approval(self.id).await?)
    }
}

/// What one run cost, or each of them. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Costs {
    pub(crate) run: Option<RunId>,
}

impl Operation for Costs {
    type Answer = Vec<CostView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        if let Some(run) = self.run {
            return Ok(vec![runtime.cost(run).await?]);
        }
        let mut costs = Vec::new();
        for line in runtime.runs().await? {
            costs.push(match runtime.cost(line.run).await {
                // What it was spent on is forgotten; how much it was is not.
                Err(RuntimeError::Journal(ReadError::Erased { .. })) => CostView::from(line),
                cost => cost?,
            });
        }
        Ok(costs)
    }
}

/// The runs that can go on now. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Resumable {}

impl Operation for Resumable {
    type Answer = wflo::Resumable;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        Ok(service.runtime().resumable().await?)
    }
}

/// What the components of a plan say of themselves. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Describe {
    pub(crate) plan: Plan,
    pub(crate) components: Brought,
}

impl Operation for Describe {
    type Answer = BTreeMap<Digest, wflo::ComponentView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let components = self.components.read(service)?;
        Ok(service.runtime().describe(&self.plan, &components).await?)
    }
}

/// Accepts a run. The key makes it one run, however often it is asked for: the command draws one where none is given.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) deploy: Deploy,
    pub(crate) plan: Plan,
    pub(crate) components: Brought,
    pub(crate) inputs: Map<String, Value>,
    pub(crate) who: Who,
    pub(crate) key: String,
}

impl Operation for Start {
    type Answer = RunId;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let requester = service.requester(&self.deploy, self.who).await?;
        // What does not open is said before there is a run: it would be gone on with later, beside the one that is
        // started once that is mended.
        let host = service.host(&self.deploy).await?;
        host.outside.prepare(&self.plan).await.map_err(Failure::usage)?;
        let components = self.components.read(service)?;
        let (plan, inputs, key) = (self.plan, self.inputs, Some(self.key));
        Ok(service.runtime().start(wflo::Start { plan, components, inputs, requester, key }).await?)
    }
}

/// What a run still needs and a deployment does not bind: driven with it, its steps would be denied. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lacks {
    pub(crate) run: RunId,
    pub(crate) deploy: Deploy,
}

impl Operation for Lacks {
    type Answer = Vec<String>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let plan = service.runtime().plan_of(self.run).await?;
        let view = service.runtime().show(self.run).await?;
        let is_over =
            |status| matches!(status, StepStatus::Succeeded | StepStatus::Failed | StepStatus::Skipped);
        let over: BTreeSet<_> =
            view.steps.iter().filter(|step| is_over(step.status)).map(|step| &step.name).collect();
        let deployment = self.deploy.deployment()?;
        let mut lacks = BTreeSet::new();
        for step in plan.steps.iter().filter(|step| !over.contains(&step.name)) {
            let databases = step.grants.db.keys().filter(|label| !deployment.db.contains_key(*label));
            lacks.extend(databases.map(|label| format!("database `{label}`")));
            let models = step.grants.llm.iter().filter(|name| deployment.model(name).is_none());
            lacks.extend(models.map(|name| format!("model `{name}`")));
        }
        Ok(if view.status.is_final() { Vec::new() } else { lacks.into_iter().collect() })
    }
}

/// Drives a run until it has ended or waits. Safe at any time: one that is driven already is waited for, one that has
/// ended is only shown.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Drive {
    pub(crate) run: RunId,
    pub(crate) deploy: Deploy,
}

impl Operation for Drive {
    type Answer = RunView;

    async fn perform(self, service: &Service, sink: Sink) -> Result<Self::Answer, Refusal> {
        let host = service.host(&self.deploy).await?;
        let observer = Arc::new(Telling(sink.clone()));
        let driving = Box::pin(service.runtime().drive(self.run, &host, Some(observer)));
        let driving = Box::pin(service.runtime().telling(&host, driving));
        service.stands(looking(service, self.run, &sink, driving).await?)
    }
}

/// Tells how a run stands now and then: what it holds changes while a step runs, and a run that somebody else drives
/// tells that one only.
async fn looking<T>(service: &Service, run: RunId, sink: &Sink, driving: impl Future<Output = T>) -> T {
    let looks = async {
        loop {
            let began = tokio::time::Instant::now();
            if let Ok(view) = service.runtime().show(run).await {
                let _ = sink.try_send(Streamed::Run(Box::new(view)));
            }
            // A run of thousands of items takes a while to look at, and they have something better to do.
            tokio::time::sleep(LOOK.max(began.elapsed() * 20)).await;
        }
    };
    // Both at once: the one may hold what the other waits for.
    tokio::select! {
        biased;
        done = driving => done,
        () = looks => unreachable!("it looks for ever"),
    }
}

/// Lets a parked run try again, and drives it. Asked twice, a run that has parked again meanwhile tries once more.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Resume {
    pub(crate) run: RunId,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Resume {
    type Answer = RunView;

    async fn perform(self, service: &Service, sink: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.requester(&self.deploy, self.who).await?;
        let host = service.host(&self.deploy).await?;
        let observer = Arc::new(Telling(sink.clone()));
        let driving = Box::pin(service.runtime().resume(self.run, &by, &host, Some(observer)));
        let driving = Box::pin(service.runtime().telling(&host, driving));
        service.stands(looking(service, self.run, &sink, driving).await?)
    }
}

/// Casts a vote. Asked again after its answer was lost, it finds the vote in the journal and casts no second one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Vote {
    pub(crate) id: ApprovalId,
    pub(crate) name: PrincipalName,
    pub(crate) token: String,
    pub(crate) verdict: Verdict,
    pub(crate) comment: Option<String>,
    pub(crate) deploy: Deploy,
    /// It may have been cast already.
    pub(crate) again: bool,
}

impl Operation for Vote {
    type Answer = ApprovalView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        let voter = service.voter(&self.deploy, &self.name, &self.token).await?;
        if self.again {
            let view = runtime.approval(self.id).await?;
            let is_this = |event: &Recorded| match &event.event {
                Event::Voted { approval, by, verdict, comment, .. } => {
                    *approval == self.id
                        && *by == self.name
                        && *verdict == self.verdict
                        && *comment == self.comment
                }
                _ => false,
            };
            if runtime.events(view.run).await?.iter().any(is_this) {
                return Ok(view);
            }
        }
        match runtime.vote(self.id, &voter, self.verdict, self.comment).await {
            Err(RuntimeError::Vote(refused @ VoteRefused::VotedAlready { .. })) => {
                Err(Failure::new(Code::Denied, refused)
                    .hint(format!("`wflo approvals show {}`", self.id))
                    .into())
            }
            cast => Ok(cast?),
        }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}
