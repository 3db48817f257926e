//! Columns that a change set does not know, since the table got them later.

use rusqlite::params_from_iter;
use wflo_model::SqlValue;
use wflo_ports::{ConflictReason, DbError, RowChange, TableChange};

use super::{Undo, by_key};
use crate::db::made_up::is_constant;
use crate::db::names::{literal, quoted};
use crate::db::sqlite::error::translate;
use crate::db::sqlite::value::to_sqlite;

impl Undo<'_> {
    /// Why a row that is as the step left it stays so, if it does.
    pub(super) fn spared(
        &self,
        table: &TableChange,
        row: &RowChange,
    ) -> Result<Option<ConflictReason>, DbError> {
        match row {
            RowChange::Insert { key, .. } => self.written_since(table, key),
            _ => Ok(None),
        }
    }

    /// Why a row that has come with the step cannot be deleted without losing what others wrote, if so: one of those columns
    /// holds something that a row does not have by itself, neither nothing nor a constant default.
    fn written_since(
        &self,
        table: &TableChange,
        key: &[SqlValue],
    ) -> Result<Option<ConflictReason>, DbError> {
        let mut columns = self
            .sqlite
            .prepare_cached(
                "SELECT name, dflt_value FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0 ORDER BY cid",
            )
            .map_err(translate)?;
        let columns = columns.query_map([&table.table], |row| Ok((row.get(0)?, row.get(1)?)));
        let columns: Vec<(String, Option<String>)> =
            columns.and_then(Iterator::collect).map_err(translate)?;
        let unknown = columns.into_iter().filter(|(name, _)| !table.columns.contains(name));
        let cases: String = unknown
            .map(|(name, default)| {
                let column = quoted(&name);
                let default = default.filter(|default| is_constant(default));
                let is_own = default.map(|default| format!(" AND {column} IS NOT ({default})"));
                let is_own = is_own.unwrap_or_default();
                format!(" WHEN {column} IS NOT NULL{is_own} THEN {}", literal(&name))
            })
            .collect();
        if cases.is_empty() {
            return Ok(None);
        }
        let sql =
            format!("SELECT CASE{cases} END FROM main.{} WHERE {}", quoted(&table.table), by_key(table));
        let mut statement = self.sqlite.prepare_cached(&sql).map_err(translate)?;
        let key = key.iter().map(to_sqlite).collect::<Result<Vec<_>, _>>()?;
        let mut rows = statement.query(params_from_iter(key)).map_err(translate)?;
        let column: Option<String> = match rows.next().map_err(translate)? {
            Some(row) => row.get(0).map_err(translate)?,
            None => None,
        };
        Ok(column.map(|column| ConflictReason::Schema {
            message: format!("column `{column}` came later, and this row has a value there"),
        }))
    }
}
