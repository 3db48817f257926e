//! A rollback as people and programs are shown it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wflo_engine::{
    ApprovalState, LeftEffect, Outcome, Reapplied, Rollback, RunState, StepStatus, StepUndone, UnitId,
};
use wflo_model::{Conflict, Label, PrincipalName, StepName};

/// What a rollback did, and what it left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RollbackView {
    /// Who asked for it; none where the workflow says so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalName>,
    /// The step that stays, with everything before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<StepName>,
    /// The steps and items whose effects alone are undone; all of them, where none is named.
    #[serde(default)]
    pub only: Vec<UnitId>,
    /// Compensators, newest step first.
    pub compensated: Vec<CompensatedView>,
    /// Writes that were undone, by database, newest step first.
    pub undone: Vec<UndoneView>,
    /// Databases in which nothing could be undone, and why.
    #[serde(default)]
    pub failed: BTreeMap<Label, String>,
    /// Effects that stay: nothing can undo them.
    pub left: Vec<LeftEffect>,
    /// Infrastructure that was taken back, or was not; newest step first.
    #[serde(default)]
    pub reapplied: Vec<ReappliedView>,
    /// How those who had to agree to it decided, where that was not to: then nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Outcome>,
}

/// What became of the infrastructure that one step or item had applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReappliedView {
    /// The terraform folder.
    pub terraform: Label,
    /// The step.
    pub step: StepName,
    /// The item, where it fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What came of applying the configuration before; none as long as that is not done.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub came_to: Option<Reapplied>,
}

/// A compensator, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CompensatedView {
    /// The step it undoes.
    pub step: StepName,
    /// The item, where that fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts begun.
    pub attempts: u32,
    /// Whether the effects did happen; false where one of them may or may not have.
    pub certain: bool,
    /// What the step did, in words.
    pub effects: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What was undone of one step or item in one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UndoneView {
    /// The database.
    pub database: Label,
    /// The step.
    pub step: StepName,
    /// The item, where it fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Rows that are as they were.
    pub rows: u64,
    /// Rows that were left as they are; the first of them, where there are very many.
    pub conflicts: Vec<Conflict>,
    /// Further rows that were left as they are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_conflicts: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl UndoneView {
    pub(crate) fn new(database: &Label, undone: StepUndone) -> Self {
        let StepUndone { step, item, rows, conflicts, more_conflicts } = undone;
        Self { database: database.clone(), step, item, rows, conflicts, more_conflicts }
    }
}

impl RollbackView {
    /// The rollbacks of a run, the last one first.
    pub(crate) fn all(state: &RunState) -> Vec<Self> {
        let rollbacks = std::iter::successors(state.rollback(), |it| it.earlier.as_deref());
        rollbacks.map(|rollback| Self::new(state, rollback)).collect()
    }

    fn new(state: &RunState, rollback: &Rollback) -> Self {
        let plan = rollback.plan.clone().unwrap_or_default();
        let reapplied = plan.reapply.into_iter().map(|it| ReappliedView {
            came_to: rollback.reapplied.get(&it.terraform).cloned(),
            terraform: it.terraform,
            step: it.step,
            item: it.item,
        });
        let reapplied = reapplied.collect();
        let compensated = plan.compensate.into_iter().map(|it| {
            let unit = it.unit().compensator();
            let begun = unit.filter(|unit| rollback.begun.contains(unit)).map(|unit| state.unit(&unit));
            CompensatedView {
                status: begun.map_or(StepStatus::Pending, |unit| unit.status),
                attempts: begun.map_or(0, |unit| unit.attempt),
                error: begun.and_then(|unit| unit.error.clone()),
                step: it.step,
                item: it.item,
                certain: it.certain,
                effects: it.effects,
            }
        });
        let undone = rollback
            .undone
            .iter()
            .flat_map(|(database, steps)| steps.iter().map(|it| UndoneView::new(database, it.clone())));
        let failed = rollback.settled.iter();
        let asked = rollback.approval.filter(|_| rollback.is_over).and_then(|id| state.approval(&id));
        let refused = asked.and_then(|approval| match approval.state {
            ApprovalState::Closed { outcome: Outcome::Approved, .. } => None,
            ApprovalState::Closed { outcome, .. } => Some(outcome),
            ApprovalState::Open | ApprovalState::Consumed => None,
        });
        Self {
            by: rollback.by.clone(),
            to: rollback.to.clone(),
            only: rollback.only.clone(),
            compensated: compensated.collect(),
            undone: undone.collect(),
            failed: failed.filter_map(|(label, why)| Some((label.clone(), why.clone()?))).collect(),
            left: plan.left,
            reapplied,
            refused,
        }
    }

    /// Whether what a step did is undone, all of it, by the last of the rollbacks that had anything of it to undo: what one
    /// before that has undone is not planned again.
    pub(crate) fn have_undone(all: &[Self], step: &StepName) -> bool {
        all.iter().filter(|it| it.refused.is_none()).find_map(|it| it.has_undone(step)) == Some(true)
    }

    /// Whether what a step did is undone, all of it: none where it had nothing to undo.
    fn has_undone(&self, step: &StepName) -> Option<bool> {
        let compensated = self.compensated.iter().filter(|it| it.step == *step);
        let compensated = compensated.map(|it| it.status == StepStatus::Succeeded);
        let undone = self.undone.iter().filter(|it| it.step == *step).map(|it| it.conflicts.is_empty());
        let left = self.left.iter().filter(|it| it.step == *step).map(|_| false);
        let reapplied = self.reapplied.iter().filter(|it| it.step == *step);
        let reapplied = reapplied.map(|it| matches!(it.came_to, Some(Reapplied::Done { .. })));
        compensated.chain(undone).chain(left).chain(reapplied).reduce(|all, one| all && one)
    }
}
