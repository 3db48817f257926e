//! Which columns the owner's triggers set anew on every write, whatever is written: when it was, who did it, how often.
//!
//! Nothing can put such a column back, and nothing has to: a row is as it was but for them. They are told by trying, in
//! a savepoint of which nothing stays: a column that changes while nobody writes it is one. Where it cannot change, since
//! the time is the transaction's and the login is one, its value tells.

use std::collections::{BTreeSet, HashMap};

use wflo_model::{RowChange, SqlValue};
use wflo_ports::DbError;

use super::{One, Server};
use crate::db::names::quoted;
use crate::db::postgres::capture::exactly;
use crate::db::postgres::error::{of_values, translate};

/// How many rows of a table are tried until one can be written.
const TRIES: usize = 5;

/// Who writes, and when, in the forms that a column may have.
const WHO_AND_WHEN: &str = "
    SELECT current_user::pg_catalog.text, session_user::pg_catalog.text, current_date, pg_catalog.now(),
        LOCALTIMESTAMP, pg_catalog.now() AT TIME ZONE 'UTC', (pg_catalog.now() AT TIME ZONE 'UTC')::date";

/// What is known of tables, by their number in the catalog, and columns, by their place among those of the change.
#[derive(Debug, Default)]
pub(super) struct Anew {
    columns: HashMap<u32, BTreeSet<usize>>,
    who_and_when: Option<BTreeSet<String>>,
}

impl Anew {
    /// Looks at a table with rows that are as the step left them.
    pub(super) async fn learn(&mut self, server: &Server<'_>, rows: &[&One<'_>]) -> Result<(), DbError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let target = &first.target;
        if !target.has_triggers || self.columns.contains_key(&target.table.oid) {
            return Ok(());
        }
        self.know_who_and_when(server).await?;
        let updates = rows.iter().filter(|one| matches!(*one.row, RowChange::Update { .. }));
        for one in updates.filter(|one| !one.moves_those_who_refer()).take(TRIES) {
            let (Some(left), Some(wanted)) = (one.row.after(), one.row.before()) else { continue };
            let changed = differing(left, wanted);
            let Some(Some(tried)) = what_if(server, one, &changed, wanted).await? else { continue };
            let off = differing(&tried, wanted);
            let others: Vec<usize> = changed.iter().copied().filter(|at| !off.contains(at)).collect();
            if !off.is_empty() {
                let Some(Some(tried)) = what_if(server, one, &others, wanted).await? else { continue };
                self.note(one, off.into_iter().filter(|&at| is_other(&tried[at], &left[at])));
            }
            break;
        }
        self.columns.entry(target.table.oid).or_default();
        Ok(())
    }

    /// Looks at a row that was put back and has other values in some columns.
    pub(super) async fn learn_from(
        &mut self,
        server: &Server<'_>,
        one: &One<'_>,
        found: &[SqlValue],
    ) -> Result<(), DbError> {
        let Some(wanted) = one.row.before() else { return Ok(()) };
        if !one.target.has_triggers {
            return Ok(());
        }
        self.know_who_and_when(server).await?;
        if let Some(Some(tried)) = what_if(server, one, &[], wanted).await? {
            let off = differing(found, wanted);
            self.note(one, off.into_iter().filter(|&at| is_other(&tried[at], &found[at])));
        }
        Ok(())
    }

    /// Whether a row that is neither as it was nor as the step left it has been put back before: it is as it was but for
    /// columns that change with every write.
    pub(super) async fn was_put_back(
        &mut self,
        server: &Server<'_>,
        one: &One<'_>,
        found: Option<&[SqlValue]>,
    ) -> Result<bool, DbError> {
        let (Some(found), Some(left), Some(wanted)) = (found, one.row.after(), one.row.before()) else {
            return Ok(false);
        };
        let (changed, off) = (differing(left, wanted), differing(found, wanted));
        let back: Vec<usize> = changed.iter().copied().filter(|at| !off.contains(at)).collect();
        let is_candidate = one.target.has_triggers
            && !one.moves_those_who_refer()
            && !back.is_empty()
            && off.iter().all(|at| changed.contains(at));
        if !is_candidate {
            return Ok(false);
        }
        let known = self.columns.get(&one.target.table.oid);
        if known.is_some_and(|known| off.iter().all(|at| known.contains(at))) {
            return Ok(true);
        }
        self.know_who_and_when(server).await?;
        let Some(Some(tried)) = what_if(server, one, &back, left).await? else { return Ok(false) };
        let is_anew = off.iter().all(|&at| is_other(&tried[at], &found[at]) || self.tells(&found[at]));
        if is_anew {
            self.note(one, off.into_iter());
        }
        Ok(is_anew)
    }

    /// Whether a row is as it was before the step but for columns that change with every write.
    pub(super) fn is_back(&self, one: &One<'_>, found: Option<&[SqlValue]>) -> bool {
        if one.is(found, one.row.before()) {
            return true;
        }
        let (Some(found), Some(wanted)) = (found, one.row.before()) else { return false };
        let known = self.columns.get(&one.target.table.oid);
        one.target.has_triggers
            && differing(found, wanted)
                .into_iter()
                .all(|at| known.is_some_and(|known| known.contains(&at)) || self.tells(&found[at]))
    }

    /// Whether a value tells who writes, or when.
    fn tells(&self, value: &SqlValue) -> bool {
        self.who_and_when.as_ref().is_some_and(|them| them.contains(&text(value)))
    }

    fn note(&mut self, one: &One<'_>, columns: impl Iterator<Item = usize>) {
        self.columns.entry(one.target.table.oid).or_default().extend(columns);
    }

    async fn know_who_and_when(&mut self, server: &Server<'_>) -> Result<(), DbError> {
        if self.who_and_when.is_none() {
            let rows = server.run(WHO_AND_WHEN, &[]).await?;
            let columns = rows.first().map_or(0, tokio_postgres::Row::len);
            let values = super::rows_of(rows, columns)?;
            self.who_and_when = Some(values.iter().flatten().map(text).collect());
        }
        Ok(())
    }
}

/// What a row would be if columns of it, or none, were written; none where that cannot be. Nothing of it stays.
async fn what_if(
    server: &Server<'_>,
    one: &One<'_>,
    columns: &[usize],
    values: &[SqlValue],
) -> Result<Option<Option<Vec<SqlValue>>>, DbError> {
    let name = |at: usize| quoted(&one.change.columns[at]);
    let mut set: Vec<String> = (1..).zip(columns).map(|(n, &at)| format!("{} = ${n}", name(at))).collect();
    if set.is_empty() {
        // A write that changes nothing is one.
        set = one.change.key_columns.iter().map(|key| format!("{0} = {0}", quoted(key))).collect();
    }
    let sql =
        format!("UPDATE {} SET {} WHERE {}", one.target.table.sql, set.join(", "), one.by_key(columns.len()));
    let values: Vec<&SqlValue> = columns.iter().map(|&at| &values[at]).chain(one.row.key()).collect();
    server.batch_execute("SAVEPOINT wflo_what_if").await.map_err(translate)?;
    let tried = async {
        server.run(&sql, &values).await?;
        one.found(server).await
    };
    let tried = tried.await.map(Some).or_else(|error| of_values(error).map(|_| None))?;
    let end = "ROLLBACK TO wflo_what_if; RELEASE wflo_what_if";
    server.batch_execute(end).await.map_err(translate)?;
    Ok(tried)
}

/// Where two rows differ.
fn differing(one: &[SqlValue], other: &[SqlValue]) -> Vec<usize> {
    (0..one.len()).filter(|&at| is_other(&one[at], &other[at])).collect()
}

fn is_other(one: &SqlValue, other: &SqlValue) -> bool {
    text(one) != text(other)
}

fn text(value: &SqlValue) -> String {
    exactly(Some(std::slice::from_ref(value)))
}
