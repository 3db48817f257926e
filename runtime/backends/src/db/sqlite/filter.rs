//! Row filters: a guest's statement meets a table of which it may see some rows as something of ours that has the
//! table's own name and these rows.
//!
//! For reading that is a temporary view: SQLite looks for names among temporary things first. It has two parts, of which
//! the outer has the table's name and the inner, through which the rows come, a name that nobody can guess:
//!
//! ```sql
//! CREATE TEMP VIEW patients AS
//!     WITH wflo_7c...41_0 AS MATERIALIZED (SELECT id, name FROM main.patients AS r WHERE r.id = (SELECT +v0 FROM temp.wflo_7c...41_v))
//!     SELECT * FROM wflo_7c...41_0
//! ```
//!
//! - SQLite tells the authorizer the innermost name through which a column of a table is read. A guest can give a common
//!   table expression any name it knows, the view's too; the inner one it does not know, and a text in which it occurs is
//!   refused. So `main.patients` is open to what is read under the inner name, and to nothing else.
//! - `MATERIALIZED` is a fence: rows are filtered before any expression of the guest sees them. Without it SQLite may
//!   push a condition of the statement below ours, where it would run on every row of the table and could tell by an
//!   error what is in them (`WHERE CASE WHEN name = 'Ada' THEN json('{') ELSE 1 END`).
//! - Values are bound to a temporary table of one row, from which the view takes them. No text of a value becomes SQL.
//! - What must be equal must also be equal as text: SQLite takes `'17.0'` for 17 where the column holds integers, and
//!   the audit, which has digests of values, would not.
//!
//! A statement that writes such a table meets a temporary table instead: see `stage.rs`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use wflo_model::{Comparison, DbAccess, FilterOperand, FilterValue, RowCondition, RowFilter, RowTest};
use wflo_ports::DbError;

use super::error::translate;
use super::fence::Fence;
use super::names::unguessable;
use super::stage::Stage;
use super::table::columns_of;
use super::text::may_name;
use crate::db::names::quoted;

/// The row filters of an access, as far as a statement may name their tables.
#[derive(Debug)]
pub(super) struct Filters {
    /// Begins the name of everything temporary that belongs to them.
    prefix: String,
    /// Every table with a filter, by lower-case name; also those that the statement cannot name, which it may reach
    /// through a view of the owner.
    tables: BTreeMap<String, Filtered>,
}

/// One table of which only some rows are granted.
#[derive(Debug, Default)]
struct Filtered {
    /// The rows that may be read, if not all.
    read: Option<RowFilter>,
    /// The rows that may be written, if not all.
    write: Option<RowFilter>,
    /// Whether any may be written.
    is_writable: bool,
    /// Whether the statement may name it.
    is_named: bool,
}

/// What stands for the tables while a statement runs.
#[derive(Debug)]
pub(super) struct Raised {
    /// What the authorizer has to know of it.
    pub(super) fence: Fence,
    /// The table that the statement writes, if it is one of those.
    pub(super) stage: Option<Stage>,
    drop: String,
}

/// How a table that may be written is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staging<'a> {
    /// As a view, like all others: nothing is written to it.
    None,
    /// Every one as an empty table, to see which it is.
    All,
    /// This one as a table, with its rows or without.
    One { table: &'a str, filled: bool },
}

impl Filters {
    /// None where the access has no filters.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn of(access: &DbAccess, sql: &str) -> Result<Option<Self>, DbError> {
        if access.whole || access.filters().next().is_none() {
            return Ok(None);
        }
        let mut tables: BTreeMap<String, Filtered> = BTreeMap::new();
        for (table, _) in access.filters() {
            tables.entry(table.to_owned()).or_insert_with(|| Filtered {
                read: access.read.get(table).and_then(|granted| granted.filter()).cloned(),
                write: access.write.get(table).and_then(|granted| granted.filter()).cloned(),
                is_writable: access.write.contains_key(table),
                is_named: may_name(sql, table),
            });
        }
        Ok(Some(Self { prefix: unguessable()?, tables }))
    }

    /// Whether the statement may be about a table that it can write to some rows of.
    pub(super) fn may_write(&self) -> bool {
        self.tables.values().any(|table| table.is_writable && table.is_named)
    }

    /// Puts in place what stands for the tables.
    ///
    /// # Errors
    /// [`DbError::Invalid`] where a filter names a column that is not there, or a table cannot be written through one;
    /// nothing is left in place then.
    pub(super) fn raise(&self, sqlite: &Connection, staging: Staging<'_>) -> Result<Raised, DbError> {
        let mut raised = Raised { fence: self.fence(), stage: None, drop: String::new() };
        match self.put_up(sqlite, staging, &mut raised) {
            Ok(()) => Ok(raised),
            Err(error) => {
                raised.lower(sqlite)?;
                Err(error)
            }
        }
    }

    fn fence(&self) -> Fence {
        let inner =
            |(at, (name, _)): (usize, (&String, &Filtered))| (name.clone(), format!("{}_{at}", self.prefix));
        let reads = self.tables.iter().enumerate().filter(|(_, (_, table))| table.read.is_some()).map(inner);
        Fence::new(self.prefix.clone(), reads.collect(), self.tables.keys().cloned().collect())
    }

    fn put_up(&self, sqlite: &Connection, staging: Staging<'_>, raised: &mut Raised) -> Result<(), DbError> {
        let mut values = Values { table: format!("{}_v", self.prefix), values: Vec::new() };
        let mut views = Vec::new();
        let mut stages = Vec::new();
        for (at, (name, table)) in self.tables.iter().enumerate().filter(|(_, (_, table))| table.is_named) {
            let Some((spelled, columns)) = columns_of(sqlite, name).map_err(translate)? else { continue };
            let has = |filter: &&RowFilter| match filter
                .conditions()
                .find(|it| !has_column(&columns, &it.column))
            {
                None => Ok(()),
                Some(lacks) => Err(DbError::Invalid(format!(
                    "the grant's row filter names column `{}`, which table `{name}` does not have",
                    lacks.column
                ))),
            };
            table.read.iter().chain(&table.write).try_for_each(|filter| has(&filter))?;
            let filled = match staging {
                Staging::All if table.is_writable => Some(false),
                Staging::One { table, filled } if table == name => Some(filled),
                _ => None,
            };
            match (filled, &table.read) {
                (Some(filled), _) => {
                    let rows = values.all(table.read.iter().chain(&table.write));
                    let kept = table.write.as_ref().map(|filter| values.all([filter]));
                    stages.push((
                        Stage::of(sqlite, name, format!("{}_{at}o", self.prefix), rows, kept)?,
                        filled,
                    ));
                }
                (None, Some(filter)) => views.push((name, spelled, columns, values.all([filter]))),
                // All of it may be read, and what is not to be read is denied by the authorizer.
                (None, None) => {}
            }
        }
        values.put_up(sqlite, &mut raised.drop)?;
        for (name, spelled, columns, rows) in views {
            let inner = raised.fence.inner(name).expect("it has a filter for reading");
            let list: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
            let (view, inner) = (quoted(&spelled), quoted(inner));
            let sql = format!(
                "CREATE TEMP VIEW {view} AS WITH {inner} AS MATERIALIZED (SELECT {} FROM main.{view} AS r WHERE {rows}) \
                 SELECT * FROM {inner}",
                list.join(", "),
            );
            sqlite.execute_batch(&sql).map_err(translate)?;
            raised.drop += &format!("DROP VIEW IF EXISTS temp.{view};");
        }
        for (stage, filled) in stages {
            raised.drop += &stage.drop();
            stage.put_up(sqlite, filled)?;
            raised.fence.stage(&stage);
            raised.stage = Some(stage);
        }
        Ok(())
    }
}

impl Raised {
    /// Takes everything away.
    pub(super) fn lower(&self, sqlite: &Connection) -> Result<(), DbError> {
        sqlite.execute_batch(&self.drop).map_err(translate)
    }
}

fn has_column(columns: &[String], name: &str) -> bool {
    columns.iter().any(|column| column.eq_ignore_ascii_case(name))
}

/// The values of filters, and the SQL that compares columns of `r` with them.
struct Values {
    /// The temporary table that they are in.
    table: String,
    values: Vec<Value>,
}

impl Values {
    fn put_up(self, sqlite: &Connection, drop: &mut String) -> Result<(), DbError> {
        if self.values.is_empty() {
            return Ok(());
        }
        let columns: Vec<_> = (0..self.values.len()).map(|at| format!("v{at}")).collect();
        let table = quoted(&self.table);
        // Columns without a type take values as they are.
        sqlite
            .execute_batch(&format!("CREATE TEMP TABLE {table} ({})", columns.join(", ")))
            .map_err(translate)?;
        *drop += &format!("DROP TABLE IF EXISTS temp.{table};");
        let places = vec!["?"; columns.len()].join(", ");
        let insert = format!("INSERT INTO temp.{table} VALUES ({places})");
        sqlite.execute(&insert, params_from_iter(self.values)).map(drop_count).map_err(translate)
    }

    /// A condition that all of these hold; true for none.
    fn all<'a>(&mut self, filters: impl IntoIterator<Item = &'a RowFilter>) -> String {
        // Both filters of a table often say the same.
        let conditions: BTreeSet<&RowCondition> =
            filters.into_iter().flat_map(RowFilter::conditions).collect();
        let all: Vec<_> = conditions.into_iter().map(|condition| self.condition(condition)).collect();
        if all.is_empty() { "1".to_owned() } else { all.join(" AND ") }
    }

    fn condition(&mut self, condition: &RowCondition) -> String {
        let column = format!("r.{}", quoted(&condition.column));
        match &condition.test {
            RowTest::Null => format!("{column} IS NULL"),
            RowTest::NotNull => format!("{column} IS NOT NULL"),
            RowTest::Is(Comparison::Equal, operand) => self.equal(&column, operand),
            RowTest::Is(comparison, FilterOperand::Value(value)) => {
                format!("{column} {} {}", comparison.sign(), self.value(bound(value)))
            }
            RowTest::Is(_, _) => "0".to_owned(),
            RowTest::In(operands) => {
                let any: Vec<_> = operands.iter().map(|operand| self.equal(&column, operand)).collect();
                format!("({})", any.join(" OR "))
            }
        }
    }

    /// Not true of any row where there is no value, or where nobody has bound one.
    fn equal(&mut self, column: &str, operand: &FilterOperand) -> String {
        let FilterOperand::Value(value) = operand else { return "0".to_owned() };
        let equal = format!("{column} = {}", self.value(bound(value)));
        match value {
            // It is stored as a number, and there are two of them.
            FilterValue::Boolean(_) => format!("({equal})"),
            value => {
                let text = self.value(Value::Text(value.to_string()));
                format!("({equal} AND CAST({column} AS TEXT) = {text} COLLATE BINARY)")
            }
        }
    }

    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        // The plus takes the column's affinity away, so that the value compares as a parameter would.
        format!("(SELECT +v{} FROM temp.{})", self.values.len() - 1, quoted(&self.table))
    }
}

fn bound(value: &FilterValue) -> Value {
    match value {
        FilterValue::Boolean(value) => Value::Integer(i64::from(*value)),
        FilterValue::Integer(number) => Value::Integer(*number),
        FilterValue::Decimal(text) | FilterValue::Text(text) => Value::Text(text.clone()),
    }
}

const fn drop_count(_: usize) {}

/// What is wrong with the row filters of an access, in words that follow the name of a table.
pub(super) fn objections(sqlite: &Connection, access: &DbAccess) -> Result<Vec<(String, String)>, DbError> {
    let mut found = Vec::new();
    for (table, filter) in access.filters() {
        let Some((_, columns)) = columns_of(sqlite, table).map_err(translate)? else { continue };
        let lacks = filter.conditions().find(|it| !has_column(&columns, &it.column));
        found.extend(lacks.map(|lacks| (table.to_owned(), format!("has no column `{}`", lacks.column))));
    }
    let tables: BTreeSet<_> = access.filters().map(|(table, _)| table).collect();
    for table in tables.into_iter().filter(|table| access.write.contains_key(*table)) {
        if let Some(why) = Stage::objection(sqlite, table)? {
            found.push((table.to_owned(), why));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
