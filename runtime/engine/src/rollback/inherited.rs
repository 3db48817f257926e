//! What a fork undoes for the run it was made of.
//!
//! A run that was forked is not rolled back any more: what it did in the steps that the fork has from it is the fork's to
//! undo.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::{RunId, StepName};

use super::{Compensation, LeftEffect, Reapply, RollbackPlan, TakenBack, UndoWrites};
use crate::{Event, Recorded, UnitId};

/// The steps that a run has from the one it was forked from; without those that were left out there, which did nothing.
#[must_use]
pub fn inherited_steps(events: &[Recorded]) -> BTreeSet<StepName> {
    let steps = events.iter().filter(|it| matches!(it.event, Event::Inherited { output: Some(_), .. }));
    steps.filter_map(|recorded| recorded.place.step.clone()).collect()
}

impl RollbackPlan {
    /// Adds what a parent did in some steps, given the plan of a rollback of it: `taken` is undone already. It is older
    /// than all that is planned so far.
    ///
    /// What an item needs to be compensated, and what was there before a plan was applied, is known to the parent alone:
    /// these are left.
    pub fn inherit(
        &mut self,
        parent: &RunId,
        plan: Self,
        steps: &BTreeSet<StepName>,
        taken: &BTreeMap<UnitId, TakenBack>,
    ) {
        let is_compensated = |unit: &UnitId| taken.get(unit).is_some_and(|taken| taken.compensated);
        for undo in plan.undo.into_iter().filter(|undo| steps.contains(&undo.step)) {
            let before = taken.get(&undo.unit());
            let mut undo = UndoWrites { run: Some(*parent), ..undo };
            for (label, left) in before.into_iter().flat_map(|before| &before.databases) {
                if let Some(rows) = undo.databases.get_mut(label) {
                    *rows = *left;
                }
            }
            undo.databases.retain(|_, rows| *rows > 0);
            self.undo.extend(Some(undo).filter(|undo| !undo.databases.is_empty()));
        }
        let mut left = plan.left;
        for compensation in plan.compensate.into_iter().filter(|it| !is_compensated(&it.unit())) {
            let Compensation { step, item, certain, effects } = compensation;
            if item.is_none() && steps.contains(&step) {
                self.compensate.push(Compensation { step, item, certain, effects });
                continue;
            }
            let effects = effects.into_iter();
            left.extend(effects.map(|what| LeftEffect { step: step.clone(), item, what, certain }));
        }
        left.extend(plan.reapply.into_iter().map(|Reapply { step, item, terraform, certain, .. }| {
            LeftEffect { step, item, what: format!("what it applied in `{terraform}`"), certain }
        }));
        let left = left.into_iter().filter(|left| steps.contains(&left.step));
        self.left.extend(
            left.map(|left| LeftEffect { what: format!("{}, in run `{parent}`", left.what), ..left }),
        );
    }

    /// Adds that nothing is known of what a parent did in some steps.
    pub fn inherit_unknown(&mut self, parent: &RunId, steps: &BTreeSet<StepName>) {
        self.left.extend(steps.iter().map(|step| LeftEffect {
            step: step.clone(),
            item: None,
            what: format!("whatever it did in run `{parent}`, which is gone"),
            certain: false,
        }));
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::Label;

    use super::*;

    fn unit(step: &str, item: Option<u32>) -> UnitId {
        UnitId { step: step.parse().unwrap(), item }
    }

    fn writes(step: &str) -> UndoWrites {
        let databases = ["bank", "shop"].map(|label| (label.parse().unwrap(), 1)).into();
        UndoWrites { step: step.parse().unwrap(), item: None, event: 7, databases, certain: true, run: None }
    }

    fn compensation(step: &str, item: Option<u32>) -> Compensation {
        let effects = vec!["`POST https://shop.example/`".to_owned()];
        Compensation { step: step.parse().unwrap(), item, certain: true, effects }
    }

    #[test]
    fn a_fork_undoes_what_its_parent_did_in_the_steps_that_it_has_from_it() {
        let parent = RunId::from_bytes([7; 16]);
        let of_parent = RollbackPlan {
            undo: vec![writes("c"), writes("b"), writes("a")],
            compensate: vec![compensation("c", None), compensation("b", Some(2)), compensation("a", None)],
            ..RollbackPlan::default()
        };
        let shop: Label = "shop".parse().unwrap();
        let taken = TakenBack { databases: [(shop.clone(), 0)].into(), ..TakenBack::default() };
        let steps = ["a", "b"].map(|name| name.parse().unwrap()).into();
        let mut plan = RollbackPlan { undo: vec![writes("d")], ..RollbackPlan::default() };
        plan.inherit(&parent, of_parent, &steps, &[(unit("a", None), taken)].into());

        let runs: Vec<_> = plan.undo.iter().map(|undo| (undo.step.as_str(), undo.run)).collect();
        assert_eq!(runs, [("d", None), ("b", Some(parent)), ("a", Some(parent))]);
        assert!(!plan.undo[2].databases.contains_key(&shop), "what is undone is not undone again");
        assert_eq!(plan.compensate, [compensation("a", None)]);
        let left: Vec<_> = plan.left.iter().map(|left| (left.step.as_str(), left.item)).collect();
        assert_eq!(left, [("b", Some(2))], "its item is the parent's");
    }
}
