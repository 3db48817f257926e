//! What people and programs are shown: the JSON of the command, made from plan and state.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_engine::{
    Approval, ApprovalState, Event, GateAt, ParkReason, Recorded, RunState, RunStatus, StepStatus, Totals,
    Verdict,
};
use wflo_manifest::Plan;
use wflo_model::{ApprovalId, Digest, Label, ModelName, PicoUsd, PrincipalName, RunId, StepName, Timestamp};

use crate::RollbackView;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunView {
    /// Its id.
    pub run: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Its version.
    pub version: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What it waits for.
    pub waiting_for: Vec<WaitView>,
    /// Its steps, in the order of the manifest.
    pub steps: Vec<StepView>,
    /// What it has cost.
    pub cost_usd: PicoUsd,
    /// What open calls hold.
    pub held_usd: PicoUsd,
    /// Its budget.
    pub budget_usd: Option<PicoUsd>,
    /// Why it failed.
    pub error: Option<String>,
    /// Who asked for it.
    pub requester: PrincipalName,
    /// When, as RFC 3339.
    pub created_at: String,
    /// The number of its newest event.
    pub events: u64,
    /// What was undone, where it was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackView>,
    /// What the rollbacks before that one have undone and left, the last one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollbacks: Vec<RollbackView>,
}

/// One thing a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitView {
    /// `approval`, `timer`, `budget`, `unknown` or `diverged`.
    pub kind: String,
    /// The approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ApprovalId>,
    /// The step; none where the run itself waits.
    pub step: Option<StepName>,
    /// The item, where the step fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The number of the call's intent, where its outcome is unknown: what `wflo resolve` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<u64>,
    /// In words, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Until when, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The databases that have committed what the step wrote, where others have not and a person has to say what becomes of
    /// that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub committed: Vec<Label>,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepView {
    /// Its name.
    pub name: StepName,
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts begun.
    pub attempts: u32,
    /// What it returned.
    pub output: Option<Value>,
    /// Its items, where it fans out.
    pub items: Option<ItemsView>,
    /// What it cost.
    pub cost_usd: PicoUsd,
    /// Fuel it used.
    pub fuel: u64,
    /// Its largest memory, in bytes.
    pub memory_peak: u64,
    /// Wall-clock time of its attempts, in milliseconds.
    pub ms: u64,
    /// Why it failed or was left out.
    pub error: Option<String>,
}

/// The items of a step that fans out, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ItemsView {
    /// How many there are.
    pub total: u32,
    /// How many have an output.
    pub succeeded: u32,
    /// How many wait for an approval.
    pub waiting: u32,
    /// How many have none and will have none.
    pub failed: u32,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApprovalView {
    /// Its id.
    pub id: ApprovalId,
    /// The run.
    pub run: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// The step it is about; none where it is about the run.
    pub step: Option<StepName>,
    /// The item, where the step fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Digest of exactly what would be done.
    pub subject_digest: Digest,
    /// Who is asked.
    pub approvers: Vec<String>,
    /// How many distinct persons it takes.
    pub quorum: usize,
    /// The votes that counted.
    pub votes: Vec<VoteView>,
    /// `open`, `approved`, `rejected`, `expired`, `cancelled`, `superseded` or `consumed`.
    pub status: String,
    /// Where the gate stands.
    pub at: GateAt,
    /// Until when, as RFC 3339.
    pub expires_at: Option<String>,
    /// What is decided on.
    pub shows: Value,
    /// Who has not voted yet, of those asked.
    pub lacking: Vec<String>,
    /// The approval in whose place it stands, which nobody decided in time or whose subject a person changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<ApprovalId>,
    /// Those who have changed or asked for what is decided on, and so do not decide.
    #[serde(default)]
    pub authors: Vec<PrincipalName>,
    /// Whether approvers may change what is decided on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_edit: bool,
}

/// One vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VoteView {
    /// Who.
    pub principal: PrincipalName,
    /// How.
    pub verdict: Verdict,
    /// What they wrote.
    pub comment: Option<String>,
    /// When, as RFC 3339.
    pub at: String,
}

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunLine {
    /// Its id.
    pub run: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Its version.
    pub version: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Who asked for it.
    pub requester: PrincipalName,
    /// When it was created, as RFC 3339.
    pub created_at: String,
    /// What it cost when its status last changed.
    pub cost_usd: PicoUsd,
}

/// What a run, or many, cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CostView {
    /// The run.
    pub run: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Who asked for it.
    pub requester: PrincipalName,
    /// The day it was created, UTC, as `2026-01-31`.
    pub day: String,
    /// Its budget.
    pub budget_usd: Option<PicoUsd>,
    /// What it has cost.
    pub cost_usd: PicoUsd,
    /// What open calls hold.
    pub held_usd: PicoUsd,
    /// What is left; none without a budget.
    pub left_usd: Option<PicoUsd>,
    /// How far single calls cost more than was held for them.
    pub overrun_usd: PicoUsd,
    /// By step.
    pub steps: Vec<(StepName, PicoUsd)>,
    /// By model.
    pub models: Vec<(ModelName, Totals)>,
    /// What fuel and time cost, where the deployment prices them.
    #[serde(default)]
    pub compute_usd: PicoUsd,
}

impl From<RunLine> for CostView {
    /// What is known of a run that was erased.
    fn from(line: RunLine) -> Self {
        Self {
            run: line.run,
            workflow: line.workflow,
            requester: line.requester,
            day: line.created_at.split('T').next().unwrap_or_default().to_owned(),
            budget_usd: None,
            cost_usd: line.cost_usd,
            held_usd: PicoUsd::ZERO,
            left_usd: None,
            overrun_usd: PicoUsd::ZERO,
            steps: Vec::new(),
            models: Vec::new(),
            compute_usd: PicoUsd::ZERO,
        }
    }
}

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogView {
    /// The event's number.
    pub seq: u64,
    /// When, as RFC 3339.
    pub at: String,
    /// The step.
    pub step: Option<StepName>,
    /// The attempt.
    pub attempt: u32,
    /// How bad.
    pub level: String,
    /// `stdout`, `stderr`, or what the guest groups by.
    pub context: String,
    /// The line; one JSON object where the guest logged fields.
    pub message: String,
}

impl LogView {
    /// The log lines among some events.
    #[must_use]
    pub fn of(events: Vec<Recorded>) -> Vec<Self> {
        let lines = events.into_iter().filter_map(|recorded| match recorded.event {
            Event::Logged { level, context, message } => Some(Self {
                seq: recorded.seq,
                at: recorded.time.to_string(),
                step: recorded.place.step,
                attempt: recorded.place.attempt,
                level,
                context,
                message,
            }),
            _ => None,
        });
        lines.collect()
    }
}

impl RunView {
    /// Whether what it did is being undone.
    #[must_use]
    pub const fn is_rolling_back(&self) -> bool {
        matches!(self.status, RunStatus::RollingBack)
    }

    pub(crate) fn new(run: &RunId, plan: &Plan, state: &RunState) -> Self {
        let created = state.created().expect("a run that is shown was created");
        let ledger = state.ledger();
        let rollbacks = RollbackView::all(state);
        let mut open: Vec<_> = state.open().collect();
        open.sort_by(|one, other| {
            one.place.step.cmp(&other.place.step).then(one.place.item.cmp(&other.place.item))
        });
        let approvals = open.into_iter().map(|approval| {
            let until = approval.expires_at.map(|at| at.to_string());
            WaitView {
                kind: "approval".into(),
                id: Some(approval.id),
                step: approval.place.step.clone(),
                item: approval.place.item,
                intent: None,
                message: None,
                until,
                committed: Vec::new(),
            }
        });
        let parked = state.active().filter_map(|(id, unit)| {
            let reason = unit.parked.as_ref()?;
            let kind = match reason {
                ParkReason::Budget { .. } => "budget",
                ParkReason::Timer { .. } => "timer",
                ParkReason::Unknown { .. } | ParkReason::HalfCommitted { .. } => "unknown",
                _ => "diverged",
            };
            let committed = match reason {
                ParkReason::HalfCommitted { committed, .. } => committed.clone(),
                _ => Vec::new(),
            };
            let intent = reason.unknown();
            let (message, until) = (Some(reason.to_string()), unit.timer().map(|at| at.to_string()));
            let id = id.compensates().unwrap_or(id);
            let (kind, step, item) = (kind.to_owned(), Some(id.step), id.item);
            Some(WaitView { kind, id: None, step, item, intent, message, until, committed })
        });
        let steps = plan.steps.iter().map(|step| StepView::new(&step.name, state, &rollbacks)).collect();
        let mut rollbacks = rollbacks.into_iter();
        let latest = rollbacks.next();
        Self {
            run: *run,
            workflow: created.workflow.clone(),
            version: created.version.clone(),
            status: state.status(),
            waiting_for: if state.status().is_final() {
                Vec::new()
            } else {
                approvals.chain(parked).collect()
            },
            steps,
            cost_usd: ledger.settled(),
            held_usd: ledger.held(),
            budget_usd: ledger.limit(),
            error: state.error().map(ToOwned::to_owned),
            requester: created.requester.clone(),
            created_at: created.at.to_string(),
            events: state.seq(),
            rollback: latest,
            rollbacks: rollbacks.collect(),
        }
    }
}

impl StepView {
    fn new(name: &StepName, state: &RunState, rollbacks: &[RollbackView]) -> Self {
        let step = state.step(name);
        let is_undone = step.status() == StepStatus::Succeeded
            && state.status().is_final()
            && RollbackView::have_undone(rollbacks, name);
        let unit = &step.unit;
        Self {
            name: name.clone(),
            status: if is_undone { StepStatus::RolledBack } else { step.status() },
            attempts: unit.attempt,
            output: unit.output.as_deref().cloned(),
            items: step.items.as_ref().map(|items| ItemsView {
                total: items.total(),
                succeeded: items.succeeded(),
                waiting: u32::try_from(items.waiting()).unwrap_or(u32::MAX),
                failed: items.failed(),
            }),
            cost_usd: state.ledger().by_step().get(name).copied().unwrap_or_default(),
            fuel: unit.fuel,
            memory_peak: unit.memory_peak,
            ms: unit.ms,
            error: unit.error.clone(),
        }
    }
}

impl ApprovalView {
    pub(crate) fn new(run: &RunId, workflow: &str, approval: &Approval) -> Self {
        let status = match approval.state {
            ApprovalState::Open => "open".to_owned(),
            ApprovalState::Consumed => "consumed".to_owned(),
            ApprovalState::Closed { outcome, .. } => outcome.to_string(),
        };
        let votes = approval.votes.iter().map(|vote| VoteView {
            principal: vote.by.clone(),
            verdict: vote.verdict,
            comment: vote.comment.clone(),
            at: vote.at.to_string(),
        });
        Self {
            id: approval.id,
            run: *run,
            workflow: workflow.to_owned(),
            step: approval.place.step.clone(),
            item: approval.place.item,
            subject_digest: approval.subject,
            approvers: approval.rule.approvers.iter().map(ToString::to_string).collect(),
            quorum: approval.rule.needed(),
            votes: votes.collect(),
            status,
            at: approval.at,
            expires_at: approval.expires_at.map(|at| at.to_string()),
            shows: approval.shows.clone(),
            lacking: approval.lacking().into_iter().map(ToString::to_string).collect(),
            follows: approval.follows,
            authors: approval.authors.clone(),
            may_edit: approval.rule.allow_edit,
        }
    }
}

impl CostView {
    pub(crate) fn new(run: &RunId, state: &RunState) -> Self {
        let created = state.created().expect("a run that is shown was created");
        let ledger = state.ledger();
        Self {
            run: *run,
            workflow: created.workflow.clone(),
            requester: created.requester.clone(),
            day: day(created.at),
            budget_usd: ledger.limit(),
            cost_usd: ledger.settled(),
            held_usd: ledger.held(),
            left_usd: ledger.limit().map(|_| ledger.left()),
            overrun_usd: ledger.overrun(),
            steps: ledger.by_step().iter().map(|(step, cost)| (step.clone(), *cost)).collect(),
            models: ledger.by_model().iter().map(|(model, totals)| (model.clone(), *totals)).collect(),
            compute_usd: ledger.compute(),
        }
    }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take_while(|&sign| sign != 'T').collect()
}
