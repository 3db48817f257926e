//! Applies the inverse of what a step changed, row by row.
//!
//! A row is put back where it is as the step left it; it is locked from then on. What somebody else has done
//! since is not touched, and nothing is done that would make PostgreSQL touch another row by itself: a row that others
//! refer to is left, whatever the foreign key says is to become of them.
//!
//! Rows depend on one another: a parent can be deleted only after its children, and two that have exchanged a unique
//! value can go only together. [`Agenda`] tells which is tried when, and only what is left at its end is a conflict.
//!
//! Triggers of the owner run as with every write: a login role cannot switch them off, and should not. What they do to
//! rows that the step had changed is set right afterwards, so that these come out as they were, but for columns that they
//! set [`Anew`] on every write; what they write elsewhere, such as to a log, stays. A row that a trigger keeps from going
//! back is left as it is: all is begun anew without it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_postgres::Client;
use wflo_model::SqlValue;
use wflo_ports::{ChangeSet, Conflict, ConflictReason, DbError, RowChange, Undone};

use super::error::translate;
use crate::db::agenda::{Agenda, Task};
use batch::AT_ONCE;
use one::Seen;
use target::ForeignKey;
use together::{Company, together};
use unknown::spared;

pub(super) use anew::Anew;
pub(super) use batch::{any_of, found_all, put_back_all};
pub(super) use one::One;
pub(super) use server::Server;
use server::rows_of;
pub(super) use target::{Target, usable};
pub(super) use unknown::written_since;

mod anew;
mod batch;
mod one;
mod respelled;
mod rules;
mod server;
mod target;
mod together;
mod unknown;

/// How often all of it is begun anew without rows that triggers keep from going back.
const TRIES: usize = 4;

/// How often rows are set right that triggers have changed meanwhile.
const ROUNDS: usize = 3;

/// Applies the inverse of `changes` in the transaction that is open, which knows so much of columns that triggers set.
pub(super) async fn undo(client: &Client, changes: &ChangeSet, anew: &mut Anew) -> Result<Undone, DbError> {
    client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(translate)?;
    let server = Server::new(client);
    anew.begin();
    let mut kept = Kept::new();
    for tries in 1.. {
        client.batch_execute("SAVEPOINT wflo_whole").await.map_err(translate)?;
        let (undone, more) = undo_but(&server, changes, &kept, anew).await?;
        // What a trigger keeps from going back stays as it is, so nothing may have been done to it.
        let again = !more.is_empty() && tries < TRIES;
        let end = if again { "ROLLBACK TO wflo_whole; RELEASE wflo_whole" } else { "RELEASE wflo_whole" };
        client.batch_execute(end).await.map_err(translate)?;
        if !again {
            return Ok(undone);
        }
        kept.extend(more);
    }
    unreachable!("the last try is the last")
}

/// Applies the inverse but for rows that are kept, and tells which more a trigger keeps.
async fn undo_but(
    server: &Server<'_>,
    changes: &ChangeSet,
    kept: &Kept,
    anew: &mut Anew,
) -> Result<(Undone, Kept), DbError> {
    let mut undone = Undone::default();
    let mut seen = Vec::new();
    let mut tables = Vec::new();
    for (at, change) in changes.tables.iter().enumerate() {
        let table = match usable(server, change).await? {
            Ok(table) => Arc::new(Target::new(server, table).await?),
            Err(message) => {
                let reason = ConflictReason::Schema { message };
                undone
                    .conflicts
                    .extend(change.rows.iter().map(|row| Conflict::new(change, row, None, reason.clone())));
                continue;
            }
        };
        let ones: Vec<One<'_>> =
            change.rows.iter().map(|row| One::new(Arc::clone(&table), change, row)).collect();
        let looks = found_all(server, &ones.iter().collect::<Vec<_>>()).await?;
        for (one, look) in ones.into_iter().zip(looks) {
            match look {
                Ok(found) => seen.push(Seen { at, one, found }),
                Err(message) => {
                    undone.conflicts.extend(one.conflicts(None, ConflictReason::Constraint { message }));
                }
            }
        }
        tables.push((at, table));
    }
    let (mut left, mut other) = (Vec::new(), Vec::new());
    let (mut put_back, mut held) = (Vec::new(), Vec::new());
    for Seen { at, one, found } in respelled::joined(seen) {
        match () {
            () if kept.contains(&one.name()) => held.push(one),
            () if one.is(found.as_deref(), one.row.before()) => put_back.push(one),
            () if one.is(found.as_deref(), one.row.after()) => left.push((at, one)),
            () => other.push((at, one, found)),
        }
    }
    learn(server, &tables, &left, anew).await?;
    for (at, one, found) in other {
        if anew.was_put_back(server, &one, found.as_deref()).await? {
            put_back.push(one);
            continue;
        }
        match anew.is_as_left(server, &one, found.as_deref()).await? {
            true => left.push((at, one.left_as(found.unwrap_or_default()))),
            false => undone.conflicts.extend(one.conflicts(found, ConflictReason::Changed)),
        }
    }
    learn(server, &tables, &left, anew).await?;
    let mut left = spared(server, &tables, left, &mut undone).await?;
    // Deletes make room for what takes the place of the deleted.
    left.sort_by_key(|(_, one)| match *one.row {
        RowChange::Insert { .. } => 0,
        RowChange::Update { .. } => 1,
        RowChange::Delete { .. } => 2,
    });
    let (places, ones): (Vec<usize>, Vec<One<'_>>) = left.into_iter().unzip();
    let rows = places.into_iter().zip(ones.iter().map(|one| &*one.row)).collect();
    let mut agenda = Agenda::new(rules::of(server, &tables, changes).await?, rows);
    let mut waiting: Vec<Option<ConflictReason>> = Vec::new();
    waiting.resize_with(ones.len(), || None);
    let mut is_done = vec![false; ones.len()];
    let mut company = None;
    while let Some(task) = agenda.next() {
        match &task {
            Task::One(row) => {
                let mut rows = vec![*row];
                rows.extend(agenda.more(AT_ONCE - 1));
                let some: Vec<&One<'_>> = rows.iter().map(|&row| &ones[row]).collect();
                for (row, reason) in rows.into_iter().zip(put_back_all(server, &some).await?) {
                    is_done[row] = reason.is_none();
                    waiting[row] = reason;
                    agenda.tell(&Task::One(row), is_done[row]);
                }
            }
            Task::Together(rows) => {
                let company = company.get_or_insert_with(|| Company::of(&ones));
                let done = together(server, company, rows, &agenda).await?;
                rows.iter().for_each(|&row| is_done[row] = done);
                agenda.tell(&task, done);
            }
        }
    }
    let mut put_back: Vec<&One<'_>> = put_back.iter().collect();
    let by_us = put_back.len();
    let mut stays = Vec::new();
    for ((one, is_done), reason) in ones.iter().zip(is_done).zip(waiting) {
        match is_done {
            true => put_back.push(one),
            false => stays.push((one, reason.expect("each row that waits has been tried by itself"))),
        }
    }
    let off = set_right(server, &put_back, anew).await?;
    if off.is_empty() {
        // Not those that were put back before, by whomever.
        make_exact(server, &put_back[by_us..], anew).await?;
    }
    undone.rows += put_back.iter().map(|one| one.changes().count() as u64).sum::<u64>();
    let mut more = Kept::new();
    for (one, found) in off {
        undone.rows -= one.changes().count() as u64;
        undone.conflicts.extend(one.conflicts(found, minds()));
        more.insert(one.name());
    }
    stays.extend(held.iter().map(|one| (one, minds())));
    let looks = found_all(server, &stays.iter().map(|(one, _)| *one).collect::<Vec<_>>()).await?;
    for ((one, reason), look) in stays.into_iter().zip(looks) {
        undone.conflicts.extend(one.conflicts(look.unwrap_or_default(), reason));
    }
    Ok((undone, more))
}

/// Looks at what triggers do to the tables of rows that are as the step left them.
async fn learn(
    server: &Server<'_>,
    tables: &[(usize, Arc<Target>)],
    left: &[(usize, One<'_>)],
    anew: &mut Anew,
) -> Result<(), DbError> {
    for (at, _) in tables {
        let rows: Vec<&One<'_>> = left.iter().filter(|(of, _)| of == at).map(|(_, one)| one).collect();
        anew.learn(server, &rows).await?;
    }
    Ok(())
}

/// Sets rows right that triggers have changed since they were put back, and gives those that are still not as they were.
async fn set_right<'o, 'c>(
    server: &Server<'_>,
    rows: &[&'o One<'c>],
    anew: &mut Anew,
) -> Result<Vec<(&'o One<'c>, Option<Vec<SqlValue>>)>, DbError> {
    let mut known = BTreeSet::new();
    for round in 0..=ROUNDS {
        let mut off = Vec::new();
        for (&one, look) in rows.iter().zip(found_all(server, rows).await?) {
            let found = look.unwrap_or_default();
            if anew.is_back(one, found.as_deref()) {
                continue;
            }
            // One of those that were deleted tells for all.
            if let (RowChange::Delete { .. }, Some(found)) = (&*one.row, &found)
                && known.insert(one.target.table.oid)
            {
                anew.learn_from(server, one, found).await?;
            }
            if !anew.is_back(one, found.as_deref()) {
                off.push((one, found));
            }
        }
        if off.is_empty() || round == ROUNDS {
            return Ok(off);
        }
        for (one, _) in off {
            one.put_back(server, None).await?;
        }
    }
    Ok(Vec::new())
}

/// Puts back also what a trigger set anew with the rest of a row, where it lets that be: one that minds certain columns alone
/// does. One row of a table tells for all.
async fn make_exact(server: &Server<'_>, rows: &[&One<'_>], anew: &Anew) -> Result<(), DbError> {
    let mut in_vain = BTreeSet::new();
    for (&one, look) in rows.iter().zip(found_all(server, rows).await?) {
        let (found, table) = (look.unwrap_or_default(), one.target.table.oid);
        let is_exact = one.is(found.as_deref(), one.row.before());
        if is_exact || in_vain.contains(&table) || !anew.is_back(one, found.as_deref()) {
            continue;
        }
        one.put_back(server, None).await?;
        if !one.is(one.found(server).await?.as_deref(), one.row.before()) {
            in_vain.insert(table);
        }
    }
    Ok(())
}

/// Why a row is left that a trigger keeps from going back.
fn minds() -> ConflictReason {
    ConflictReason::Constraint { message: "a trigger of the database changes it again".into() }
}

/// Rows that triggers keep from going back, by table and key.
type Kept = BTreeSet<(u32, String)>;
