//! What a fork undoes for the run it was made of.
//!
//! A run that was forked is not rolled back any more: what it did in the steps that the fork has from it is the fork's to
//! undo.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::{RunId, StepName};

use super::{LeftEffect, Reapply, RollbackPlan, TakenBack, UndoWrites};
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
    pub fn inherit(
        &mut self,
        parent: &RunId,
        plan: Self,
        steps: &BTreeSet<StepName>,
        taken: &BTreeMap<UnitId, TakenBack>,
    ) {
        let Self { compensate, undo, left, reapply } = plan;
        let before = |step: &StepName, item: Option<u32>| taken.get(&UnitId { step: step.clone(), item });
        let is_compensated =
            |step: &StepName, item: Option<u32>| before(step, item).is_some_and(|taken| taken.compensated);
        for undo in undo.into_iter().filter(|undo| steps.contains(&undo.step)) {
            let mut undo = UndoWrites { run: Some(*parent), ..undo };
            let before = before(&undo.step, undo.item);
            for (label, left) in before.into_iter().flat_map(|before| &before.databases) {
                if let Some(rows) = undo.databases.get_mut(label) {
                    *rows = *left;
                }
            }
            undo.databases.retain(|_, rows| *rows > 0);
            self.undo.extend(Some(undo).filter(|undo| !undo.databases.is_empty()));
        }
        let compensate = compensate.into_iter().filter(|it| steps.contains(&it.step));
        self.compensate.extend(compensate.filter(|it| !is_compensated(&it.step, it.item)));
        let is_back = |it: &Reapply| {
            before(&it.step, it.item).is_some_and(|taken| taken.terraform.contains_key(&it.terraform))
        };
        let reapply = reapply.into_iter().filter(|it| steps.contains(&it.step) && !is_back(it));
        self.reapply.extend(reapply.map(|it| Reapply { run: Some(*parent), ..it }));
        self.expect_states_of(taken);
        let left = left.into_iter().filter(|it| steps.contains(&it.step));
        let left = left.filter(|it| !is_compensated(&it.step, it.item));
        self.left.extend(left.map(|it| LeftEffect { what: format!("{}, in run `{parent}`", it.what), ..it }));
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
    use crate::Compensation;

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

    fn apply(step: &str, snapshot: u64) -> Reapply {
        let (step, terraform) = (step.parse().unwrap(), "prod".parse().unwrap());
        Reapply { step, item: None, terraform, snapshot, serial: Some(4), certain: true, run: None }
    }

    fn left(step: &str, item: Option<u32>) -> LeftEffect {
        LeftEffect { step: step.parse().unwrap(), item, what: "mail to rita".to_owned(), certain: true }
    }

    const PARENT: RunId = RunId::from_bytes([7; 16]);

    /// The plan of a fork that has steps `a` and `b` from a parent, and of that what its rollbacks have undone.
    fn inherited(of_parent: RollbackPlan, taken: &[(UnitId, TakenBack)]) -> RollbackPlan {
        let steps = ["a", "b"].map(|name| name.parse().unwrap()).into();
        let mut plan =
            RollbackPlan { undo: vec![writes("d")], reapply: vec![apply("d", 9)], ..RollbackPlan::default() };
        plan.inherit(&PARENT, of_parent, &steps, &taken.iter().cloned().collect());
        plan
    }

    #[test]
    fn a_fork_undoes_what_its_parent_did_in_the_steps_that_it_has_from_it() {
        let of_parent = RollbackPlan {
            undo: vec![writes("c"), writes("b"), writes("a")],
            compensate: vec![compensation("c", None), compensation("b", Some(2)), compensation("a", None)],
            reapply: vec![apply("c", 8), apply("b", 7)],
            left: vec![left("c", None), left("b", Some(1))],
        };
        let plan = inherited(of_parent, &[]);
        let runs: Vec<_> = plan.undo.iter().map(|undo| (undo.step.as_str(), undo.run)).collect();
        assert_eq!(runs, [("d", None), ("b", Some(PARENT)), ("a", Some(PARENT))]);
        assert_eq!(plan.compensate, [compensation("b", Some(2)), compensation("a", None)]);
        assert_eq!(plan.reapply, [apply("d", 9), Reapply { run: Some(PARENT), ..apply("b", 7) }]);
        assert_eq!(plan.left.len(), 1);
        assert_eq!(plan.left[0].what, format!("mail to rita, in run `{PARENT}`"));
    }

    #[test]
    fn what_is_undone_is_not_undone_again() {
        let of_parent = RollbackPlan {
            undo: vec![writes("a")],
            compensate: vec![compensation("b", Some(2)), compensation("b", Some(1))],
            reapply: vec![apply("a", 7)],
            left: vec![left("b", Some(2)), left("a", None)],
        };
        let [shop, prod]: [Label; 2] = ["shop", "prod"].map(|label| label.parse().unwrap());
        let databases = [(shop.clone(), 0)].into();
        let of_a = TakenBack { databases, terraform: [(prod, Some(3))].into(), ..TakenBack::default() };
        let of_b = TakenBack { compensated: true, ..TakenBack::default() };
        let plan = inherited(of_parent, &[(unit("a", None), of_a), (unit("b", Some(2)), of_b)]);
        assert!(!plan.undo[1].databases.contains_key(&shop));
        assert_eq!(plan.compensate, [compensation("b", Some(1))]);
        assert_eq!(plan.reapply, [apply("d", 9)]);
        let left: Vec<_> = plan.left.iter().map(|left| left.unit()).collect();
        assert_eq!(left, [unit("a", None)]);
    }
}
