//! `wflo replay`: the finished attempts of a run, run again from its journal alone.
//!
//! Nothing is performed and nothing is written. Each attempt gets its component, its recorded answers, its clock and
//! its randomness; that it makes the same calls and ends the same way shows that what the journal says follows from
//! the component.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wflo_engine::{AttemptEnd, Event, RunState, UnitId};
use wflo_host_api::{Arrival, Artifacts, Begun, Decision, Gate, LogLine, StepContext, Stop, Undo};
use wflo_manifest::Plan;
use wflo_model::{
    ApprovalId, Call, CallError, CallResult, Failure, FaultKind, Grants, RunId, StepName, Timestamp,
};
use wflo_ports::{Marker, MarkerPurpose};
use wflo_sandbox::End;

use crate::artifact::{self, Desk, Shelf};
use crate::ask::decision;
use crate::attempt::{ContextOf, context, is_uncommitted};
use crate::compensate::{Parents, Told, step_of};
use crate::history::{CameTo, History};
use crate::operation::Operation;
use crate::output_gate::{is_output, output_call};
use crate::player::{Divergence, Found, Next, Player, Wait};
use crate::redact::Redactor;
use crate::step_test::Heard;
use crate::tasks::{Caller, Task};
use crate::{Runtime, RuntimeError};

/// What replaying a run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayView {
    /// The run.
    pub run: RunId,
    /// Whether every attempt came to what the journal says.
    pub identical: bool,
    /// The attempts that have ended, in the order in which they did.
    pub attempts: Vec<AttemptReplay>,
}

/// What replaying one attempt found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptReplay {
    /// The step.
    pub step: StepName,
    /// The item, where the step fans out; counted from 0.
    pub item: Option<u32>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How many recorded calls it was given.
    pub calls: u32,
    /// The first difference; none if it is identical.
    pub difference: Option<Difference>,
}

/// Where a replay first differs from the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("at {at}: expected {expected}, got {got}")]
#[non_exhaustive]
pub struct Difference {
    /// `call N`, or `the end`.
    pub at: String,
    /// What the journal has.
    pub expected: String,
    /// What the component did.
    pub got: String,
}

impl Runtime {
    /// Runs every attempt of a run that has ended once more from the journal, and says whether it comes to the same
    /// calls and the same end. Performs nothing and writes nothing.
    ///
    /// Attempts that were interrupted or cancelled have no end of their own and are left out.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`]; when the journal or a component cannot be read.
    pub async fn replay(&self, run: RunId) -> Result<ReplayView, RuntimeError> {
        let attempts = self.replay_units(run, &|_| true, false).await?;
        let attempts: Vec<_> = attempts.into_iter().map(|(attempt, _)| attempt).collect();
        let identical = attempts.iter().all(|attempt| attempt.difference.is_none());
        Ok(ReplayView { run, identical, attempts })
    }

    /// Runs the attempts of some steps and items again; with `hears`, what went through their gates is written down.
    pub(crate) async fn replay_units(
        &self,
        run: RunId,
        wanted: &(dyn Fn(&UnitId) -> bool + Sync),
        hears: bool,
    ) -> Result<Vec<(AttemptReplay, Option<Heard>)>, RuntimeError> {
        let events = self.outline(run).await?;
        let whole = RunState::replay(&events).map_err(crate::LogFailed::from)?;
        let decided = whole.approvals().filter_map(|approval| Some((approval.id, decision(approval)?)));
        let decided: Arc<HashMap<ApprovalId, Decision>> = Arc::new(decided.collect());
        let mut state = RunState::default();
        let mut begun: HashMap<(UnitId, u32), (StepContext, Option<Undo>)> = HashMap::new();
        let mut plan = None;
        let mut attempts = Vec::new();
        let parents = Parents::default();
        for recorded in &events {
            state.apply(recorded).map_err(crate::LogFailed::from)?;
            if plan.is_none() {
                plan = Some(self.plan(&state).await?);
            }
            let (Some(unit), Some(plan)) = (recorded.place.unit_id(), plan.as_deref()) else { continue };
            if !wanted(&unit) {
                continue;
            }
            let key = (unit, recorded.place.attempt);
            match &recorded.event {
                Event::AttemptStarted { .. } => {
                    let missing =
                        || RuntimeError::Bug { message: format!("the plan has no step `{}`", key.0.step) };
                    let step = &step_of(plan, &key.0).ok_or_else(missing)?;
                    let approval = state.unit(&key.0).approval;
                    let program = self.program(&step.component).await?;
                    let undo = match Told::by(step, &key.0, &state) {
                        Some(told) => Some(parents.complete(self, step, told).await?),
                        None => None,
                    };
                    let of = ContextOf { unit: &key.0, attempt: key.1, undo: undo.as_ref(), approval };
                    let known = context(&*program, &run, plan, &state, step, of);
                    begun.insert(key, (known, undo));
                }
                Event::AttemptEnded { end, .. } if has_end_of_its_own(end) => {
                    let Some((context, undo)) = begun.remove(&key) else { continue };
                    let known = Known { context, undo, decided: Arc::clone(&decided), hears };
                    let history = self.history_of(run, &key.0, key.1).await?;
                    attempts.push(self.replay_attempt(run, plan, key, known, history, end).await?);
                }
                _ => {}
            }
        }
        Ok(attempts)
    }

    async fn replay_attempt(
        &self,
        run: RunId,
        plan: &Plan,
        (unit, attempt): (UnitId, u32),
        Known { context, undo, decided, hears }: Known,
        history: History,
        recorded: &AttemptEnd,
    ) -> Result<(AttemptReplay, Option<Heard>), RuntimeError> {
        let missing = || RuntimeError::Bug { message: format!("the plan has no step `{}`", unit.step) };
        let step = step_of(plan, &unit).ok_or_else(missing)?;
        let program = self.program(&step.component).await?;
        let keys = Arc::new(self.journal().keys(run).await?);
        let store = self.journal().store_id();
        let marker =
            Marker { store, run, step: unit.step.clone(), item: unit.item, purpose: MarkerPurpose::Step };
        let shelf = Shelf::new(self.journal().clone(), run, Arc::clone(&keys));
        let desk = Desk::new(shelf, &step.limits, false);
        let heard = hears.then(|| {
            let (started, seed) = (history.started, keys.seed(unit.step.as_str(), unit.item, attempt));
            let (calls, clock, looked, context) = (Vec::new(), Vec::new(), false, context.clone());
            let (timers, approvals, end) = (history.timers(), history.approvals(), recorded.clone());
            Heard { context, calls, clock, looked, timers, started, seed, approvals, end }
        });
        // What a person gave up while it committed had come to its output.
        let given_up = history.committing.as_ref().filter(|_| matches!(recorded, AttemptEnd::Failed(_)));
        let given_up = given_up.map(|it| AttemptEnd::Succeeded { output: it.output.clone() });
        let recorded = given_up.as_ref().unwrap_or(recorded);
        let player = Player::new(keys, marker, attempt, history);
        let (cut_off, grants) = (is_deadline(recorded), step.grants.clone());
        let redactor = Redactor::new(!step.labels.is_empty());
        let (difference, is_cut) = Default::default();
        let gate = ReplayGate {
            player,
            desk,
            context,
            decided,
            grants,
            redactor,
            cut_off,
            difference,
            is_cut,
            heard,
        };
        let ended = match &undo {
            Some(undo) => program.compensate(undo, Box::new(gate), &step.limits).await,
            None => program.run(step.function.as_str(), Box::new(gate), &step.limits).await,
        };
        let gate: Box<dyn Any> = ended.gate;
        let mut gate = gate.downcast::<ReplayGate>().expect("the sandbox gives back the gate it was given");
        let mut end = match ended.end {
            End::Failed(Failure { kind, message }) => {
                End::Failed(Failure { kind, message: gate.redactor.text(message) })
            }
            other => other,
        };
        let mut refused = false;
        if let End::Output(output) = &end
            && gate.player.history().peek().is_some_and(|recorded| is_output(&recorded.call))
        {
            match gate.player.ask(output_call(output)) {
                // People may have changed it: that is what the attempt ended with.
                Ok((_, Some(CameTo::Returned { .. }))) => {
                    if let Some(changed) = gate.player.performed() {
                        end = End::Output(changed.args.clone());
                    }
                }
                Ok(_) => refused = matches!(recorded, AttemptEnd::Failed(_)),
                Err(divergence) => _ = gate.differs(divergence.into()),
            }
        }
        // The guest has returned, and a database was against what it had written: there is none here to say so again.
        let is_unkept = matches!(end, End::Output(_))
            && is_uncommitted(recorded)
            && gate.player.history().peek().is_none();
        let difference = match gate.difference.take() {
            Some(difference) => Some(difference),
            // What people decided or said ended it there: the calls up to it are all that can be shown.
            None if is_unkept || refused || (gate.is_cut && matches!(recorded, AttemptEnd::Failed(_))) => {
                None
            }
            // A fault may come before every recorded call was made; a guest that returns has made them.
            None => match (&end, gate.player.unfinished()) {
                (End::Output(_) | End::Failed(_), Some(divergence)) => Some(divergence.into()),
                _ => compare(recorded, end, |output| step.output_violations(output)),
            },
        };
        let calls = gate.player.ordinal();
        let replayed = AttemptReplay { step: unit.step, item: unit.item, attempt, calls, difference };
        Ok((replayed, gate.heard))
    }
}

/// Whether an attempt ended by what its component did: what was cut off from outside cannot be shown again.
const fn has_end_of_its_own(end: &AttemptEnd) -> bool {
    !matches!(
        end,
        AttemptEnd::Interrupted { .. }
            | AttemptEnd::Skipped { .. }
            | AttemptEnd::Cancelled
            | AttemptEnd::Unpaid { .. }
    )
}

/// Whether the wall clock ended an attempt.
fn is_deadline(end: &AttemptEnd) -> bool {
    matches!(end, AttemptEnd::Fault(fault) if fault.kind == FaultKind::Deadline)
}

/// Holds the end of a replay against the recorded one.
fn compare(
    recorded: &AttemptEnd,
    got: End,
    violations: impl Fn(&serde_json::Value) -> Vec<String>,
) -> Option<Difference> {
    if is_deadline(recorded) {
        // It was the wall clock's doing; the calls up to it are all that can be shown.
        return None;
    }
    let got = match got {
        End::Output(output) if violations(&output).is_empty() => AttemptEnd::Succeeded { output },
        End::Output(output) => {
            let (kind, message) = (FaultKind::BadOutput, violations(&output).join("; "));
            AttemptEnd::Fault(wflo_model::Fault { kind, message })
        }
        End::Failed(failure) => AttemptEnd::Failed(failure),
        End::Fault(fault) => AttemptEnd::Fault(fault),
        End::Stopped(stop) => {
            return Some(Difference {
                at: "the end".into(),
                expected: show(recorded),
                got: stop.to_string(),
            });
        }
    };
    let same = match (recorded, &got) {
        // The words of a fault have addresses and the like in them.
        (AttemptEnd::Fault(one), AttemptEnd::Fault(other)) => one.kind == other.kind,
        (one, other) => one == other,
    };
    (!same).then(|| Difference { at: "the end".into(), expected: show(recorded), got: show(&got) })
}

fn show(end: &AttemptEnd) -> String {
    match end {
        AttemptEnd::Succeeded { output } => format!("output {output}"),
        AttemptEnd::Failed(failure) => format!("failure `{failure}`"),
        AttemptEnd::Fault(fault) => format!("fault `{}`", fault.kind),
        other => format!("{other:?}"),
    }
}

impl From<Divergence> for Difference {
    fn from(it: Divergence) -> Self {
        Self { at: format!("call {}", it.ordinal), expected: it.expected, got: it.got }
    }
}

/// What the guest of an attempt is told beside the results of its calls.
struct Known {
    /// When it begins.
    context: StepContext,
    /// What a compensator undoes.
    undo: Option<Undo>,
    /// With the calls that people decided about.
    decided: Arc<HashMap<ApprovalId, Decision>>,
    /// Whether what goes through the gate is written down.
    hears: bool,
}

/// A gate that has nothing behind it but a journal.
struct ReplayGate {
    player: Player,
    desk: Desk,
    context: StepContext,
    decided: Arc<HashMap<ApprovalId, Decision>>,
    grants: Grants,
    redactor: Redactor,
    /// Whether the clock ended the attempt: it may have gone on where the journal does not.
    cut_off: bool,
    difference: Option<Difference>,
    /// Whether the journal of the attempt ends in the middle of a call: people were asked about it and nothing came
    /// after that, or somebody said that nobody will know what it came to.
    is_cut: bool,
    /// What went through it, for whoever writes it down.
    heard: Option<Heard>,
}

impl ReplayGate {
    /// Writes down a call, and what it came to.
    fn hears(&mut self, call: Call, result: &CallResult) {
        if let Some(heard) = &mut self.heard {
            heard.calls.push((call, result.clone()));
            heard.clock.push(self.player.clock());
        }
    }

    fn differs(&mut self, difference: Difference) -> Stop {
        self.difference.get_or_insert(difference);
        Stop::Diverged
    }

    /// It does something where the journal has its end.
    fn goes_on(&mut self, got: String) -> Stop {
        let at = format!("call {}", self.player.ordinal());
        self.differs(Difference { at, expected: "the end of the step".into(), got })
    }

    /// Has the guest know the decision about the last call, as it did when that was made.
    fn recall_decision(&mut self) {
        if let Some(decision) = self.player.approval().and_then(|id| self.decided.get(&id)) {
            self.context.decision = Some(decision.clone());
        }
    }
}

#[async_trait]
impl Caller for ReplayGate {
    async fn make(&mut self, call: Call) -> Result<CallResult, Stop> {
        if let Err(error) = Operation::parse(&call) {
            return Ok(Err(error));
        }
        let name = call.to_string();
        match self.player.ask(call) {
            Ok((asked, Some(CameTo::Returned { result, .. }))) => {
                self.hears(asked.call, &result);
                if let Some(decision) = crate::ask::told(&name, &result) {
                    self.context.decision = Some(decision);
                }
                self.recall_decision();
                Ok(result)
            }
            Ok((asked, Some(CameTo::Denied { error, .. }))) => {
                let result = Err(error);
                self.hears(asked.call, &result);
                self.recall_decision();
                Ok(result)
            }
            // The journal ends in the middle of this call: the attempt was ended there, from outside.
            Ok((_, Some(CameTo::Asked { .. } | CameTo::Open(_)))) => {
                self.is_cut = true;
                Err(Stop::Suspended)
            }
            Ok((_, None)) if self.cut_off => Err(Stop::Suspended),
            Ok((_, None)) => Err(self.goes_on(name)),
            Err(divergence) => Err(self.differs(divergence.into())),
        }
    }
}

#[async_trait]
impl Gate for ReplayGate {
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop> {
        match Task::of(&call) {
            Some(Ok(task)) => task.perform(self).await,
            Some(Err(error)) => Ok(Err(error)),
            None => {
                let interface = call.interface.clone();
                let result = self.make(call).await?;
                self.redactor.saw(&interface, &result);
                if interface == artifact::HTTP {
                    artifact::saved(&result).iter().for_each(|artifact| self.desk.made(artifact));
                }
                Ok(result)
            }
        }
    }

    async fn begin(&mut self, call: Call) -> Result<Begun, Stop> {
        if !crate::http::can_be_beside(&call) || Operation::parse(&call).is_err() {
            return Ok(Begun::Done(self.call(call).await?));
        }
        let name = call.to_string();
        let Found { asked, came_to, arrives } = match self.player.begin(call) {
            Ok(found) => found,
            Err(divergence) => return Err(self.differs(divergence.into())),
        };
        let under_way = Begun::UnderWay(self.player.ordinal());
        match came_to.map(|came_to| came_to.result().ok_or(came_to)) {
            Some(Ok(result)) => {
                self.hears(asked.call, &result);
                self.recall_decision();
                Ok(if arrives { under_way } else { Begun::Done(result) })
            }
            Some(Err(CameTo::Open(_))) => {
                self.is_cut = true;
                Ok(under_way)
            }
            Some(Err(_)) => {
                self.is_cut = true;
                Err(Stop::Suspended)
            }
            // It was under way when the clock ended the attempt.
            None if self.cut_off => Ok(under_way),
            None => Err(self.goes_on(name)),
        }
    }

    async fn arrival(&mut self, until: Option<Timestamp>) -> Result<Option<Arrival>, Stop> {
        match self.player.arrival(until) {
            Ok(Next::Came(arrival)) => Ok(Some(arrival)),
            Ok(Next::Woke) => Ok(None),
            Ok(Next::Live) if self.cut_off || self.is_cut => Err(Stop::Suspended),
            Ok(Next::Live) => Err(self.goes_on("a wait for its calls".to_owned())),
            Err(divergence) => Err(self.differs(divergence.into())),
        }
    }

    async fn refuse(&mut self, call: &Call) -> Result<Option<CallError>, Stop> {
        let grants = self.grants.clone();
        crate::http::refuse(self, call, &grants).await
    }

    fn context(&self) -> &StepContext {
        &self.context
    }

    fn log(&mut self, _line: LogLine) {}

    fn now(&mut self) -> Timestamp {
        if let Some(heard) = &mut self.heard {
            heard.looked = true;
        }
        self.player.now()
    }

    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop> {
        match self.player.wait(until) {
            // A short wait is not journaled, and here nothing is waited for.
            Wait::Over | Wait::Nap(_) => Ok(()),
            Wait::Park(_) => {
                let at = format!("call {}", self.player.ordinal() + 1);
                let (expected, got) = ("no timer".into(), format!("a timer until {until}"));
                Err(self.differs(Difference { at, expected, got }))
            }
        }
    }

    fn artifacts(&mut self) -> Option<&mut dyn Artifacts> {
        Some(&mut self.desk)
    }

    fn seed(&self) -> [u8; 32] {
        self.player.seed()
    }
}
