//! Inserting many rows: one statement, bound to one row after another.

use wflo_model::{DbAccess, SqlValue};
use wflo_ports::{BulkInsert, DbError, RowSource, Statement};

use super::super::authorize::Purpose;
use super::super::connection::{Allowance, Cancel};
use super::super::error::{parameter_count, translate};
use super::super::value::to_sqlite;
use super::{Open, Session};

impl Open {
    /// Inserts rows as they come. The transaction is back where it was if any of them cannot be.
    pub(super) async fn insert(
        &mut self,
        into: &BulkInsert,
        rows: &mut dyn RowSource,
        access: &DbAccess,
    ) -> Result<u64, DbError> {
        if into.columns.is_empty() {
            return Err(DbError::Invalid("a bulk insert needs at least one column".into()));
        }
        if access.filters().any(|(table, _)| table.eq_ignore_ascii_case(&into.table)) {
            let message = format!("only some rows of `{}` are granted; insert them one by one", into.table);
            return Err(DbError::Denied(message));
        }
        let (table, sql) = (into.table.clone(), into.sql());
        let (first, with, time) = (sql.clone(), access.clone(), self.statement_timeout);
        let nulls = vec![SqlValue::Null; into.columns.len()];
        self.run(move |session, cancel| {
            let statement = Statement { sql: first, params: nulls };
            session.connection_mut().watch_tables(&statement, &with, time, cancel)?;
            if let Some(capture) = session.connection_mut().capture_mut() {
                capture.inserts_in_bulk(&table);
            }
            session.host("SAVEPOINT wflo_bulk").map_err(translate)
        })
        .await?;
        let inserted = self.batches(&sql, rows, access).await;
        let is_done = inserted.is_ok();
        let ended = self
            .run(move |session, _| {
                if is_done {
                    return session.host("RELEASE wflo_bulk").map_err(translate);
                }
                if session.is_open() {
                    session.host("ROLLBACK TO wflo_bulk").map_err(translate)?;
                    session.host("RELEASE wflo_bulk").map_err(translate)?;
                }
                Ok(())
            })
            .await;
        let inserted = inserted?;
        ended.map(|()| inserted)
    }

    async fn batches(
        &mut self,
        sql: &str,
        rows: &mut dyn RowSource,
        access: &DbAccess,
    ) -> Result<u64, DbError> {
        let mut inserted = 0;
        while let Some(batch) = rows.next().await? {
            let (sql, access, time) = (sql.to_owned(), access.clone(), self.statement_timeout);
            let first = inserted;
            inserted += batch.len() as u64;
            let done =
                self.run(move |session, cancel| session.insert_all(&sql, &batch, &access, time, cancel));
            if let Err(error) = done.await {
                rows.refused(first);
                return Err(error);
            }
        }
        Ok(inserted)
    }
}

impl Session {
    fn insert_all(
        &mut self,
        sql: &str,
        rows: &[Vec<SqlValue>],
        access: &DbAccess,
        time: std::time::Duration,
        cancel: &Cancel,
    ) -> Result<(), DbError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let statement = Statement { sql: sql.to_owned(), params: first.clone() };
        let run = Allowance { access, purpose: Purpose::Execute, time, cancel };
        self.connection_mut().as_guest(&statement, run, |prepared, _| {
            for row in rows {
                if row.len() != first.len() {
                    return Err(parameter_count(row.len(), first.len()));
                }
                for (at, value) in (1..).zip(row) {
                    prepared.raw_bind_parameter(at, to_sqlite(value)?).map_err(translate)?;
                }
                prepared.raw_execute().map_err(translate)?;
            }
            Ok(())
        })
    }
}
