//! Looks at many rows, and puts many back, in few round trips.

use std::collections::HashMap;

use wflo_model::SqlValue;
use wflo_ports::{ConflictReason, DbError};

use super::one::One;
use super::server::{Server, rows_of};
use crate::db::names::quoted;
use crate::db::postgres::capture::exactly;
use crate::db::postgres::error::{of_values, translate};

/// How many rows are looked at by one statement, or put back in one savepoint.
pub(super) const AT_ONCE: usize = 500;

/// A row as it was found, or why it could not be looked at.
pub(in crate::db::postgres) type Look = Result<Option<Vec<SqlValue>>, String>;

/// Rows as they are now, locked, in the order in which they are asked for.
pub(in crate::db::postgres) async fn found_all(
    server: &Server<'_>,
    ones: &[&One<'_>],
) -> Result<Vec<Look>, DbError> {
    let mut looks: Vec<Look> = Vec::new();
    looks.resize_with(ones.len(), || Ok(None));
    let mut places: Vec<usize> = (0..ones.len()).collect();
    places.sort_by_key(|&at| ones[at].target.table.oid);
    for of_table in places.chunk_by(|&a, &b| ones[a].target.table.oid == ones[b].target.table.oid) {
        for some in of_table.chunks(AT_ONCE) {
            let some: Vec<(usize, &One<'_>)> = some.iter().map(|&at| (at, ones[at])).collect();
            look_at(server, &some, &mut looks).await?;
        }
    }
    Ok(looks)
}

/// Looks at rows of one table.
async fn look_at(server: &Server<'_>, some: &[(usize, &One<'_>)], looks: &mut [Look]) -> Result<(), DbError> {
    let by_key = rows_with(server, some).await?;
    let (mut unseen, mut seen) = (Vec::new(), 0);
    for &(at, one) in some {
        match by_key.as_ref().ok().and_then(|rows| rows.get(&exactly(Some(one.row.key())))) {
            Some(row) => {
                looks[at] = Ok(Some(row.clone()));
                seen += 1;
            }
            None => unseen.push((at, one)),
        }
    }
    // A row that was found may have the key of another one as well, written in another way.
    let all_told = match &by_key {
        Ok(rows) if unseen.is_empty() || rows.is_empty() => true,
        Ok(rows) if rows.len() == seen => rows_with(server, &unseen).await?.is_ok_and(|rows| rows.is_empty()),
        _ => false,
    };
    if !all_told {
        for (at, one) in unseen {
            looks[at] = tried(server, one.found(server)).await?;
        }
    }
    Ok(())
}

/// The rows of one table that have one of some keys, by their key as it is written there.
async fn rows_with(
    server: &Server<'_>,
    some: &[(usize, &One<'_>)],
) -> Result<Result<HashMap<String, Vec<SqlValue>>, String>, DbError> {
    let Some(&(_, first)) = some.first() else { return Ok(Ok(HashMap::new())) };
    let columns = first.columns();
    let sql = format!(
        "SELECT {} FROM {} AS t WHERE {} FOR UPDATE",
        columns.join(", "),
        first.target.table.sql,
        any_of(&first.change.key_columns, some.len())
    );
    let keys: Vec<&SqlValue> = some.iter().flat_map(|(_, one)| one.row.key()).collect();
    let rows = tried(server, async { rows_of(server.run(&sql, &keys).await?, columns.len()) }).await?;
    let key = |row: &Vec<SqlValue>| exactly(first.values_of(&first.change.key_columns, row).as_deref());
    Ok(rows.map(|rows| rows.into_iter().map(|row| (key(&row), row)).collect()))
}

/// A condition that a row has one of so many keys, which are the parameters.
pub(in crate::db::postgres) fn any_of(key: &[String], rows: usize) -> String {
    let row = |n: usize| {
        let places: Vec<_> = (1..=key.len()).map(|at| format!("${}", n * key.len() + at)).collect();
        if key.len() == 1 { places.concat() } else { format!("({})", places.join(", ")) }
    };
    let columns: Vec<_> = key.iter().map(|column| format!("t.{}", quoted(column))).collect();
    let rows: Vec<_> = (0..rows).map(row).collect();
    format!("({}) IN ({})", columns.join(", "), rows.join(", "))
}

/// Does something in a savepoint, of which nothing is left where the values did not let it.
pub(super) async fn tried<T>(
    server: &Server<'_>,
    work: impl Future<Output = Result<T, DbError>>,
) -> Result<Result<T, String>, DbError> {
    server.batch_execute("SAVEPOINT wflo_undo").await.map_err(translate)?;
    let done = match work.await {
        Ok(done) => Ok(done),
        Err(error) => Err(of_values(error)?),
    };
    let end = if done.is_ok() { "RELEASE wflo_undo" } else { "ROLLBACK TO wflo_undo; RELEASE wflo_undo" };
    server.batch_execute(end).await.map_err(translate)?;
    Ok(done)
}

/// Makes rows what they were, in this order; of each that cannot be, why. Nothing is left of a try that has failed.
///
/// It comes to what [`One::put_back`] does with one after another. They are told the server without waiting for what
/// becomes of them, in one savepoint; where that goes wrong it is done again up to the row that could not be, which is
/// then tried by itself.
pub(in crate::db::postgres) async fn put_back_all(
    server: &Server<'_>,
    rows: &[&One<'_>],
) -> Result<Vec<Option<ConflictReason>>, DbError> {
    let mut reasons = Vec::with_capacity(rows.len());
    // Where one row after another fails, little is done in vain.
    let mut width = AT_ONCE;
    while reasons.len() < rows.len() {
        let rest = &rows[reasons.len()..];
        let some = &rest[..width.min(rest.len())];
        match if some.len() > 1 { failing(server, some).await? } else { Some(0) } {
            None => {
                reasons.extend(some.iter().map(|_| None));
                width = AT_ONCE.min(width * 2);
            }
            Some(0) => {
                let reason = rest[0].put_back(server, None).await?;
                width = if reason.is_none() { AT_ONCE.min(width * 2) } else { 1.max(width / 2) };
                reasons.push(reason);
            }
            Some(at) => width = at,
        }
    }
    Ok(reasons)
}

/// Puts rows back, each as it was left by the step; the first that could not be, if any, and then none is.
async fn failing(server: &Server<'_>, rows: &[&One<'_>]) -> Result<Option<usize>, DbError> {
    server.batch_execute("SAVEPOINT wflo_batch").await.map_err(translate)?;
    let failed = try_all(server, rows).await?;
    let end = match failed {
        None => "RELEASE wflo_batch",
        Some(_) => "ROLLBACK TO wflo_batch; RELEASE wflo_batch",
    };
    server.batch_execute(end).await.map_err(translate)?;
    Ok(failed)
}

async fn try_all(server: &Server<'_>, rows: &[&One<'_>]) -> Result<Option<usize>, DbError> {
    let (mut statements, mut expected) = (Vec::new(), Vec::new());
    for (at, one) in rows.iter().enumerate() {
        let Some(steps) = one.steps() else { return Ok(Some(at)) };
        for (sql, values, expects) in steps {
            match server.ready(&sql, &values).await {
                Ok(ready) => statements.push(ready),
                Err(error) => return of_values(error).map(|_| Some(at)),
            }
            expected.push((at, expects));
        }
    }
    let done = server.run_all(statements).await;
    for (rows_now, (at, expects)) in done.into_iter().zip(expected) {
        let is_so = match rows_now {
            Ok(rows_now) => expects.is_met(rows[at], rows_now)?,
            Err(error) => of_values(error).map(|_| false)?,
        };
        if !is_so {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// What a statement comes to where a row is put back as it should be.
pub(super) enum Expects {
    /// Nobody is found.
    Nobody,
    /// One row is written.
    One,
    /// One row is written, that was as the step left it.
    AsLeft,
}

impl Expects {
    fn is_met(&self, one: &One<'_>, rows: Vec<tokio_postgres::Row>) -> Result<bool, DbError> {
        Ok(match self {
            Self::Nobody => rows.is_empty(),
            Self::One => rows.len() == 1,
            Self::AsLeft => {
                let rows = rows_of(rows, one.change.columns.len())?;
                rows.len() == 1 && one.is(rows.first().map(Vec::as_slice), one.row.after())
            }
        })
    }
}
