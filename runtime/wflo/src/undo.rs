//! Undoes what a run wrote to one database: in a transaction that is open when that is done, for whoever asked to commit, or
//! to roll back where it is only tried (`trial.rs`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use wflo_engine::{Event, RollbackPlan, StepUndone, UndoWrites};
use wflo_model::{ChangeSet, Conflict, Inserted, Label, SqlValue, TableChange, Undone};
use wflo_ports::{Begun, Capture, Database, DbError, Marker, MarkerPurpose, Transaction};

use crate::artifact::Shelf;
use crate::attempt::AttemptFailed;
use crate::bulk::{self, InBulk};
use crate::run_log::{RunLog, recorded};
use crate::{Runtime, RuntimeError};

/// How often undoing is tried while others write to the same rows, as with a step.
pub(crate) const MOST_TRIES: u32 = 10;

/// Undoes what one run has written.
pub(crate) struct Undoer<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) log: &'a RunLog,
}

/// What is undone in one database.
pub(crate) struct Undoing<'a> {
    pub(crate) label: &'a Label,
    pub(crate) database: &'a Arc<dyn Database>,
    /// Of the transaction that undoes it.
    pub(crate) marker: Marker,
    /// The newest first.
    writes: &'a [UndoWrites],
    pub(crate) oldest: &'a UndoWrites,
    /// The events of those that have not committed here after all.
    missing: BTreeSet<At>,
    /// By event, the rows that an earlier rollback has left: those alone are tried again.
    left: Left,
}

/// Where the journal has what is undone: the event, and the run if it is a parent's.
type At = (Option<wflo_model::RunId>, u64);

const fn at(undo: &UndoWrites) -> At {
    (undo.run, undo.event)
}

/// Rows by their table and key.
type Rows = HashSet<(String, String)>;

/// Rows that an earlier rollback has left, by the event that has them.
pub(crate) type Left = BTreeMap<At, Rows>;

/// What a rollback undoes in one database, the newest first.
pub(crate) fn of_database(plan: &RollbackPlan, label: &Label) -> Vec<UndoWrites> {
    plan.undo.iter().filter(|undo| undo.databases.contains_key(label)).cloned().collect()
}

/// The rows that were left before of what is undone.
pub(crate) fn left<'a>(
    writes: &[UndoWrites],
    before: impl Fn(&UndoWrites) -> Option<&'a [Conflict]>,
) -> Left {
    let rows = |conflicts: &[Conflict]| {
        conflicts.iter().map(|it| (it.table.clone(), of_key(&it.key))).collect::<Rows>()
    };
    writes.iter().filter_map(|undo| Some((at(undo), rows(before(undo)?)))).collect()
}

/// Leaves other rows out of what is undone.
fn keep(changes: &mut ChangeSet, rows: &Rows) {
    for table in &mut changes.tables {
        let TableChange { table, rows: changed, .. } = table;
        changed.retain(|row| rows.contains(&(table.clone(), of_key(row.key()))));
    }
}

fn of_key(key: &[SqlValue]) -> String {
    serde_json::to_string(key).expect("the values of a key can be written down")
}

/// Why nothing was undone.
pub(crate) enum NotUndone {
    /// Others wrote there meanwhile: the database asks for another try.
    Interrupted(String),
    /// It is not to be undone.
    Refused(String),
    /// It goes on when the run is resumed.
    Failed(RuntimeError),
}

impl From<RuntimeError> for NotUndone {
    fn from(error: RuntimeError) -> Self {
        Self::Failed(error)
    }
}

fn not_undone(of: &UndoWrites, error: DbError) -> NotUndone {
    match error {
        DbError::Interrupted(why) => NotUndone::Interrupted(why),
        DbError::Unavailable(_) => NotUndone::Failed(failed(of, error.to_string()).into()),
        error => NotUndone::Refused(error.to_string()),
    }
}

pub(crate) fn failed(of: &UndoWrites, message: String) -> AttemptFailed {
    AttemptFailed::Away {
        step: of.unit().to_string(),
        message: format!("it cannot be undone now: {message}"),
    }
}

impl Undoer<'_> {
    /// Finds out what of it is there to be undone; there is something. `rollback` is the event that begins it.
    pub(crate) async fn prepare<'u>(
        &self,
        label: &'u Label,
        database: &'u Arc<dyn Database>,
        rollback: u64,
        writes: &'u [UndoWrites],
        left: Left,
    ) -> Result<Undoing<'u>, RuntimeError> {
        let oldest = writes.last().expect("nothing is not undone");
        let mut missing = BTreeSet::new();
        for undo in writes.iter().filter(|undo| !undo.certain) {
            if !self.has_committed(database, undo).await? {
                missing.insert(at(undo));
            }
        }
        let marker = Marker { purpose: MarkerPurpose::Undo { rollback }, ..self.log.marker(&oldest.unit()) };
        Ok(Undoing { label, database, marker, writes, oldest, missing, left })
    }

    /// Whether a database has what a step wrote there whose commit was given up. Beginning is what waits for a commit
    /// still in flight, and tells for sure.
    async fn has_committed(
        &self,
        database: &Arc<dyn Database>,
        undo: &UndoWrites,
    ) -> Result<bool, RuntimeError> {
        let own = self.log.marker(&undo.unit());
        let marker = Marker { run: undo.run.unwrap_or(own.run), ..own };
        match database.begin(&marker, Capture::Off).await {
            Ok(Begun::AlreadyCommitted) => Ok(true),
            Ok(Begun::Open(transaction)) => {
                transaction.rollback().await;
                Ok(false)
            }
            Err(error) => Err(failed(undo, error.to_string()).into()),
        }
    }

    /// Undoes it, and gives the transaction that would commit that, with what came of each step; none where one with this
    /// marker has committed.
    pub(crate) async fn undone(
        &self,
        undoing: &Undoing<'_>,
    ) -> Result<Option<(Box<dyn Transaction>, Vec<StepUndone>)>, NotUndone> {
        let Undoing { label, database, marker, writes, oldest, missing, left } = undoing;
        let mut transaction = match database.begin(marker, Capture::Off).await {
            Ok(Begun::Open(transaction)) => transaction,
            Ok(Begun::AlreadyCommitted) => return Ok(None),
            Err(DbError::Interrupted(why)) => return Err(NotUndone::Interrupted(why)),
            Err(error) => return Err(NotUndone::Failed(failed(oldest, error.to_string()).into())),
        };
        let mut steps = Vec::new();
        let shelf = Shelf::new(self.runtime.journal().clone(), *self.log.run(), self.log.keys());
        for undo in *writes {
            let (mut changes, inserted) = match missing.contains(&at(undo)) {
                true => Default::default(),
                false => self.changes_of(undo, label).await?,
            };
            if let Some(left) = left.get(&at(undo)) {
                keep(&mut changes, left);
            }
            match undo_all(transaction.as_mut(), &changes, inserted.as_ref(), &shelf).await {
                Ok((undone, in_bulk)) => steps.push(StepUndone {
                    step: undo.step.clone(),
                    item: undo.item,
                    rows: undone.rows + in_bulk.rows,
                    conflicts: [undone.conflicts, in_bulk.conflicts].concat(),
                    more_conflicts: in_bulk.more,
                }),
                Err(error) => {
                    transaction.rollback().await;
                    return Err(not_undone(undo, error));
                }
            }
        }
        if let Err(error) = transaction.ready().await {
            transaction.rollback().await;
            return Err(not_undone(oldest, error));
        }
        Ok(Some((transaction, steps)))
    }

    /// What a step changed in a database, as the journal has it.
    async fn changes_of(
        &self,
        undo: &UndoWrites,
        label: &Label,
    ) -> Result<(ChangeSet, Option<Inserted>), RuntimeError> {
        let run = undo.run.unwrap_or(*self.log.run());
        let mut reader = self.runtime.journal().reader(run, undo.event).await?;
        let entry = reader.next().await?;
        let event = entry.as_ref().map(recorded).transpose().map_err(crate::LogFailed::from)?;
        match event.map(|recorded| recorded.event) {
            Some(Event::Committing { mut changes, mut inserted, .. }) => {
                let inserted = inserted.remove(label).map(|mut inserted| {
                    inserted.kept.run.get_or_insert(run);
                    inserted
                });
                Ok((changes.remove(label).unwrap_or_default(), inserted))
            }
            _ => Err(RuntimeError::Bug { message: format!("event {} holds no changes", undo.event) }),
        }
    }
}

/// Undoes what a step changed, and then what it had inserted in bulk: a row of those that it changed later is first put
/// back to what it was when it was inserted.
async fn undo_all(
    transaction: &mut dyn Transaction,
    changes: &ChangeSet,
    inserted: Option<&Inserted>,
    shelf: &Shelf,
) -> Result<(Undone, InBulk), DbError> {
    let undone = transaction.undo(changes).await?;
    let in_bulk = match inserted {
        Some(inserted) => bulk::undo(inserted, transaction, shelf).await?,
        None => InBulk::default(),
    };
    Ok((undone, in_bulk))
}
