//! Applies the inverse of what a step changed, row by row.
//!
//! A row is put back where it is exactly as the step left it. What somebody else has done since is not touched, and
//! nothing is done that would make SQLite touch another row by itself:
//!
//! - The owner's triggers are off meanwhile: what they did with the step's writes is in its change set, and is undone
//!   as the rest.
//! - A row that others refer to is not deleted, whatever the foreign key says is to become of them, and a row whose
//!   parent is gone is not put back. So no action of a foreign key ever fires, and none is left broken for the commit.
//! - `OR ABORT` is written out, since a table may say `ON CONFLICT REPLACE`.
//!
//! Rows depend on one another: a parent can be deleted only after its children, and two that have exchanged a unique
//! value can go only together. [`Agenda`] tells which is tried when, and only what is left at its end is a conflict.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};
use wflo_model::SqlValue;
use wflo_ports::{ChangeSet, Conflict, ConflictReason, DbError, RowChange, TableChange, Undone};

use super::connection::Cancel;
use super::error::translate;
use super::table::{ForeignKey, Found, find, foreign_keys};
use super::value::{from_sqlite, to_sqlite};
use crate::db::agenda::{Agenda, Task};
use crate::db::bonds::text;
use crate::db::names::quoted;

/// Applies the inverse of `changes` in the transaction that is open.
pub(super) fn undo(sqlite: &Connection, changes: &ChangeSet, cancel: &Cancel) -> Result<Undone, DbError> {
    let _triggers = Off::new(sqlite, DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
    Undo::new(sqlite)?.all(changes, cancel)
}

mod inserted;
mod rules;
mod together;
mod unknown;

pub(super) use inserted::undo_inserted;

/// Something of the connection that is off until this is dropped, whatever happens.
struct Off<'c>(&'c Connection, DbConfig);

impl<'c> Off<'c> {
    fn new(sqlite: &'c Connection, what: DbConfig) -> Result<Self, DbError> {
        sqlite.set_db_config(what, false).map_err(translate)?;
        Ok(Self(sqlite, what))
    }
}

impl Drop for Off<'_> {
    fn drop(&mut self) {
        let Self(sqlite, what) = *self;
        // It sets a flag of the connection, which cannot fail.
        if let Err(error) = sqlite.set_db_config(what, true) {
            tracing::error!(%error, "a connection stays as a rollback needs it");
        }
    }
}

/// What one row comes to.
enum Tried {
    /// It is as it was.
    Done,
    /// It is left, whatever happens to other rows.
    Never(ConflictReason),
    /// It may go once another row has been put back.
    NotYet(ConflictReason),
}

/// A row of the change set.
struct Entry<'c> {
    /// The place of its table in the change set.
    at: usize,
    table: &'c TableChange,
    row: &'c RowChange,
    left: Left,
}

/// Where a row stands.
enum Left {
    /// It is as it was.
    Done,
    /// It stays as it is, which is as `found`.
    Conflict { found: Option<Vec<SqlValue>>, reason: ConflictReason },
    /// It is as the step left it.
    Waits,
}

/// The rows of a change set.
struct Work<'c> {
    changes: &'c ChangeSet,
    entries: Vec<Entry<'c>>,
    /// Which of them were as the step left them at the beginning: the rows of the agenda.
    waiting: Vec<usize>,
    /// Where each is among the entries, by its table and key; made when it is first asked for.
    by_key: OnceCell<HashMap<(usize, String), usize>>,
}

impl Work<'_> {
    /// Where the row of a table with a key is among the entries.
    fn find(&self, table: usize, key: &[SqlValue]) -> Option<usize> {
        let by_key = self.by_key.get_or_init(|| {
            let entries = self.entries.iter().enumerate();
            entries.map(|(at, entry)| ((entry.at, text(entry.row.key())), at)).collect()
        });
        by_key.get(&(table, text(key))).copied()
    }
}

struct Undo<'c> {
    sqlite: &'c Connection,
    foreign: Vec<ForeignKey>,
}

impl<'c> Undo<'c> {
    fn new(sqlite: &'c Connection) -> Result<Self, DbError> {
        Ok(Self { sqlite, foreign: foreign_keys(sqlite).map_err(translate)? })
    }

    fn all(&self, changes: &ChangeSet, cancel: &Cancel) -> Result<Undone, DbError> {
        let entries = self.entries(changes, cancel)?;
        let waits = |at: &usize| matches!(entries[*at].left, Left::Waits);
        let waiting: Vec<usize> = (0..entries.len()).filter(waits).collect();
        let rows = waiting.iter().map(|&at| (entries[at].at, entries[at].row)).collect();
        let mut work = Work { changes, entries, waiting, by_key: OnceCell::new() };
        let mut agenda = Agenda::new(self.rules(changes)?, rows);
        let mut reasons: BTreeMap<usize, ConflictReason> = BTreeMap::new();
        while let Some(task) = agenda.next() {
            abandoned(cancel)?;
            let is_done = match &task {
                Task::One(row) => {
                    let at = work.waiting[*row];
                    let Entry { table, row: change, .. } = work.entries[at];
                    // Nobody else writes meanwhile, so that it is still as it was found.
                    match self.try_one(table, change, change.after())? {
                        Tried::Done => true,
                        Tried::Never(reason) | Tried::NotYet(reason) => {
                            reasons.insert(at, reason);
                            false
                        }
                    }
                }
                Task::Together(rows) => self.together(&work, rows, &agenda, cancel)?,
            };
            if is_done {
                let rows = match &task {
                    Task::One(row) => std::slice::from_ref(row),
                    Task::Together(rows) => rows,
                };
                rows.iter().for_each(|&row| work.entries[work.waiting[row]].left = Left::Done);
            }
            agenda.tell(&task, is_done);
        }
        let mut undone = Undone::default();
        for (at, Entry { table, row, left, .. }) in work.entries.into_iter().enumerate() {
            let (found, reason) = match left {
                Left::Done => {
                    undone.rows += 1;
                    continue;
                }
                Left::Conflict { found, reason } => (found, reason),
                Left::Waits => {
                    let reason = reasons.remove(&at).expect("each row that waits has been tried by itself");
                    (row.after().map(<[_]>::to_vec), reason)
                }
            };
            undone.conflicts.push(Conflict::new(table, row, found, reason));
        }
        Ok(undone)
    }

    /// The rows, and how each is found. Deletes come first: they make room for what takes the place of the deleted.
    fn entries<'s>(&self, changes: &'s ChangeSet, cancel: &Cancel) -> Result<Vec<Entry<'s>>, DbError> {
        let mut entries = Vec::new();
        for (at, table) in changes.tables.iter().enumerate() {
            let missing = self.missing(table)?.map(|message| ConflictReason::Schema { message });
            for row in &table.rows {
                abandoned(cancel)?;
                let left = match &missing {
                    Some(reason) => Left::Conflict { found: None, reason: reason.clone() },
                    None => {
                        let found = self.row(table, row.key())?;
                        match found.as_deref() {
                            now if now == row.before() => Left::Done,
                            now if now == row.after() => match self.spared(table, row)? {
                                Some(reason) => Left::Conflict { found, reason },
                                None => Left::Waits,
                            },
                            _ => Left::Conflict { found, reason: ConflictReason::Changed },
                        }
                    }
                };
                entries.push(Entry { at, table, row, left });
            }
        }
        entries.sort_by_key(|entry| match entry.row {
            RowChange::Insert { .. } => 0,
            RowChange::Update { .. } => 1,
            RowChange::Delete { .. } => 2,
        });
        Ok(entries)
    }

    /// What of the table is not there any more, if anything.
    fn missing(&self, table: &TableChange) -> Result<Option<String>, DbError> {
        Ok(match find(self.sqlite, &table.table).map_err(translate)? {
            Found::Table(now) => {
                let gone = table.columns.iter().find(|column| !now.columns.contains(column));
                let key: Vec<_> = now.key.iter().map(|&at| &now.columns[at]).collect();
                match gone {
                    Some(column) => Some(format!("column `{column}` is not there")),
                    None if key.iter().ne(&table.key_columns.iter().collect::<Vec<_>>()) => {
                        Some("its primary key is another one".into())
                    }
                    None => None,
                }
            }
            Found::Nothing => Some("it is not there".into()),
            Found::View | Found::Uncapturable(_) => Some("its rows cannot be told apart".into()),
        })
    }

    fn try_one(
        &self,
        table: &TableChange,
        row: &RowChange,
        found: Option<&[SqlValue]>,
    ) -> Result<Tried, DbError> {
        let (left, wanted) = (row.after(), row.before());
        if found == wanted {
            return Ok(Tried::Done);
        }
        if found != left {
            return Ok(Tried::Never(ConflictReason::Changed));
        }
        if let Some(table) = self.referring(table, found, wanted)? {
            return Ok(Tried::NotYet(ConflictReason::Referenced { table }));
        }
        if let Some(table) = self.dangling(table, found, wanted)? {
            return Ok(Tried::NotYet(ConflictReason::Dangling { table }));
        }
        match self.write_row(table, row)? {
            Ok(()) => Ok(Tried::Done),
            Err(message) => Ok(Tried::NotYet(ConflictReason::Constraint { message })),
        }
    }

    /// Makes a row what it was, whatever that does to others; an error of the inner kind is a constraint.
    fn write_row(&self, table: &TableChange, row: &RowChange) -> Result<Result<(), String>, DbError> {
        let name = quoted(&table.table);
        let (sql, values): (String, Vec<&SqlValue>) = match (row.after(), row.before()) {
            (_, None) => {
                (format!("DELETE FROM main.{name} WHERE {}", by_key(table)), row.key().iter().collect())
            }
            (Some(left), Some(wanted)) => {
                let differs = || left.iter().zip(wanted).map(|(left, wanted)| left != wanted);
                let set: Vec<_> = table
                    .columns
                    .iter()
                    .zip(differs())
                    .filter(|(_, differs)| *differs)
                    .map(|(column, _)| format!("{} = ?", quoted(column)))
                    .collect();
                let values = wanted.iter().zip(differs()).filter(|(_, differs)| *differs);
                (
                    format!("UPDATE OR ABORT main.{name} SET {} WHERE {}", set.join(", "), by_key(table)),
                    values.map(|(value, _)| value).chain(row.key()).collect(),
                )
            }
            (None, Some(wanted)) => {
                let columns: Vec<_> = table.columns.iter().map(|column| quoted(column)).collect();
                let places = vec!["?"; columns.len()].join(", ");
                (
                    format!("INSERT OR ABORT INTO main.{name} ({}) VALUES ({places})", columns.join(", ")),
                    wanted.iter().collect(),
                )
            }
        };
        match self.write(&sql, &values) {
            Ok(1) => Ok(Ok(())),
            Ok(_) => Err(DbError::Other(format!(
                "undoing a row of `{}` changed another number of rows",
                table.table
            ))),
            Err(DbError::Constraint(message)) => Ok(Err(message)),
            Err(error) => Err(error),
        }
    }

    /// A row as it is now.
    fn row(&self, table: &TableChange, key: &[SqlValue]) -> Result<Option<Vec<SqlValue>>, DbError> {
        let columns: Vec<_> = table.columns.iter().map(|column| quoted(column)).collect();
        let sql = format!(
            "SELECT {} FROM main.{} WHERE {}",
            columns.join(", "),
            quoted(&table.table),
            by_key(table)
        );
        let mut statement = self.sqlite.prepare_cached(&sql).map_err(translate)?;
        let values = key.iter().map(to_sqlite).collect::<Result<Vec<_>, _>>()?;
        let mut rows = statement.query(params_from_iter(values)).map_err(translate)?;
        while let Some(row) = rows.next().map_err(translate)? {
            let values = table.columns.iter().enumerate().map(|(at, column)| {
                match row.get_ref(at).map_err(translate)? {
                    // It is not what the step wrote, so it is enough that it is told apart.
                    ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err() => {
                        Ok(SqlValue::Blob(bytes.to_vec()))
                    }
                    value => from_sqlite(value, column),
                }
            });
            let values = values.collect::<Result<Vec<_>, DbError>>()?;
            let is_it = table.key_columns.iter().zip(key).all(|(column, wanted)| {
                table.columns.iter().position(|name| name == column).is_some_and(|at| values[at] == *wanted)
            });
            // What the column's collation takes for the same key is another row.
            if is_it {
                return Ok(Some(values));
            }
        }
        Ok(None)
    }

    /// A table with rows that refer to this one by values it is about to lose.
    fn referring(
        &self,
        table: &TableChange,
        found: Option<&[SqlValue]>,
        wanted: Option<&[SqlValue]>,
    ) -> Result<Option<String>, DbError> {
        let Some(found) = found else { return Ok(None) };
        for key in self.foreign.iter().filter(|key| key.parent.eq_ignore_ascii_case(&table.table)) {
            let Some(loses) = values_of(table, &key.to, found).filter(|values| no_null(values)) else {
                continue;
            };
            if wanted.is_some_and(|wanted| values_of(table, &key.to, wanted) == Some(loses.clone())) {
                continue;
            }
            let itself = key.child.eq_ignore_ascii_case(&table.table);
            let (and_not, own) = match itself {
                true => (format!(" AND NOT ({})", by_key(table)), key_of(table, found)),
                false => (String::new(), Vec::new()),
            };
            let sql =
                format!("SELECT 1 FROM main.{} WHERE {}{and_not}", quoted(&key.child), equal(&key.from));
            if self.exists(&sql, &[loses, own].concat())? {
                return Ok(Some(key.child.clone()));
            }
        }
        Ok(None)
    }

    /// A table that lacks the row which this one is about to refer to.
    fn dangling(
        &self,
        table: &TableChange,
        found: Option<&[SqlValue]>,
        wanted: Option<&[SqlValue]>,
    ) -> Result<Option<String>, DbError> {
        let Some(wanted) = wanted else { return Ok(None) };
        for key in self.foreign.iter().filter(|key| key.child.eq_ignore_ascii_case(&table.table)) {
            let Some(needs) = values_of(table, &key.from, wanted).filter(|values| no_null(values)) else {
                continue;
            };
            if found.is_some_and(|found| values_of(table, &key.from, found) == Some(needs.clone())) {
                continue;
            }
            let is_itself = key.parent.eq_ignore_ascii_case(&table.table)
                && values_of(table, &key.to, wanted) == Some(needs.clone());
            let sql = format!("SELECT 1 FROM main.{} WHERE {}", quoted(&key.parent), equal(&key.to));
            if !is_itself && !self.exists(&sql, &needs)? {
                return Ok(Some(key.parent.clone()));
            }
        }
        Ok(None)
    }

    fn exists(&self, sql: &str, values: &[SqlValue]) -> Result<bool, DbError> {
        let values = values.iter().map(to_sqlite).collect::<Result<Vec<_>, _>>()?;
        let mut statement = self.sqlite.prepare_cached(sql).map_err(translate)?;
        statement.exists(params_from_iter(values)).map_err(translate)
    }

    fn write(&self, sql: &str, values: &[&SqlValue]) -> Result<usize, DbError> {
        let values = values.iter().map(|value| to_sqlite(value)).collect::<Result<Vec<_>, _>>()?;
        let mut statement = self.sqlite.prepare_cached(sql).map_err(translate)?;
        statement.execute(params_from_iter(values)).map_err(translate)
    }
}

/// An error where nobody waits for the rollback any more.
fn abandoned(cancel: &Cancel) -> Result<(), DbError> {
    if cancel.is_cancelled() {
        return Err(DbError::Unavailable("the rollback was abandoned".into()));
    }
    Ok(())
}

/// A condition that the row with the key is, found by its index; the parameters are the key's values.
fn by_key(table: &TableChange) -> String {
    let same: Vec<_> = table
        .key_columns
        .iter()
        .map(|column| quoted(column))
        .map(|column| format!("{column} = ? COLLATE BINARY"))
        .collect();
    same.join(" AND ")
}

fn equal(columns: &[String]) -> String {
    columns.iter().map(|column| format!("{} = ?", quoted(column))).collect::<Vec<_>>().join(" AND ")
}

fn key_of(table: &TableChange, row: &[SqlValue]) -> Vec<SqlValue> {
    values_of(table, &table.key_columns, row).unwrap_or_default()
}

/// The values of some columns in a row; none where the change set does not have them all.
fn values_of(table: &TableChange, columns: &[String], row: &[SqlValue]) -> Option<Vec<SqlValue>> {
    let at = |column: &String| table.columns.iter().position(|name| name.eq_ignore_ascii_case(column));
    columns.iter().map(|column| Some(row.get(at(column)?)?.clone())).collect()
}

/// A foreign key with a null in it refers to nothing.
fn no_null(values: &[SqlValue]) -> bool {
    !values.contains(&SqlValue::Null)
}
