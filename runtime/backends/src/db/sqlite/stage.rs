//! How a statement writes a table of which the step may touch some rows only.
//!
//! It writes a *stage*: a temporary table of the same name and shape that has these rows and no others. What it did there
//! is then carried over by statements of the host. So the statement can be any that SQLite has, with defaults, conflict
//! clauses, `ON CONFLICT` and `RETURNING`, and there is nothing in its reach that it could touch or look at besides.
//!
//! 1. The rows that the filters let through are copied twice: into the stage, and into a table that is kept as it was.
//! 2. The guest's statement runs on the stage.
//! 3. Every row that is on the stage now must pass the filter for writing; otherwise the statement fails. This is what
//!    SQL calls `WITH CHECK OPTION`.
//! 4. Rows that are gone are deleted, rows that came are inserted, rows that differ are updated in the columns that the
//!    statement has set. Here constraints against rows that the step cannot see are found, foreign keys are enforced,
//!    the owner's triggers run, and changes are kept for a rollback.
//!
//! What differs from a statement on the table itself: a row that is set to what it was fires no trigger; `OR IGNORE` and
//! `ON CONFLICT` do not help against a row that the step cannot see, which is an error; generated columns cannot be read
//! by a statement that writes; the key of a row stays as it is.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};
use wflo_ports::DbError;

use super::error::translate;
use super::table::{Found, Table, find, foreign_keys};
use crate::db::names::quoted;

/// What a statement did to a stage, as far as it says by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Whether it may have added rows.
    pub(super) inserts: bool,
    /// Whether it may have taken rows away.
    pub(super) deletes: bool,
    /// The columns that it may have set in rows that were there, by lower-case name.
    pub(super) updates: BTreeSet<String>,
}

/// A temporary table in the place of one that is there.
#[derive(Debug)]
pub(super) struct Stage {
    /// The name of the table in lower case.
    name: String,
    table: Table,
    /// The columns, as they are declared.
    declared: String,
    /// Unique indexes, beside the key: what `ON CONFLICT` may name.
    indexes: Vec<String>,
    /// Whether SQLite gives the key of a new row.
    is_numbered: bool,
    /// The table that is kept as it was.
    before: String,
    /// The condition that rows `r` of the table are on the stage.
    rows: String,
    /// The condition that rows `r` must pass afterwards; none if any row may be written.
    kept: Option<String>,
}

impl Stage {
    /// The stage for a table, of which `rows` and `kept` are SQL on rows `r`. What it was before is in `before`.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for a table that cannot be written row by row.
    pub(super) fn of(
        sqlite: &Connection,
        name: &str,
        before: String,
        rows: String,
        kept: Option<String>,
    ) -> Result<Self, DbError> {
        if let Some(why) = Self::objection(sqlite, name)? {
            return Err(DbError::Invalid(format!("table `{name}` {why}")));
        }
        let Found::Table(table) = find(sqlite, name).map_err(translate)? else {
            return Err(DbError::Invalid(format!("table `{name}` is not there")));
        };
        let (declared, is_numbered) = declaration(sqlite, &table).map_err(translate)?;
        let indexes = indexes(sqlite, &table).map_err(translate)?;
        Ok(Self { name: name.to_owned(), table, declared, indexes, is_numbered, before, rows, kept })
    }

    /// Why a table cannot be written by a step that may touch some rows of it only, in words that follow its name.
    pub(super) fn objection(sqlite: &Connection, name: &str) -> Result<Option<String>, DbError> {
        let closed = "a step that may touch only some of its rows cannot write it";
        let table = match find(sqlite, name).map_err(translate)? {
            Found::Nothing => return Ok(None),
            Found::View => return Ok(Some(format!("is a view: {closed}"))),
            Found::Uncapturable(why) => return Ok(Some(format!("{why}: {closed}"))),
            Found::Table(table) => table,
        };
        let own = foreign_keys(sqlite).map_err(translate)?.into_iter().any(|key| {
            let is_own = |name: &str| name.eq_ignore_ascii_case(&table.name);
            is_own(&key.child) && is_own(&key.parent) && key.acts
        });
        Ok(own.then(|| format!("refers to itself and changes rows with those they refer to: {closed}")))
    }

    /// The table, in lower case.
    pub(super) fn table(&self) -> &str {
        &self.name
    }

    /// The columns of the key, in lower case.
    pub(super) fn key(&self) -> BTreeSet<String> {
        self.table.key.iter().map(|&at| self.table.columns[at].to_ascii_lowercase()).collect()
    }

    /// SQL that takes it away.
    pub(super) fn drop(&self) -> String {
        let (stage, before) = (quoted(&self.table.name), quoted(&self.before));
        format!("DROP TABLE IF EXISTS temp.{stage}; DROP TABLE IF EXISTS temp.{before};")
    }

    /// Makes it, with the rows or without.
    pub(super) fn put_up(&self, sqlite: &Connection, filled: bool) -> Result<(), DbError> {
        let (stage, before) = (quoted(&self.table.name), quoted(&self.before));
        let mut sql = format!("CREATE TEMP TABLE {stage} {};", self.declared);
        sql.extend(self.indexes.iter().map(String::as_str));
        let columns = self.columns();
        let none = if filled { "" } else { " LIMIT 0" };
        sql += &format!(
            "CREATE TEMP TABLE {before} AS SELECT {columns} FROM main.{stage} AS r WHERE {}{none};
             CREATE INDEX temp.{} ON {before} ({});
             INSERT INTO temp.{stage} ({columns}) SELECT {columns} FROM temp.{before};",
            self.rows,
            quoted(&format!("{}_by_key", self.before)),
            self.key_columns("")
        );
        sqlite.execute_batch(&sql).map_err(translate)?;
        if self.is_numbered && filled {
            self.number(sqlite).map_err(translate)?;
        }
        Ok(())
    }

    /// New rows are numbered after all that are there, or were, and not only after those on the stage.
    fn number(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        let table = quoted(&self.table.name);
        let most = format!("SELECT coalesce(max({}), 0) FROM main.{table}", self.key_columns(""));
        let most: i64 = sqlite.query_row(&most, [], |row| row.get(0))?;
        let counted = sqlite.table_exists(Some("main"), "sqlite_sequence")?;
        let counted = counted.then(|| {
            let sql = "SELECT seq FROM main.sqlite_sequence WHERE name = ?1";
            sqlite.query_row(sql, [&self.table.name], |row| row.get::<_, i64>(0)).optional()
        });
        let most = counted.transpose()?.flatten().unwrap_or_default().max(most);
        sqlite.execute("DELETE FROM temp.sqlite_sequence WHERE name = ?1", [&self.table.name])?;
        let set = "INSERT INTO temp.sqlite_sequence (name, seq) VALUES (?1, ?2)";
        sqlite.execute(set, (&self.table.name, most)).map(|_| ())
    }

    /// Whether every row of the stage may be written.
    ///
    /// # Errors
    /// [`DbError::Denied`] if not.
    pub(super) fn check(&self, sqlite: &Connection) -> Result<(), DbError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let sql =
            format!("SELECT 1 FROM temp.{} AS r WHERE NOT coalesce({kept}, 0)", quoted(&self.table.name));
        if sqlite.prepare(&sql).and_then(|mut statement| statement.exists([])).map_err(translate)? {
            return Err(DbError::Denied(format!(
                "the step may write only some rows of table `{}`, and this would be another one",
                self.table.name
            )));
        }
        Ok(())
    }

    /// The statements that carry over what was done, in their order.
    pub(super) fn carry_over(&self, touched: &Touched) -> Vec<String> {
        let mut sql = Vec::new();
        let (table, before) = (quoted(&self.table.name), quoted(&self.before));
        let same = |a: &str, b: &str| {
            let same = self.table.key.iter().map(|&at| {
                let column = quoted(&self.table.columns[at]);
                format!("{a}.{column} IS {b}.{column} COLLATE BINARY")
            });
            same.collect::<Vec<_>>().join(" AND ")
        };
        if touched.deletes {
            let key = self.key_columns("");
            let list = if self.table.key.len() == 1 { key.clone() } else { format!("({key})") };
            sql.push(format!(
                "DELETE FROM main.{table} WHERE {list} IN (SELECT {} FROM temp.{before} AS o \
                 WHERE NOT EXISTS (SELECT 1 FROM temp.{table} AS s WHERE {}))",
                self.key_columns("o."),
                same("s", "o")
            ));
        }
        if touched.inserts {
            // `OR ABORT` is written out, since the table may say `ON CONFLICT REPLACE`.
            let columns = self.columns();
            sql.push(format!(
                "INSERT OR ABORT INTO main.{table} ({columns}) SELECT {columns} FROM temp.{table} AS s \
                 WHERE NOT EXISTS (SELECT 1 FROM temp.{before} AS o WHERE {})",
                same("o", "s")
            ));
        }
        let key = self.key();
        let is_set = |column: &&String| {
            let column = column.to_ascii_lowercase();
            touched.updates.contains(&column) && !key.contains(&column)
        };
        let set: Vec<_> = self.table.columns.iter().filter(is_set).collect();
        if !set.is_empty() {
            let columns: Vec<_> = set.iter().map(|column| quoted(column)).collect();
            let values = columns.iter().map(|column| format!("{column} = s.{column}"));
            let differs = columns.iter().map(|column| {
                format!(
                    "s.{column} IS NOT o.{column} COLLATE BINARY OR typeof(s.{column}) <> typeof(o.{column})"
                )
            });
            // The equality finds the row by its index; what was copied from it is the very one.
            let found = self.table.key.iter().map(|&at| {
                let column = quoted(&self.table.columns[at]);
                format!("m.{column} = o.{column}")
            });
            sql.push(format!(
                "UPDATE OR ABORT main.{table} AS m SET {} FROM temp.{before} AS o, temp.{table} AS s \
                 WHERE {} AND {} AND ({})",
                values.collect::<Vec<_>>().join(", "),
                found.collect::<Vec<_>>().join(" AND "),
                same("s", "o"),
                differs.collect::<Vec<_>>().join(" OR ")
            ));
        }
        sql
    }

    /// All columns that something can be written to: what a row that takes another's place has.
    pub(super) fn every_column(&self) -> BTreeSet<String> {
        self.table.columns.iter().map(|column| column.to_ascii_lowercase()).collect()
    }

    fn columns(&self) -> String {
        self.table.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }

    fn key_columns(&self, of: &str) -> String {
        let columns = self.table.key.iter().map(|&at| format!("{of}{}", quoted(&self.table.columns[at])));
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// The columns of a table as a copy of it declares them, and whether SQLite numbers its rows.
fn declaration(sqlite: &Connection, table: &Table) -> rusqlite::Result<(String, bool)> {
    let (without_rowid, strict): (bool, bool) = sqlite
        .prepare_cached("SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1")?
        .query_row([&table.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = sqlite.prepare_cached(
        "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0 ORDER BY cid",
    )?;
    let mut rows = statement.query([&table.name])?;
    let mut declared = Vec::new();
    let mut is_numbered = false;
    while let Some(row) = rows.next()? {
        let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
        let (is_filled, default): (bool, Option<String>) = (row.get(2)?, row.get(3)?);
        let is_key = row.get::<_, i64>(4)? > 0;
        let column = quoted(&name);
        if is_key && !without_rowid && table.key.len() == 1 && kind.eq_ignore_ascii_case("integer") {
            is_numbered = true;
            declared.push(format!("{column} INTEGER PRIMARY KEY AUTOINCREMENT"));
            continue;
        }
        let (_, collation, ..) = sqlite.column_metadata(Some("main"), table.name.as_str(), name.as_str())?;
        let collation = collation.map(|name| format!(" COLLATE {}", quoted(&name.to_string_lossy())));
        let filled = if is_filled || is_key { " NOT NULL" } else { "" };
        let default = default.map(|default| format!(" DEFAULT ({default})"));
        declared.push(format!(
            "{column} {kind}{}{filled}{}",
            collation.unwrap_or_default(),
            default.unwrap_or_default()
        ));
    }
    if !is_numbered {
        let key: Vec<_> = table.key.iter().map(|&at| quoted(&table.columns[at])).collect();
        declared.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    let options = match (without_rowid, strict) {
        (true, true) => " WITHOUT ROWID, STRICT",
        (true, false) => " WITHOUT ROWID",
        (false, true) => " STRICT",
        (false, false) => "",
    };
    Ok((format!("({}){options}", declared.join(", ")), is_numbered))
}

/// Statements that make the unique indexes of a table on its copy. Those of some rows only are left to the table itself.
fn indexes(sqlite: &Connection, table: &Table) -> rusqlite::Result<Vec<String>> {
    let names: Vec<String> = sqlite
        .prepare_cached(
            "SELECT name FROM pragma_index_list(?1, 'main') WHERE \"unique\" AND NOT partial AND origin <> 'pk' ORDER BY seq",
        )?
        .query_map([&table.name], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut made = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let columns: Vec<String> = sqlite
            .prepare_cached("SELECT name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno")?
            .query_map([name], |row| {
                let (column, collation): (String, String) = (row.get(0)?, row.get(1)?);
                Ok(format!("{} COLLATE {}", quoted(&column), quoted(&collation)))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let index = quoted(&format!("{}_unique_{at}", table.name));
        made.push(format!(
            "CREATE UNIQUE INDEX temp.{index} ON {} ({});",
            quoted(&table.name),
            columns.join(", ")
        ));
    }
    Ok(made)
}
