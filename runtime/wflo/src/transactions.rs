//! The writing transactions of one attempt: opened by its first write, redone after a crash, committed last.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wflo_manifest::PlanStep;
use wflo_model::{Call, CallError, CallResult, DbAccess, Inserted, Label};
use wflo_ports::{
    Begun, Capture, ChangeLimits, ChangeSet, Database, DbError, Marker, QueryLimits, Transaction,
};

use crate::Outside;
use crate::artifact::Shelf;
use crate::bulk::{NotKept, spool};
use crate::named::Statements;
use crate::operation::{Operation, database, db_error};

/// The open transactions of an attempt, one a database. Dropping it rolls them all back.
#[derive(Default)]
pub(crate) struct Transactions {
    open: BTreeMap<Label, Box<dyn Transaction>>,
    /// Statements whose transactions a crash or a park took away, with the results they had.
    lost: Vec<(Call, CallResult)>,
    keeps: Keeps,
    /// The databases whose open transactions can tell what they changed.
    captured: BTreeSet<Label>,
    /// Whether what they hold is what was lost.
    is_redone: bool,
}

/// What statements are done again with.
#[derive(Clone, Copy)]
pub(crate) struct Redo<'a> {
    pub(crate) outside: &'a Outside,
    pub(crate) step: &'a PlanStep,
    pub(crate) statements: &'a Statements,
    pub(crate) marker: &'a Marker,
    pub(crate) shelf: &'a Shelf,
}

/// Whether transactions keep what they change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Nobody is shown it.
    #[default]
    Nothing,
    /// People may be shown it: where every table that the step may write lets it be kept.
    WherePossible,
    /// People decide on it: a write to a table whose changes cannot be kept is refused.
    Everything,
}

/// Why the recorded statements could not be brought back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedoError {
    /// They came to something else this time: the database has changed in between.
    #[error("{}{}", differs(*.number), .sql.as_deref().map(made_up).unwrap_or_default())]
    Differs {
        /// Its number among the statements, from 1.
        number: usize,
        /// The beginning of it, if it is one.
        sql: Option<String>,
    },
    /// A database does not answer, or lets nobody write for now: as soon as it does, the same may come of it.
    #[error("database `{db}` is away, and what the step has written there is yet to be done again: {source}")]
    Away {
        /// The database.
        db: Label,
        /// What it said.
        source: DbError,
    },
    /// The database has refused to begin.
    #[error("the transaction could not be begun again: {0}")]
    Database(DbError),
    /// A marker is there although the journal says that nothing was to commit.
    #[error("database `{0}` has committed this step, and the journal does not know")]
    AlreadyCommitted(Label),
}

/// How often a redo begins that others have interrupted.
const TRIES: usize = 3;

/// Characters of a statement that are told.
const TOLD: usize = 80;

/// That a statement came to something else, without its text.
pub(crate) fn differs(number: usize) -> String {
    format!("redone statement {number} came to something else than recorded")
}

/// Which, and what it may come from.
fn made_up(sql: &str) -> String {
    format!(
        ": `{sql}`; others have written meanwhile, or it has a value that the database makes up anew each time, such as \
         `now()`, a sequence or `random()`: the step should pass that in"
    )
}

impl Transactions {
    /// With statements to redo before anything else is done in them.
    pub(crate) fn resuming(lost: Vec<(Call, CallResult)>, keeps: Keeps) -> Self {
        Self { lost, keeps, ..Self::default() }
    }

    /// The databases with an open transaction, in the order in which they commit.
    pub(crate) fn databases(&self) -> Vec<Label> {
        self.open.keys().cloned().collect()
    }

    /// The open transaction of `db`.
    pub(crate) fn get(&mut self, db: &Label) -> Option<&mut Box<dyn Transaction>> {
        self.open.get_mut(db)
    }

    /// The open transaction of `db`, begun if there is none.
    pub(crate) async fn begin(
        &mut self,
        outside: &Outside,
        step: &PlanStep,
        db: &Label,
        marker: &Marker,
    ) -> Result<&mut Box<dyn Transaction>, RedoError> {
        if !self.open.contains_key(db) {
            let refused = |error| match is_away(&error) {
                true => RedoError::Away { db: db.clone(), source: error },
                false => RedoError::Database(error),
            };
            let database =
                database(outside, db).map_err(|error| refused(DbError::Unavailable(error.to_string())))?;
            let capture = match self.keeps {
                Keeps::Nothing => Capture::Off,
                Keeps::Everything => Capture::On,
                Keeps::WherePossible => {
                    may_keep(database.as_ref(), step.grants.db.get(db)).await.map_err(refused)?
                }
            };
            match database.begin(marker, capture).await.map_err(refused)? {
                Begun::Open(transaction) => self.open.insert(db.clone(), transaction),
                Begun::AlreadyCommitted => return Err(RedoError::AlreadyCommitted(db.clone())),
            };
            if capture == Capture::On {
                self.captured.insert(db.clone());
            }
        }
        Ok(self.open.get_mut(db).expect("it is open, or was just begun"))
    }

    /// Executes the lost statements again, selects included, and compares what they come to.
    ///
    /// `only` restricts it to some databases: those that have not committed yet.
    ///
    /// # Errors
    /// See [`RedoError`]; what was begun is rolled back when this is dropped.
    pub(crate) async fn redo(
        &mut self,
        redo: Redo<'_>,
        only: impl Fn(&Label) -> bool,
    ) -> Result<(), RedoError> {
        let lost = std::mem::take(&mut self.lost);
        if lost.is_empty() {
            return Ok(());
        }
        self.is_redone = true;
        for _ in 1..TRIES {
            match self.redo_once(&lost, &redo, &only).await {
                // Others were faster, or the connection broke: nothing of it has happened.
                Err(RedoError::Away { source: DbError::Interrupted(_), .. }) => self.clear().await,
                done => return done,
            }
        }
        self.redo_once(&lost, &redo, &only).await
    }

    async fn redo_once(
        &mut self,
        lost: &[(Call, CallResult)],
        redo: &Redo<'_>,
        only: &impl Fn(&Label) -> bool,
    ) -> Result<(), RedoError> {
        let Redo { outside, step, statements, marker, shelf } = *redo;
        for (number, (call, recorded)) in lost.iter().enumerate() {
            let operation = Operation::parse(call).and_then(|operation| operation.bound(statements));
            let Some((operation, db)) = operation.as_ref().ok().and_then(|it| Some((it, it.statement_of()?)))
            else {
                return Err(RedoError::Differs { number: number + 1, sql: None });
            };
            if !only(db) {
                continue;
            }
            let was_away = matches!(recorded, Err(CallError::Unavailable { .. }));
            let transaction = match self.begin(outside, step, db, marker).await {
                // As it was then: the step has gone on without it.
                Err(RedoError::Away { .. }) if was_away => continue,
                begun => begun?,
            };
            let result = match perform(transaction, operation, &step.grants.db, shelf).await {
                Err(source) if is_away(&source) && !was_away => {
                    return Err(RedoError::Away { db: db.clone(), source });
                }
                done => done.map_err(db_error),
            };
            if was_away || result != *recorded {
                return Err(RedoError::Differs { number: number + 1, sql: told(operation) });
            }
        }
        Ok(())
    }

    /// Rolls back what is open.
    async fn clear(&mut self) {
        self.captured.clear();
        for transaction in std::mem::take(&mut self.open).into_values() {
            transaction.rollback().await;
        }
    }

    /// Whether what they hold is what was lost: where a database fails them it can be redone once more, and a step that
    /// has returned is not to do it anew.
    pub(crate) const fn is_redone(&self) -> bool {
        self.is_redone
    }

    /// What the open transactions have changed, for those that keep it; afterwards each can commit.
    ///
    /// # Errors
    /// When it is more than `limits` allow, a constraint is against it, or a database fails.
    pub(crate) async fn changes(&mut self, limits: ChangeLimits) -> Result<Vec<(Label, ChangeSet)>, DbError> {
        let mut all = Vec::new();
        for (db, transaction) in &mut self.open {
            transaction.ready().await?;
            if self.captured.contains(db) {
                all.push((db.clone(), transaction.changes(limits).await?));
            }
        }
        Ok(all)
    }

    /// Has the rows kept that the open transactions have inserted in bulk, for those that keep what they change.
    ///
    /// # Errors
    /// When a database fails, or the journal.
    pub(crate) async fn inserted(&mut self, shelf: &Shelf) -> Result<Vec<(Label, Inserted)>, NotKept> {
        let mut all = Vec::new();
        for (db, transaction) in &mut self.open {
            if self.captured.contains(db) {
                all.extend(spool(transaction.as_mut(), shelf).await?.map(|inserted| (db.clone(), inserted)));
            }
        }
        Ok(all)
    }

    /// Whether what the open transaction of `db` changes is kept.
    pub(crate) fn keeps(&self, db: &Label) -> bool {
        self.captured.contains(db)
    }

    /// Takes a transaction out, to commit it.
    pub(crate) fn take(&mut self, db: &Label) -> Option<Box<dyn Transaction>> {
        self.open.remove(db)
    }
}

/// Whether a database may say something else later, of the same.
pub(crate) const fn is_away(error: &DbError) -> bool {
    matches!(error, DbError::Unavailable(_) | DbError::Interrupted(_))
}

/// The beginning of a statement, on one line.
fn told(operation: &Operation) -> Option<String> {
    let sql = match operation {
        Operation::Query(sql) | Operation::Execute(sql) => sql.statement.sql.clone(),
        Operation::BulkInsert(bulk) => format!("INSERT INTO {} ...", bulk.table),
        _ => return None,
    };
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(TOLD).collect();
    Some(if cut.len() < line.len() { format!("{cut}…") } else { line })
}

/// Whether every table that a step may write lets what changes in it be kept. Named statements write what they say, and
/// that is not told here.
async fn may_keep(database: &dyn Database, access: Option<&DbAccess>) -> Result<Capture, DbError> {
    let Some(access) = access.filter(|access| access.call.is_empty()) else { return Ok(Capture::Off) };
    let tables: Vec<String> = access.write.keys().cloned().collect();
    let cannot = database.uncapturable(&tables).await?;
    Ok(if cannot.is_empty() { Capture::On } else { Capture::Off })
}

/// Performs a statement inside a transaction.
///
/// # Errors
/// What the database said; [`DbError::Interrupted`] is none of the guest's business.
pub(crate) async fn perform(
    transaction: &mut Box<dyn Transaction>,
    operation: &Operation,
    access: &BTreeMap<Label, DbAccess>,
    shelf: &Shelf,
) -> Result<Value, DbError> {
    match operation {
        Operation::Query(sql) => {
            let rows = transaction.query(&sql.statement, &sql.access(access), QueryLimits::default()).await;
            rows.map(|rows| serde_json::json!(rows))
        }
        Operation::Execute(sql) => {
            let done = transaction.execute(&sql.statement, &sql.access(access)).await;
            done.map(|done| sql.told(done))
        }
        Operation::BulkInsert(bulk) => {
            let access = access.get(&bulk.db).cloned().unwrap_or_default();
            crate::bulk::perform(bulk, transaction, &access, shelf).await
        }
        _ => Err(DbError::Other("not a statement".into())),
    }
}
