//! Makes a test of an attempt that a journal has.
//!
//! The attempt is replayed, as `wflo replay` does it, and what goes through the gate is written down: so there is a test
//! of what the component really asked, arguments and all, and none of an attempt that does not follow from its journal.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use wflo_engine::{Approval, AttemptEnd, Event, GateAt, Recorded, RunState, UnitId, Verdict};
use wflo_host_api::{Decision, DecisionStatus, StepContext};
use wflo_manifest::Plan;
use wflo_model::{
    ApprovalId, Call, CallError, CallResult, Digest, FaultKind, FoundArtifact, Label, RunId, StepName,
    Timestamp,
};

use super::compare::reason;
use super::{
    GivenArtifact, RecordedSetting, StepTest, TapeArgs, TapeEntry, TestApproval, TestExpects, TestVote,
};
use crate::artifact::{self, Shelf};
use crate::ask::decision;
use crate::operation::Operation;
use crate::placeholder::Placeholders;
use crate::{ApprovalView, LogFailed, Runtime, RuntimeError};

/// What is wrong with the number of an item that there is not.
fn no_item(item: u32, total: u32) -> String {
    match total {
        0 => format!("it has no item {item}: it has fanned out over nothing, or not yet"),
        1 => format!("it has no item {item}, only item 0"),
        _ => format!("it has no item {item}, only items 0 to {}", total - 1),
    }
}

/// The largest artifact that becomes part of a test.
const LARGEST: u64 = 1 << 20;

/// An attempt to make a test of: the last one of a step that came to an end of its own.
///
/// ```
/// use wflo::Record;
/// # fn doc(run: wflo_model::RunId) {
/// let record = Record { run, step: "analyze".parse().unwrap(), item: None, labelled: false };
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepName,
    /// The item, where it fans out; counted from 0.
    pub item: Option<u32>,
    /// Also where the step handles labelled data, which the test then has as plain text.
    pub labelled: bool,
}

/// What a replay heard, for whoever writes it down.
#[derive(Debug)]
pub(crate) struct Heard {
    /// What the guest knew when it began.
    pub(crate) context: StepContext,
    /// Its calls and what they came to.
    pub(crate) calls: Vec<(Call, CallResult)>,
    /// What its clock showed after each.
    pub(crate) clock: Vec<Timestamp>,
    /// Whether it looked at it.
    pub(crate) looked: bool,
    /// When its timers fired.
    pub(crate) timers: Vec<Timestamp>,
    /// When it began.
    pub(crate) started: Timestamp,
    pub(crate) seed: [u8; 32],
    /// What people were asked about its calls, in order.
    pub(crate) approvals: Vec<ApprovalId>,
    /// How it ended.
    pub(crate) end: AttemptEnd,
}

impl Runtime {
    /// Makes a test of what an attempt was given, asked, was answered and came to. No secret is in it: a journal has
    /// none.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`]; [`RuntimeError::NoSuchStep`]; [`RuntimeError::Labelled`] for a step that handles labelled data;
    /// [`RuntimeError::NotRecordable`] where there is no such attempt, or nothing would make another one come to the
    /// same.
    pub async fn record(&self, what: &Record) -> Result<StepTest, RuntimeError> {
        let Record { run, step: name, item, labelled } = what;
        let not = |why: &str| RuntimeError::NotRecordable { step: name.clone(), why: why.to_owned() };
        let events = self.events(*run).await?;
        let state = RunState::replay(&events).map_err(LogFailed::from)?;
        let plan = self.plan(&state).await?;
        let no_step = || RuntimeError::NoSuchStep { run: *run, step: name.clone() };
        let step = plan.step(name).ok_or_else(no_step)?;
        let unit = match (&step.for_each, item) {
            (Some(_), Some(item)) => {
                let items = state.step(name).items.as_ref();
                let total = items.map_or(0, wflo_engine::Items::total);
                if *item >= total {
                    return Err(not(&no_item(*item, total)));
                }
                UnitId::step(name).with_item(*item)
            }
            (None, None) => UnitId::step(name),
            (Some(_), None) => return Err(not("it fans out: name one of its items")),
            (None, Some(_)) => return Err(not("it does not fan out, and has no items")),
        };
        let labels: BTreeSet<Label> = step.labels.clone();
        if !labels.is_empty() && !labelled {
            return Err(RuntimeError::Labelled { step: name.clone(), labels });
        }
        let replayed = self.replay_units(*run, &|other| *other == unit, true).await?;
        let last = replayed.into_iter().next_back();
        let (replay, heard) = last.ok_or_else(|| not("no attempt of it has come to an end of its own"))?;
        let heard = heard.ok_or_else(|| not("nothing was heard of it"))?;
        if let Some(difference) = replay.difference {
            return Err(not(&format!("it does not follow from its journal: {difference}")));
        }
        let keys = self.journal().keys(*run).await?;
        let placeholders = Placeholders::new(&keys, &step.grants);
        let shelf = Shelf::new(self.journal().clone(), *run, std::sync::Arc::new(keys));

        let mut test = StepTest::new(name.clone());
        test.attempt = replay.attempt;
        test.inputs = heard.context.inputs.clone();
        test.outputs =
            heard.context.outputs.iter().map(|(name, it)| (name.clone(), (**it).clone())).collect();
        test.item = heard.context.item.clone();
        let begun = at_start(&events, &unit, replay.attempt);
        // Where people are asked before it starts, what they said is among the approvals.
        test.decision = heard.context.decision.clone().filter(|_: &Decision| begun.is_none());
        for id in begun.into_iter().chain(heard.approvals.iter().copied()) {
            let approval = state.approval(&id).ok_or_else(|| not("an approval of it is missing"))?;
            test.approvals.extend(asked(run, &plan, &state, approval).map_err(not)?);
        }
        for (call, result) in &heard.calls {
            if let Ok(found) = opened(call, result)
                && found.step != *name
                && !test.artifacts.iter().any(|it| is_same(it, &found))
            {
                let bytes = self.bytes(&shelf, &found).await.map_err(|why| not(&why))?;
                let FoundArtifact { step, item, artifact } = found;
                test.artifacts.push(GivenArtifact { step, item, artifact: artifact.artifact, bytes });
            }
            test.tape.extend(self.entry(&shelf, &placeholders, call, result).await.map_err(|why| not(&why))?);
        }
        test.expect.calls = Some(heard.calls.iter().map(|(call, _)| call.to_string()).collect());
        test.expect.end = match heard.end {
            AttemptEnd::Succeeded { output } => TestExpects::Output(placeholders.masked_value(&output)),
            AttemptEnd::Failed(failure) => TestExpects::Failure {
                kind: Some(failure.kind),
                message: Some(placeholders.masked_text(&failure.message)),
            },
            AttemptEnd::Fault(fault) if fault.kind == FaultKind::Deadline => {
                return Err(not("the wall clock ended it, which nothing brings about again"));
            }
            AttemptEnd::Fault(fault) => TestExpects::Fault(fault.kind),
            other => return Err(not(&format!("it ended otherwise: {other:?}"))),
        };
        let created = state.created().ok_or(RuntimeError::NoSuchRun { run: *run })?;
        test.recorded = Some(RecordedSetting {
            run: *run,
            started: heard.started,
            seed: Digest::from_bytes(heard.seed),
            requester: created.requester.clone(),
            clock: if heard.looked { heard.clock } else { Vec::new() },
            timers: heard.timers,
        });
        Ok(test)
    }

    /// What a call is answered on the tape; nothing where the gate answers it itself.
    async fn entry(
        &self,
        shelf: &Shelf,
        placeholders: &Placeholders,
        call: &Call,
        result: &CallResult,
    ) -> Result<Option<TapeEntry>, String> {
        let is_the_gates_own = Operation::parse(call).is_ok_and(|operation| operation.is_the_gates_own());
        if is_the_gates_own
            || matches!(result, Err(CallError::Rejected { .. } | CallError::RefusedByPolicy { .. }))
        {
            return Ok(None);
        }
        let mut result = result.clone();
        // The artifact that an answer has become is the body of the answer on the tape.
        if call.interface == artifact::HTTP
            && let Ok(answer) = &mut result
            && let Some(fields) = answer.as_object_mut()
            && let Some(saved) = fields.shift_remove("saved")
        {
            let found: FoundArtifact = serde_json::from_value(saved).map_err(|error| error.to_string())?;
            fields.insert("body".into(), json!(self.bytes(shelf, &found).await?));
        }
        let args = TapeArgs::Exactly(placeholders.masked(call));
        Ok(Some(TapeEntry::new(&call.interface, &call.function, args, result.into())))
    }

    async fn bytes(&self, shelf: &Shelf, found: &FoundArtifact) -> Result<wflo_model::Octets, String> {
        let artifact = &found.artifact;
        if artifact.bytes > LARGEST {
            return Err(format!(
                "artifact `{}` has {} bytes, and a test takes at most {LARGEST}",
                artifact.artifact, artifact.bytes
            ));
        }
        let mut pieces = shelf.open(artifact).await.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await.map_err(|error| error.to_string())? {
            bytes.extend(piece);
        }
        Ok(bytes.into())
    }
}

/// The artifact that a call has opened.
fn opened(call: &Call, result: &CallResult) -> Result<FoundArtifact, ()> {
    match result {
        Ok(value) if call.interface == artifact::STORE && call.function == "open" => {
            serde_json::from_value(value.clone()).map_err(|_| ())
        }
        _ => Err(()),
    }
}

fn is_same(given: &GivenArtifact, found: &FoundArtifact) -> bool {
    (&given.step, given.item, &given.artifact) == (&found.step, found.item, &found.artifact.artifact)
}

/// What people were asked before the first attempt of a step. The items of one that fans out are not asked about.
fn at_start(events: &[Recorded], unit: &UnitId, attempt: u32) -> Option<ApprovalId> {
    let asked = events.iter().rev().find_map(|recorded| match &recorded.event {
        Event::ApprovalOpened { at: GateAt::Start, id, .. }
            if recorded.place.unit_id().as_ref() == Some(unit) =>
        {
            Some(*id)
        }
        _ => None,
    });
    asked.filter(|_| attempt == 1 && unit.item.is_none())
}

/// What people were asked, and those before it in whose place it stands since nobody had decided them in time.
fn asked(
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    approval: &Approval,
) -> Result<Vec<TestApproval>, &'static str> {
    let is_changed = approval.call.as_ref().is_some_and(|call| call.performed.is_some());
    if is_changed || (!approval.authors.is_empty() && approval.at != GateAt::Run) {
        return Err("people have changed what they decided on, which a test cannot do");
    }
    let mut chain = Vec::new();
    if let Some(earlier) = approval.follows.and_then(|id| state.approval(&id))
        && !earlier.lacking().is_empty()
        && earlier.expires_at.is_some()
    {
        chain = asked(run, plan, state, earlier)?;
    }
    let view = ApprovalView::new(run, plan.workflow.as_str(), approval);
    let status = match decision(approval) {
        // Nobody said anything, and that was enough.
        Some(_) if approval.by_silence => DecisionStatus::Expired,
        Some(decision) => decision.status,
        None => DecisionStatus::Expired,
    };
    let mut asked = TestApproval::new(status);
    asked.at = Some(approval.at);
    asked.reason = Some(reason(&view));
    asked.approvers = Some(view.approvers.into_iter().collect());
    asked.votes = approval
        .votes
        .iter()
        .map(|vote| TestVote {
            by: vote.by.clone(),
            groups: vote.groups.iter().cloned().collect(),
            approved: vote.verdict == Verdict::Approve,
            comment: vote.comment.clone(),
        })
        .collect();
    chain.push(asked);
    Ok(chain)
}
