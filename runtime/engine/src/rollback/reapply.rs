//! Infrastructure that a rollback takes back: the configuration before is applied again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{Call, CallError, CallResult, Label, RunId, StepName};

use super::{RollbackPlan, TakenBack};
use crate::UnitId;

/// The interface whose applies are taken back.
const TERRAFORM: &str = "wflo:infra/terraform";

/// A plan that was applied, and whose predecessor is to be applied again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reapply {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The terraform folder.
    pub terraform: Label,
    /// The event that has what was there before.
    pub snapshot: u64,
    /// The serial that the state should be at: where it was left by this, or by a rollback of what came after. None where
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// Whether it was applied; false where it may or may not have been.
    pub certain: bool,
    /// The run whose event that is, where a fork takes back what its parent has applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// What came of applying an earlier configuration again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "came_to", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reapplied {
    /// It is applied.
    Done {
        /// The serial that it left the state at; none where that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial: Option<u64>,
    },
    /// It is left as it is: somebody else has changed something since.
    Left {
        /// What was found.
        why: String,
    },
    /// It could not be applied.
    Failed {
        /// Why.
        why: String,
    },
}

impl Reapply {
    /// The step or item that applied it.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        UnitId { step: self.step.clone(), item: self.item }
    }
}

impl RollbackPlan {
    /// Expects each state where a rollback has left it, if that is newer than what the plans that are left have: a serial
    /// only grows.
    pub(super) fn expect_states_of(&mut self, taken: &BTreeMap<UnitId, TakenBack>) {
        for reapply in &mut self.reapply {
            let restored = taken.values().filter_map(|taken| *taken.terraform.get(&reapply.terraform)?).max();
            reapply.serial = reapply.serial.map(|left| restored.map_or(left, |restored| left.max(restored)));
        }
    }
}

/// A terraform folder, and the plan that a call is about: what `prepare` reads and `apply` applies.
pub(super) fn plan_of<'a>(call: &'a Call, function: &str) -> Option<(Label, &'a str)> {
    if call.interface != TERRAFORM || call.function != function {
        return None;
    }
    let text = |name: &str| call.args.get(name).and_then(Value::as_str);
    Some((text("terraform")?.parse().ok()?, text("plan")?))
}

/// Whether an apply that came to this has changed anything that is still there. One that failed was put back before it
/// was told so; where that failed too, it is told as nothing else is.
pub(super) fn has_stayed(result: &CallResult) -> bool {
    matches!(result, Ok(_) | Err(CallError::Other { .. }))
}
