//! Puts rows back that wait for one another: all of them, or none.
//!
//! In a savepoint, rows that are in the way of others by a unique value get another one there for the moment; then each is
//! made what it was. Foreign keys are off meanwhile, so that no action of one fires and rows may refer to what is not there
//! yet: what they ask for is looked at when all is done, and is more than SQLite would ask for, since a row of somebody
//! else that refers to a value stays with the row that has it now.

use std::collections::BTreeSet;

use rusqlite::config::DbConfig;
use wflo_model::SqlValue;
use wflo_ports::{DbError, TableChange};

use super::{Entry, Left, Off, Undo, Work, abandoned, by_key, equal, no_null, values_of};
use crate::db::agenda::Agenda;
use crate::db::bonds::{Bond, Parking};
use crate::db::names::quoted;
use crate::db::sqlite::connection::Cancel;
use crate::db::sqlite::error::translate;
use crate::db::sqlite::value::{from_sqlite, to_sqlite};
use crate::db::stand_in::stand_ins;

/// Rows that are put back together.
struct Group<'g, 'c> {
    work: &'g Work<'c>,
    /// The agenda's numbers of the rows.
    rows: &'g [usize],
    agenda: &'g Agenda<'c>,
}

impl<'c> Group<'_, 'c> {
    fn entry(&self, row: usize) -> &Entry<'c> {
        &self.work.entries[self.work.waiting[row]]
    }

    /// What rows of the group are to have in a column.
    fn wanted<'w>(
        &'w self,
        table: &'w TableChange,
        column: usize,
    ) -> impl Iterator<Item = &'w SqlValue> + Clone {
        let entries = self.rows.iter().map(|&row| self.entry(row));
        let of_table = entries.filter(|entry| entry.table.table == table.table);
        of_table.filter_map(move |entry| entry.row.before()?.get(column))
    }
}

impl Undo<'_> {
    /// Whether the rows could be put back; where they could not, nothing is done.
    pub(super) fn together(
        &self,
        work: &Work<'_>,
        rows: &[usize],
        agenda: &Agenda<'_>,
        cancel: &Cancel,
    ) -> Result<bool, DbError> {
        let group = Group { work, rows, agenda };
        self.run("SAVEPOINT wflo_together")?;
        let done = match self.has_references(&group) {
            true => Off::new(self.sqlite, DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY)
                .and_then(|_off| self.try_together(&group, cancel)),
            false => self.try_together(&group, cancel),
        };
        if !matches!(done, Ok(true)) {
            self.run("ROLLBACK TO wflo_together")?;
        }
        self.run("RELEASE wflo_together")?;
        done
    }

    fn run(&self, sql: &str) -> Result<(), DbError> {
        self.sqlite.prepare_cached(sql).and_then(|mut it| it.execute([])).map(drop).map_err(translate)
    }

    fn try_together(&self, group: &Group<'_, '_>, cancel: &Cancel) -> Result<bool, DbError> {
        let mut parking = Parking::default();
        loop {
            let next = parking.next(group.agenda.bonds(), group.rows);
            if next.is_empty() {
                break;
            }
            for row in next {
                abandoned(cancel)?;
                parking.tell(row, self.park(group, row)?);
            }
        }
        let order = group.agenda.bonds().groups(group.rows, &[Bond::Unique], parking.parked());
        for row in order.into_iter().flatten() {
            abandoned(cancel)?;
            let Entry { table, row, .. } = group.entry(row);
            if self.write_row(table, row)?.is_err() {
                return Ok(false);
            }
        }
        self.is_whole(group, cancel)
    }

    /// Gives a row other values where it is in the way of others; false, and nothing done, where that cannot be.
    fn park(&self, group: &Group<'_, '_>, number: usize) -> Result<bool, DbError> {
        let Entry { table, row, .. } = group.entry(number);
        let (Some(has), Some(takes)) = (row.after(), row.before()) else { return Ok(false) };
        self.run("SAVEPOINT wflo_park")?;
        let mut parked: BTreeSet<usize> = BTreeSet::new();
        let mut is_parked = true;
        for unique in group.agenda.uniques_of(number).filter(|unique| unique.changes(row)) {
            if unique.parks.iter().any(|column| parked.contains(column)) {
                continue;
            }
            let mut differ = unique.parks.iter().copied().filter(|&column| has[column] != takes[column]);
            let found = loop {
                let Some(column) = differ.next() else { break None };
                let stand_ins = stand_ins(&has[column], group.wanted(table, column))?;
                if self.park_column(table, row.key(), column, &stand_ins)? {
                    break Some(column);
                }
            };
            is_parked = found.is_some();
            parked.extend(found);
            if !is_parked {
                self.run("ROLLBACK TO wflo_park")?;
                break;
            }
        }
        self.run("RELEASE wflo_park")?;
        Ok(is_parked)
    }

    fn park_column(
        &self,
        table: &TableChange,
        key: &[SqlValue],
        column: usize,
        stand_ins: &[SqlValue],
    ) -> Result<bool, DbError> {
        let sql = format!(
            "UPDATE OR ABORT main.{} SET {} = ? WHERE {}",
            quoted(&table.table),
            quoted(&table.columns[column]),
            by_key(table)
        );
        let park = |value: &SqlValue| -> Result<bool, DbError> {
            let values: Vec<&SqlValue> = std::iter::once(value).chain(key).collect();
            match self.write(&sql, &values) {
                Ok(written) => Ok(written == 1),
                Err(DbError::Constraint(_)) => Ok(false),
                Err(error) => Err(error),
            }
        };
        for value in std::iter::once(&SqlValue::Null).chain(stand_ins) {
            if park(value)? {
                return Ok(true);
            }
        }
        // What the table checks of its rows does not matter for a moment.
        let _unchecked = Unchecked::new(self.sqlite)?;
        stand_ins.last().map_or(Ok(false), park)
    }

    /// Whether a column that changes with one of the rows refers to others, or is referred to.
    fn has_references(&self, group: &Group<'_, '_>) -> bool {
        group.rows.iter().any(|&row| {
            let Entry { table, row, .. } = group.entry(row);
            let changes = |names: &[String]| {
                row.after().and_then(|row| values_of(table, names, row))
                    != row.before().and_then(|row| values_of(table, names, row))
            };
            self.foreign.iter().any(|key| {
                (key.child.eq_ignore_ascii_case(&table.table) && changes(&key.from))
                    || (key.parent.eq_ignore_ascii_case(&table.table) && changes(&key.to))
            })
        })
    }

    /// Whether what the rows refer to is there, and whoever refers to them has what it refers to.
    fn is_whole(&self, group: &Group<'_, '_>, cancel: &Cancel) -> Result<bool, DbError> {
        let members: BTreeSet<usize> = group.rows.iter().map(|&row| group.work.waiting[row]).collect();
        for &row in group.rows {
            abandoned(cancel)?;
            let Entry { table, row, .. } = group.entry(row);
            if self.dangling(table, row.after(), row.before())?.is_some() {
                return Ok(false);
            }
            let Some(has) = row.after() else { continue };
            for key in self.foreign.iter().filter(|key| key.parent.eq_ignore_ascii_case(&table.table)) {
                let Some(loses) = values_of(table, &key.to, has).filter(|values| no_null(values)) else {
                    continue;
                };
                let keeps = row.before().and_then(|row| values_of(table, &key.to, row));
                if keeps.as_ref() == Some(&loses) {
                    continue;
                }
                let tables = &group.work.changes.tables;
                let child = tables.iter().position(|it| it.table.eq_ignore_ascii_case(&key.child));
                let columns: Vec<String> = match child {
                    Some(child) => tables[child].key_columns.iter().map(|name| quoted(name)).collect(),
                    None => vec!["1".to_owned()],
                };
                let child_name = quoted(&key.child);
                let sql = format!(
                    "SELECT {} FROM main.{child_name} WHERE {}",
                    columns.join(", "),
                    equal(&key.from)
                );
                let referring = self.keys(&sql, columns.len(), &loses)?;
                if referring.is_empty() {
                    continue;
                }
                let is_own = |key: &Vec<SqlValue>| {
                    let entry = child.and_then(|child| group.work.find(child, key));
                    entry.is_some_and(|entry| {
                        members.contains(&entry) || matches!(group.work.entries[entry].left, Left::Done)
                    })
                };
                let sql = format!("SELECT 1 FROM main.{} WHERE {}", quoted(&table.table), equal(&key.to));
                if !referring.iter().all(is_own) || !self.exists(&sql, &loses)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn keys(&self, sql: &str, columns: usize, values: &[SqlValue]) -> Result<Vec<Vec<SqlValue>>, DbError> {
        let mut statement = self.sqlite.prepare_cached(sql).map_err(translate)?;
        let values = values.iter().map(to_sqlite).collect::<Result<Vec<_>, _>>()?;
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(translate)?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next().map_err(translate)? {
            // A key that is no text is of a row that was never captured, and so is nobody's here.
            let value = |at| match from_sqlite(row.get_ref(at).map_err(translate)?, "key") {
                Err(_) => Ok(SqlValue::Null),
                value => value,
            };
            keys.push((0..columns).map(value).collect::<Result<_, DbError>>()?);
        }
        Ok(keys)
    }
}

/// Has rows not checked until it is dropped.
struct Unchecked<'c>(&'c rusqlite::Connection);

impl<'c> Unchecked<'c> {
    fn new(sqlite: &'c rusqlite::Connection) -> Result<Self, DbError> {
        sqlite.pragma_update(None, "ignore_check_constraints", true).map_err(translate)?;
        Ok(Self(sqlite))
    }
}

impl Drop for Unchecked<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.pragma_update(None, "ignore_check_constraints", false) {
            tracing::error!(%error, "a connection stays as a rollback needs it");
        }
    }
}
