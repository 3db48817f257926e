//! The one writing transaction of a step.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use wflo_model::{DbAccess, InsertedRows, SqlRows};
use wflo_ports::{
    BulkInsert, Capture, ChangeLimits, ChangeSet, DbError, Executed, Marker, QueryLimits, RowSource,
    Statement, Transaction, Undone,
};

use super::bulk;
use super::capture::{self, Audit};
use super::cursor::collect;
use super::database::PostgresOptions;
use super::error::translate;
use super::inserted::Inserted;
use super::judge::{Judged, Purpose, judge};
use super::login::{Lent, Login};
use super::some_rows;
use super::undo::{Anew, undo};
use super::undo_inserted::undo_inserted;
use super::value::{Parameter, parameters};

/// The first change of every transaction.
const INSERT_MARKER: &str = "INSERT INTO wflo_effects (marker, run, step, item) VALUES ($1, $2, $3, $4)";

/// How much longer than its time a statement is waited for: the server stops it by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How long a statement with so much time waits for one lock: less than its time, so that it ends with what it has waited
/// for, and can be tried again, rather than as one that is too slow.
fn lock_timeout(time: Duration) -> u64 {
    millis(time.mul_f64(2.0 / 3.0))
}

/// Milliseconds, as a setting takes them; none is 0 there.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, i32::MAX.unsigned_abs().into())
}

/// Begins, and inserts the marker; none if it is there, because its transaction has committed.
///
/// Where another transaction with the marker is in flight, this waits for what becomes of it.
pub(super) async fn begin(
    login: &Login,
    marker: &Marker,
    capture: Capture,
    options: &PostgresOptions,
) -> Result<Option<Open>, DbError> {
    let lent = login.get(options.transaction_timeout).await?;
    let patience = millis(options.transaction_timeout);
    lent.batch(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET LOCAL lock_timeout = {patience}; SET LOCAL statement_timeout = 0"
    ))
    .await?;
    let digest = marker.digest().hex();
    let (run, step) = (marker.run.to_string(), marker.step.as_str());
    let item = marker.item.map(i64::from);
    let inserted = lent
        .execute_typed(
            INSERT_MARKER,
            &[(&digest, Type::TEXT), (&run, Type::TEXT), (&step, Type::TEXT), (&item, Type::INT8)],
        )
        .await;
    match inserted {
        Ok(_) => {}
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            lent.batch("ROLLBACK").await?;
            lent.give_back();
            return Ok(None);
        }
        Err(error) => {
            let error = unprepared(error);
            lent.batch("ROLLBACK").await?;
            lent.give_back();
            return Err(error);
        }
    }
    let captures = match capture {
        Capture::On => "; SET LOCAL wflo.capture = 'on'",
        Capture::Off => "",
    };
    lent.batch(&format!("{}{captures}", times(options.statement_timeout))).await?;
    let open = Open {
        lent: Some(lent),
        captures: capture == Capture::On,
        audit: Audit::new(&options.audit),
        inserted: Inserted::default(),
        anew: Anew::default(),
        statement_timeout: options.statement_timeout,
    };
    Ok(Some(open))
}

/// Gives the statements that follow so much time.
pub(super) fn times(time: Duration) -> String {
    let (time, lock) = (millis(time), lock_timeout(time));
    format!("SET LOCAL statement_timeout = {time}; SET LOCAL lock_timeout = {lock}")
}

fn unprepared(error: tokio_postgres::Error) -> DbError {
    match error.code() {
        Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            DbError::Other(
                "the database is not prepared for writes: `wflo_effects` is not there, or the login role may not insert \
                 into it; its owner runs what `wflo db prepare` prints"
                    .into(),
            )
        }
        _ => translate(error),
    }
}

/// An open transaction.
pub(super) struct Open {
    /// None while a statement runs, and for good once the transaction is lost.
    lent: Option<Lent>,
    captures: bool,
    audit: Audit,
    inserted: Inserted,
    /// What undoing has found out about the owner's triggers.
    anew: Anew,
    statement_timeout: Duration,
}

fn lost() -> DbError {
    DbError::Interrupted("the transaction was lost by what happened in it before".into())
}

impl Open {
    /// Keeps the transaction after a statement of the guest, or undoes what a failed one did. One that is lost is not
    /// kept.
    async fn after<T>(&mut self, lent: Lent, done: Result<T, DbError>) -> Result<T, DbError> {
        let end = match &done {
            Ok(_) => "RELEASE wflo_statement",
            Err(DbError::Interrupted(_)) => return done,
            Err(_) => "ROLLBACK TO wflo_statement; RELEASE wflo_statement",
        };
        lent.batch(end).await?;
        self.lent = Some(lent);
        done
    }

    /// Refuses a write to a table that is left to the owner, or whose changes cannot be kept where they are to be.
    async fn watched(&self, lent: &Lent, judged: &Judged) -> Result<(), DbError> {
        self.audit.refuse(lent, &judged.written).await?;
        match self.captures {
            true => capture::watched(lent, &judged.written).await,
            false => Ok(()),
        }
    }

    async fn execute_in(
        &self,
        lent: &Lent,
        judged: &Judged,
        statement: &Statement,
    ) -> Result<Executed, DbError> {
        lent.batch("SAVEPOINT wflo_statement").await?;
        judged.settle(lent).await?;
        if let Some(some) = &judged.some_rows {
            return some_rows::execute(lent, some, &statement.params).await;
        }
        let prepared = lent.prepare(&judged.sql).await.map_err(translate)?;
        let params: Vec<Parameter> = parameters(statement.params.iter(), prepared.params())?;
        let changed = lent.execute_raw(&prepared, &params).await.map_err(translate)?;
        Ok(Executed { changed })
    }

    async fn query_in(
        &self,
        lent: &Lent,
        judged: &Judged,
        statement: &Statement,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        lent.batch(&format!("SAVEPOINT wflo_statement; {}", times(limits.time))).await?;
        judged.settle(lent).await?;
        let rows = collect(lent, &judged.sql, &statement.params, limits).await?;
        lent.batch(&times(self.statement_timeout)).await?;
        Ok(rows)
    }
}

/// A statement that the server should have stopped by itself.
fn overdue<T>(done: Result<Result<T, DbError>, tokio::time::error::Elapsed>) -> Result<T, DbError> {
    done.unwrap_or_else(|_| Err(DbError::Interrupted("the database has stopped answering".into())))
}

#[async_trait]
impl Transaction for Open {
    async fn query(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        let judged = judge(&statement.sql, access, Purpose::TransactionQuery)?;
        let lent = self.lent.take().ok_or_else(lost)?;
        let querying = self.query_in(&lent, &judged, statement, limits);
        let rows = overdue(tokio::time::timeout(limits.time + GRACE, querying).await);
        self.after(lent, rows).await
    }

    async fn execute(&mut self, statement: &Statement, access: &DbAccess) -> Result<Executed, DbError> {
        let judged = judge(&statement.sql, access, Purpose::Execute)?;
        let lent = self.lent.take().ok_or_else(lost)?;
        if let Err(error) = self.watched(&lent, &judged).await {
            // Nothing has been done that would have to be undone.
            if !matches!(error, DbError::Interrupted(_)) {
                self.lent = Some(lent);
            }
            return Err(error);
        }
        let executing = self.execute_in(&lent, &judged, statement);
        let done = overdue(tokio::time::timeout(self.statement_timeout + GRACE, executing).await);
        self.after(lent, done).await
    }

    async fn bulk_insert(
        &mut self,
        into: &BulkInsert,
        rows: &mut dyn RowSource,
        access: &DbAccess,
    ) -> Result<u64, DbError> {
        if into.columns.is_empty() {
            return Err(DbError::Invalid("a bulk insert needs at least one column".into()));
        }
        let judged = judge(&bulk::insert(into), access, Purpose::Execute)?;
        if judged.some_rows.is_some() {
            let message = format!("only some rows of `{}` are granted; insert them one by one", into.table);
            return Err(DbError::Denied(message));
        }
        let lent = self.lent.take().ok_or_else(lost)?;
        if let Err(error) = self.watched(&lent, &judged).await {
            if !matches!(error, DbError::Interrupted(_)) {
                self.lent = Some(lent);
            }
            return Err(error);
        }
        if self.captures {
            self.inserted.note(&lent, &into.table).await?;
        }
        // It takes as long as its rows take to come; whoever waits for it may give up, which stops it.
        let copied = match lent.batch("SAVEPOINT wflo_statement; SET LOCAL statement_timeout = 0").await {
            Ok(()) => bulk::copy(&lent, into, &judged.sql, rows).await,
            Err(error) => Err(error),
        };
        let copied = match copied {
            Ok(copied) => lent.batch(&times(self.statement_timeout)).await.map(|()| copied),
            Err(error) => Err(error),
        };
        self.after(lent, copied).await
    }

    async fn ready(&mut self) -> Result<(), DbError> {
        let lent = self.lent.take().ok_or_else(lost)?;
        lent.batch("SET CONSTRAINTS ALL IMMEDIATE").await?;
        self.lent = Some(lent);
        Ok(())
    }

    async fn inserted(&mut self, from: u64) -> Result<Option<(InsertedRows, u64)>, DbError> {
        let lent = self.lent.take().ok_or_else(lost)?;
        let batch = self.inserted.next(&lent, from).await?;
        self.lent = Some(lent);
        Ok(batch)
    }

    async fn undo_inserted(&mut self, rows: &InsertedRows) -> Result<Undone, DbError> {
        if self.audit.has(&rows.table) {
            return Ok(Undone::default());
        }
        let lent = self.lent.take().ok_or_else(lost)?;
        let undone = undo_inserted(&lent, rows).await?;
        self.lent = Some(lent);
        Ok(undone)
    }

    async fn changes(&mut self, limits: ChangeLimits) -> Result<ChangeSet, DbError> {
        if !self.captures {
            return Err(DbError::Invalid("the transaction was begun without keeping its changes".into()));
        }
        let lent = self.lent.take().ok_or_else(lost)?;
        let changes = match lent.batch("SAVEPOINT wflo_statement").await {
            Ok(()) => capture::changes(&lent, limits, &self.inserted, &self.audit).await,
            Err(error) => Err(error),
        };
        self.after(lent, changes).await
    }

    async fn undo(&mut self, changes: &ChangeSet) -> Result<Undone, DbError> {
        let lent = self.lent.take().ok_or_else(lost)?;
        // A step may have written them before they were made audit tables.
        let mut changes = Cow::Borrowed(changes);
        if changes.tables.iter().any(|table| self.audit.has(&table.table)) {
            changes.to_mut().tables.retain(|table| !self.audit.has(&table.table));
        }
        let undone = undo(&lent, &changes, &mut self.anew).await?;
        self.lent = Some(lent);
        Ok(undone)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), DbError> {
        let lent = self.lent.take().ok_or_else(lost)?;
        // In a transaction that has failed, the first statement says so, where COMMIT alone would roll back in silence.
        let first = if self.captures { capture::FORGET } else { "SELECT 1" };
        // Half a commit would be the worst of all ends, so it goes on if nobody waits for it.
        let commit = format!("{first}; COMMIT");
        let committing = tokio::spawn(async move {
            let done = lent.batch(&commit).await;
            if done.is_ok() {
                lent.give_back();
            }
            done
        });
        committing.await.unwrap_or_else(|_| Err(DbError::Unavailable("the host is shutting down".into())))
    }

    async fn rollback(mut self: Box<Self>) {
        let Some(lent) = self.lent.take() else { return };
        // A connection that cannot say so is closed, which rolls back too.
        if lent.batch("ROLLBACK").await.is_ok() {
            lent.give_back();
        }
    }
}
