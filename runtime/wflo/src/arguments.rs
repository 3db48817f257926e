//! What a step that is a function of its component's own types is called with.
//!
//! It follows from the plan, the component and what is in the journal when the attempt begins, so it is the same when the
//! attempt goes on after a crash, and in a replay.

use serde_json::{Map, Value};
use wflo_engine::{RunState, scope};
use wflo_manifest::{Argument, EvaluationError, Plan, PlanStep};
use wflo_model::RunId;

use crate::guest::StepProgram;

/// The values by parameter, or why there are none; `None` for a step that is called with nothing.
pub(crate) fn arguments(
    program: &dyn StepProgram,
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    step: &PlanStep,
    item: Option<&Value>,
) -> Option<Result<Map<String, Value>, String>> {
    let signature = match program.signature(step.function.as_str()) {
        Some(signature) => signature,
        None if step.args.is_empty() => return None,
        None => return Some(Err(format!("step `{}` of its component takes no `args`", step.function))),
    };
    let bound = signature.and_then(|signature| {
        plan.arguments(step, &signature.parameters)
            .map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    });
    Some(bound.and_then(|all| Values { run, plan, state, step, item }.all(&all)))
}

struct Values<'a> {
    run: &'a RunId,
    plan: &'a Plan,
    state: &'a RunState,
    step: &'a PlanStep,
    item: Option<&'a Value>,
}

impl Values<'_> {
    fn all(&self, arguments: &[(String, Argument)]) -> Result<Map<String, Value>, String> {
        let mut all = Map::new();
        for (name, argument) in arguments {
            if let Some(value) = self.value(argument)? {
                all.insert(name.clone(), value);
            }
        }
        Ok(all)
    }

    /// The value of an argument; none if what it is to be read from is not there, which is for the function's types to
    /// judge.
    fn value(&self, argument: &Argument) -> Result<Option<Value>, String> {
        Ok(match argument {
            Argument::Written(name) => return self.written(name),
            Argument::Item => self.item.cloned(),
            Argument::Input(input) => {
                self.state.created().and_then(|it| it.inputs.get(input.as_str())).cloned()
            }
            Argument::Output(step) => self.state.output(step).cloned(),
            Argument::Absent => None,
            Argument::Fields(fields) => Some(Value::Object(self.all(fields)?)),
        })
    }

    fn written(&self, name: &str) -> Result<Option<Value>, String> {
        let Some(expression) = self.step.args.get(name) else { return Ok(None) };
        let mut scope = scope(self.run, self.state, self.step, self.plan);
        // What is spent changes while the step runs.
        scope.remove("budget");
        if let Some(item) = self.item {
            scope.bind(&["item"], item);
        }
        match expression.evaluate(&scope) {
            Ok(value) => Ok(Some(value)),
            Err(EvaluationError::Missing { .. }) => Ok(None),
            Err(error) => Err(format!("`args.{name} = \"{expression}\"`: {error}")),
        }
    }
}
