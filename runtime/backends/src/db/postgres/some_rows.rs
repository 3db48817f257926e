//! How a statement writes a table of which the step may touch some rows only.
//!
//! The statement is cut into its clauses, and another is made of them:
//!
//! ```sql
//! WITH wflo_w AS (
//!     UPDATE visits AS wflo_t SET note = wflo_s.wflo_1
//!     FROM (SELECT v.wflo_table, v.wflo_row, (v.note || $1)::text AS wflo_1
//!           FROM (SELECT wflo_t.tableoid AS wflo_table, wflo_t.ctid AS wflo_row, wflo_t.id, wflo_t.note
//!                 FROM visits AS wflo_t WHERE wflo_t.patient = '17' OFFSET 0) AS v
//!           WHERE (v.note <> '')) AS wflo_s
//!     WHERE wflo_t.tableoid = wflo_s.wflo_table AND wflo_t.ctid = wflo_s.wflo_row
//!     RETURNING wflo_t.patient = '17' AS wflo_kept)
//! SELECT count(*), count(*) FILTER (WHERE wflo_kept IS NOT TRUE) FROM wflo_w
//! ```
//!
//! - Every expression of the guest stands in the inner query, where the table is the rows of the grant and, behind
//!   `OFFSET 0`, nothing else: PostgreSQL filters before any of them sees a row. Which row was meant is carried along as its
//!   place, which holds within the snapshot of the transaction; if somebody else has changed it, the transaction is
//!   interrupted as always.
//! - Every row that comes of it must pass the filter for writing, after the owner's triggers; otherwise the statement
//!   fails. This is what SQL calls `WITH CHECK OPTION`.
//! - An `INSERT` is as it was written. What its `DO UPDATE` would do to a row that the step may not touch is an error.
//!
//! What differs from a statement on the table itself: the key of a row stays as it is; columns are set one by one; a value
//! is cast to the type of its column; and `RETURNING`, of which nothing is given, is left out.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use wflo_model::{DbAccess, SqlValue};
use wflo_ports::{DbError, Executed};

use super::error::translate;
use super::judge::{Reach, SomeRows, SomeWrite, all_of};
use super::table::qualified;
use super::value::{Parameter, parameters};
use crate::db::names::quoted;

/// What PostgreSQL says of a row that is in the way and not the step's: a text that is no boolean.
const HIDDEN: &str = "wflo_hidden";

const TABLE: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p'), c.oid
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = pg_catalog.to_regclass($1)";

const COLUMNS: &str = "
    SELECT a.attname::text, format('%I.%I', n.nspname, t.typname), coalesce(a.attnum = ANY (i.indkey), false)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// The table that is written.
#[derive(Clone, Debug)]
struct Target {
    /// Its name for SQL, with its schema.
    sql: String,
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// Its type for SQL, without a length: one that is too long is an error, and not cut.
    of: String,
    is_key: bool,
}

/// Executes the write, in the transaction that is open.
pub(super) async fn execute(
    client: &Client,
    some: &SomeRows,
    params: &[SqlValue],
) -> Result<Executed, DbError> {
    let target = look_up(client, &some.reach).await?;
    let sql = statement(some, &target)?;
    let prepared = client.prepare(&sql).await.map_err(translate)?;
    let params: Vec<Parameter> = parameters(params.iter(), prepared.params())?;
    let params: Vec<_> =
        params.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    let row = client.query_one(&prepared, &params).await.map_err(|error| hidden(error, &some.reach.table))?;
    let (changed, others): (i64, i64) = (row.get(0), row.get(1));
    if others > 0 {
        return Err(DbError::Denied(format!(
            "the step may write only some rows of table `{}`, and this would be another one",
            some.reach.table
        )));
    }
    Ok(Executed { changed: changed.unsigned_abs() })
}

fn hidden(error: tokio_postgres::Error, table: &str) -> DbError {
    let is_hidden = error.code() == Some(&SqlState::INVALID_TEXT_REPRESENTATION)
        && error.as_db_error().is_some_and(|error| error.message().contains(HIDDEN));
    if is_hidden {
        return DbError::Denied(format!(
            "the step may write only some rows of table `{table}`, and one that is in the way is another one"
        ));
    }
    translate(error)
}

async fn look_up(client: &Client, reach: &Reach) -> Result<Target, DbError> {
    let name = qualified(&reach.table);
    let row = client.query_typed_opt(TABLE, &[(&name, Type::TEXT)]).await.map_err(translate)?;
    let Some(row) = row else {
        return Err(DbError::Invalid(format!("table `{}` is not there", reach.table)));
    };
    if !row.get::<_, bool>(1) {
        return Err(DbError::Invalid(format!(
            "`{}` is no table of this database itself, and a step that may touch only some of its rows cannot write it",
            reach.table
        )));
    }
    let mut columns = Vec::new();
    let oid: u32 = row.get(2);
    for row in client.query_typed(COLUMNS, &[(&oid, Type::OID)]).await.map_err(translate)? {
        columns.push(Column { name: row.get(0), of: row.get(1), is_key: row.get(2) });
    }
    let target = Target { sql: row.get(0), columns };
    let filters = reach.rows.iter().chain(&reach.kept);
    let lacks = filters.flat_map(|filter| filter.conditions()).find(|it| target.column(&it.column).is_none());
    match lacks {
        Some(lacks) => Err(DbError::Invalid(format!(
            "the grant's row filter names column `{}`, which table `{}` does not have",
            lacks.column, reach.table
        ))),
        None => Ok(target),
    }
}

impl Target {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// A column that is set in a row which is there.
    fn settable(&self, name: &str, table: &str) -> Result<&Column, DbError> {
        match self.column(name) {
            None => Err(DbError::Invalid(format!("table `{table}` has no column `{name}`"))),
            Some(column) if column.is_key => Err(DbError::Denied(format!(
                "column `{name}` is the key of table `{table}`, and stays as it is where only some rows may be touched"
            ))),
            Some(column) => Ok(column),
        }
    }
}

/// The statement that is sent.
fn statement(some: &SomeRows, target: &Target) -> Result<String, DbError> {
    let reach = &some.reach;
    let write = match &some.write {
        SomeWrite::Insert { insert, update } => {
            let mut sql = insert.clone();
            if let Some((set, selection)) = update {
                for column in set {
                    target.settable(column, &reach.table)?;
                }
                let of = format!("{}.", quoted(&some.called));
                // What is not constant is not computed before it is needed.
                sql += &format!(
                    " WHERE CASE WHEN {} THEN ({}) ELSE (pg_catalog.left({of}ctid::text, 0) || '{HIDDEN}')::boolean END",
                    all_of(&reach.rows, &of),
                    selection.as_deref().unwrap_or("true")
                );
            }
            let kept = all_of(&reach.kept, &format!("{}.", quoted(&some.called)));
            format!("{sql} RETURNING ({kept}) AS wflo_kept")
        }
        SomeWrite::Update { set, from, selection } => {
            let (mut sets, mut values) = (Vec::new(), Vec::new());
            for (n, (column, value)) in (1..).zip(set) {
                let Column { name, of, .. } = target.settable(column, &reach.table)?;
                let name = quoted(name);
                match value {
                    None => sets.push(format!("{name} = DEFAULT")),
                    Some(value) => {
                        sets.push(format!("{name} = wflo_s.wflo_{n}"));
                        values.push(format!("({value})::{of} AS wflo_{n}"));
                    }
                }
            }
            format!(
                "UPDATE {} AS wflo_t SET {} FROM {} WHERE {SAME} RETURNING ({}) AS wflo_kept",
                target.sql,
                sets.join(", "),
                found(some, target, &values, from.as_deref(), selection.as_deref()),
                all_of(&reach.kept, "wflo_t.")
            )
        }
        SomeWrite::Delete { using, selection } => format!(
            "DELETE FROM {} AS wflo_t USING {} WHERE {SAME} RETURNING true AS wflo_kept",
            target.sql,
            found(some, target, &[], using.as_deref(), selection.as_deref())
        ),
    };
    let with = if some.with.is_empty() { "WITH".to_owned() } else { format!("{},", some.with) };
    Ok(format!(
        "{with} wflo_w AS ({write}) \
         SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE wflo_kept IS NOT TRUE) FROM wflo_w"
    ))
}

/// A row of the table is the one that was found.
const SAME: &str = "wflo_t.tableoid = wflo_s.wflo_table AND wflo_t.ctid = wflo_s.wflo_row";

/// The query of the rows that are meant, each with the values that it gets.
fn found(
    some: &SomeRows,
    target: &Target,
    values: &[String],
    others: Option<&str>,
    selection: Option<&str>,
) -> String {
    let reach = &some.reach;
    let called = quoted(&some.called);
    let is_seen = |column: &&Column| reach.seen.as_ref().is_none_or(|seen| seen.contains(&column.name));
    let seen =
        target.columns.iter().filter(is_seen).map(|column| format!(", wflo_t.{}", quoted(&column.name)));
    let rows = format!(
        "(SELECT wflo_t.tableoid AS wflo_table, wflo_t.ctid AS wflo_row{} FROM {} AS wflo_t WHERE {} OFFSET 0) AS {called}",
        seen.collect::<String>(),
        target.sql,
        all_of(&reach.rows, "wflo_t.")
    );
    let values: String = values.iter().map(|value| format!(", {value}")).collect();
    let others = others.map(|tables| format!(", {tables}")).unwrap_or_default();
    let selection = selection.map(|condition| format!(" WHERE ({condition})")).unwrap_or_default();
    format!(
        "(SELECT {called}.wflo_table, {called}.wflo_row{values} FROM {rows}{others}{selection}) AS wflo_s"
    )
}

/// What is wrong with the row filters of an access, in words that follow the name of a table.
pub(super) async fn objections(client: &Client, access: &DbAccess) -> Result<Vec<(String, String)>, DbError> {
    let mut found = Vec::new();
    for (table, filter) in access.filters() {
        let row =
            client.query_typed_opt(TABLE, &[(&qualified(table), Type::TEXT)]).await.map_err(translate)?;
        // The first statement says that it is not there.
        let Some(row) = row else { continue };
        if access.write.contains_key(table) && !row.get::<_, bool>(1) {
            let why = "is no table of this database itself: a step that may touch only some of its rows cannot write it";
            found.push((table.to_owned(), why.to_owned()));
        }
        let oid: u32 = row.get(2);
        let columns = client.query_typed(COLUMNS, &[(&oid, Type::OID)]).await.map_err(translate)?;
        let has = |name: &str| columns.iter().any(|column| column.get::<_, &str>(0) == name);
        let lacks = filter.conditions().find(|it| !has(&it.column));
        found.extend(lacks.map(|lacks| (table.to_owned(), format!("has no column `{}`", lacks.column))));
    }
    found.sort();
    found.dedup();
    Ok(found)
}
