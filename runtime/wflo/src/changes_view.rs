//! What the steps of a run have changed in databases, to be looked at.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wflo_engine::{AttemptEnd, Event, Recorded, Resolution, TakenBack, UnitId};
use wflo_model::{ChangeSet, Inserted, Label, StepName};

/// What one step or item changed in one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangesView {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out; counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The database.
    pub database: Label,
    /// The event that has them.
    pub event: u64,
    /// Whether they are known to have committed: false between the journal's word and the database's.
    pub committed: bool,
    /// How many of the rows are left, where a rollback has undone the others; none where nothing of it is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// The rows.
    pub changes: ChangeSet,
    /// The rows that were inserted in bulk, which are not among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inserted: Option<Inserted>,
}

/// Reads them from the events of a run. What was about to commit and did not is left out.
pub(crate) fn changes(events: &[Recorded]) -> Vec<ChangesView> {
    let mut views: Vec<ChangesView> = Vec::new();
    let mut given_up = BTreeSet::new();
    for recorded in events {
        let Some(unit) = recorded.place.unit_id() else { continue };
        let is_of = |view: &ChangesView| {
            (&view.step, view.item, view.attempt) == (&unit.step, unit.item, recorded.place.attempt)
        };
        match &recorded.event {
            Event::Committing { changes, inserted, .. } => {
                views.retain(|view| view.committed || !is_of(view));
                views.extend(changes.iter().map(|(database, changes)| ChangesView {
                    step: unit.step.clone(),
                    item: unit.item,
                    attempt: recorded.place.attempt,
                    database: database.clone(),
                    event: recorded.seq,
                    committed: false,
                    left: None,
                    changes: changes.clone(),
                    inserted: inserted.get(database).cloned(),
                }));
            }
            Event::AttemptEnded { end: AttemptEnd::Succeeded { .. }, .. } => {
                views.iter_mut().filter(|view| is_of(view)).for_each(|view| view.committed = true);
            }
            // Some of the databases may have it: they were asked when it was undone.
            Event::Resolved { intent, resolution: Resolution::Compensate, .. } => {
                _ = given_up.insert(*intent)
            }
            Event::AttemptEnded { .. } => {
                views.retain(|view| view.committed || !is_of(view) || given_up.contains(&view.event));
            }
            _ => {}
        }
    }
    let taken_back = TakenBack::of(events);
    for view in &mut views {
        let unit = UnitId { step: view.step.clone(), item: view.item };
        view.left = taken_back.get(&unit).and_then(|taken| taken.databases.get(&view.database).copied());
    }
    views
}
