//! Which columns the owner's triggers set anew on every write, whatever is written: when it was, who did it, how often.
//!
//! Nothing can put such a column back, and nothing has to: a row is as it was but for them. They are told by trying, in
//! a savepoint of which nothing stays: a column that changes while nobody writes it is one. Where it cannot change, since
//! the time is the transaction's and the login is one, its value tells.
//!
//! Another write, such as that by which wflo undid a later step, sets such a column anew as well. So a row that differs
//! from what the step left in nothing else is as the step left it, where nobody can have chosen what it has now: the same
//! trial shows that such a column does not take what is written to it.

use std::collections::{BTreeSet, HashMap};

use wflo_model::{RowChange, SqlValue};
use wflo_ports::DbError;

use super::{One, Server};
use crate::db::names::quoted;
use crate::db::postgres::capture::exactly;
use crate::db::postgres::error::{of_values, translate};
use crate::db::stand_in::stand_ins;

/// How many rows of a table are tried until one can be written.
const TRIES: usize = 5;

/// Who writes, and when, in the forms that a column may have.
const WHO_AND_WHEN: &str = "
    SELECT current_user::pg_catalog.text, session_user::pg_catalog.text, current_date, pg_catalog.now(),
        LOCALTIMESTAMP, pg_catalog.now() AT TIME ZONE 'UTC', (pg_catalog.now() AT TIME ZONE 'UTC')::date";

/// What a transaction knows of columns, by the number of their table in the catalog.
#[derive(Debug, Default)]
pub(in crate::db::postgres) struct Anew {
    columns: HashMap<u32, BTreeSet<String>>,
    /// Those of them that nobody can choose the value of.
    unchosen: HashMap<u32, BTreeSet<String>>,
    /// Tables that were looked at, of the change set.
    learned: BTreeSet<u32>,
    who_and_when: Option<BTreeSet<String>>,
}

impl Anew {
    /// Begins with another change set, in which other columns may have changed.
    pub(super) fn begin(&mut self) {
        self.learned.clear();
    }

    /// Looks at a table with rows that are as the step left them.
    pub(super) async fn learn(&mut self, server: &Server<'_>, rows: &[&One<'_>]) -> Result<(), DbError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let target = &first.target;
        if !target.has_triggers || !self.learned.insert(target.table.oid) {
            return Ok(());
        }
        self.know_who_and_when(server).await?;
        let updates = rows.iter().filter(|one| matches!(*one.row, RowChange::Update { .. }));
        for one in updates.take(TRIES) {
            let (Some(left), Some(wanted)) = (one.row.after(), one.row.before()) else { continue };
            let changed = differing(left, wanted);
            let tried = match one.moves_those_who_refer() {
                true => None,
                false => what_if(server, one, &changed, wanted).await?,
            };
            let Some(Some(tried)) = tried else {
                // It may be put back only with others.
                let stays = stays(server, one, left, changed.clone()).await?;
                let anew: Vec<usize> = changed.into_iter().filter(|at| !stays.contains(at)).collect();
                if anew.is_empty() {
                    continue;
                }
                self.note(one, anew.into_iter());
                break;
            };
            let off = differing(&tried, wanted);
            let others: Vec<usize> = changed.iter().copied().filter(|at| !off.contains(at)).collect();
            if !off.is_empty() {
                let Some(Some(tried)) = what_if(server, one, &others, wanted).await? else { continue };
                self.note(one, off.into_iter().filter(|&at| is_other(&tried[at], &left[at])));
            }
            break;
        }
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
        let (Some(found), Some(wanted)) = (found, one.row.before()) else { return Ok(false) };
        if unlike(one, found, wanted).is_empty() {
            return Ok(true);
        }
        let Some(left) = one.row.after() else { return Ok(false) };
        let (changed, off) = (differing(left, wanted), differing(found, wanted));
        let back: Vec<usize> = changed.iter().copied().filter(|at| !off.contains(at)).collect();
        let is_candidate = one.target.has_triggers
            && !one.moves_those_who_refer()
            && !back.is_empty()
            && off.iter().all(|at| changed.contains(at));
        if !is_candidate {
            return Ok(false);
        }
        if off.iter().all(|&at| is_in(&self.columns, one, at)) {
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

    /// Whether a row that is neither as it was nor as the step left it is as the step left it all the same: but for columns
    /// that change with every write, of which nobody has chosen the value.
    pub(super) async fn is_as_left(
        &mut self,
        server: &Server<'_>,
        one: &One<'_>,
        found: Option<&[SqlValue]>,
    ) -> Result<bool, DbError> {
        let (Some(found), Some(left)) = (found, one.row.after()) else { return Ok(false) };
        let off = unlike(one, found, left);
        if off.is_empty() {
            return Ok(true);
        }
        if !one.target.has_triggers || off.iter().any(|&at| one.is_bound(at)) {
            return Ok(false);
        }
        if off.iter().all(|&at| is_in(&self.unchosen, one, at)) {
            return Ok(true);
        }
        if may_be_chosen(server, one, &off, left).await? {
            return Ok(false);
        }
        self.know_who_and_when(server).await?;
        let mut stays_so: Vec<usize> =
            off.iter().copied().filter(|&at| !self.knows(one, at, &found[at])).collect();
        if let Some(wanted) = one.row.before() {
            let free = |at: &usize| !off.contains(at) && !one.is_bound(*at);
            let others: Vec<usize> = differing(left, wanted).into_iter().filter(free).collect();
            if !stays_so.is_empty()
                && let Some(Some(tried)) = what_if(server, one, &others, wanted).await?
            {
                stays_so.retain(|&at| !is_other(&tried[at], &found[at]));
            }
        }
        if !stays(server, one, found, stays_so).await?.is_empty() {
            return Ok(false);
        }
        self.note(one, off.iter().copied());
        let names = off.into_iter().map(|at| one.change.columns[at].clone());
        self.unchosen.entry(one.target.table.oid).or_default().extend(names);
        Ok(true)
    }

    /// Whether a row is as it was before the step but for columns that change with every write.
    pub(super) fn is_back(&self, one: &One<'_>, found: Option<&[SqlValue]>) -> bool {
        if one.is(found, one.row.before()) {
            return true;
        }
        let (Some(found), Some(wanted)) = (found, one.row.before()) else { return false };
        let off = unlike(one, found, wanted);
        off.is_empty() || one.target.has_triggers && off.into_iter().all(|at| self.knows(one, at, &found[at]))
    }

    /// Whether a column is known to change with every write, or its value says so.
    fn knows(&self, one: &One<'_>, column: usize, value: &SqlValue) -> bool {
        is_in(&self.columns, one, column) || self.tells(value)
    }

    /// Whether a value tells who writes, or when.
    fn tells(&self, value: &SqlValue) -> bool {
        self.who_and_when.as_ref().is_some_and(|them| them.contains(&text(value)))
    }

    fn note(&mut self, one: &One<'_>, columns: impl Iterator<Item = usize>) {
        let names = columns.map(|at| one.change.columns[at].clone());
        self.columns.entry(one.target.table.oid).or_default().extend(names);
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

fn is_in(known: &HashMap<u32, BTreeSet<String>>, one: &One<'_>, column: usize) -> bool {
    let of = known.get(&one.target.table.oid);
    of.is_some_and(|names| names.contains(&one.change.columns[column]))
}

/// Whether one of some columns may have what it has from somebody who chose that: it takes what is written to it.
async fn may_be_chosen(
    server: &Server<'_>,
    one: &One<'_>,
    columns: &[usize],
    left: &[SqlValue],
) -> Result<bool, DbError> {
    let Some(Some(tried)) = what_if(server, one, columns, left).await? else { return Ok(true) };
    let as_left = |tried: &[SqlValue], at: usize| !is_other(&tried[at], &left[at]);
    let same: Vec<usize> = columns.iter().copied().filter(|&at| as_left(&tried, at)).collect();
    if same.is_empty() {
        return Ok(false);
    }
    // Maybe it comes to that whatever is written, such as to who writes.
    let mut others = left.to_vec();
    for &at in &same {
        let wanted = one.row.before().map(|wanted| &wanted[at]).filter(|wanted| is_other(wanted, &left[at]));
        let other = match wanted {
            Some(wanted) => Some(wanted.clone()),
            None => stand_ins(&left[at], [].iter())?.into_iter().next(),
        };
        let Some(other) = other else { return Ok(true) };
        others[at] = other;
    }
    let tried = what_if(server, one, &same, &others).await?.flatten();
    Ok(tried.is_none_or(|tried| !same.iter().all(|&at| as_left(&tried, at))))
}

/// Those of some columns that do not change when others of their row are written: first to what they are, which many a
/// trigger does not mind, then to something else.
async fn stays(
    server: &Server<'_>,
    one: &One<'_>,
    now: &[SqlValue],
    mut columns: Vec<usize>,
) -> Result<Vec<usize>, DbError> {
    let mut look = |tried: Option<Option<Vec<SqlValue>>>| {
        if let Some(Some(tried)) = tried {
            columns.retain(|&at| !is_other(&tried[at], &now[at]));
        }
        columns.clone()
    };
    let mut rest = look(None);
    if !rest.is_empty() {
        rest = look(what_if(server, one, &[], now).await?);
    }
    let others: Vec<usize> =
        (0..now.len()).filter(|at| !rest.contains(at) && !one.is_bound(*at)).take(TRIES).collect();
    for at in others {
        if rest.is_empty() {
            break;
        }
        let Some(other) = stand_ins(&now[at], [].iter())?.into_iter().next() else { continue };
        let mut values = now.to_vec();
        values[at] = other;
        rest = look(what_if(server, one, &[at], &values).await?);
    }
    Ok(rest)
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

/// Where two states of a row differ in more than how many zeros a number ends with, where it is the type of the column that
/// says so: it may have been another one when the step wrote.
fn unlike(one: &One<'_>, now: &[SqlValue], then: &[SqlValue]) -> Vec<usize> {
    let number = |value: &SqlValue| match value {
        SqlValue::Decimal(text) if text.contains('.') => {
            Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
        }
        SqlValue::Decimal(text) => Some(text.clone()),
        _ => None,
    };
    let is_same =
        |at: usize| one.is_fixed(at) && number(&now[at]).is_some_and(|now| number(&then[at]) == Some(now));
    differing(now, then).into_iter().filter(|&at| !is_same(at)).collect()
}

fn is_other(one: &SqlValue, other: &SqlValue) -> bool {
    text(one) != text(other)
}

fn text(value: &SqlValue) -> String {
    exactly(Some(std::slice::from_ref(value)))
}
