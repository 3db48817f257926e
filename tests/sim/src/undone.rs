//! What rollbacks did to the databases, held against what the steps had committed there.

use std::collections::{BTreeMap, BTreeSet};

use wflo_engine::{Event, Recorded, RunState, StepUndone, UnitId};
use wflo_model::{Digest, RunId, SqlValue, StoreId};
use wflo_ports::{Marker, MarkerPurpose};

use crate::database::Commit;
use crate::world::World;

/// What the markers of a run are made of.
pub(crate) struct Marks {
    pub(crate) store: StoreId,
    pub(crate) run: RunId,
}

impl Marks {
    fn of(&self, id: &UnitId, purpose: MarkerPurpose) -> Digest {
        let (store, run) = (self.store, self.run);
        Marker { store, run, step: id.step.clone(), item: id.item, purpose }.digest()
    }
}

/// One rollback, as the events tell it.
#[derive(Default)]
struct Told {
    /// What was to be undone by database, newest first.
    undo: BTreeMap<String, Vec<UnitId>>,
    /// What came of it, by database; there before it is committed.
    undoing: BTreeMap<String, Vec<StepUndone>>,
    /// The databases that are done with, and whether they were undone.
    settled: BTreeMap<String, bool>,
}

impl Told {
    /// The rows that it has left in a database of what a step or item had written there; none where it has undone
    /// nothing of it.
    fn left(&self, database: &str, unit: &UnitId) -> Option<BTreeSet<String>> {
        self.settled.get(database).filter(|is_undone| **is_undone)?;
        let step = self.undoing.get(database)?.iter().find(|step| step.unit() == *unit)?;
        let keys = step.conflicts.iter().filter_map(|conflict| match &conflict.key[..] {
            [SqlValue::Text(key)] => Some(key.clone()),
            _ => None,
        });
        Some(keys.collect())
    }
}

/// In each database a rollback is one commit or none, and that commit is what the steps' own commits say it must be.
pub(crate) fn undone(world: &World, marks: &Marks, events: &[Recorded], state: &RunState) {
    let property = "undone once";
    let mut all: BTreeMap<u64, Told> = BTreeMap::new();
    for recorded in events {
        if matches!(recorded.event, Event::RollbackStarted { .. }) {
            all.insert(recorded.seq, Told::default());
        }
        let Some(mut latest) = all.last_entry() else { continue };
        let told = latest.get_mut();
        match &recorded.event {
            Event::RollbackPlanned { plan } => {
                for undo in &plan.undo {
                    for database in undo.databases.keys() {
                        told.undo.entry(database.to_string()).or_default().push(undo.unit());
                    }
                }
            }
            Event::Undoing { database, steps } => {
                told.undoing.insert(database.to_string(), steps.clone());
            }
            Event::Undone { database, error } => {
                told.settled.insert(database.to_string(), error.is_none());
            }
            _ => {}
        }
    }
    for name in ["left", "right"] {
        let log = world.lock().databases[name].log.clone();
        for (seq, told) in &all {
            let undo = told.undo.get(name).map(Vec::as_slice).unwrap_or_default();
            let Some(oldest) = undo.last() else { continue };
            let marker = marks.of(oldest, MarkerPurpose::Undo { rollback: *seq });
            let commits: Vec<usize> =
                (0..log.len()).filter(|at| log[*at].by.as_ref() == Some(&marker)).collect();
            let what = match (&commits[..], told.undoing.get(name), told.settled.get(name)) {
                ([], _, None | Some(false)) => None,
                ([], _, Some(true)) => Some("it is said to be undone, and is not".to_owned()),
                ([_], _, Some(false)) => Some("it is said to have failed, and is undone".to_owned()),
                ([_], None, _) => Some("it was undone before the journal said what".to_owned()),
                ([at], Some(said), _) => {
                    let earlier = all.range(..seq).rev().map(|(_, told)| told);
                    let left = |unit: &UnitId| earlier.clone().find_map(|told| told.left(name, unit));
                    let Expected { rows, steps } = Expected::of(&log[..*at], undo, marks, left);
                    let wrote = log[*at].rows.iter().map(|(key, (_, after))| (key.clone(), *after));
                    let counts = said.iter().map(|it| (it.rows, it.conflicts.len() as u64));
                    if wrote.clone().collect::<BTreeMap<_, _>>() != rows {
                        Some(format!("it wrote {:?} and not {rows:?}", wrote.collect::<Vec<_>>()))
                    } else if counts.clone().ne(steps.iter().copied()) {
                        Some(format!("the journal says {:?} and not {steps:?}", counts.collect::<Vec<_>>()))
                    } else {
                        None
                    }
                }
                _ => Some("it was undone more than once".to_owned()),
            };
            if let Some(what) = what {
                let what =
                    format!("rollback {seq} of {} in `{name}` ({}): {what}", marks.run, state.status());
                world.violated(property, what);
            }
        }
    }
}

/// What undoing the commits of steps must come to.
#[derive(Default)]
struct Expected {
    /// What it writes.
    rows: BTreeMap<String, Option<i64>>,
    /// Rows and conflicts of each step.
    steps: Vec<(u64, u64)>,
}

impl Expected {
    /// Undone after `log`, which has the commits: of those of which an earlier rollback has `left` something, that.
    fn of(
        log: &[Commit],
        undo: &[UnitId],
        marks: &Marks,
        left: impl Fn(&UnitId) -> Option<BTreeSet<String>>,
    ) -> Self {
        let mut now: BTreeMap<&str, Option<i64>> = BTreeMap::new();
        for commit in log {
            now.extend(commit.rows.iter().map(|(key, (_, after))| (key.as_str(), *after)));
        }
        let mut this = Self::default();
        for unit in undo {
            let marker = marks.of(unit, MarkerPurpose::Step);
            let (mut undone, mut conflicts, left) = (0, 0, left(unit));
            let commits = log.iter().filter(|commit| commit.by == Some(marker));
            for (key, (before, after)) in commits.flat_map(|commit| &commit.rows) {
                let found = now.get(key.as_str()).copied().flatten();
                if before == after || left.as_ref().is_some_and(|left| !left.contains(key)) {
                    // It changed nothing, or is undone.
                } else if found == *before || found == *after {
                    now.insert(key, *before);
                    this.rows.insert(key.clone(), *before);
                    undone += 1;
                } else {
                    conflicts += 1;
                }
            }
            this.steps.push((undone, conflicts));
        }
        this
    }
}
