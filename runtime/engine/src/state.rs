//! What a run has come to: a fold over its events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use wflo_model::{ApprovalId, Digest, PicoUsd, PrincipalName, StepName, Timestamp};

use crate::policy::Firing;
use crate::unit::{Items, StepState, Unit};
use crate::{
    Approval, ApprovalState, Ballot, Event, Forked, GateAt, GatedCall, Ledger, Outcome, ParkReason, Place,
    Recorded, Resolution, Rollback, RunStatus, StepStatus, UnitId,
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
    /// Those of them that nobody has decided yet.
    open: BTreeSet<ApprovalId>,
    ledger: Ledger,
    cancel: Option<Cancel>,
    begun: bool,
    /// What policies have told, and the event that told it first: the same is told once.
    told: BTreeMap<Digest, u64>,
    /// The highest part of its budget, in percent, of which somebody was told that it is spent.
    alerted: u32,
    /// The last approval that the run itself waits for; none once it was permitted.
    run_gate: Option<ApprovalId>,
    ended: Option<(RunStatus, Option<String>)>,
    rollback: Option<Rollback>,
    /// The steps and items whose effects are to be compensated as soon as the run has ended, and who wants it.
    compensations: BTreeMap<UnitId, PrincipalName>,
}

/// A wish that the run end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Who.
    pub by: PrincipalName,
    /// Why.
    pub reason: Option<String>,
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
    /// The component of every attempt that names no other.
    pub component: Option<Digest>,
    /// Inputs, defaults filled in.
    pub inputs: Map<String, Value>,
    /// Who asked.
    pub requester: PrincipalName,
    /// The budget.
    pub budget: Option<PicoUsd>,
    /// When.
    pub at: Timestamp,
    /// The run it goes on from, for a fork.
    pub forked: Option<Forked>,
}

/// What a step is that nothing has happened to.
static NEW_STEP: StepState = StepState::NEW;

/// What such a step is in a run that was cancelled.
static CANCELLED_STEP: StepState =
    StepState { unit: Unit::new(StepStatus::Cancelled), items: None, inherited: Vec::new() };

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
        self.begun |= !matches!(event, Event::RunCreated { .. } | Event::Inherited { .. } | Event::Lent(_));
        match event {
            Event::RunCreated { workflow, version, plan, component, inputs, requester, budget, forked } => {
                let ledger = Ledger::new(*budget);
                self.ledger = match forked {
                    Some(parent) => ledger.after(parent),
                    None => ledger,
                };
                self.created = Some(Created {
                    workflow: workflow.clone(),
                    version: version.clone(),
                    plan: *plan,
                    component: *component,
                    inputs: inputs.clone(),
                    requester: requester.clone(),
                    budget: *budget,
                    at: *time,
                    forked: forked.clone(),
                });
            }
            Event::Inherited { output, artifacts } => {
                let name = place.step.as_ref().ok_or_else(|| bad("it is of a step"))?;
                let step = self.steps.entry(name.clone()).or_default();
                step.inherited.clone_from(artifacts);
                let unit = &mut step.unit;
                unit.status = if output.is_some() { StepStatus::Succeeded } else { StepStatus::Skipped };
                (unit.output, unit.ended_at) = (output.clone().map(Arc::new), Some(*time));
            }
            Event::Superseded { .. } => {
                // A fork closes them itself; earlier versions did not.
                for id in std::mem::take(&mut self.open) {
                    self.approvals.get_mut(&id).expect("it is open").closed(Outcome::Superseded, *time);
                }
                self.end(RunStatus::Superseded, None);
            }
            Event::ApprovalOpened {
                id,
                at,
                call,
                subject,
                shows,
                rule,
                expires_at,
                asks,
                follows,
                authors,
                amount,
            } => {
                match at {
                    GateAt::Run => self.run_gate = Some(*id),
                    GateAt::TopUp => {}
                    GateAt::Rollback => {
                        let rollback = self.rollback.as_mut().filter(|it| !it.is_over);
                        let rollback = rollback.ok_or_else(|| bad("nothing is rolled back"))?;
                        rollback.approval = Some(*id);
                    }
                    _ => {
                        let waits =
                            |unit: &mut Unit| (unit.status, unit.approval) = (StepStatus::Waiting, Some(*id));
                        self.change(place, waits).ok_or_else(|| bad("there is no such step or item"))?;
                    }
                }
                self.open.insert(*id);
                self.approvals.insert(
                    *id,
                    Approval {
                        id: *id,
                        place: place.clone(),
                        at: *at,
                        call: call.clone(),
                        subject: *subject,
                        shows: shows.clone(),
                        rule: rule.clone(),
                        expires_at: *expires_at,
                        votes: Vec::new(),
                        state: ApprovalState::Open,
                        opened_at: *time,
                        asks: asks.clone(),
                        used_for: None,
                        follows: *follows,
                        authors: authors.clone(),
                        amount: *amount,
                        decided_at: None,
                        by_silence: false,
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
                approval.closed(*outcome, *time);
                let (id, place, at) = (approval.id, approval.home(), approval.at);
                self.open.remove(&id);
                self.change(&place, |unit| {
                    if unit.status == StepStatus::Waiting {
                        unit.status = match at {
                            GateAt::Call | GateAt::Commit => StepStatus::Running,
                            _ => StepStatus::Pending,
                        };
                    }
                });
            }
            Event::RunPermitted { consumes } => {
                consumes.iter().try_for_each(|id| self.consume(id)).map_err(bad)?;
                self.run_gate = None;
            }
            Event::BudgetAlert { percent, .. } => self.alerted = self.alerted.max(*percent),
            Event::ToppedUp { amount, consumes } => {
                self.consume(consumes).map_err(bad)?;
                let waits = |unit: &Unit| matches!(unit.parked, Some(ParkReason::Budget { .. }));
                let waiting = self.active().filter(|(_, unit)| waits(unit));
                let waiting: Vec<_> = waiting.map(|(id, _)| Place::unit(&id)).collect();
                self.ledger.top_up(*amount, &waiting);
            }
            Event::CancelRequested { by, reason } => {
                self.cancel.get_or_insert(Cancel { by: by.clone(), reason: reason.clone() });
            }
            Event::RunEnded { status, error } => self.end(*status, error.clone()),
            Event::PolicyFired(firing) if !firing.tells.is_empty() => {
                self.told.entry(firing.told(place)).or_insert(*seq);
            }
            Event::Denied { call, .. } if GatedCall::is_output(call) => {
                self.apply_to_unit(recorded).map_err(bad)?;
            }
            Event::Denied { .. }
            | Event::Logged { .. }
            | Event::Woke { .. }
            | Event::PolicyFired(_)
            | Event::Edited { .. }
            | Event::Lent(_) => {}
            Event::RollbackStarted { .. }
            | Event::RollbackPlanned { .. }
            | Event::Undoing { .. }
            | Event::Undone { .. }
            | Event::Reapplied { .. }
            | Event::RollbackEnded { .. } => self.apply_to_rollback(recorded).map_err(bad)?,
            Event::FannedOut { items, consumes } => {
                if let Some(id) = consumes {
                    self.consume(id).map_err(bad)?;
                }
                let name = place.step.as_ref().ok_or_else(|| bad("it is of a step"))?;
                let step = self.steps.entry(name.clone()).or_default();
                step.items = Some(Items::new(items));
                (step.unit.status, step.unit.started_at) = (StepStatus::Running, Some(*time));
            }
            Event::Joined => {
                let name = place.step.as_ref().ok_or_else(|| bad("it is of a step"))?;
                self.steps.entry(name.clone()).or_default().join(*time);
            }
            Event::Intent { .. }
            | Event::Returned(_)
            | Event::Abandoned { .. }
            | Event::Resolved { .. }
            | Event::AttemptStarted { .. }
            | Event::Committing { .. }
            | Event::AttemptEnded { .. }
            | Event::Parked { .. }
            | Event::Unparked { .. }
            | Event::TimerFired
            | Event::ComputeHeld { .. }
            | Event::ComputeCharged { .. }
            | Event::StepEnded { .. } => self.apply_to_unit(recorded).map_err(bad)?,
        }
        Ok(())
    }

    /// Takes in the end of the run.
    fn end(&mut self, status: RunStatus, error: Option<String>) {
        // Of a run that failed, steps that never began stay as they are; those that had begun were ended with it.
        let cancelled = status == RunStatus::Cancelled;
        let open = self.steps.values_mut().filter(|step| step.unit.ended_at.is_none());
        let open = open.filter(|step| cancelled || step.unit.status != StepStatus::Pending);
        open.for_each(|step| step.unit.status = StepStatus::Cancelled);
        self.ended = Some((status, error));
    }

    /// Takes in an event of a rollback.
    fn apply_to_rollback(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        if let Event::RollbackStarted { by, to, only } = &recorded.event {
            let (was, _) = self.ended.as_ref().ok_or("the run has not ended")?;
            let earlier = self.rollback.take();
            let was = earlier.as_ref().map_or(*was, |earlier| earlier.was);
            let rollback = Rollback::new(recorded.seq, by.clone(), to.clone(), was, earlier);
            self.rollback = Some(Rollback { only: only.clone(), ..rollback });
            // What was cancelled has been wound up; nothing stops the compensators.
            self.cancel = None;
            let compensators = self.steps.iter_mut().filter(|(name, _)| name.compensates().is_some());
            compensators.for_each(|(_, step)| (step.unit.counted, step.unit.interrupted) = (0, 0));
            return Ok(());
        }
        let rollback = self.rollback.as_mut().filter(|it| !it.is_over).ok_or("nothing is rolled back")?;
        match &recorded.event {
            Event::RollbackPlanned { plan } => rollback.plan = Some(plan.clone()),
            Event::Undoing { database, steps } => {
                rollback.undone.insert(database.clone(), steps.clone());
            }
            Event::Undone { database, error } => {
                if error.is_some() {
                    rollback.undone.remove(database);
                }
                rollback.settled.insert(database.clone(), error.clone());
            }
            Event::Reapplied { terraform, came_to, .. } => {
                rollback.reapplied.insert(terraform.clone(), came_to.clone());
            }
            Event::RollbackEnded { status } => {
                rollback.is_over = true;
                if let Some((ended, _)) = self.ended.as_mut().filter(|(it, _)| *it != RunStatus::Superseded) {
                    *ended = *status;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in an event of an attempt, and what it means for money and approvals.
    fn apply_to_unit(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let Recorded { seq, time, place, event } = recorded;
        match event {
            Event::Intent { hold, consumes, key, .. } => {
                self.ledger.hold(*seq, *hold, place, *time);
                consumes.iter().try_for_each(|id| self.consume_for(id, key))?;
            }
            Event::Returned(returned) => {
                let cost = returned.spend.as_ref().map_or(PicoUsd::ZERO, |spend| spend.cost_usd);
                self.ledger.settle(place, *time, returned.intent, cost, returned.spend.as_ref());
                if let Some(reported) = &returned.reported {
                    self.ledger.report(place, *time, reported.usd, reported.overrun);
                }
                if let Some(approval) = returned.consumes.and_then(|id| self.approvals.get_mut(&id)) {
                    // A guest that asked is told whatever was decided.
                    if matches!(approval.state, ApprovalState::Closed { outcome: Outcome::Approved, .. }) {
                        approval.state = ApprovalState::Consumed;
                    }
                }
            }
            Event::Abandoned { intent, cost } => self.ledger.settle(place, *time, Some(*intent), *cost, None),
            Event::Resolved { intent, resolution, by } => {
                // What a compensator may have done is nobody else's to undo.
                let unit = place.unit_id().filter(|unit| unit.compensates().is_none());
                if let (Resolution::Compensate, Some(unit)) = (resolution, unit) {
                    self.compensations.insert(unit, by.clone());
                }
                self.ledger.settle(place, *time, Some(*intent), PicoUsd::ZERO, None);
            }
            Event::ComputeHeld { amount } => self.ledger.hold(*seq, *amount, place, *time),
            Event::ComputeCharged { hold, usd, .. } => self.ledger.charge_compute(place, *time, *hold, *usd),
            Event::AttemptEnded { .. } => {
                // A process died between the two: what nobody can tell is not charged.
                if let Some(hold) = place.unit_id().and_then(|id| self.unit(&id).compute.held) {
                    self.ledger.settle(place, *time, Some(hold), PicoUsd::ZERO, None);
                }
            }
            Event::AttemptStarted { consumes, .. } => {
                consumes.iter().try_for_each(|id| self.consume(id))?;
                if let (Some(rollback), Some(unit)) = (&mut self.rollback, place.unit_id()) {
                    rollback.begun.insert(unit);
                }
            }
            _ => {}
        }
        let name = place.step.as_ref().ok_or("it is of a step")?;
        let step = self.steps.entry(name.clone()).or_default();
        let Some(item) = place.item else {
            step.unit.apply(recorded);
            return Ok(());
        };
        let items = step.items.as_mut().ok_or("the step has not fanned out")?;
        if !items.begin(item) {
            return Err("there is no such item yet");
        }
        step.apply_item(item, recorded);
        Ok(())
    }

    fn consume(&mut self, id: &ApprovalId) -> Result<(), &'static str> {
        let approval = self.approvals.get_mut(id).ok_or("no such approval")?;
        if !matches!(approval.state, ApprovalState::Closed { outcome: Outcome::Approved, .. }) {
            return Err("it consumes an approval that was not given");
        }
        approval.state = ApprovalState::Consumed;
        Ok(())
    }

    /// As [`consume`](Self::consume), for one effect, which may need more than one intent: one that was cut off is made
    /// again, and one of a failed attempt was undone.
    fn consume_for(&mut self, id: &ApprovalId, key: &Digest) -> Result<(), &'static str> {
        let approval = self.approvals.get_mut(id).ok_or("no such approval")?;
        match approval.state {
            ApprovalState::Closed { outcome: Outcome::Approved, .. } | ApprovalState::Consumed
                if approval.used_for.is_none_or(|other| other == *key) =>
            {
                approval.state = ApprovalState::Consumed;
                approval.used_for = Some(*key);
                Ok(())
            }
            _ => Err("it consumes an approval that was not given for it"),
        }
    }

    /// Changes what a step or an item has come to; none where there is none.
    fn change(&mut self, place: &Place, change: impl FnOnce(&mut Unit)) -> Option<()> {
        let step = self.steps.entry(place.step.clone()?).or_default();
        match place.item {
            None => {
                change(&mut step.unit);
                Some(())
            }
            Some(item) => step.items.as_mut()?.change(item, change),
        }
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
    pub fn step(&self, name: &StepName) -> &StepState {
        let was = self.rollback.as_ref().map(|rollback| rollback.was);
        let other = match was.or_else(|| self.ended.as_ref().map(|(status, _)| *status)) {
            Some(RunStatus::Cancelled) => &CANCELLED_STEP,
            _ => &NEW_STEP,
        };
        self.steps.get(name).unwrap_or(other)
    }

    /// The attempts of a step or an item; of one that has not begun they are as new.
    #[must_use]
    pub fn unit(&self, id: &UnitId) -> &Unit {
        let step = self.step(&id.step);
        match id.item {
            None => &step.unit,
            Some(item) => step.items.as_ref().and_then(|items| items.unit(item)).unwrap_or(&NEW_STEP.unit),
        }
    }

    /// A step's output.
    #[must_use]
    pub fn output(&self, name: &StepName) -> Option<&Value> {
        self.step(name).unit.output.as_deref()
    }

    /// The units that have begun and not ended.
    pub fn active(&self) -> impl Iterator<Item = (UnitId, &Unit)> {
        self.steps.iter().flat_map(|(step, state)| {
            state.active().map(|(item, unit)| (UnitId { step: step.clone(), item }, unit))
        })
    }

    /// Those of them that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Unit> {
        self.steps.values().flat_map(StepState::running).map(|(_, unit)| unit)
    }

    /// Those of them that something may become due for.
    pub(crate) fn timed(&self) -> impl Iterator<Item = (&StepName, Option<u32>, &Unit)> {
        self.steps.iter().flat_map(|(step, state)| state.timed().map(move |(item, unit)| (step, item, unit)))
    }

    /// The approvals that nobody has decided yet.
    pub fn open(&self) -> impl Iterator<Item = &Approval> {
        self.open.iter().filter_map(|id| self.approvals.get(id))
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

    /// Whether anything has happened to it since it was created.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// The event that first told what this firing tells.
    pub(crate) fn first_told(&self, firing: &Firing, place: &Place) -> Option<u64> {
        self.told.get(&firing.told(place)).copied()
    }

    /// The highest part of its budget, in percent, of which somebody was told that it is spent.
    pub(crate) const fn alerted(&self) -> u32 {
        self.alerted
    }

    /// The approval that the run waits for before anything in it begins.
    pub(crate) fn run_gate(&self) -> Option<&Approval> {
        self.approvals.get(&self.run_gate?)
    }

    /// Who wants the run to end, if somebody does.
    #[must_use]
    pub const fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// The steps and items of which nobody will know what they did, and who wants it undone as soon as the run has ended.
    #[must_use]
    pub const fn compensations(&self) -> &BTreeMap<UnitId, PrincipalName> {
        &self.compensations
    }

    /// The last rollback of the run, under way or over.
    #[must_use]
    pub const fn rollback(&self) -> Option<&Rollback> {
        self.rollback.as_ref()
    }

    /// The rollback that is under way.
    #[must_use]
    pub fn rolling_back(&self) -> Option<&Rollback> {
        self.rollback.as_ref().filter(|rollback| !rollback.is_over)
    }

    /// The final state that the run had reached last; a rollback may be under way since.
    pub(crate) fn ended_as(&self) -> Option<RunStatus> {
        self.ended.as_ref().map(|(status, _)| *status)
    }

    /// Why the run failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.ended.as_ref()?.1.as_deref()
    }

    /// Whether a step has failed, and with it the run as soon as what is under way has come to its end.
    pub(crate) fn has_failed(&self) -> bool {
        self.steps.values().any(|step| step.unit.status == StepStatus::Failed)
    }
}
