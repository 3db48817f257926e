//! Deletes rows that were inserted in bulk.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use wflo_model::{InsertedRows, RowDigest};
use wflo_ports::{Conflict, ConflictReason, DbError, RowChange, TableChange, Undone};

use super::{Off, Tried, Undo, abandoned};
use crate::db::sqlite::connection::Cancel;

/// Deletes those of the rows that are as they were inserted, in the transaction that is open. It is as undoing them row
/// by row from a change set, but for what is known of each: a digest, and not its values.
pub(in crate::db::sqlite) fn undo_inserted(
    sqlite: &Connection,
    rows: &InsertedRows,
    cancel: &Cancel,
) -> Result<Undone, DbError> {
    let _triggers = Off::new(sqlite, DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
    Undo::new(sqlite)?.inserted(rows, cancel)
}

impl Undo<'_> {
    fn inserted(&self, inserted: &InsertedRows, cancel: &Cancel) -> Result<Undone, DbError> {
        let InsertedRows { table, key_columns, columns, rows } = inserted;
        let (table, key_columns, columns) = (table.clone(), key_columns.clone(), columns.clone());
        let table = TableChange { table, key_columns, columns, rows: Vec::new() };
        let mut undone = Undone::default();
        let missing = self.missing(&table)?;
        // What was inserted last may refer to what was inserted before it.
        for (key, digest) in rows.iter().rev() {
            abandoned(cancel)?;
            let gone = RowChange::Insert { key: key.clone(), after: Vec::new() };
            if let Some(message) = &missing {
                let reason = ConflictReason::Schema { message: message.clone() };
                undone.conflicts.push(Conflict::new(&table, &gone, None, reason));
                continue;
            }
            let Some(found) = self.row(&table, key)? else {
                undone.rows += 1;
                continue;
            };
            if RowDigest::of(&found) != *digest {
                undone.conflicts.push(Conflict::new(&table, &gone, Some(found), ConflictReason::Changed));
                continue;
            }
            let row = RowChange::Insert { key: key.clone(), after: found.clone() };
            if let Some(reason) = self.spared(&table, &row)? {
                undone.conflicts.push(Conflict::new(&table, &row, Some(found), reason));
                continue;
            }
            match self.try_one(&table, &row, Some(&found))? {
                Tried::Done => undone.rows += 1,
                Tried::Never(reason) | Tried::NotYet(reason) => {
                    undone.conflicts.push(Conflict::new(&table, &row, Some(found), reason));
                }
            }
        }
        for conflict in &mut undone.conflicts {
            // What it was is not known, where it is not so any more.
            if conflict.expected.as_ref().is_some_and(Vec::is_empty) {
                conflict.expected = None;
            }
        }
        Ok(undone)
    }
}
