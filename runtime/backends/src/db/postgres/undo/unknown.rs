//! Columns that a change set does not know, since the table got them later.
//!
//! A row that has come with the step is deleted with whatever stands in them. So it is left where one holds something that
//! a row does not have by itself: neither nothing, nor a constant that is the column's default or was given to all rows
//! when the column was made.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::Type;
use wflo_model::SqlValue;
use wflo_ports::{ConflictReason, DbError, RowChange, Undone};

use super::batch::{AT_ONCE, any_of, tried};
use super::{One, Server, Target, rows_of};
use crate::db::made_up::is_constant;
use crate::db::names::{literal, quoted};
use crate::db::postgres::capture::exactly;
use crate::db::postgres::error::translate;

/// What columns of a table have by themselves: the default, its type, and what rows got that were there before.
const DEFAULTS: &str = "
    SELECT a.attname::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum";

/// Why rows of one table that are as the step left them cannot be deleted without losing what others wrote, if so.
pub(in crate::db::postgres) async fn written_since(
    server: &Server<'_>,
    ones: &[&One<'_>],
) -> Result<Vec<Option<ConflictReason>>, DbError> {
    let mut reasons: Vec<Option<ConflictReason>> = ones.iter().map(|_| None).collect();
    let comes = |at: &usize| matches!(*ones[*at].row, RowChange::Insert { .. });
    let come: Vec<usize> = (0..ones.len()).filter(comes).collect();
    let Some(&first) = come.first() else { return Ok(reasons) };
    let first = ones[first];
    if first.target.table.columns.iter().all(|column| first.change.columns.contains(&column.name)) {
        return Ok(reasons);
    }
    let written = written(server, first).await?;
    let mut columns = first.target.table.values_of_named("t", &first.change.key_columns);
    columns.push(written);
    for some in come.chunks(AT_ONCE) {
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {}",
            columns.join(", "),
            first.target.table.sql,
            any_of(&first.change.key_columns, some.len())
        );
        let keys: Vec<Vec<SqlValue>> = some.iter().filter_map(|&at| key(ones[at])).collect();
        let look = async {
            let rows = server.run(&sql, &keys.iter().flatten().collect::<Vec<_>>()).await?;
            rows_of(rows, columns.len())
        };
        let looked = tried(server, look).await?.map(|rows| {
            let of_key = |mut row: Vec<SqlValue>| row.pop().map(|column| (exactly(Some(&row)), column));
            rows.into_iter().filter_map(of_key).collect::<HashMap<_, _>>()
        });
        for &at in some {
            let message = match &looked {
                Ok(rows) => match rows.get(&exactly(key(ones[at]).as_deref())) {
                    Some(SqlValue::Text(column)) => {
                        format!("column `{column}` came later, and this row has a value there")
                    }
                    _ => continue,
                },
                Err(message) => format!("what is in its new columns cannot be read: {message}"),
            };
            reasons[at] = Some(ConflictReason::Schema { message });
        }
    }
    Ok(reasons)
}

/// The key of a row as it is written there.
fn key(one: &One<'_>) -> Option<Vec<SqlValue>> {
    one.values_of(&one.change.key_columns, one.row.after()?)
}

/// An expression for the first column of `t` that is not in the change and holds what a row does not have by itself.
async fn written(server: &Server<'_>, one: &One<'_>) -> Result<String, DbError> {
    let table = &one.target.table;
    let mut cases = String::new();
    for row in server.query_typed(DEFAULTS, &[(&table.oid, Type::OID)]).await.map_err(translate)? {
        let (name, default, kind, given): (String, Option<String>, String, Option<String>) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if one.change.columns.contains(&name) {
            continue;
        }
        let default = default.filter(|default| is_constant(default));
        let default = default.map(|default| format!("({default})::{kind}::text"));
        let own = default.into_iter().chain(given.map(|given| literal(&given)));
        let column = format!("t.{}", quoted(&name));
        let is_own: String = own.map(|own| format!(" AND {column}::text IS DISTINCT FROM {own}")).collect();
        cases += &format!(" WHEN {column} IS NOT NULL{is_own} THEN {}::text", literal(&name));
    }
    Ok(format!("CASE{cases} END"))
}

/// Rows that are as the step left them, without those whose new columns others have written to, which are conflicts.
pub(super) async fn spared<'c>(
    server: &Server<'_>,
    tables: &[(usize, Arc<Target>)],
    left: Vec<(usize, One<'c>)>,
    undone: &mut Undone,
) -> Result<Vec<(usize, One<'c>)>, DbError> {
    let mut reasons: Vec<Option<ConflictReason>> = vec![None; left.len()];
    for (at, _) in tables {
        let places: Vec<usize> = (0..left.len()).filter(|&place| left[place].0 == *at).collect();
        let rows: Vec<&One<'_>> = places.iter().map(|&place| &left[place].1).collect();
        for (place, reason) in places.into_iter().zip(written_since(server, &rows).await?) {
            reasons[place] = reason;
        }
    }
    let mut rest = Vec::new();
    for ((at, one), reason) in left.into_iter().zip(reasons) {
        match reason {
            None => rest.push((at, one)),
            Some(reason) => {
                let found = one.row.after().map(<[_]>::to_vec);
                undone.conflicts.extend(one.conflicts(found, reason));
            }
        }
    }
    Ok(rest)
}
