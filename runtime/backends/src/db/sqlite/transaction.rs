//! The one writing transaction of a step.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::ErrorCode;
use tokio::sync::{Mutex, OwnedMutexGuard};
use wflo_model::{DbAccess, InsertedRows, SqlRows};
use wflo_ports::{
    Begun, BulkInsert, Capture, ChangeLimits, ChangeSet, DbError, Executed, Marker, QueryLimits, RowSource,
    Statement, Transaction, Undone,
};

use super::authorize::Purpose;
use super::capture;
use super::connection::{Cancel, Connection, Mode};
use super::database::{SqliteOptions, blocking};
use super::deferred;
use super::effects::{INSERT_MARKER, prepare_effects};
use super::error::{LOCKED, translate};
use super::names::folded;
use super::undo::{undo, undo_inserted};

mod bulk;

/// How long SQLite waits for a lock of another program before the host looks whether anybody still wants it.
const LOCK_SLICE: Duration = Duration::from_millis(250);

/// How long others are waited for before there is anything to write.
const PREPARING: Duration = Duration::from_secs(1);

/// The place of the one connection that writes. Whoever holds the lock has the turn; the lock is fair.
pub(super) struct Writer {
    path: PathBuf,
    options: SqliteOptions,
    /// None before the first write, and after it was lost in the middle of something; the next turn opens another.
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Writer {
    /// For the transactions of `path`, of which nothing is opened before it is needed.
    pub(super) fn new(path: PathBuf, options: SqliteOptions) -> Self {
        Self { path, options, connection: Arc::default() }
    }

    /// Makes the file ready to be written, and says whether it is: where others hold it, the first write waits for them.
    pub(super) async fn prepare(&self) -> Result<bool, DbError> {
        match self.turn(PREPARING, |_, _, _| Ok(())).await {
            Ok(()) => Ok(true),
            Err(DbError::Unavailable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits for the turn, begins, and inserts the marker.
    pub(super) async fn begin(&self, marker: &Marker, capture: Capture) -> Result<Begun, DbError> {
        let (options, marker) = (self.options.clone(), marker.clone());
        let session = self
            .turn(self.options.transaction_timeout, move |slot, deadline, cancel| {
                let mut session = Session { slot };
                let kept = (capture == Capture::On).then(capture::Capture::new).transpose()?;
                session.connection_mut().set_capture(kept);
                session.connection().host().busy_timeout(LOCK_SLICE).map_err(translate)?;
                begin_immediate(session.connection(), deadline, &options, cancel)?;
                let fresh = insert_marker(session.connection().host(), &marker)?;
                // Otherwise the session is dropped, which rolls back.
                Ok(fresh.then_some(session))
            })
            .await?;
        Ok(match session {
            Some(session) => Begun::Open(Box::new(Open {
                session: Some(session),
                statement_timeout: self.options.statement_timeout,
            })),
            None => Begun::AlreadyCommitted,
        })
    }

    /// Waits for the turn, and has `work` use the connection, which is opened if it is not.
    async fn turn<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(Slot, Instant, &Cancel) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let deadline = Instant::now() + patience;
        let turn = tokio::time::timeout(patience, Arc::clone(&self.connection).lock_owned());
        let mut slot = turn.await.map_err(|_| busy(patience))?;
        let (path, options) = (self.path.clone(), self.options.clone());
        blocking(move |cancel| {
            if slot.is_none() {
                *slot = Some(open(&path, &options, deadline, cancel)?);
            }
            work(slot, deadline, cancel)
        })
        .await
    }
}

type Slot = OwnedMutexGuard<Option<Connection>>;

/// Opens the connection that writes: the file gets a write-ahead log and the table of markers, if it has none.
fn open(
    path: &Path,
    options: &SqliteOptions,
    deadline: Instant,
    cancel: &Cancel,
) -> Result<Connection, DbError> {
    loop {
        let opened = options.connect(path, Mode::Write, LOCK_SLICE).and_then(|connection| {
            prepare_effects(connection.host()).map_err(translate)?;
            Ok(connection)
        });
        match opened {
            Err(DbError::Unavailable(message)) if message == LOCKED => {
                if cancel.is_cancelled() || Instant::now() >= deadline {
                    return Err(DbError::Unavailable(message));
                }
            }
            opened => return opened,
        }
    }
}

fn busy(after: Duration) -> DbError {
    DbError::Unavailable(format!(
        "the database did not let the transaction begin within {after:?}; try again"
    ))
}

fn begin_immediate(
    connection: &Connection,
    deadline: Instant,
    options: &SqliteOptions,
    cancel: &Cancel,
) -> Result<(), DbError> {
    loop {
        if cancel.is_cancelled() {
            return Err(DbError::Unavailable("the transaction was abandoned".into()));
        }
        let begun =
            connection.host().prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        match begun {
            Ok(_) => return Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                if Instant::now() >= deadline {
                    return Err(busy(options.transaction_timeout));
                }
            }
            Err(error) => return Err(translate(error)),
        }
    }
}

/// Inserts the marker; false if it is there, because its transaction has committed.
fn insert_marker(sqlite: &rusqlite::Connection, marker: &Marker) -> Result<bool, DbError> {
    let row = (marker.digest().hex(), marker.run.to_string(), marker.step.as_str(), marker.item);
    match sqlite.prepare_cached(INSERT_MARKER).and_then(|mut insert| insert.execute(row)) {
        Ok(_) => Ok(true),
        Err(error)
            if error.sqlite_error().is_some_and(|error| {
                matches!(
                    error.extended_code,
                    rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                )
            }) =>
        {
            Ok(false)
        }
        Err(error) => Err(translate(error)),
    }
}

/// The turn, with a transaction open on the connection. Dropped, it rolls back and gives the turn to the
/// next.
struct Session {
    slot: Slot,
}

impl Session {
    fn connection(&self) -> &Connection {
        self.slot.as_ref().expect("a session is made of a filled slot, emptied by its drop alone")
    }

    fn connection_mut(&mut self) -> &mut Connection {
        self.slot.as_mut().expect("a session is made of a filled slot, emptied by its drop alone")
    }

    /// Whether SQLite still has the transaction: a statement cut off in the middle of a write, and a trigger
    /// that says so, make it roll back all of it.
    fn is_open(&self) -> bool {
        !self.connection().host().is_autocommit()
    }

    fn execute(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
        cancel: &Cancel,
    ) -> Result<Executed, DbError> {
        self.connection_mut().watch_tables(statement, access, time, cancel)?;
        self.host("SAVEPOINT wflo_statement").map_err(translate)?;
        let done = self.connection_mut().execute(statement, access, time, cancel);
        if done.is_ok() {
            self.host("RELEASE wflo_statement").map_err(translate)?;
        } else if self.is_open() {
            // SQLite undoes a failed statement by itself, but not one that says `OR FAIL`.
            self.host("ROLLBACK TO wflo_statement").map_err(translate)?;
            self.host("RELEASE wflo_statement").map_err(translate)?;
        }
        done
    }

    /// Commits, without what was needed to keep the changes.
    fn commit(&self) -> rusqlite::Result<()> {
        if let Some(capture) = self.connection().capture() {
            capture.remove(self.connection().host())?;
        }
        self.host("COMMIT")
    }

    fn host(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection().host().prepare_cached(sql)?.execute([]).map(drop)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.slot.as_ref() else { return };
        if connection.host().is_autocommit() {
            return;
        }
        if let Err(error) = self.host("ROLLBACK") {
            tracing::warn!(%error, "a transaction did not roll back; its connection is closed, which does it");
        }
        if self.is_open() {
            *self.slot = None;
        }
    }
}

/// An open transaction.
struct Open {
    /// None while a statement runs, and for good if its future was dropped.
    session: Option<Session>,
    statement_timeout: Duration,
}

impl Open {
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Session, &Cancel) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let mut session = self.session.take().ok_or_else(lost)?;
        // If this future is dropped, the thread drops the session when the statement has stopped.
        let (session, done) = blocking(move |cancel| {
            if !session.is_open() {
                return Err(lost());
            }
            let done = work(&mut session, cancel);
            Ok((session, done))
        })
        .await?;
        self.session = Some(session);
        done
    }
}

fn lost() -> DbError {
    DbError::Unavailable("the transaction was rolled back by what happened in it before; begin again".into())
}

#[async_trait]
impl Transaction for Open {
    async fn query(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        let (statement, access) = (statement.clone(), folded(access));
        self.run(move |session, cancel| {
            let purpose = Purpose::TransactionQuery;
            session.connection_mut().query(&statement, &access, purpose, limits, cancel)
        })
        .await
    }

    async fn execute(&mut self, statement: &Statement, access: &DbAccess) -> Result<Executed, DbError> {
        let (statement, access, time) = (statement.clone(), folded(access), self.statement_timeout);
        self.run(move |session, cancel| session.execute(&statement, &access, time, cancel)).await
    }

    async fn bulk_insert(
        &mut self,
        into: &BulkInsert,
        rows: &mut dyn RowSource,
        access: &DbAccess,
    ) -> Result<u64, DbError> {
        self.insert(into, rows, &folded(access)).await
    }

    async fn inserted(&mut self, from: u64) -> Result<Option<(InsertedRows, u64)>, DbError> {
        self.run(move |session, _| {
            let connection = session.connection();
            connection.capture().map_or(Ok(None), |capture| capture.inserted(connection.host(), from))
        })
        .await
    }

    async fn undo_inserted(&mut self, rows: &InsertedRows) -> Result<Undone, DbError> {
        let rows = rows.clone();
        self.run(move |session, cancel| {
            let connection = session.connection();
            match connection.is_audit(&rows.table) {
                true => Ok(Undone::default()),
                false => undo_inserted(connection.host(), &rows, cancel),
            }
        })
        .await
    }

    async fn changes(&mut self, limits: ChangeLimits) -> Result<ChangeSet, DbError> {
        self.run(move |session, _| {
            let connection = session.connection();
            let nothing = || DbError::Invalid("the transaction was begun without keeping its changes".into());
            connection.capture().ok_or_else(nothing)?.changes(connection.host(), limits)
        })
        .await
    }

    async fn undo(&mut self, changes: &ChangeSet) -> Result<Undone, DbError> {
        let mut changes = changes.clone();
        self.run(move |session, cancel| {
            let connection = session.connection();
            // A step may have written them before they were made audit tables.
            changes.tables.retain(|table| !connection.is_audit(&table.table));
            undo(connection.host(), &changes, cancel)
        })
        .await
    }

    async fn ready(&mut self) -> Result<(), DbError> {
        self.run(|session, _| deferred::check(session.connection().host())).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), DbError> {
        // Dropping this future does not stop the commit: half of one would be the worst of all ends.
        self.run(|session, _| session.commit().map_err(translate)).await
    }

    async fn rollback(mut self: Box<Self>) {
        let Some(session) = self.session.take() else { return };
        let rolled_back = blocking(move |_| {
            drop(session);
            Ok(())
        });
        // An error means that the thread is gone, and the session with it: that rolls back too.
        let _ = rolled_back.await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(session));
        }
    }
}
