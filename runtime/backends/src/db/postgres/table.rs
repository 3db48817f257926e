//! What a table is made of, for keeping its changes and for undoing them.

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wflo_ports::DbError;

use super::error::translate;
use super::value::Shape;
use crate::db::made_up::is_made_up;
use crate::db::names::quoted;

/// The trigger that keeps a table's changes. `wflo db prepare` makes it.
pub(super) const TRIGGER: &str = "wflo_capture";

/// A table whose rows can be told apart, so that what happens to each can be kept.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) oid: u32,
    /// Its name, as grants have it: with its schema where that is not the first of the search path.
    pub(super) name: String,
    /// Its name for SQL, with its schema.
    pub(super) sql: String,
    /// The columns that hold values of their own: all but generated ones.
    pub(super) columns: Vec<Column>,
    /// Where the columns of the primary key stand among `columns`, in the order of the key.
    pub(super) key: Vec<usize>,
    /// Whether it has the trigger that keeps its changes.
    captured: bool,
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// How it is read so that it goes back as what it was.
    pub(super) shape: Shape,
    /// Whether its type says how long its values are, such as how many digits a number has.
    pub(super) is_fixed: bool,
}

impl Table {
    pub(super) fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    pub(super) fn key_names(&self) -> Vec<String> {
        self.key.iter().map(|&at| self.columns[at].name.clone()).collect()
    }

    /// Expressions for all columns of `row`.
    pub(super) fn values_of(&self, row: &str) -> Vec<String> {
        let value = |column: &Column| column.shape.of_expression(&format!("{row}.{}", quoted(&column.name)));
        self.columns.iter().map(value).collect()
    }
}

impl Table {
    /// Expressions for those of the columns of `row` that have these names.
    pub(super) fn values_of_named(&self, row: &str, names: &[String]) -> Vec<String> {
        let column = |name: &String| self.columns.iter().find(|column| column.name == *name);
        let columns = names.iter().filter_map(column);
        columns.map(|it| it.shape.of_expression(&format!("{row}.{}", quoted(&it.name)))).collect()
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A table whose rows can be told apart.
    Table(Table),
    /// One whose changes cannot be kept, and why, in words that follow its name.
    Uncapturable(String),
}

impl Found {
    /// Why changes of it are not kept, if they are not.
    pub(super) fn unkept(self) -> Option<String> {
        match self {
            // The first statement says that it is not there.
            Self::Nothing => None,
            Self::Uncapturable(why) => Some(why),
            Self::Table(table) if table.captured => None,
            Self::Table(_) => {
                Some("has no trigger that keeps its changes (`wflo db prepare` makes it)".into())
            }
        }
    }
}

/// Everything about a relation but its columns.
const RELATION: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text,
           n.nspname = (pg_catalog.current_schemas(false))[1], c.relkind = 'r' AND NOT c.relispartition,
           i.indkey::int2[],
           EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = $2 AND t.tgenabled IN ('O', 'A')),
           c.relkind = 'v'
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.oid = ";

const COLUMNS: &str = "
    SELECT a.attname::text, a.attnum, t.typtype::text, t.typcategory::text, coalesce(nullif(t.typbasetype, 0), t.oid),
           coalesce(nullif(a.atttypmod, -1), t.typtypmod) >= 0
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum";

/// The columns of a table with an identity or a default, where that comes from, and whether it calls a function of
/// somebody's that is declared to give another value each time.
const DEFAULTS: &str = "
    SELECT a.attname::text,
           CASE WHEN a.attidentity <> '' THEN 'its identity' ELSE pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
           a.attidentity <> '' OR EXISTS (
               SELECT FROM pg_catalog.pg_depend p JOIN pg_catalog.pg_proc f ON f.oid = p.refobjid
               WHERE p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid
                 AND p.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.provolatile = 'v')
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND (d.oid IS NOT NULL OR a.attidentity <> '')
    ORDER BY a.attnum";

/// The columns of the table that a grant names with a value that the server makes up anew each time, and where it comes
/// from.
pub(super) async fn made_up(client: &Client, name: &str) -> Result<Vec<(String, String)>, DbError> {
    let rows = client.query_typed(DEFAULTS, &[(&qualified(name), Type::TEXT)]).await.map_err(translate)?;
    let columns = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2)));
    let made_up = columns.filter(|(_, from, anew): &(String, String, bool)| *anew || is_made_up(from));
    Ok(made_up.map(|(column, from, _)| (column, from)).collect())
}

/// A table's name for SQL, from that of a grant.
pub(super) fn qualified(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(name),
    }
}

/// Looks a table up by the name that a grant has.
pub(super) async fn find(client: &Client, name: &str) -> Result<Found, DbError> {
    let sql = qualified(name);
    let relation = format!("{RELATION} pg_catalog.to_regclass($1)");
    found(client, &relation, &[(&sql, Type::TEXT), (&TRIGGER, Type::TEXT)]).await
}

/// Looks a table up by its number in the catalog.
pub(super) async fn find_by_oid(client: &Client, oid: u32) -> Result<Found, DbError> {
    let relation = format!("{RELATION} $1");
    found(client, &relation, &[(&oid, Type::OID), (&TRIGGER, Type::TEXT)]).await
}

type Param<'a> = (&'a (dyn tokio_postgres::types::ToSql + Sync), Type);

async fn found(client: &Client, relation: &str, params: &[Param<'_>]) -> Result<Found, DbError> {
    let Some(row) = client.query_typed_opt(relation, params).await.map_err(translate)? else {
        return Ok(Found::Nothing);
    };
    let (oid, schema, table): (u32, String, String) = (row.get(0), row.get(1), row.get(2));
    let (is_first, is_table, key): (Option<bool>, bool, Option<Vec<i16>>) =
        (row.get(3), row.get(4), row.get(5));
    if !is_table {
        let is_view: bool = row.get(7);
        let what = if is_view { "is a view" } else { "is partitioned, foreign, or no table" };
        return Ok(Found::Uncapturable(what.into()));
    }
    let Some(key) = key else { return Ok(Found::Uncapturable("has no primary key".into())) };
    let mut columns = Vec::new();
    let mut numbers: Vec<i16> = Vec::new();
    for row in client.query_typed(COLUMNS, &[(&oid, Type::OID)]).await.map_err(translate)? {
        numbers.push(row.get(1));
        let shape = shape(row.get(2), row.get(3), row.get(4));
        columns.push(Column { name: row.get(0), shape, is_fixed: row.get(5) });
    }
    let key: Option<Vec<usize>> =
        key.iter().map(|of| numbers.iter().position(|number| number == of)).collect();
    let Some(key) = key else {
        return Ok(Found::Uncapturable("has a generated column in its primary key".into()));
    };
    let name = if is_first == Some(true) { table.clone() } else { format!("{schema}.{table}") };
    let sql = format!("{}.{}", quoted(&schema), quoted(&table));
    Ok(Found::Table(Table { oid, name, sql, columns, key, captured: row.get(6) }))
}

/// How a column of the catalog is read; `base` is its type, or what its domain is of.
fn shape(kind: String, category: String, base: u32) -> Shape {
    match (kind.as_str(), category.as_str()) {
        ("e", _) => Shape::Plain,
        (_, "A") => Shape::Text,
        _ => Type::from_oid(base).map_or(Shape::Text, |of| Shape::of_image(&of)),
    }
}
