//! Compensators: attempts that undo a step, under a name of their own.
//!
//! A compensator has the grants, limits and retries of the step it undoes, and is told what that step returned and
//! whether its effects are certain. Its calls go through the same gate and the same journal.

use serde_json::Value;
use wflo_engine::{RunState, UnitId};
use wflo_host_api::Undo;
use wflo_manifest::{OnItemFailure, Plan, PlanStep};

/// The step that an attempt is of: the one in the plan, or for a compensator the one it undoes, without what stands
/// before and after a step.
pub(crate) fn step_of(plan: &Plan, unit: &UnitId) -> Option<PlanStep> {
    let Some(of) = unit.compensates() else { return plan.step(&unit.step).cloned() };
    let step = plan.step(&of.step)?.clone();
    Some(PlanStep { approval: None, output: None, rollback: false, ..step })
}

/// What a compensator is told; none for an attempt that is none.
pub(crate) fn undo_of(step: &PlanStep, unit: &UnitId, state: &RunState) -> Option<Undo> {
    let of = unit.compensates()?;
    let plan = state.rollback()?.plan.as_ref()?;
    let compensation = plan.compensate.iter().find(|it| it.unit() == of)?;
    let item = of.item.and_then(|item| state.step(&of.step).items.as_ref()?.value(item).cloned());
    let output = output_of(step, &of, state);
    Some(Undo { step: step.function.to_string(), item, output, certain: compensation.certain })
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
