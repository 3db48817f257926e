//! The rows that a transaction has inserted in bulk: millions perhaps, and so never all in memory.
//!
//! Their keys are in the temporary table of images as any others', which SQLite keeps in a file. Here they are read in
//! the order in which they came, a batch at a time.

use rusqlite::Connection;
use wflo_model::{InsertedRows, RowDigest};
use wflo_ports::DbError;

use super::{Capture, Captured, kept, same_row};
use crate::db::names::quoted;
use crate::db::sqlite::error::translate;

/// Rows of a batch.
const BATCH: usize = 500;

/// Bits of a place that say which row of a table's images; those above say which table.
const ROW_BITS: u32 = 48;

impl Capture {
    /// Notes that rows are inserted in bulk into a table whose changes are kept.
    pub(in crate::db::sqlite) fn inserts_in_bulk(&mut self, table: &str) {
        if let Some(captured) = self.tables.get_mut(&table.to_ascii_lowercase()) {
            captured.bulk = true;
        }
    }

    /// The next batch of inserted rows from a place on, and where to go on.
    pub(in crate::db::sqlite) fn inserted(
        &self,
        sqlite: &Connection,
        from: u64,
    ) -> Result<Option<(InsertedRows, u64)>, DbError> {
        let bulk: Vec<_> = self.tables.values().filter(|captured| captured.bulk).collect();
        let (mut table, mut row) = (from >> ROW_BITS, from & ((1 << ROW_BITS) - 1));
        while let Some(captured) = usize::try_from(table).ok().and_then(|table| bulk.get(table)) {
            if let Some((rows, last)) = captured.batch(sqlite, row)? {
                return Ok(Some((rows, (table << ROW_BITS) | last)));
            }
            (table, row) = (table + 1, 0);
        }
        Ok(None)
    }
}

impl Captured {
    /// The next batch after row `after` of the images, and its last row.
    fn batch(&self, sqlite: &Connection, after: u64) -> Result<Option<(InsertedRows, u64)>, DbError> {
        let Self { table, images, .. } = self;
        let columns: Vec<_> = table.columns.iter().map(|column| format!("o.{}", quoted(column))).collect();
        let sql = format!(
            "SELECT i.rowid, {} FROM temp.\"{images}\" AS i CROSS JOIN main.{} AS o \
             WHERE i.rowid > ?1 AND NOT i.existed AND {} ORDER BY i.rowid LIMIT {BATCH}",
            columns.join(", "),
            quoted(&table.name),
            same_row(table)
        );
        let mut statement = sqlite.prepare_cached(&sql).map_err(translate)?;
        let mut found = statement.query([i64::try_from(after).unwrap_or(i64::MAX)]).map_err(translate)?;
        let (mut rows, mut last) = (Vec::new(), after);
        while let Some(row) = found.next().map_err(translate)? {
            last = row.get::<_, i64>(0).map_err(translate)?.cast_unsigned();
            let values = (1..)
                .zip(&table.columns)
                .map(|(at, column)| kept(row.get_ref(at).map_err(translate)?, &table.name, column));
            let values = values.collect::<Result<Vec<_>, DbError>>()?;
            let key = table.key.iter().map(|&at| values[at].clone()).collect();
            rows.push((key, RowDigest::of(&values)));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let key_columns = table.key.iter().map(|&at| table.columns[at].clone()).collect();
        let (name, columns) = (table.name.clone(), table.columns.clone());
        Ok(Some((InsertedRows { table: name, key_columns, columns, rows }, last)))
    }
}
