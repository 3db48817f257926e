//! Tells what a transaction has changed, row by row.
//!
//! The owner's triggers, which `wflo db prepare` makes, write an image of each row before and after each change to
//! `wflo_changes`, in the same transaction, where `wflo.capture` is on. They are read here and taken away before the
//! commit: nothing of them is ever seen by anybody else.
//!
//! Each change of a row leads from one state of it to another, and all of them together are a path from how it was to how
//! it is. So how they are ordered does not matter (triggers of the owner that write on make PostgreSQL keep a later
//! change before an earlier one): the state that changes lead *from* once more than *to* is how it was, and the one they
//! lead *to* once more is how it is. What comes to nothing cancels out.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;
use wflo_model::SqlValue;
use wflo_ports::{ChangeLimits, ChangeSet, DbError, RowChange, TableChange};

use super::cursor::Cursor;
use super::error::translate;
use super::inserted::{Inserted, came, images, is_insert_alone, is_of};
use super::table::{Found, Table, find, find_by_oid};
use super::value::{Shape, size};
use crate::db::order::by_value;

/// Takes the images of this transaction away.
pub(super) const FORGET: &str = "DELETE FROM wflo_changes WHERE txid = pg_catalog.pg_current_xact_id()";

/// The tables of which images are there.
const CAPTURED: &str =
    "SELECT DISTINCT relation FROM wflo_changes WHERE txid = pg_catalog.pg_current_xact_id()";

/// The tables that this transaction has written to, by the server's own count.
const TOUCHED: &str = "
    SELECT s.relid, s.relname::text FROM pg_catalog.pg_stat_xact_user_tables s
    WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
    AND s.relid NOT IN (SELECT oid FROM unnest(ARRAY[to_regclass('wflo_changes'), to_regclass('wflo_effects')]) AS o(oid) WHERE oid IS NOT NULL)";

/// Refuses a write to a table whose changes cannot be kept.
pub(super) async fn watched(client: &Client, written: &BTreeSet<String>) -> Result<(), DbError> {
    for name in written {
        if let Some(why) = find(client, name).await?.unkept() {
            return Err(refused(name, &why));
        }
    }
    Ok(())
}

/// Why a write cannot be kept, in words for whoever wrote the workflow.
fn refused(table: &str, why: &str) -> DbError {
    DbError::Invalid(format!(
        "table `{table}` {why}, so its changes cannot be kept; mend that, or do without `rollback` and an approval at \
         commit in this step"
    ))
}

/// What has changed, but for the rows that were inserted in bulk.
///
/// # Errors
/// [`DbError::Limit`] for more than `limits` allow, [`DbError::Invalid`] where a trigger of the owner has written to a
/// table whose changes are not kept.
pub(super) async fn changes(
    client: &Client,
    limits: ChangeLimits,
    inserted: &Inserted,
) -> Result<ChangeSet, DbError> {
    for row in client.query_typed(TOUCHED, &[]).await.map_err(translate)? {
        if let Some(why) = find_by_oid(client, row.get(0)).await?.unkept() {
            return Err(refused(row.get(1), &why));
        }
    }
    let mut left = Left(limits, limits);
    let mut tables = Vec::new();
    for row in client.query_typed(CAPTURED, &[]).await.map_err(translate)? {
        if let Found::Table(table) = find_by_oid(client, row.get(0)).await? {
            let in_bulk = inserted.has(table.oid);
            if in_bulk && is_insert_alone(client, &table).await? {
                continue;
            }
            let mut rows = changed_rows(client, &table, in_bulk, &mut left).await?;
            rows.sort_by(|a, b| by_value(a.key(), b.key()));
            if !rows.is_empty() {
                let (key_columns, columns) = (table.key_names(), table.column_names());
                tables.push(TableChange { table: table.name, key_columns, columns, rows });
            }
        }
    }
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(ChangeSet { tables })
}

/// A state of a row: its values, or that it is not there. `text` tells states apart, also those with a NaN in them.
#[derive(Clone, Debug)]
struct State {
    text: String,
    values: Option<Vec<SqlValue>>,
}

impl State {
    fn of(values: Option<Vec<SqlValue>>) -> Self {
        Self { text: exactly(values.as_deref()), values }
    }

    fn bytes(&self) -> usize {
        self.values.iter().flatten().map(size).sum()
    }
}

/// What tells states of a row apart: equality of values is not enough, since no NaN is one.
pub(super) fn exactly(values: Option<&[SqlValue]>) -> String {
    serde_json::to_string(&values).expect("values of a database have text keys")
}

/// The states of one row, each with how often changes lead from it more than to it.
#[derive(Debug, Default)]
struct Path(Vec<(State, i64)>);

impl Path {
    fn count(&mut self, state: State, by: i64) {
        match self.0.iter_mut().find(|(known, _)| known.text == state.text) {
            Some((_, count)) => *count += by,
            None => self.0.push((state, by)),
        }
        self.0.retain(|(_, count)| *count != 0);
    }
}

async fn changed_rows(
    client: &Client,
    table: &Table,
    in_bulk: bool,
    left: &mut Left,
) -> Result<Vec<RowChange>, DbError> {
    let values = |row: &str| table.values_of(row).join(", ");
    let (old, new) = (values("(w.o)"), values("(w.n)"));
    let sql = match in_bulk {
        false => format!("WITH {} SELECT w.had, w.has, {old}, {new} FROM wflo_w AS w", images(table)),
        // Rows that have come are told by themselves, and an image that is of one for a half is that of another row.
        true => format!(
            "WITH {}, {} SELECT w.had AND o.k0 IS NULL, w.has AND n.k0 IS NULL, {old}, {new} FROM wflo_w AS w \
             LEFT JOIN wflo_came AS o ON {} LEFT JOIN wflo_came AS n ON {} \
             WHERE (w.had AND o.k0 IS NULL) OR (w.has AND n.k0 IS NULL)",
            images(table),
            came(table),
            is_of(table, "(w.o)", "o"),
            is_of(table, "(w.n)", "n")
        ),
    };
    let width = table.columns.len();
    let shapes = vec![Shape::Plain; 2 + 2 * width];
    let mut cursor = Cursor::open(client, "wflo_images", &sql, &[], &[], shapes).await?;
    let mut rows: BTreeMap<String, (Vec<SqlValue>, Path)> = BTreeMap::new();
    let mut kept = 0_usize;
    loop {
        let images = cursor.fetch(client, usize::MAX).await?;
        if images.is_empty() {
            break;
        }
        for mut image in images {
            let new = image.split_off(2 + width);
            let old = image.split_off(2);
            let there =
                |at: usize, values: Vec<SqlValue>| (image[at] == SqlValue::Boolean(true)).then_some(values);
            let (old, new) = (there(0, old), there(1, new));
            let key_of = |values: &Option<Vec<SqlValue>>| {
                values
                    .as_ref()
                    .map(|values| table.key.iter().map(|&at| values[at].clone()).collect::<Vec<_>>())
            };
            let (old_key, new_key) = (key_of(&old), key_of(&new));
            let mut count = |key: &[SqlValue], state: State, by: i64| {
                kept += state.bytes();
                let name = exactly(Some(key));
                let (_, path) = rows.entry(name.clone()).or_insert_with(|| (key.to_vec(), Path::default()));
                path.count(state, by);
                if path.0.is_empty() {
                    rows.remove(&name);
                }
            };
            let (old, new) = (State::of(old), State::of(new));
            match (old_key, new_key) {
                (Some(before), Some(after)) if exactly(Some(&before)) == exactly(Some(&after)) => {
                    count(&before, old, 1);
                    count(&after, new, -1);
                }
                (before, after) => {
                    if let Some(key) = before {
                        count(&key, old, 1);
                        count(&key, State::of(None), -1);
                    }
                    if let Some(key) = after {
                        count(&key, State::of(None), 1);
                        count(&key, new, -1);
                    }
                }
            }
        }
        left.holds(rows.len())?;
    }
    cursor.close(client).await?;
    let mut changed = Vec::new();
    for (key, path) in rows.into_values() {
        let mut ends = [None, None];
        for (state, count) in path.0 {
            ends[usize::from(count < 0)] = state.values;
        }
        let [before, after] = ends;
        let bytes = key.iter().chain(before.iter().flatten()).chain(after.iter().flatten()).map(size).sum();
        left.take(bytes)?;
        changed.push(match (before, after) {
            (Some(before), Some(after)) => RowChange::Update { key, before, after },
            (Some(before), None) => RowChange::Delete { key, before },
            (None, Some(after)) => RowChange::Insert { key, after },
            (None, None) => continue,
        });
    }
    Ok(changed)
}

/// What is left of the limits, and what they are.
struct Left(ChangeLimits, ChangeLimits);

impl Left {
    /// Whether so many rows can be held at all.
    fn holds(&self, rows: usize) -> Result<(), DbError> {
        if rows > self.0.rows { Err(self.too_many()) } else { Ok(()) }
    }

    fn take(&mut self, bytes: usize) -> Result<(), DbError> {
        self.0.rows = self.0.rows.checked_sub(1).ok_or_else(|| self.too_many())?;
        self.0.bytes = self.0.bytes.checked_sub(bytes).ok_or_else(|| {
            DbError::Limit(format!(
                "the rows that the step changed have more than {} bytes, which is more than is kept for a rollback or \
                 an approval; fan it out with `for_each`, or do without",
                self.1.bytes
            ))
        })?;
        Ok(())
    }

    fn too_many(&self) -> DbError {
        DbError::Limit(format!(
            "the step changed more than {} rows, which is more than is kept for a rollback or an approval; fan it out \
             with `for_each`, or do without",
            self.1.rows
        ))
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::SqlValue;

    use super::{Path, State};

    #[test]
    fn a_path_has_its_ends_in_whatever_order_its_steps_come() {
        let state = |n: i64| State::of((n >= 0).then(|| vec![SqlValue::Integer(n)]));
        // From 0 by 1 to 2; twice around by 1; the last first.
        let mut path = Path::default();
        for (from, to) in [(1, 2), (2, 1), (0, 1), (1, 2)] {
            path.count(state(from), 1);
            path.count(state(to), -1);
        }
        let mut ends: Vec<_> = path.0.iter().map(|(state, count)| (state.text.clone(), *count)).collect();
        ends.sort();
        assert_eq!(ends, [(state(0).text, 1), (state(2).text, -1)]);
        // It came and went.
        let mut path = Path::default();
        for (from, to) in [(5, -1), (-1, 5)] {
            path.count(state(from), 1);
            path.count(state(to), -1);
        }
        assert!(path.0.is_empty());
        assert_ne!(State::of(Some(vec![SqlValue::Real(f64::NAN)])).text, State::of(None).text);
    }
}
