//! Undoing what a run did: what there is to undo, in which order, and what it comes to.
//!
//! A run that has ended is rolled back in three stages. First its events are read and become a [`RollbackPlan`]. Then
//! the compensators of its steps run, newest first, each as a durable step of its own. Last, what its steps wrote to
//! databases is undone, newest first, in one transaction a database; and where its steps applied infrastructure, the
//! configuration before is applied again. What cannot be undone is in the plan from the
//! beginning, and what could not be undone is in the report at the end.

mod decide;
mod inherited;
mod permit;
mod plan;
mod reapply;
mod taken_back;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wflo_model::{ApprovalId, Conflict, Label, PrincipalName, RunId, StepName};

use crate::{RunStatus, UnitId};

pub(crate) use decide::decide;
pub use inherited::inherited_steps;
pub use plan::plan_rollback;
pub use reapply::{Reapplied, Reapply};
pub use taken_back::TakenBack;

/// What a rollback does, and what it cannot do: known before any of it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackPlan {
    /// Steps and items whose compensators run, newest first.
    #[serde(default)]
    pub compensate: Vec<Compensation>,
    /// Steps and items whose writes are undone, the last that committed first.
    #[serde(default)]
    pub undo: Vec<UndoWrites>,
    /// What stays, newest first: nothing can undo it.
    #[serde(default)]
    pub left: Vec<LeftEffect>,
    /// Plans of infrastructure whose predecessors are applied again, the last that was applied first.
    #[serde(default)]
    pub reapply: Vec<Reapply>,
}

/// A compensator to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensation {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Whether its effects did happen; false where one of them may or may not have.
    pub certain: bool,
    /// What it did, in words.
    pub effects: Vec<String>,
}

/// Writes to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoWrites {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The event that has the rows.
    pub event: u64,
    /// How many rows, by database.
    pub databases: BTreeMap<Label, u64>,
    /// Whether each of the databases has committed; false where a person gave the commit up in the middle, and only the
    /// databases can tell.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub certain: bool,
    /// The run whose event it is, where a fork undoes what its parent did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
const fn is_so(it: &bool) -> bool {
    *it
}

/// An effect that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftEffect {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What it is, in words.
    pub what: String,
    /// Whether it did happen; false where it may or may not have.
    pub certain: bool,
}

/// What came of undoing the writes of one step or item to one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepUndone {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Rows that are as they were.
    pub rows: u64,
    /// Rows that were left as they are; the first of them, where there are very many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Further rows that were left as they are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_conflicts: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A rollback as far as it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    /// The event that began it.
    pub seq: u64,
    /// Who asked for it; none where the workflow says so itself.
    pub by: Option<PrincipalName>,
    /// The step that stays, with everything before it.
    pub to: Option<StepName>,
    /// The steps and items whose effects alone are undone; all of them, where none is named.
    pub only: Vec<UnitId>,
    /// Where the run stood.
    pub was: RunStatus,
    /// What it does; none until the run's events have been read.
    pub plan: Option<RollbackPlan>,
    /// The last approval that was asked for it.
    pub approval: Option<ApprovalId>,
    /// What was undone, by database; there before it is committed.
    pub undone: BTreeMap<Label, Vec<StepUndone>>,
    /// The databases that are done with, and why one could not be undone.
    pub settled: BTreeMap<Label, Option<String>>,
    /// The terraform folders that are done with, and what came of it.
    pub reapplied: BTreeMap<Label, Reapplied>,
    /// The compensators that this rollback has begun.
    pub begun: BTreeSet<UnitId>,
    /// Whether it is over.
    pub is_over: bool,
    /// The one before it: what that has undone is in no plan any more.
    pub earlier: Option<Box<Self>>,
}

impl Compensation {
    /// The step or item that is compensated.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        UnitId { step: self.step.clone(), item: self.item }
    }
}

impl LeftEffect {
    /// The step or item whose effect it is.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        UnitId { step: self.step.clone(), item: self.item }
    }
}

impl UndoWrites {
    /// The step or item whose writes they are.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        UnitId { step: self.step.clone(), item: self.item }
    }
}

impl StepUndone {
    /// The step or item whose writes they were.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        UnitId { step: self.step.clone(), item: self.item }
    }
}

impl RollbackPlan {
    /// The databases in which something is undone.
    #[must_use]
    pub fn databases(&self) -> BTreeSet<&Label> {
        self.undo.iter().flat_map(|undo| undo.databases.keys()).collect()
    }

    /// The terraform folders in which an earlier configuration is applied again.
    #[must_use]
    pub fn terraform(&self) -> BTreeSet<&Label> {
        self.reapply.iter().map(|it| &it.terraform).collect()
    }

    /// The steps and items that have done any of it.
    pub fn units(&self) -> impl Iterator<Item = UnitId> {
        let compensate = self.compensate.iter().map(Compensation::unit);
        let undo = self.undo.iter().map(UndoWrites::unit);
        let reapply = self.reapply.iter().map(Reapply::unit);
        compensate.chain(undo).chain(reapply).chain(self.left.iter().map(LeftEffect::unit))
    }

    /// Leaves out what others than these steps and items have done.
    #[must_use]
    pub fn only(self, units: &[UnitId]) -> Self {
        let of = |step: &StepName, item: Option<u32>| {
            units.iter().any(|unit| unit.step == *step && unit.item == item)
        };
        let Self { mut compensate, mut undo, mut left, mut reapply } = self;
        compensate.retain(|it| of(&it.step, it.item));
        undo.retain(|it| of(&it.step, it.item));
        left.retain(|it| of(&it.step, it.item));
        reapply.retain(|it| of(&it.step, it.item));
        Self { compensate, undo, left, reapply }
    }

    /// Whether nothing is to be undone, whatever stays.
    #[must_use]
    pub const fn does_nothing(&self) -> bool {
        self.compensate.is_empty() && self.undo.is_empty() && self.reapply.is_empty()
    }

    /// Whether there is nothing to undo and nothing that would stay.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.does_nothing() && self.left.is_empty()
    }
}

impl Rollback {
    pub(crate) fn new(
        seq: u64,
        by: Option<PrincipalName>,
        to: Option<StepName>,
        was: RunStatus,
        earlier: Option<Self>,
    ) -> Self {
        Self {
            seq,
            by,
            to,
            only: Vec::new(),
            was,
            plan: None,
            approval: None,
            undone: BTreeMap::new(),
            settled: BTreeMap::new(),
            reapplied: BTreeMap::new(),
            begun: BTreeSet::new(),
            is_over: false,
            earlier: earlier.map(Box::new),
        }
    }
}

impl Rollback {
    /// The rows that the rollbacks before this one have left of what a step or item wrote to a database; none where they
    /// have undone nothing of it. What they have undone is others' to change since.
    #[must_use]
    pub fn left_before(&self, unit: &UnitId, database: &Label) -> Option<&[Conflict]> {
        self.earlier.as_ref()?.left(unit, database)
    }

    /// The rows that this one and those before it have left of what a step or item wrote to a database; none where they have
    /// undone nothing of it.
    #[must_use]
    pub fn left(&self, unit: &UnitId, database: &Label) -> Option<&[Conflict]> {
        let mut all = std::iter::successors(Some(self), |it| it.earlier.as_deref());
        all.find_map(|rollback| {
            let steps = rollback.undone.get(database)?;
            rollback.settled.get(database).filter(|error| error.is_none())?;
            let step = steps.iter().find(|step| step.unit() == *unit)?;
            Some(&step.conflicts[..])
        })
    }
}

impl UnitId {
    /// The unit under which the compensator of this one runs; none where its name would be too long.
    ///
    /// ```
    /// use wflo_engine::UnitId;
    /// let item = UnitId::step(&"pay".parse().unwrap()).with_item(3);
    /// let compensator = item.compensator().unwrap();
    /// assert_eq!(compensator.step.as_str(), "__undo_3__pay");
    /// assert_eq!(compensator.compensates(), Some(item));
    /// ```
    #[must_use]
    pub fn compensator(&self) -> Option<Self> {
        Some(Self { step: self.step.compensator(self.item)?, item: None })
    }

    /// The unit that this one compensates, if it is a compensator.
    #[must_use]
    pub fn compensates(&self) -> Option<Self> {
        let (step, item) = self.step.compensates()?;
        Some(Self { step, item })
    }
}
