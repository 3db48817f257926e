//! SQL databases.

mod bulk;
mod capture;
mod cursor;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wflo_model::{DbAccess, Digest, InsertedRows, RunId, SqlRows, SqlValue, StepName, StoreId};

pub use bulk::{BulkInsert, RowSource};
pub use capture::{Capture, ChangeLimits, Uncapturable};
pub use cursor::Cursor;
pub use wflo_model::{ChangeSet, Conflict, ConflictReason, RowChange, TableChange, Undone};

/// One database, as the deployment binds it.
///
/// The implementation enforces [`DbAccess`] inside the database itself (an authorizer hook, a login role), so
/// that no text of a statement can talk its way past it.
#[async_trait]
pub trait Database: Send + Sync {
    /// Reads in a snapshot of its own.
    ///
    /// # Errors
    /// [`DbError::Denied`] for anything `access` does not allow, and for a statement that writes.
    async fn query(
        &self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError>;

    /// Reads a part at a time, in a snapshot of its own; each part takes at most `time`.
    ///
    /// A database that cannot do that says so, which is what this does unless it is written anew.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    async fn cursor(
        &self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
    ) -> Result<Box<dyn Cursor>, DbError> {
        let _ = (statement, access, time);
        Err(DbError::Invalid("this database gives no result a part at a time".into()))
    }

    /// Makes the database ready to be written, if it needs that. It is called before anything is read by a run whose steps
    /// may write here, and for no other, so that what is only read stays as it is.
    ///
    /// # Errors
    /// When the database cannot be written at all. One that others hold for now is none: [`begin`](Self::begin) does what was
    /// not done here.
    async fn prepare(&self) -> Result<(), DbError> {
        Ok(())
    }

    /// Begins the one writing transaction of a step and inserts `marker` as its first change.
    ///
    /// Waits its turn in a fair queue; writers of one database follow one another. With [`Capture::On`] the
    /// transaction can tell what it [changed](Transaction::changes).
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when the turn does not come in time or the database cannot be reached.
    async fn begin(&self, marker: &Marker, capture: Capture) -> Result<Begun, DbError>;

    /// Whether a transaction with this marker has committed. A commit that was given up and may still be in flight is
    /// waited for: what is told stays so.
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn committed(&self, marker: &Marker) -> Result<bool, DbError>;

    /// Whether it keeps a step to the rows that its access names. The gate runs nothing with row filters on a database
    /// that does not, which is what this says unless it is written anew.
    fn filters_rows(&self) -> bool {
        false
    }

    /// Those of `tables` whose changes cannot be kept, for `wflo check`. A table that is not there is not among them:
    /// the first statement says so.
    ///
    /// A database that keeps no change sets names them all, which is what this does unless it is written anew.
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn uncapturable(&self, tables: &[String]) -> Result<Vec<Uncapturable>, DbError> {
        let why = "is in a database that keeps no change sets";
        Ok(tables.iter().map(|table| Uncapturable { table: table.clone(), why: why.to_owned() }).collect())
    }
}

/// What came of beginning a transaction.
pub enum Begun {
    /// It is open.
    Open(Box<dyn Transaction>),
    /// One with this marker has committed before: the effects are there already.
    AlreadyCommitted,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Open(..)",
            Self::AlreadyCommitted => "AlreadyCommitted",
        })
    }
}

/// An open transaction. Dropping it rolls it back.
#[async_trait]
pub trait Transaction: Send {
    /// Reads what this transaction sees.
    ///
    /// # Errors
    /// As [`Database::query`].
    async fn query(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError>;

    /// Writes. A failed statement changes nothing and leaves the transaction open.
    ///
    /// # Errors
    /// [`DbError::Denied`] for anything `access` does not allow, [`DbError::Constraint`], ...
    async fn execute(&mut self, statement: &Statement, access: &DbAccess) -> Result<Executed, DbError>;

    /// Inserts rows, and gives their number; all of them or none. They are taken as they come, and are not all in memory
    /// at any time.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and what `rows` says.
    async fn bulk_insert(
        &mut self,
        into: &BulkInsert,
        rows: &mut dyn RowSource,
        access: &DbAccess,
    ) -> Result<u64, DbError> {
        let _ = (into, rows, access);
        Err(DbError::Invalid("this database takes no bulk inserts".into()))
    }

    /// The next batch of the rows that this transaction has inserted into tables that had a bulk insert, and that are
    /// still there: with the place to go on from, which is 0 for the first. None at the end, and where nothing is
    /// captured.
    ///
    /// # Errors
    /// When the database fails.
    async fn inserted(&mut self, from: u64) -> Result<Option<(InsertedRows, u64)>, DbError> {
        let _ = from;
        Ok(None)
    }

    /// Deletes rows that a committed transaction has inserted, after what else it changed is [undone](Self::undo): those
    /// that nobody has changed since and no other row refers to. Others are conflicts, and are left.
    ///
    /// # Errors
    /// As [`undo`](Self::undo).
    async fn undo_inserted(&mut self, rows: &InsertedRows) -> Result<Undone, DbError> {
        let _ = rows;
        Err(DbError::Invalid("this database keeps no change sets".into()))
    }

    /// What this transaction has changed so far, the marker aside, and the rows that [`inserted`](Self::inserted) gives.
    /// It was begun with [`Capture::On`].
    ///
    /// # Errors
    /// [`DbError::Limit`] for more than `limits` allow, [`DbError::Invalid`] where nothing was captured.
    async fn changes(&mut self, limits: ChangeLimits) -> Result<ChangeSet, DbError> {
        let _ = limits;
        Err(DbError::Invalid("this database keeps no change sets".into()))
    }

    /// Applies the inverse of `changes`, row by row: of what a committed transaction did.
    ///
    /// A row is put back only where it is exactly as `changes` left it, and only where no other row has to change for
    /// it; otherwise it is left as it is and is one of the conflicts. What triggers of the database's owner had done is
    /// in `changes`; where they cannot be kept from running again, the rows of `changes` are set right after them.
    ///
    /// # Errors
    /// When the database fails; the transaction is not to be committed then.
    async fn undo(&mut self, changes: &ChangeSet) -> Result<Undone, DbError> {
        let _ = changes;
        Err(DbError::Invalid("this database keeps no change sets".into()))
    }

    /// Checks what a commit would: afterwards it does not fail for anything the step has written.
    ///
    /// A database that checks everything at once has nothing left to do, which is what this does unless it is written
    /// anew.
    ///
    /// # Errors
    /// [`DbError::Constraint`] for what would not be committed.
    async fn ready(&mut self) -> Result<(), DbError> {
        Ok(())
    }

    /// Commits: durable when it returns. The commit point of a step's writes.
    ///
    /// # Errors
    /// When the database did not say that it committed; the [marker](Database::committed) tells whether it did. What
    /// [`ready`](Self::ready) could have said is said there.
    async fn commit(self: Box<Self>) -> Result<(), DbError>;

    /// Rolls back.
    async fn rollback(self: Box<Self>);
}

/// A statement and its bound parameters.
///
/// ```
/// use wflo_model::SqlValue;
/// use wflo_ports::Statement;
/// let statement = Statement { sql: "SELECT ?1".into(), params: vec![SqlValue::Integer(1)] };
/// assert_eq!(statement.params.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// One statement of SQL.
    pub sql: String,
    /// Its parameters, in order.
    pub params: Vec<SqlValue>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// Rows inserted, updated or deleted.
    pub changed: u64,
}

/// Names the transaction of a step in `wflo_effects`: whoever finds the row knows that it committed. There is
/// no attempt in it, so that no second attempt commits what a first one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The store that holds the run.
    pub store: StoreId,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepName,
    /// The item, where the step fans out.
    pub item: Option<u32>,
    /// What the transaction is to the step.
    pub purpose: MarkerPurpose,
}

/// What a transaction is to the step of its [`Marker`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkerPurpose {
    /// Its writes.
    #[default]
    Step,
    /// The writes of its compensator.
    Compensate {
        /// The event that began the rollback.
        rollback: u64,
    },
    /// The inverse of the run's writes, back to this step.
    Undo {
        /// The event that began the rollback.
        rollback: u64,
    },
}

impl Marker {
    /// The marker as one digest, for a primary key.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let item = self.item.map(u32::to_be_bytes);
        let item = item.as_ref().map_or(&[][..], |item| &item[..]);
        let (run, step) = (self.run.as_bytes(), self.step.as_str().as_bytes());
        let step: [&[u8]; 4] = [self.store.as_bytes(), run, step, item];
        let parts = |name: &[u8], rollback: u64| {
            let [store, run, step, item] = step;
            Digest::of_parts(&[name, store, run, step, item, &rollback.to_be_bytes()])
        };
        match self.purpose {
            MarkerPurpose::Step => {
                let [store, run, step, item] = step;
                Digest::of_parts(&[b"wflo marker", store, run, step, item])
            }
            MarkerPurpose::Compensate { rollback } => parts(b"wflo marker of a compensator", rollback),
            MarkerPurpose::Undo { rollback } => parts(b"wflo marker of an undo", rollback),
        }
    }
}

/// How much one query may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Most rows.
    pub rows: usize,
    /// Most bytes of values.
    pub bytes: usize,
    /// Longest time.
    pub time: Duration,
}

impl Default for QueryLimits {
    /// 100,000 rows, 16 MiB, 30 s.
    fn default() -> Self {
        Self { rows: 100_000, bytes: 16 << 20, time: Duration::from_secs(30) }
    }
}

/// Why a statement has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "message", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DbError {
    /// The grant does not allow it.
    #[error("access denied: {0}")]
    Denied(String),
    /// No valid SQL, or parameters that do not fit.
    #[error("{0}")]
    Invalid(String),
    /// A constraint of the database.
    #[error("{0}")]
    Constraint(String),
    /// Too many rows or bytes, or too long.
    #[error("{0}")]
    Limit(String),
    /// Busy or not reachable; another attempt may help.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
    /// The transaction is gone, through no fault of the statement, and nothing of it has happened: somebody else's won,
    /// or the connection broke. A new attempt does it all again.
    #[error("{0}")]
    Interrupted(String),
}
