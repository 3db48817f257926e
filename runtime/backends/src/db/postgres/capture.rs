//! Tells what a transaction has changed, row by row.
//!
//! The owner's triggers, which `wflo db prepare` makes, write an image of each row before and after each change to
//! `wflo_changes`, in the same transaction, where `wflo.capture` is on. They are read here and taken away before the
//! commit: nothing of them is ever seen by anybody else.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use wflo_model::SqlValue;
use wflo_ports::{ChangeLimits, ChangeSet, DbError, RowChange, TableChange};

use super::error::translate;
use super::images::{Changed, Images, Which};
use super::inserted::{Inserted, is_insert_alone};
use super::table::{Found, Table, find, find_by_oid};
use crate::db::order::by_value;

/// Takes the images of this transaction away.
pub(super) const FORGET: &str = "DELETE FROM wflo_changes WHERE txid = pg_catalog.pg_current_xact_id()";

/// The tables of which images are there.
const CAPTURED: &str =
    "SELECT DISTINCT relation FROM wflo_changes WHERE txid = pg_catalog.pg_current_xact_id()";

/// The tables that this transaction has written to, by the server's own count.
const TOUCHED: &str = "
    SELECT s.relid, s.relname::text FROM pg_catalog.pg_stat_xact_user_tables s
    WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
    AND s.relid NOT IN (SELECT oid FROM unnest(ARRAY[to_regclass('wflo_changes'), to_regclass('wflo_effects')]) AS o(oid) WHERE oid IS NOT NULL)";

/// Refuses a write to a table whose changes cannot be kept.
pub(super) async fn watched(client: &Client, written: &BTreeSet<String>) -> Result<(), DbError> {
    for name in written {
        if let Some(why) = find(client, name).await?.unkept() {
            return Err(refused(name, &why));
        }
    }
    Ok(())
}

/// Why a write cannot be kept, in words for whoever wrote the workflow.
fn refused(table: &str, why: &str) -> DbError {
    DbError::Invalid(format!(
        "table `{table}` {why}, so its changes cannot be kept; mend that, or do without `rollback` and an approval at \
         commit in this step"
    ))
}

/// What has changed, but for the rows that were inserted in bulk.
///
/// # Errors
/// [`DbError::Limit`] for more than `limits` allow, [`DbError::Invalid`] where a trigger of the owner has written to a
/// table whose changes are not kept.
pub(super) async fn changes(
    client: &Client,
    limits: ChangeLimits,
    inserted: &Inserted,
) -> Result<ChangeSet, DbError> {
    for row in client.query_typed(TOUCHED, &[]).await.map_err(translate)? {
        if let Some(why) = find_by_oid(client, row.get(0)).await?.unkept() {
            return Err(refused(row.get(1), &why));
        }
    }
    let mut left = Left(limits, limits);
    let mut tables = Vec::new();
    for row in client.query_typed(CAPTURED, &[]).await.map_err(translate)? {
        if let Found::Table(table) = find_by_oid(client, row.get(0)).await? {
            let in_bulk = inserted.has(table.oid);
            if in_bulk && is_insert_alone(client, &table).await? {
                continue;
            }
            // Rows that have come are told by themselves.
            let which = if in_bulk { Which::Others } else { Which::All };
            let mut rows = changed_rows(client, &table, which, &mut left).await?;
            rows.sort_by(|a, b| by_value(a.key(), b.key()));
            if !rows.is_empty() {
                let (key_columns, columns) = (table.key_names(), table.column_names());
                tables.push(TableChange { table: table.name, key_columns, columns, rows });
            }
        }
    }
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(ChangeSet { tables })
}

/// What tells states of a row apart: equality of values is not enough, since no NaN is one.
pub(super) fn exactly(values: Option<&[SqlValue]>) -> String {
    serde_json::to_string(&values).expect("values of a database have text keys")
}

async fn changed_rows(
    client: &Client,
    table: &Table,
    which: Which,
    left: &mut Left,
) -> Result<Vec<RowChange>, DbError> {
    let mut images = Images::open(client, "wflo_images", table, which).await?;
    let mut changed = Vec::new();
    let mut keep = |row: Changed| {
        left.take(row.bytes())?;
        let Changed { key, before, after } = row;
        changed.push(match (before, after) {
            (Some(before), Some(after)) => RowChange::Update { key, before, after },
            (Some(before), None) => RowChange::Delete { key, before },
            (None, Some(after)) => RowChange::Insert { key, after },
            (None, None) => return Ok(()),
        });
        Ok(())
    };
    while images.read(client, usize::MAX, &mut keep).await? {}
    images.close(client).await?;
    Ok(changed)
}

/// What is left of the limits, and what they are.
struct Left(ChangeLimits, ChangeLimits);

impl Left {
    /// Takes a row of so many bytes, before it is held.
    fn take(&mut self, bytes: usize) -> Result<(), DbError> {
        self.0.rows = self.0.rows.checked_sub(1).ok_or_else(|| {
            DbError::Limit(format!(
                "the step changed more than {} rows, which is more than is kept for a rollback or an approval; fan it \
                 out with `for_each`, or do without",
                self.1.rows
            ))
        })?;
        self.0.bytes = self.0.bytes.checked_sub(bytes).ok_or_else(|| {
            DbError::Limit(format!(
                "the rows that the step changed have more than {} bytes, which is more than is kept for a rollback or \
                 an approval; fan it out with `for_each`, or do without",
                self.1.bytes
            ))
        })?;
        Ok(())
    }
}
