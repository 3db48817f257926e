//! Keeps what a transaction changes, row by row.
//!
//! rusqlite's session extension needs libclang to build, so rows are kept by triggers of our own: temporary ones, which
//! only this connection has, on the tables that the statements of a transaction write. They are made inside the
//! transaction, so that a rollback takes them away.
//!
//! A trigger keeps a row's values *before* the first change to it, or that it was not there; nothing else. What a row
//! has come to is looked up at the end, under its key. So the net effect needs no merging of steps, and it is right
//! whatever order things happened in, in savepoints that were undone, and through the owner's triggers and the actions
//! of foreign keys, whose writes fire ours like any others.
//!
//! - Images are taken by `BEFORE` triggers: the first of them sees a row that nothing has touched, also where a trigger
//!   of the owner changes the row again.
//! - That a row was not there is kept by an `AFTER INSERT` trigger, since its key may be known only then. SQLite fires
//!   temporary triggers before those of the owner; a test holds it to that.
//! - Where an update gives a row another key, it is kept *before* it that none was there under that one: between the
//!   update and its `AFTER` triggers the foreign keys act, and what they fire may meet the row under its new key.
//! - A null that `OR REPLACE` turns into the default of its column is taken for that default before.
//! - A row that another one replaces (`OR REPLACE`, `ON CONFLICT REPLACE`) fires no trigger unless `recursive_triggers`
//!   is on, which would change what the owner's triggers do. So `BEFORE INSERT` and `BEFORE UPDATE` keep every row that
//!   shares a unique value with the new one. Those that stay as they are do no harm: at the end, nothing has changed.
//! - The conflict clause of the outermost statement overrides those within triggers, so none is used there.
//! - Keys are compared by their exact bytes and types, whatever the column's collation says: where `'a'` becomes `'A'`
//!   one row is gone and another is there.

mod inserted;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use wflo_model::SqlValue;
use wflo_ports::{ChangeLimits, ChangeSet, DbError, RowChange, TableChange};

use super::authorize::Written;
use super::error::translate;
use super::names::unguessable;
use super::table::{Found, Table, find};
use super::value::{from_sqlite, size};
use crate::db::names::quoted;
use crate::db::order::by_value;

/// What a transaction keeps of its changes.
#[derive(Debug)]
pub(super) struct Capture {
    /// Begins the name of everything temporary that belongs to it. It is random, so that no statement of a guest can
    /// name any of it.
    prefix: String,
    /// The tables with triggers, by lower-case name.
    tables: BTreeMap<String, Captured>,
}

#[derive(Debug)]
struct Captured {
    table: Table,
    /// The temporary table of first images, and what its triggers begin with.
    images: String,
    /// Whether rows were inserted in bulk: then inserted rows are not among the changes, but are told one after another.
    bulk: bool,
}

/// Why a write cannot be kept, in words for whoever wrote the workflow.
fn refused(table: &str, trigger: Option<&str>, why: &str) -> DbError {
    let mend = match () {
        () if why.contains("primary key") => "give it one",
        () if why.contains("index") => "put that index on columns",
        () => "write to an ordinary table",
    };
    if let Some(trigger) = trigger {
        return DbError::Invalid(format!(
            "table `{table}`, which trigger `{trigger}` of the owner writes, {why}, so its changes cannot be kept; {mend}, or \
             leave it out of what is undone by `audit = [\"{table}\"]` of the database in wflo.toml"
        ));
    }
    DbError::Invalid(format!(
        "table `{table}` {why}, so its changes cannot be kept; {mend}, or do without `rollback` and an approval at commit \
         in this step"
    ))
}

/// A value of a row that is kept. A change set has no text that is not UTF-8, and a row is kept whole, since all of it is
/// put back.
fn kept(value: ValueRef<'_>, table: &str, column: &str) -> Result<SqlValue, DbError> {
    if let ValueRef::Text(bytes) = value
        && std::str::from_utf8(bytes).is_err()
    {
        return Err(DbError::Invalid(format!(
            "column `{column}` of table `{table}` holds text that is not UTF-8 in a row that the step changed, so the \
             change cannot be kept; make it a blob (`SET {column} = CAST({column} AS BLOB)`) or text that is UTF-8, or do \
             without `rollback` and an approval at commit in this step"
        )));
    }
    from_sqlite(value, column)
}

impl Capture {
    /// Keeps nothing yet.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn new() -> Result<Self, DbError> {
        Ok(Self { prefix: unguessable()?, tables: BTreeMap::new() })
    }

    /// What everything of it is named with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Keeps the changes of these tables too, which nothing has been written to yet.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for a table whose rows cannot be told apart. Nothing has been added then.
    pub(super) fn add(&mut self, sqlite: &Connection, written: &Written) -> Result<(), DbError> {
        let mut new = Vec::new();
        for (name, trigger) in written.iter().filter(|(name, _)| !self.tables.contains_key(*name)) {
            match find(sqlite, name).map_err(translate)? {
                // The statement itself says what is wrong with it.
                Found::Nothing | Found::View => {}
                Found::Uncapturable(why) => return Err(refused(name, trigger.as_deref(), why)),
                Found::Table(table) => new.push((name.clone(), table)),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        sqlite.execute_batch("SAVEPOINT wflo_capture").map_err(translate)?;
        for (name, table) in new {
            let images = format!("{}_{}", self.prefix, self.tables.len());
            if let Err(error) = sqlite.execute_batch(&triggers(&table, &images)) {
                sqlite.execute_batch("ROLLBACK TO wflo_capture; RELEASE wflo_capture").map_err(translate)?;
                self.tables.retain(|_, captured| is_there(sqlite, &captured.images));
                return Err(translate(error));
            }
            self.tables.insert(name, Captured { table, images, bulk: false });
        }
        sqlite.execute_batch("RELEASE wflo_capture").map_err(translate)
    }

    /// What has changed.
    ///
    /// # Errors
    /// [`DbError::Limit`] for more than `limits` allow.
    pub(super) fn changes(&self, sqlite: &Connection, limits: ChangeLimits) -> Result<ChangeSet, DbError> {
        let mut left = Left(limits, limits);
        let mut tables = Vec::new();
        for captured in self.tables.values() {
            let mut rows = changed_rows(sqlite, captured, &mut left)?;
            let table = &captured.table;
            rows.sort_by(|a, b| by_value(a.key(), b.key()));
            if !rows.is_empty() {
                let key_columns = table.key.iter().map(|&at| table.columns[at].clone()).collect();
                let (name, columns) = (table.name.clone(), table.columns.clone());
                tables.push(TableChange { table: name, key_columns, columns, rows });
            }
        }
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(ChangeSet { tables })
    }

    /// Takes everything away, before a commit would keep it.
    pub(super) fn remove(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        let mut sql = String::new();
        for Captured { images, .. } in self.tables.values() {
            for trigger in TRIGGERS {
                write!(sql, "DROP TRIGGER temp.\"{images}_{trigger}\";")
                    .expect("text takes whatever is written");
            }
            write!(sql, "DROP TABLE temp.\"{images}\";").expect("text takes whatever is written");
        }
        sqlite.execute_batch(&sql)
    }
}

fn is_there(sqlite: &Connection, images: &str) -> bool {
    sqlite.table_exists(Some("temp"), images).unwrap_or(false)
}

/// What the triggers on a table are called, after the name of its images.
const TRIGGERS: [&str; 5] = ["insert", "inserted", "update", "updated", "delete"];

/// The temporary table of first images of a table, and the triggers that fill it.
fn triggers(table: &Table, images: &str) -> String {
    let named = |columns: &[String], of: &str| -> Vec<String> {
        columns.iter().map(|column| format!("{of}.{}", quoted(column))).collect()
    };
    let numbered =
        |prefix: &str, count: usize| (0..count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let key: Vec<String> = table.key.iter().map(|&at| table.columns[at].clone()).collect();
    let (keys, values) = (numbered("k", key.len()), numbered("c", table.columns.len()));
    let (key_list, all) = (keys.join(", "), [&keys[..], &values[..]].concat().join(", "));
    // The plus takes the column's affinity away, without which the index would not be used.
    let unseen = |key: &[String]| {
        let same = keys
            .iter()
            .zip(key)
            .map(|(kept, new)| format!("{kept} IS +{new} AND typeof({kept}) = typeof({new})"));
        format!("NOT EXISTS (SELECT 1 FROM \"{images}\" WHERE {})", same.collect::<Vec<_>>().join(" AND "))
    };
    let image = |of: &str| [named(&key, of), named(&table.columns, of)].concat().join(", ");
    let keyless = |of: &str| {
        let null = named(&key, of).iter().map(|column| format!("{column} IS NULL")).collect::<Vec<_>>();
        format!(
            "SELECT RAISE(ABORT, 'a row without a primary key cannot be kept for a rollback') WHERE {};",
            null.join(" OR ")
        )
    };
    let old = format!(
        "{} INSERT INTO \"{images}\" (existed, {all}) SELECT 1, {} WHERE {};",
        keyless("OLD"),
        image("OLD"),
        unseen(&named(&key, "OLD"))
    );
    let absent = |key: &[String]| {
        format!(
            "INSERT INTO \"{images}\" (existed, {key_list}) SELECT 0, {} WHERE {};",
            key.join(", "),
            unseen(key)
        )
    };
    let new = format!("{} {}", keyless("NEW"), absent(&named(&key, "NEW")));
    let coming = absent(&key.iter().map(|column| table.coming(column)).collect::<Vec<_>>());
    let name = quoted(&table.name);
    let replaced: String = table
        .unique
        .iter()
        .map(|columns| {
            let same: Vec<_> = columns
                .iter()
                .map(|(column, collation)| {
                    let collate =
                        collation.as_ref().map(|name| format!(" COLLATE {}", quoted(name))).unwrap_or_default();
                    format!("o.{} = {}{collate}", quoted(column), table.coming(column))
                })
                .collect();
            format!(
                "INSERT INTO \"{images}\" (existed, {all}) SELECT 1, {} FROM main.{name} AS o WHERE {} AND {};",
                image("o"),
                same.join(" AND "),
                unseen(&named(&key, "o"))
            )
        })
        .collect();
    let trigger = |suffix: &str, when: &str, body: &str| {
        format!(
            "CREATE TEMP TRIGGER \"{images}_{suffix}\" {when} ON main.{name} FOR EACH ROW BEGIN {body} END;"
        )
    };
    [
        format!("CREATE TEMP TABLE \"{images}\" (existed, {all});"),
        format!("CREATE INDEX temp.\"{images}_by_key\" ON \"{images}\" ({key_list});"),
        trigger(TRIGGERS[0], "BEFORE INSERT", &replaced),
        trigger(TRIGGERS[1], "AFTER INSERT", &new),
        trigger(TRIGGERS[2], "BEFORE UPDATE", &format!("{old}{replaced}{coming}")),
        trigger(TRIGGERS[3], "AFTER UPDATE", &new),
        trigger(TRIGGERS[4], "BEFORE DELETE", &old),
    ]
    .concat()
}

/// What is left of the limits, and what they are.
struct Left(ChangeLimits, ChangeLimits);

impl Left {
    fn take(&mut self, row: usize, bytes: usize) -> Result<(), DbError> {
        match (self.0.rows.checked_sub(row), self.0.bytes.checked_sub(bytes)) {
            (Some(rows), Some(bytes)) => {
                self.0 = ChangeLimits { rows, bytes };
                Ok(())
            }
            (None, _) => Err(DbError::Limit(format!(
                "the step changed more than {} rows, which is more than is kept for a rollback or an approval; \
                 fan it out with `for_each`, or do without",
                self.1.rows
            ))),
            (_, None) => Err(DbError::Limit(format!(
                "the rows that the step changed have more than {} bytes, which is more than is kept for a rollback or \
                 an approval; fan it out with `for_each`, or do without",
                self.1.bytes
            ))),
        }
    }
}

/// A condition that row `o` of a table is the one whose image is `i`.
fn same_row(table: &Table) -> String {
    let same: Vec<_> = (0..)
        .zip(&table.key)
        .map(|(n, &at)| {
            let column = quoted(&table.columns[at]);
            // The first finds the row by its index, the others make sure that it is the very one.
            format!("o.{column} = i.k{n} AND o.{column} IS i.k{n} COLLATE BINARY AND typeof(o.{column}) = typeof(i.k{n})")
        })
        .collect();
    same.join(" AND ")
}

/// The rows of one table that are not as they were.
fn changed_rows(
    sqlite: &Connection,
    captured: &Captured,
    left: &mut Left,
) -> Result<Vec<RowChange>, DbError> {
    let Captured { table, images, bulk } = captured;
    // What was inserted in bulk is told elsewhere.
    let which = if *bulk { " WHERE i.existed" } else { "" };
    let now: Vec<_> = table.columns.iter().map(|column| format!("o.{}", quoted(column))).collect();
    let sql = format!(
        "SELECT i.*, o.{} IS NOT NULL, {} FROM temp.\"{images}\" AS i LEFT JOIN main.{} AS o ON {}{which}",
        quoted(&table.columns[table.key[0]]),
        now.join(", "),
        quoted(&table.name),
        same_row(table)
    );
    let mut statement = sqlite.prepare(&sql).map_err(translate)?;
    let mut rows = statement.query([]).map_err(translate)?;
    let (keys, width) = (table.key.len(), table.columns.len());
    let mut changed = Vec::new();
    while let Some(row) = rows.next().map_err(translate)? {
        let mut bytes = 0;
        let mut values = |from: usize, columns: &mut dyn Iterator<Item = &String>| {
            let values = (from..).zip(columns).map(|(at, column)| {
                let value = row.get_ref(at).map_err(translate)?;
                bytes += size(value);
                kept(value, &table.name, column)
            });
            values.collect::<Result<Vec<SqlValue>, DbError>>()
        };
        let existed: bool = row.get(0).map_err(translate)?;
        let exists: bool = row.get(1 + keys + width).map_err(translate)?;
        if !existed && !exists {
            continue;
        }
        let key = values(1, &mut table.key.iter().map(|&at| &table.columns[at]))?;
        let before = existed.then(|| values(1 + keys, &mut table.columns.iter())).transpose()?;
        let after = exists.then(|| values(2 + keys + width, &mut table.columns.iter())).transpose()?;
        let change = match (before, after) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) => RowChange::Update { key, before, after },
            (Some(before), None) => RowChange::Delete { key, before },
            (None, Some(after)) => RowChange::Insert { key, after },
            (None, None) => continue,
        };
        left.take(1, bytes)?;
        changed.push(change);
    }
    Ok(changed)
}
