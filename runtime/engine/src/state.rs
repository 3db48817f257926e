//! What a run has come to: a fold over its events.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wflo_model::{ApprovalId, Digest, PicoUsd, PrincipalName, StepName, Timestamp};

use crate::{
    Approval, ApprovalState, AttemptEnd, Ballot, Event, Ledger, Outcome, ParkReason, Recorded, RunStatus,
    StepStatus,
};

/// What a run has come to.
///
/// ```
/// use wflo_engine::{RunState, RunStatus};
/// assert_eq!(RunState::default().status(), RunStatus::Running);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    created: Option<Created>,
    seq: u64,
    time: Timestamp,
    steps: BTreeMap<StepName, StepState>,
    approvals: BTreeMap<ApprovalId, Approval>,
    ledger: Ledger,
    ended: Option<(RunStatus, Option<String>)>,
}

/// What a run was started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// Name of the workflow.
    pub workflow: String,
    /// Its version.
    pub version: String,
    /// The pinned plan.
    pub plan: Digest,
    /// Inputs, defaults filled in.
    pub inputs: Map<String, Value>,
    /// Who asked.
    pub requester: PrincipalName,
    /// The budget.
    pub budget: Option<PicoUsd>,
    /// When.
    pub at: Timestamp,
}

/// What a step has come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// Where it stands.
    pub status: StepStatus,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// Attempts that count against `max_attempts`.
    pub counted: u32,
    /// Attempts that were interrupted through no fault of their own.
    pub interrupted: u32,
    /// Whether the newest attempt is under way: begun, not ended.
    pub in_attempt: bool,
    /// What it waits for, while parked.
    pub parked: Option<ParkReason>,
    /// Its output.
    pub output: Option<Value>,
    /// Why it failed or was left out.
    pub error: Option<String>,
    /// The last approval that was opened for it.
    pub approval: Option<ApprovalId>,
    /// Set once its output is durable and its transactions are to commit.
    pub committing: bool,
    /// When the next attempt may begin.
    pub retry_at: Option<Timestamp>,
    /// Fuel used by all attempts.
    pub fuel: u64,
    /// Largest memory of any attempt, in bytes.
    pub memory_peak: u64,
    /// Wall-clock time of all attempts, in milliseconds.
    pub ms: u64,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Events that cannot follow each other: the journal is not one that wflo wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} cannot stand where it does: {why}")]
pub struct BadHistory {
    /// The event.
    pub seq: u64,
    /// Why.
    pub why: String,
}

impl RunState {
    /// Folds the events of a run.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Self, BadHistory> {
        let mut state = Self::default();
        events.into_iter().try_for_each(|event| state.apply(event))?;
        Ok(state)
    }

    /// Takes in the next event.
    ///
    /// # Errors
    /// When it is not the next, or speaks of something that never was. The state is not to be used then.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), BadHistory> {
        let Recorded { seq, time, place, event } = recorded;
        let bad = |why: &str| BadHistory { seq: *seq, why: why.to_owned() };
        if *seq != self.seq + 1 {
            return Err(bad(&format!("event {} comes before it", self.seq)));
        }
        if (*seq == 1) != matches!(event, Event::RunCreated { .. }) {
            return Err(bad("a run begins with its creation and is created once"));
        }
        (self.seq, self.time) = (*seq, *time);
        match event {
            Event::RunCreated { workflow, version, plan, inputs, requester, budget } => {
                self.ledger = Ledger::new(*budget);
                self.created = Some(Created {
                    workflow: workflow.clone(),
                    version: version.clone(),
                    plan: *plan,
                    inputs: inputs.clone(),
                    requester: requester.clone(),
                    budget: *budget,
                    at: *time,
                });
            }
            Event::ApprovalOpened { id, subject, shows, rule, expires_at } => {
                let step = place.step.clone().ok_or_else(|| bad("an approval is of a step"))?;
                let state = self.steps.entry(step.clone()).or_default();
                (state.status, state.approval) = (StepStatus::Waiting, Some(*id));
                self.approvals.insert(
                    *id,
                    Approval {
                        id: *id,
                        step,
                        subject: *subject,
                        shows: shows.clone(),
                        rule: rule.clone(),
                        expires_at: *expires_at,
                        votes: Vec::new(),
                        state: ApprovalState::Open,
                        opened_at: *time,
                    },
                );
            }
            Event::Voted { approval, by, groups, verdict, comment, late } => {
                let approval = self.approvals.get_mut(approval).ok_or_else(|| bad("no such approval"))?;
                if !late {
                    let (by, groups, comment) = (by.clone(), groups.clone(), comment.clone());
                    approval.votes.push(Ballot { by, groups, verdict: *verdict, comment, at: *time });
                }
            }
            Event::ApprovalClosed { approval, outcome } => {
                let approval = self.approvals.get_mut(approval).ok_or_else(|| bad("no such approval"))?;
                approval.state = ApprovalState::Closed { outcome: *outcome, at: *time };
                if let Some(step) = self.steps.get_mut(&approval.step).filter(|step| !step.status.is_done()) {
                    step.status = StepStatus::Pending;
                }
            }
            Event::Intent { hold, .. } => self.ledger.hold(*seq, *hold),
            Event::Returned(returned) => {
                let cost = returned.spend.as_ref().map_or(PicoUsd::ZERO, |spend| spend.cost_usd);
                self.ledger.settle(place, returned.intent, cost, returned.spend.as_ref());
            }
            Event::Abandoned { intent, cost } => self.ledger.settle(place, Some(*intent), *cost, None),
            Event::Denied { .. } | Event::Logged { .. } => {}
            Event::RunEnded { status, error } => self.ended = Some((*status, error.clone())),
            Event::AttemptStarted { .. }
            | Event::Committing { .. }
            | Event::AttemptEnded { .. }
            | Event::Parked { .. }
            | Event::Unparked { .. }
            | Event::StepEnded { .. } => {
                let name = place.step.as_ref().ok_or_else(|| bad("it is of a step"))?;
                let step = self.steps.entry(name.clone()).or_default();
                if let Event::AttemptStarted { consumes: Some(id), .. } = event {
                    let approval = self.approvals.get_mut(id).ok_or_else(|| bad("no such approval"))?;
                    if !matches!(approval.state, ApprovalState::Closed { outcome: Outcome::Approved, .. }) {
                        return Err(bad("it consumes an approval that was not given"));
                    }
                    approval.state = ApprovalState::Consumed;
                }
                step.apply(place.attempt, *time, event);
            }
        }
        Ok(())
    }

    /// What the run was started with; none before its first event.
    #[must_use]
    pub const fn created(&self) -> Option<&Created> {
        self.created.as_ref()
    }

    /// The number of the newest event.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The time of the newest event.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// A step; one that nothing has happened to is as new.
    #[must_use]
    pub fn step(&self, name: &StepName) -> StepState {
        self.steps.get(name).cloned().unwrap_or_default()
    }

    /// A step's output.
    #[must_use]
    pub fn output(&self, name: &StepName) -> Option<&Value> {
        self.steps.get(name)?.output.as_ref()
    }

    pub(crate) fn step_ref(&self, name: &StepName) -> Option<&StepState> {
        self.steps.get(name)
    }

    /// The steps that something has happened to.
    pub fn steps(&self) -> impl Iterator<Item = (&StepName, &StepState)> {
        self.steps.iter()
    }

    /// The approvals of the run.
    pub fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.values()
    }

    /// One approval.
    #[must_use]
    pub fn approval(&self, id: &ApprovalId) -> Option<&Approval> {
        self.approvals.get(id)
    }

    /// The account of the run.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Why the run failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.ended.as_ref()?.1.as_deref()
    }

    /// Where the run stands.
    ///
    /// It is `waiting` when an approval is open and nothing else can move, `parked` when an attempt waits for
    /// something else and nothing can move. A step that may start does not count as waiting.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        if let Some((status, _)) = self.ended {
            return status;
        }
        let any = |status| self.steps.values().any(|step| step.status == status);
        if any(StepStatus::Running) {
            RunStatus::Running
        } else if self.approvals.values().any(|approval| approval.state == ApprovalState::Open) {
            RunStatus::Waiting
        } else if any(StepStatus::Parked) {
            RunStatus::Parked
        } else {
            RunStatus::Running
        }
    }
}

impl StepState {
    fn apply(&mut self, attempt: u32, time: Timestamp, event: &Event) {
        match event {
            Event::AttemptStarted { .. } => {
                self.attempt = attempt;
                self.counted += 1;
                (self.status, self.in_attempt, self.committing) = (StepStatus::Running, true, false);
                (self.retry_at, self.parked) = (None, None);
                self.started_at.get_or_insert(time);
            }
            Event::Committing { output, .. } => {
                self.committing = true;
                self.output = Some(output.clone());
            }
            Event::AttemptEnded { end, fuel, memory_peak, ms, retry_at } => {
                self.fuel += fuel;
                self.memory_peak = self.memory_peak.max(*memory_peak);
                self.ms += ms;
                (self.in_attempt, self.committing, self.retry_at) = (false, false, *retry_at);
                (self.output, self.error) = match end {
                    AttemptEnd::Succeeded { output } => (Some(output.clone()), None),
                    AttemptEnd::Failed(failure) => (None, Some(failure.to_string())),
                    AttemptEnd::Fault(fault) => (None, Some(fault.to_string())),
                    AttemptEnd::Interrupted { message } => {
                        self.counted -= 1;
                        self.interrupted += 1;
                        (None, Some(message.clone()))
                    }
                };
                self.status = match (end, retry_at) {
                    (AttemptEnd::Succeeded { .. }, _) => StepStatus::Succeeded,
                    (_, Some(_)) => StepStatus::Running,
                    (_, None) => StepStatus::Failed,
                };
                self.ended_at = retry_at.is_none().then_some(time);
            }
            Event::Parked { reason } => {
                (self.status, self.parked) = (StepStatus::Parked, Some(reason.clone()));
            }
            Event::Unparked { .. } => (self.status, self.parked) = (StepStatus::Running, None),
            Event::StepEnded { skipped, reason } => {
                self.status = if *skipped { StepStatus::Skipped } else { StepStatus::Failed };
                (self.error, self.ended_at) = (Some(reason.clone()), Some(time));
            }
            _ => {}
        }
    }
}
