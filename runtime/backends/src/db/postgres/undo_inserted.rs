//! Deletes rows that were inserted in bulk.
//!
//! A batch is looked at, and locked, by one statement, and what is as it was inserted is deleted by another. Where that
//! cannot be, since a row is referred to or a trigger of the owner minds, its rows are gone through one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_postgres::Client;
use wflo_model::{InsertedRows, RowDigest, SqlValue};
use wflo_ports::{Conflict, ConflictReason, DbError, RowChange, TableChange, Undone};

use super::capture::exactly;
use super::error::{of_values, translate};
use super::table::Table;
use super::undo::{One, Target, rows_of, run, usable};
use crate::db::names::quoted;

/// Deletes those of the rows that are as they were inserted, in the transaction that is open. It is as undoing them row by
/// row from a change set, but for what is known of each: a digest, and not its values.
pub(super) async fn undo_inserted(client: &Client, inserted: &InsertedRows) -> Result<Undone, DbError> {
    client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(translate)?;
    let InsertedRows { table, key_columns, columns, rows } = inserted;
    let (name, key_columns, columns) = (table.clone(), key_columns.clone(), columns.clone());
    let change = TableChange { table: name, key_columns, columns, rows: Vec::new() };
    let mut undone = Undone::default();
    let left = |key: &[SqlValue], found: Option<Vec<SqlValue>>, reason: ConflictReason| {
        let gone = RowChange::Insert { key: key.to_vec(), after: Vec::new() };
        // What it was is not known: a digest of it is.
        Conflict { expected: None, ..Conflict::new(&change, &gone, found, reason) }
    };
    let table = match usable(client, &change).await? {
        Ok(table) => table,
        Err(message) => {
            let reason = ConflictReason::Schema { message };
            undone.conflicts = rows.iter().map(|(key, _)| left(key, None, reason.clone())).collect();
            return Ok(undone);
        }
    };
    let mut found = found(client, &table, &change, rows).await?;
    let target = Arc::new(Target::new(client, table.clone()).await?);
    // The database finds a row also by a key that is written in another way.
    let known: BTreeSet<String> = rows.iter().map(|(key, _)| exactly(Some(key))).collect();
    let has_respelled = found.keys().any(|key| !known.contains(key));
    let mut same = Vec::new();
    // What was inserted last may refer to what was inserted before it.
    for (key, digest) in rows.iter().rev() {
        match found.remove(&exactly(Some(key))) {
            None => {
                let row = RowChange::Insert { key: key.clone(), after: Vec::new() };
                let one = One::new(Arc::clone(&target), &change, &row);
                let other = if has_respelled { one.found(client).await? } else { None };
                match other {
                    Some(values) => undone.conflicts.push(left(key, Some(values), ConflictReason::Changed)),
                    // It is gone, whoever did it.
                    None => undone.rows += 1,
                }
            }
            Some(values) if RowDigest::of(&values) == *digest => {
                same.push(RowChange::Insert { key: key.clone(), after: values });
            }
            Some(values) => undone.conflicts.push(left(key, Some(values), ConflictReason::Changed)),
        }
    }
    if same.is_empty() {
        return Ok(undone);
    }
    if !target.is_referred_to() && delete(client, &table, &change, &same).await? {
        undone.rows += same.len() as u64;
        return Ok(undone);
    }
    for row in &same {
        let one = One::new(Arc::clone(&target), &change, row);
        let reason = match one.put_back(client, None).await? {
            None if one.found(client).await?.is_none() => {
                undone.rows += 1;
                continue;
            }
            None => ConflictReason::Constraint { message: "a trigger of the database keeps it".into() },
            Some(reason) => reason,
        };
        undone.conflicts.push(Conflict::new(&change, row, row.after().map(<[_]>::to_vec), reason));
    }
    Ok(undone)
}

/// The rows with these keys as they are now, locked, by their key.
async fn found(
    client: &Client,
    table: &Table,
    change: &TableChange,
    rows: &[(Vec<SqlValue>, RowDigest)],
) -> Result<BTreeMap<String, Vec<SqlValue>>, DbError> {
    let keys: Vec<&SqlValue> = rows.iter().flat_map(|(key, _)| key).collect();
    let columns = table.values_of_named("t", &change.columns);
    let sql = format!(
        "SELECT {} FROM {} AS t WHERE {} FOR UPDATE",
        columns.join(", "),
        table.sql,
        any_of(&change.key_columns, rows.len())
    );
    let found = rows_of(run(client, &sql, &keys).await?, columns.len())?;
    let key_at: Vec<usize> = change
        .key_columns
        .iter()
        .filter_map(|column| change.columns.iter().position(|name| name == column))
        .collect();
    let by_key = found.into_iter().map(|values| {
        let key: Vec<_> = key_at.iter().map(|&at| values[at].clone()).collect();
        (exactly(Some(&key)), values)
    });
    Ok(by_key.collect())
}

/// Deletes rows at once; false where that cannot be, and then nothing is done.
async fn delete(
    client: &Client,
    table: &Table,
    change: &TableChange,
    rows: &[RowChange],
) -> Result<bool, DbError> {
    client.batch_execute("SAVEPOINT wflo_undo").await.map_err(translate)?;
    let keys: Vec<&SqlValue> = rows.iter().flat_map(RowChange::key).collect();
    let sql = format!(
        "DELETE FROM {} AS t WHERE {} RETURNING 1",
        table.sql,
        any_of(&change.key_columns, rows.len())
    );
    let deleted = run(client, &sql, &keys).await;
    let is_done = deleted
        .map(|deleted| deleted.len() == rows.len())
        .or_else(|error| of_values(error).map(|_| false))?;
    let end = if is_done { "RELEASE wflo_undo" } else { "ROLLBACK TO wflo_undo; RELEASE wflo_undo" };
    client.batch_execute(end).await.map_err(translate)?;
    Ok(is_done)
}

/// A condition that a row has one of so many keys, which are the parameters.
fn any_of(key: &[String], rows: usize) -> String {
    let row = |n: usize| {
        let places: Vec<_> = (1..=key.len()).map(|at| format!("${}", n * key.len() + at)).collect();
        if key.len() == 1 { places.concat() } else { format!("({})", places.join(", ")) }
    };
    let columns: Vec<_> = key.iter().map(|column| format!("t.{}", quoted(column))).collect();
    let rows: Vec<_> = (0..rows).map(row).collect();
    format!("({}) IN ({})", columns.join(", "), rows.join(", "))
}
