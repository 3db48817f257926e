//! Puts rows back that wait for one another: all of them, or none.
//!
//! In a savepoint:
//!
//! - Of rows that have each other's unique values, as few as are needed get another one there for the moment, since the
//!   owner's triggers see it.
//! - Rows that refer to each other are put back by one statement, when all foreign keys are looked at at its end: an
//!   action of one finds nobody who still refers. So nothing has to be made null for a moment, which may not be allowed.
//! - Constraints that can wait do so until all are put back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use wflo_model::SqlValue;
use wflo_ports::DbError;

use super::{ForeignKey, One, Server};
use crate::db::agenda::Agenda;
use crate::db::bonds::{Bond, Parking};
use crate::db::names::quoted;
use crate::db::postgres::capture::exactly;
use crate::db::postgres::error::{of_values, translate};
use crate::db::stand_in::stand_ins;

/// How many rows one statement puts back. The work of planning it grows faster than they do.
const AT_ONCE: usize = 1_000;

/// How many parameters a statement takes: PostgreSQL counts them with 16 bits.
const PARAMETERS: usize = 65_535;

/// Rows that are put back in one transaction.
pub(in crate::db::postgres) struct Company<'a> {
    ones: &'a [One<'a>],
    by_key: Arc<HashMap<(u32, String), usize>>,
    /// Those that are put back together now.
    group: BTreeSet<usize>,
    /// Those of them that one statement puts back now.
    at_once: BTreeSet<usize>,
}

impl<'a> Company<'a> {
    /// All rows that are to be put back; none of them is yet.
    pub(super) fn of(ones: &'a [One<'a>]) -> Self {
        let key = |one: &One<'_>| (one.target.table.oid, exactly(Some(one.row.key())));
        let by_key = ones.iter().enumerate().map(|(at, one)| (key(one), at)).collect();
        let by_key = Arc::new(by_key);
        Self { ones, by_key, group: BTreeSet::new(), at_once: BTreeSet::new() }
    }

    /// What rows of the group are to have in a column of the table of one.
    fn wanted<'w>(&'w self, one: &'w One<'_>, column: usize) -> impl Iterator<Item = &'w SqlValue> + Clone {
        let ones = self.group.iter().map(|&row| &self.ones[row]);
        let of_table = ones.filter(|other| other.target.table.oid == one.target.table.oid);
        of_table.filter_map(move |other| other.row.before()?.get(column))
    }

    fn with(&self, group: &[usize], at_once: &[usize]) -> Self {
        let (group, at_once) = (group.iter().copied().collect(), at_once.iter().copied().collect());
        Self { ones: self.ones, by_key: Arc::clone(&self.by_key), group, at_once }
    }

    /// What is to be read of rows that refer by a foreign key, so that they can be told, and of how many.
    pub(super) fn key_of(&self, key: &ForeignKey) -> (Vec<String>, usize) {
        match self.one_of(key.oid) {
            Some(one) => {
                let table = &one.target.table;
                (table.values_of_named("r", &table.key_names()), self.group.len() + 1)
            }
            None => (vec!["1".to_owned()], 1),
        }
    }

    fn one_of(&self, oid: u32) -> Option<&One<'a>> {
        self.group.iter().map(|&at| &self.ones[at]).find(|one| one.target.table.oid == oid)
    }

    fn find(&self, oid: u32, key: &[SqlValue]) -> Option<usize> {
        self.by_key.get(&(oid, exactly(Some(key)))).copied().filter(|at| self.group.contains(at))
    }

    /// Whether rows that refer to values which a row loses, by their keys, hold it back.
    pub(super) fn holds_back(
        &self,
        key: &ForeignKey,
        loses: &[SqlValue],
        is_deleted: bool,
        referring: &[Vec<SqlValue>],
    ) -> bool {
        let acts = if is_deleted { key.acts.on_delete } else { key.acts.on_update };
        let refers = |one: &One<'_>, row: Option<&[SqlValue]>| {
            let values = row.and_then(|row| one.values_of(&key.from, row));
            exactly(values.as_deref()) == exactly(Some(loses))
        };
        let one_of = |at: usize| &self.ones[at];
        let lets_go = |row: &Vec<SqlValue>| {
            self.find(key.oid, row).is_some_and(|at| match self.at_once.contains(&at) {
                true => !refers(one_of(at), one_of(at).row.before()),
                // Where nothing is done to it, the database itself sees to it that it lets go.
                false => !acts && key.is_deferrable,
            })
        };
        // What refers to it when the statement ends is what an action changes.
        let mut at_once = self.at_once.iter().map(|&at| one_of(at));
        let comes = |one: &One<'_>| {
            one.target.table.oid == key.oid && refers(one, one.row.before()) && !refers(one, one.row.after())
        };
        !referring.iter().all(lets_go) || (acts && at_once.any(comes))
    }
}

/// Whether the rows of a group could be put back; where they could not, nothing is done.
pub(super) async fn together(
    server: &Server<'_>,
    company: &Company<'_>,
    group: &[usize],
    agenda: &Agenda<'_>,
) -> Result<bool, DbError> {
    tried(server, "wflo_together", async {
        server.batch_execute("SET CONSTRAINTS ALL DEFERRED").await.map_err(translate)?;
        if !try_together(server, company, group, agenda).await? {
            return Ok(false);
        }
        server.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(translate)?;
        Ok(true)
    })
    .await
}

/// Does something in a savepoint, of which nothing is left where it could not be done.
async fn tried(
    server: &Server<'_>,
    savepoint: &str,
    work: impl Future<Output = Result<bool, DbError>>,
) -> Result<bool, DbError> {
    server.batch_execute(&format!("SAVEPOINT {savepoint}")).await.map_err(translate)?;
    let done = work.await.or_else(|error| of_values(error).map(|_| false))?;
    let end = match done {
        true => format!("RELEASE {savepoint}"),
        false => format!("ROLLBACK TO {savepoint}; RELEASE {savepoint}"),
    };
    server.batch_execute(&end).await.map_err(translate)?;
    Ok(done)
}

async fn try_together(
    server: &Server<'_>,
    company: &Company<'_>,
    group: &[usize],
    agenda: &Agenda<'_>,
) -> Result<bool, DbError> {
    let mut parking = Parking::default();
    let with = company.with(group, &[]);
    loop {
        let next = parking.next(agenda.bonds(), group);
        if next.is_empty() {
            break;
        }
        for row in next {
            let parked = tried(server, "wflo_park", park(server, &with, row, agenda)).await?;
            parking.tell(row, parked);
        }
    }
    let bonds = [Bond::Unique, Bond::Reference];
    for part in agenda.bonds().groups(group, &bonds, parking.parked()) {
        let is_done = match part[..] {
            [row] => with.ones[row].put_back(server, Some(&with)).await?.is_none(),
            _ => {
                let order = agenda.bonds().groups(&part, &[Bond::Unique], parking.parked());
                let order: Vec<usize> = order.into_iter().flatten().collect();
                at_once(server, &company.with(group, &part), &order).await?
            }
        };
        if !is_done {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives a row other values where it is in the way of others.
async fn park(
    server: &Server<'_>,
    with: &Company<'_>,
    row: usize,
    agenda: &Agenda<'_>,
) -> Result<bool, DbError> {
    let one = &with.ones[row];
    let (Some(has), Some(takes)) = (one.row.after(), one.row.before()) else { return Ok(false) };
    let differs = |at: usize| exactly(Some(&has[at..=at])) != exactly(Some(&takes[at..=at]));
    let mut parked: BTreeSet<usize> = BTreeSet::new();
    for unique in agenda.uniques_of(row) {
        let is_free = unique.bond != Bond::Unique || !unique.changes(&one.row);
        if is_free || unique.parks.iter().any(|column| parked.contains(column)) {
            continue;
        }
        let mut found = None;
        for &column in unique.parks.iter().filter(|&&column| differs(column)) {
            if may_park(server, with, one, column).await?
                && park_column(server, one, column, &stand_ins(&has[column], with.wanted(one, column))?)
                    .await?
            {
                found = Some(column);
                break;
            }
        }
        match found {
            Some(column) => _ = parked.insert(column),
            None => return Ok(false),
        }
    }
    Ok(!parked.is_empty())
}

/// Whether nobody but rows of the group, and nothing of them but what is put back, would change with a column.
async fn may_park(
    server: &Server<'_>,
    with: &Company<'_>,
    one: &One<'_>,
    column: usize,
) -> Result<bool, DbError> {
    let name = &one.change.columns[column];
    let acting = one.target.referring.iter().filter(|key| key.acts.on_update && key.to.contains(name));
    for key in acting {
        let Some(found) = one.found(server).await? else { return Ok(false) };
        let Some(loses) = one.values_of(&key.to, &found) else { return Ok(false) };
        if loses.contains(&SqlValue::Null) {
            continue;
        }
        let same = (1..).zip(&key.from).map(|(n, column)| format!("r.{} = ${n}", quoted(column)));
        let same = same.collect::<Vec<_>>().join(" AND ");
        let (columns, most) = with.key_of(key);
        let sql = format!("SELECT {} FROM {} AS r WHERE {same} LIMIT {most}", columns.join(", "), key.sql);
        let rows = server.run(&sql, &loses.iter().collect::<Vec<_>>()).await?;
        let rows = super::rows_of(rows, columns.len())?;
        let is_referred_to_by = |one: &One<'_>| {
            one.target.referring.iter().any(|other| other.to.iter().any(|column| key.from.contains(column)))
        };
        let is_own = |row: &Vec<SqlValue>| {
            with.find(key.oid, row).is_some_and(|at| {
                let child = &with.ones[at];
                let changes = |row: Option<&[SqlValue]>| row.and_then(|row| child.values_of(&key.from, row));
                let (now, then) = (changes(child.row.after()), changes(child.row.before()));
                exactly(now.as_deref()) != exactly(then.as_deref()) && !is_referred_to_by(child)
            })
        };
        if !rows.iter().all(is_own) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn park_column(
    server: &Server<'_>,
    one: &One<'_>,
    column: usize,
    stand_ins: &[SqlValue],
) -> Result<bool, DbError> {
    let sql = format!(
        "UPDATE {} SET {} = $1 WHERE {} RETURNING 1",
        one.target.table.sql,
        quoted(&one.change.columns[column]),
        one.by_key(1)
    );
    for value in std::iter::once(&SqlValue::Null).chain(stand_ins) {
        let values: Vec<&SqlValue> = std::iter::once(value).chain(one.row.key()).collect();
        let park = async { Ok(server.run(&sql, &values).await?.len() == 1) };
        if tried(server, "wflo_stand_in", park).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts rows back by one statement, in this order.
async fn at_once(server: &Server<'_>, with: &Company<'_>, rows: &[usize]) -> Result<bool, DbError> {
    if rows.len() > AT_ONCE {
        return Ok(false);
    }
    let (mut statements, mut values): (Vec<String>, Vec<&SqlValue>) = (Vec::new(), Vec::new());
    for one in rows.iter().map(|&row| &with.ones[row]) {
        let found = one.found(server).await?;
        if let Some(found) = &found
            && one.referring(server, found, one.row.before(), Some(with)).await?.is_some()
        {
            return Ok(false);
        }
        if let Some((sql, more)) = one.statement(found.as_deref(), values.len()) {
            statements.push(format!("w{} AS ({sql} RETURNING 1)", statements.len()));
            values.extend(more);
        }
    }
    if statements.is_empty() || values.len() > PARAMETERS {
        return Ok(statements.is_empty());
    }
    // Each runs when its rows are first asked for.
    let written: Vec<String> =
        (0..statements.len()).map(|n| format!("(SELECT pg_catalog.count(*) FROM w{n}) = 1")).collect();
    let sql = format!("WITH {} SELECT {}", statements.join(", "), written.join(" AND "));
    let rows = server.run(&sql, &values).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}
