//! Deletes rows that were inserted in bulk.
//!
//! A batch is looked at, and locked, by one statement, and what is as it was inserted is deleted by another. Where that
//! cannot be, since a row is referred to or a trigger of the owner minds, its rows are gone through one by one.

use std::sync::Arc;

use tokio_postgres::Client;
use wflo_model::{InsertedRows, RowDigest, SqlValue};
use wflo_ports::{Conflict, ConflictReason, DbError, RowChange, TableChange, Undone};

use super::error::{of_values, translate};
use super::table::Table;
use super::undo::{One, Server, Target, any_of, found_all, put_back_all, usable, written_since};

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
    let server = Server::new(client);
    let target = Arc::new(Target::new(client, table.clone()).await?);
    // What was inserted last may refer to what was inserted before it.
    let gone = rows.iter().rev().map(|(key, _)| RowChange::Insert { key: key.clone(), after: Vec::new() });
    let gone: Vec<RowChange> = gone.collect();
    let ones: Vec<One<'_>> = gone.iter().map(|row| One::new(Arc::clone(&target), &change, row)).collect();
    let looks = found_all(&server, &ones.iter().collect::<Vec<_>>()).await?;
    let mut same = Vec::new();
    for ((key, digest), look) in rows.iter().rev().zip(looks) {
        match look {
            // It is gone, whoever did it.
            Ok(None) => undone.rows += 1,
            Ok(Some(values)) if RowDigest::of(&values) == *digest => {
                same.push(RowChange::Insert { key: key.clone(), after: values });
            }
            Ok(Some(values)) => undone.conflicts.push(left(key, Some(values), ConflictReason::Changed)),
            Err(message) => undone.conflicts.push(left(key, None, ConflictReason::Constraint { message })),
        }
    }
    let ones: Vec<One<'_>> = same.iter().map(|row| One::new(Arc::clone(&target), &change, row)).collect();
    let reasons = written_since(&server, &ones.iter().collect::<Vec<_>>()).await?;
    drop(ones);
    let mut reasons = reasons.into_iter();
    same.retain(|row| match reasons.next().flatten() {
        Some(reason) => {
            let found = row.after().map(<[_]>::to_vec);
            undone.conflicts.push(Conflict::new(&change, row, found, reason));
            false
        }
        None => true,
    });
    if same.is_empty() {
        return Ok(undone);
    }
    if !target.is_referred_to() && delete(&server, &table, &change, &same).await? {
        undone.rows += same.len() as u64;
        return Ok(undone);
    }
    let ones: Vec<One<'_>> = same.iter().map(|row| One::new(Arc::clone(&target), &change, row)).collect();
    let ones: Vec<&One<'_>> = ones.iter().collect();
    let reasons = put_back_all(&server, &ones).await?;
    let looks = found_all(&server, &ones).await?;
    for ((row, reason), look) in same.iter().zip(reasons).zip(looks) {
        let reason = match reason {
            None if look == Ok(None) => {
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

/// Deletes rows at once; false where that cannot be, and then nothing is done.
async fn delete(
    server: &Server<'_>,
    table: &Table,
    change: &TableChange,
    rows: &[RowChange],
) -> Result<bool, DbError> {
    server.batch_execute("SAVEPOINT wflo_undo").await.map_err(translate)?;
    let keys: Vec<&SqlValue> = rows.iter().flat_map(RowChange::key).collect();
    let sql = format!(
        "DELETE FROM {} AS t WHERE {} RETURNING 1",
        table.sql,
        any_of(&change.key_columns, rows.len())
    );
    let deleted = server.run(&sql, &keys).await;
    let is_done = deleted
        .map(|deleted| deleted.len() == rows.len())
        .or_else(|error| of_values(error).map(|_| false))?;
    let end = if is_done { "RELEASE wflo_undo" } else { "ROLLBACK TO wflo_undo; RELEASE wflo_undo" };
    server.batch_execute(end).await.map_err(translate)?;
    Ok(is_done)
}
