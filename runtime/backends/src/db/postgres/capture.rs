//! Tells what a transaction has changed, row by row.
//!
//! The owner's triggers, which `wflo db prepare` makes, write an image of each row before and after each change to
//! `wflo_changes`, in the same transaction, where `wflo.capture` is on. They are read here and taken away before the
//! commit: nothing of them is ever seen by anybody else.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use wflo_model::SqlValue;
use wflo_ports::{ChangeLimits, ChangeSet, DbError, RowChange, TableChange};

use super::error::translate;
use super::images::{Changed, Images, Which};
use super::inserted::{Inserted, is_insert_alone};
use super::table::{Found, Table, find, find_by_oid, qualified};
use crate::db::order::by_value;

/// Takes the images of this transaction away.
pub(super) const FORGET: &str = "DELETE FROM wflo_changes WHERE txid = pg_catalog.pg_current_xact_id()";

/// The tables of which images are there, but for audit tables.
const CAPTURED: &str = "
    SELECT DISTINCT c.relation FROM wflo_changes c WHERE c.txid = pg_catalog.pg_current_xact_id()
    AND NOT EXISTS (SELECT FROM unnest($1) AS a(name) WHERE pg_catalog.to_regclass(a.name) = c.relation)";

/// The tables that this transaction has written to, by the server's own count, but for audit tables; each with its name as
/// grants have it. One that is a part of a partitioned table is told as that.
const TOUCHED: &str = "
    SELECT DISTINCT r.oid,
           CASE WHEN n.nspname = (pg_catalog.current_schemas(false))[1] THEN r.relname::text
                ELSE n.nspname || '.' || r.relname END
    FROM pg_catalog.pg_stat_xact_user_tables s
    JOIN pg_catalog.pg_class r ON r.oid = coalesce(pg_catalog.pg_partition_root(s.relid), s.relid)
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
    AND NOT EXISTS (SELECT FROM unnest($1) AS a(name) WHERE pg_catalog.to_regclass(a.name) IN (s.relid, r.oid))
    AND s.relid NOT IN (SELECT oid FROM unnest(ARRAY[to_regclass('wflo_changes'), to_regclass('wflo_effects')]) AS o(oid) WHERE oid IS NOT NULL)";

/// The first of some tables that is an audit table.
const AUDITED: &str = "
    SELECT w.name FROM unnest($1) AS w(name), unnest($2) AS a(name)
    WHERE pg_catalog.to_regclass(w.name) = pg_catalog.to_regclass(a.name) LIMIT 1";

/// Audit tables, which the owner's triggers write and no step, each as its name is for SQL.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit(Vec<String>);

impl Audit {
    /// Of the names that a deployment has.
    pub(super) fn new(tables: &BTreeSet<String>) -> Self {
        Self(tables.iter().map(|name| qualified(name)).collect())
    }

    /// Whether a change set has a table under the name of one.
    pub(super) fn has(&self, table: &str) -> bool {
        self.0.contains(&qualified(table))
    }

    /// Refuses a write of a step to one.
    pub(super) async fn refuse(&self, client: &Client, written: &BTreeSet<String>) -> Result<(), DbError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let written: Vec<String> = written.iter().map(|name| qualified(name)).collect();
        let names = [(&written as &(dyn ToSql + Sync), Type::TEXT_ARRAY), (&self.0, Type::TEXT_ARRAY)];
        match client.query_typed_opt(AUDITED, &names).await.map_err(translate)? {
            None => Ok(()),
            Some(row) => Err(DbError::Denied(format!(
                "table {} is an audit table (`audit` of the database in wflo.toml): triggers of the owner write it, and no \
                 step does",
                row.get::<_, &str>(0).replace('"', "`")
            ))),
        }
    }
}

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

/// Why what the owner's own triggers and foreign keys did cannot be kept.
fn refused_behind(table: &str, found: Found) -> Option<DbError> {
    let mend = match &found {
        Found::Table(_) => {
            "grant the step `write` of it and run `wflo db prepare`, which makes it part of what is undone"
        }
        _ => "mend that",
    };
    let why = found.unkept()?;
    let why = why.split(" (").next().unwrap_or_default();
    Some(DbError::Invalid(format!(
        "a trigger or a foreign key of the owner writes table `{table}`, which {why}; `audit = [\"{table}\"]` of `[db.LABEL]` \
         in wflo.toml leaves records of the owner out of what is undone, or {mend}"
    )))
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
    audit: &Audit,
) -> Result<ChangeSet, DbError> {
    let but = [(&audit.0 as &(dyn ToSql + Sync), Type::TEXT_ARRAY)];
    for row in client.query_typed(TOUCHED, &but).await.map_err(translate)? {
        if let Some(refused) = refused_behind(row.get(1), find_by_oid(client, row.get(0)).await?) {
            return Err(refused);
        }
    }
    let mut left = Left(limits, limits);
    let mut tables = Vec::new();
    for row in client.query_typed(CAPTURED, &but).await.map_err(translate)? {
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
