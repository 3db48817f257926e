//! What the rollbacks of a run have undone, read from its events.

use std::collections::BTreeMap;

use wflo_model::{Inserted, Label};

use super::Reapplied;
use super::reapply::plan_of;
use crate::{AttemptEnd, Event, Recorded, UnitId};

/// What rollbacks have undone of one step or item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// Whether its compensator has succeeded: of its calls and messages, nothing is left.
    pub compensated: bool,
    /// The databases in which what it wrote is undone, and how many rows were left.
    pub databases: BTreeMap<Label, u64>,
    /// The terraform folders in which what it applied is taken back, and the serial of the state after that where it is
    /// known.
    pub terraform: BTreeMap<Label, Option<u64>>,
}

impl TakenBack {
    /// What the rollbacks of a run have undone of each step and item that they have worked on; one of which they have
    /// undone nothing whole is among them too, since it is not what it was.
    #[must_use]
    pub fn of(events: &[Recorded]) -> BTreeMap<UnitId, Self> {
        let mut units: BTreeMap<UnitId, Self> = BTreeMap::new();
        let mut undoing = BTreeMap::new();
        for recorded in events {
            match &recorded.event {
                Event::Undoing { database, steps } => _ = undoing.insert(database, steps),
                Event::Undone { database, error: None } => {
                    for step in undoing.remove(database).into_iter().flatten() {
                        let left = step.conflicts.len() as u64 + step.more_conflicts;
                        units.entry(step.unit()).or_default().databases.insert(database.clone(), left);
                    }
                }
                Event::Reapplied { terraform, units: of, came_to } => {
                    for unit in of.iter().filter(|_| !matches!(came_to, Reapplied::Left { .. })) {
                        let taken = units.entry(unit.clone()).or_default();
                        if let Reapplied::Done { serial } = came_to {
                            taken.terraform.insert(terraform.clone(), *serial);
                        }
                    }
                }
                Event::AttemptStarted { .. } | Event::AttemptEnded { .. } => {
                    if let Some(of) = recorded.place.unit_id().and_then(|unit| unit.compensates()) {
                        let succeeded = |end: &AttemptEnd| matches!(end, AttemptEnd::Succeeded { .. });
                        units.entry(of).or_default().compensated |=
                            matches!(&recorded.event, Event::AttemptEnded { end, .. } if succeeded(end));
                    }
                }
                _ => {}
            }
        }
        units
    }

    /// Whether what an event of the step or item did is undone: a commit, a call, a message.
    #[must_use]
    pub fn covers(&self, event: &Event) -> bool {
        match event {
            Event::Committing { databases, changes, inserted, .. } => databases.iter().all(|label| {
                let rows = changes.get(label).map(wflo_model::ChangeSet::row_count);
                let in_bulk = inserted.get(label).map_or(0, Inserted::row_count);
                match rows {
                    Some(rows) => rows as u64 + in_bulk == 0 || self.databases.get(label) == Some(&0),
                    None => self.compensated,
                }
            }),
            Event::Intent { asked, .. } => match plan_of(asked, "apply") {
                Some((terraform, _)) => self.terraform.contains_key(&terraform),
                None => self.compensated,
            },
            _ => self.compensated,
        }
    }
}
