//! Compensators: attempts that undo a step, under a name of their own.
//!
//! A compensator has the grants, limits and retries of the step it undoes, and is told what that step returned and
//! whether its effects are certain. Its calls go through the same gate and the same journal. What a fork compensates may
//! be an item of its parent: which it was and what it returned is in the parent's journal, which is kept as long as the
//! fork.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use wflo_engine::{RunState, UnitId};
use wflo_host_api::Undo;
use wflo_manifest::{OnItemFailure, Plan, PlanStep};
use wflo_model::RunId;

use crate::{Runtime, RuntimeError};

/// The step that an attempt is of: the one in the plan, or for a compensator the one it undoes, without what stands
/// before and after a step.
pub(crate) fn step_of(plan: &Plan, unit: &UnitId) -> Option<PlanStep> {
    let Some(of) = unit.compensates() else { return plan.step(&unit.step).cloned() };
    let step = plan.step(&of.step)?.clone();
    Some(PlanStep { approval: None, output: None, rollback: false, ..step })
}

/// What the run of a compensator has to tell it.
pub(crate) struct Told {
    of: UnitId,
    undo: Undo,
    /// The parent to ask where this run does not know of the item.
    asks: Option<RunId>,
}

impl Told {
    /// None for an attempt that is no compensator.
    pub(crate) fn by(step: &PlanStep, unit: &UnitId, state: &RunState) -> Option<Self> {
        let of = unit.compensates()?;
        let plan = state.rollback()?.plan.as_ref()?;
        let certain = plan.compensate.iter().find(|it| it.unit() == of)?.certain;
        let (item, output) = (item_of(&of, state).cloned(), output_of(step, &of, state));
        let undo = Undo { step: step.function.to_string(), item, output, certain };
        Some(Self { asks: asks(&of, state), of, undo })
    }
}

/// Where the parents of a fork stand: nothing happens to them any more.
#[derive(Default)]
pub(crate) struct Parents(Mutex<HashMap<RunId, Arc<RunState>>>);

impl Parents {
    /// What a compensator is told. The item of a step that never fanned out in this run did so in a parent, or in the
    /// parent of that.
    pub(crate) async fn complete(
        &self,
        runtime: &Runtime,
        step: &PlanStep,
        told: Told,
    ) -> Result<Undo, RuntimeError> {
        let Told { of, mut undo, mut asks } = told;
        while let Some(run) = asks {
            let parent = self.state(runtime, run).await?;
            (undo.item, undo.output) = (item_of(&of, &parent).cloned(), output_of(step, &of, &parent));
            asks = self::asks(&of, &parent);
        }
        Ok(undo)
    }

    async fn state(&self, runtime: &Runtime, run: RunId) -> Result<Arc<RunState>, RuntimeError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let state = Arc::new(runtime.durable_state(run).await?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run, Arc::clone(&state));
        Ok(state)
    }
}

/// The parent that knows of an item which a run does not know of.
fn asks(of: &UnitId, state: &RunState) -> Option<RunId> {
    let is_known = of.item.is_none() || state.step(&of.step).items.is_some();
    state.created()?.forked.as_ref().filter(|_| !is_known).map(|forked| forked.run)
}

/// What an attempt of an item works on.
pub(crate) fn item_of<'a>(unit: &UnitId, state: &'a RunState) -> Option<&'a Value> {
    state.step(&unit.step).items.as_ref()?.value(unit.item?)
}

/// What a step or an item has returned.
fn output_of(step: &PlanStep, of: &UnitId, state: &RunState) -> Option<Value> {
    let Some(item) = of.item else { return state.output(&of.step).cloned() };
    if let Some(output) = &state.unit(of).output {
        return Some(Value::clone(output));
    }
    // The outputs of items are in that of the step, once it has ended.
    let all = state.output(&of.step)?.get(item as usize)?;
    match step.on_item_failure {
        OnItemFailure::Collect
            if state.step(&of.step).items.as_ref().is_some_and(|items| items.failed() > 0) =>
        {
            all.get("ok").cloned()
        }
        _ => Some(all.clone()),
    }
}
