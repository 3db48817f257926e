//! Applies the inverse of what a step changed, row by row.
//!
//! A row is put back where it is exactly as the step left it; it is locked from then on. What somebody else has done
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

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use wflo_model::SqlValue;
use wflo_ports::{ChangeSet, Conflict, ConflictReason, DbError, RowChange, TableChange, Undone};

use super::capture::exactly;
use super::error::{of_values, translate};
use super::table::{Found, TRIGGER, Table, find};
use super::value::{Parameter, Read, parameters};
use crate::db::agenda::{Agenda, Task};
use crate::db::names::quoted;
use anew::Anew;
use together::{Company, together};

mod anew;
mod respelled;
mod rules;
mod together;

/// How often all of it is begun anew without rows that triggers keep from going back.
const TRIES: usize = 4;

/// How often rows are set right that triggers have changed meanwhile.
const ROUNDS: usize = 3;

/// Applies the inverse of `changes` in the transaction that is open.
pub(super) async fn undo(client: &Client, changes: &ChangeSet) -> Result<Undone, DbError> {
    client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(translate)?;
    let (mut anew, mut kept) = (Anew::default(), Kept::new());
    for tries in 1.. {
        client.batch_execute("SAVEPOINT wflo_whole").await.map_err(translate)?;
        let (undone, more) = undo_but(client, changes, &kept, &mut anew).await?;
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
    client: &Client,
    changes: &ChangeSet,
    kept: &Kept,
    anew: &mut Anew,
) -> Result<(Undone, Kept), DbError> {
    let mut undone = Undone::default();
    let mut seen = Vec::new();
    let mut tables = Vec::new();
    for (at, change) in changes.tables.iter().enumerate() {
        let table = match usable(client, change).await? {
            Ok(table) => Arc::new(Target::new(client, table).await?),
            Err(message) => {
                let reason = ConflictReason::Schema { message };
                undone
                    .conflicts
                    .extend(change.rows.iter().map(|row| Conflict::new(change, row, None, reason.clone())));
                continue;
            }
        };
        for row in &change.rows {
            let one = One::new(Arc::clone(&table), change, row);
            let found = one.found(client).await?;
            seen.push(Seen { at, one, found });
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
            () => other.push((one, found)),
        }
    }
    for (at, _) in &tables {
        let rows: Vec<&One<'_>> = left.iter().filter(|(of, _)| of == at).map(|(_, one)| one).collect();
        anew.learn(client, &rows).await?;
    }
    for (one, found) in other {
        match anew.was_put_back(client, &one, found.as_deref()).await? {
            true => put_back.push(one),
            false => undone.conflicts.extend(one.conflicts(found, ConflictReason::Changed)),
        }
    }
    // Deletes make room for what takes the place of the deleted.
    left.sort_by_key(|(_, one)| match *one.row {
        RowChange::Insert { .. } => 0,
        RowChange::Update { .. } => 1,
        RowChange::Delete { .. } => 2,
    });
    let (places, ones): (Vec<usize>, Vec<One<'_>>) = left.into_iter().unzip();
    let rows = places.into_iter().zip(ones.iter().map(|one| &*one.row)).collect();
    let mut agenda = Agenda::new(rules::of(client, &tables, changes).await?, rows);
    let mut waiting: Vec<Option<ConflictReason>> = Vec::new();
    waiting.resize_with(ones.len(), || None);
    let mut is_done = vec![false; ones.len()];
    let mut company = None;
    while let Some(task) = agenda.next() {
        let done = match &task {
            Task::One(row) => {
                waiting[*row] = ones[*row].put_back(client, None).await?;
                waiting[*row].is_none()
            }
            Task::Together(rows) => {
                let company = company.get_or_insert_with(|| Company::of(&ones));
                together(client, company, rows, &agenda).await?
            }
        };
        let rows = match &task {
            Task::One(row) => std::slice::from_ref(row),
            Task::Together(rows) => rows,
        };
        rows.iter().for_each(|&row| is_done[row] = done);
        agenda.tell(&task, done);
    }
    let mut put_back: Vec<&One<'_>> = put_back.iter().collect();
    let mut stays = Vec::new();
    for ((one, is_done), reason) in ones.iter().zip(is_done).zip(waiting) {
        match is_done {
            true => put_back.push(one),
            false => stays.push((one, reason.expect("each row that waits has been tried by itself"))),
        }
    }
    let off = set_right(client, &put_back, anew).await?;
    undone.rows += put_back.iter().map(|one| one.changes().count() as u64).sum::<u64>();
    let mut more = Kept::new();
    for (one, found) in off {
        undone.rows -= one.changes().count() as u64;
        undone.conflicts.extend(one.conflicts(found, minds()));
        more.insert(one.name());
    }
    stays.extend(held.iter().map(|one| (one, minds())));
    for (one, reason) in stays {
        let found = one.found(client).await?;
        undone.conflicts.extend(one.conflicts(found, reason));
    }
    Ok((undone, more))
}

/// Sets rows right that triggers have changed since they were put back, and gives those that are still not as they were.
async fn set_right<'o, 'c>(
    client: &Client,
    rows: &[&'o One<'c>],
    anew: &mut Anew,
) -> Result<Vec<(&'o One<'c>, Option<Vec<SqlValue>>)>, DbError> {
    let mut known = BTreeSet::new();
    for round in 0..=ROUNDS {
        let mut off = Vec::new();
        for &one in rows {
            let found = one.found(client).await?;
            if anew.is_back(one, found.as_deref()) {
                continue;
            }
            // One of those that were deleted tells for all.
            if let (RowChange::Delete { .. }, Some(found)) = (&*one.row, &found)
                && known.insert(one.target.table.oid)
            {
                anew.learn_from(client, one, found).await?;
            }
            if !anew.is_back(one, found.as_deref()) {
                off.push((one, found));
            }
        }
        if off.is_empty() || round == ROUNDS {
            return Ok(off);
        }
        for (one, _) in off {
            one.put_back(client, None).await?;
        }
    }
    Ok(Vec::new())
}

/// Why a row is left that a trigger keeps from going back.
fn minds() -> ConflictReason {
    ConflictReason::Constraint { message: "a trigger of the database changes it again".into() }
}

/// Rows that triggers keep from going back, by table and key.
type Kept = BTreeSet<(u32, String)>;

/// The table of a change, if it still has what the change is made of; else what it has not.
pub(super) async fn usable(client: &Client, change: &TableChange) -> Result<Result<Table, String>, DbError> {
    Ok(match find(client, &change.table).await? {
        Found::Nothing => Err("it is not there".into()),
        Found::Uncapturable(why) => Err(why),
        Found::Table(now) => {
            let names = now.column_names();
            match change.columns.iter().find(|column| !names.contains(column)) {
                Some(column) => Err(format!("column `{column}` is not there")),
                None if now.key_names() != change.key_columns => Err("its primary key is another one".into()),
                None => Ok(now),
            }
        }
    })
}

/// A table with rows that are to be put back.
pub(super) struct Target {
    table: Table,
    /// The foreign keys to it.
    referring: Vec<ForeignKey>,
    /// Whether the owner has triggers that may change its rows.
    has_triggers: bool,
}

/// A foreign key, seen from the table that is referred to.
struct ForeignKey {
    /// The table that refers.
    oid: u32,
    name: String,
    /// Its name for SQL.
    sql: String,
    /// Its columns.
    from: Vec<String>,
    /// The columns that are referred to.
    to: Vec<String>,
    /// Whether rows that refer change when what they refer to is deleted, or gets other values.
    acts: Acts,
    /// Whether it can be looked at when a transaction ends.
    is_deferrable: bool,
}

/// When a foreign key changes rows that refer.
#[derive(Clone, Copy)]
struct Acts {
    on_delete: bool,
    on_update: bool,
}

impl Target {
    pub(super) async fn new(client: &Client, table: Table) -> Result<Self, DbError> {
        let keys = client.query_typed(REFERRING, &[(&table.oid, Type::OID)]).await.map_err(translate)?;
        let key = |row: Row| ForeignKey {
            sql: row.get(0),
            name: row.get(1),
            from: row.get(2),
            to: row.get(3),
            oid: row.get(4),
            acts: Acts { on_delete: row.get(5), on_update: row.get(6) },
            is_deferrable: row.get(7),
        };
        let types = [(&table.oid as &(dyn ToSql + Sync), Type::OID), (&TRIGGER, Type::TEXT)];
        let has_triggers = client.query_typed_one(HAS_TRIGGERS, &types).await.map_err(translate)?.get(0);
        Ok(Self { referring: keys.into_iter().map(key).collect(), has_triggers, table })
    }

    /// Whether another row may refer to one of it.
    pub(super) fn is_referred_to(&self) -> bool {
        !self.referring.is_empty()
    }
}

/// One row that is to be put back.
pub(super) struct One<'c> {
    pub(super) target: Arc<Target>,
    pub(super) change: &'c TableChange,
    pub(super) row: Cow<'c, RowChange>,
    /// The two changes that `row` was made of, where the step wrote its key in another way.
    respelled: Option<[&'c RowChange; 2]>,
}

/// A row of a change set as it was found at first.
struct Seen<'c> {
    /// The place of its table in the change set.
    at: usize,
    one: One<'c>,
    found: Option<Vec<SqlValue>>,
}

impl<'c> One<'c> {
    pub(super) fn new(target: Arc<Target>, change: &'c TableChange, row: &'c RowChange) -> Self {
        Self { target, change, row: Cow::Borrowed(row), respelled: None }
    }

    /// What names it among all rows.
    fn name(&self) -> (u32, String) {
        (self.target.table.oid, exactly(Some(self.row.key())))
    }

    /// Whether putting it back changes values that others may refer to.
    fn moves_those_who_refer(&self) -> bool {
        let (now, then) = (self.row.after(), self.row.before());
        let of =
            |key: &ForeignKey, row: Option<&[SqlValue]>| row.and_then(|row| self.values_of(&key.to, row));
        self.target
            .referring
            .iter()
            .any(|key| exactly(of(key, now).as_deref()) != exactly(of(key, then).as_deref()))
    }

    /// The changes of the change set that it is.
    fn changes(&self) -> impl Iterator<Item = &RowChange> {
        let one = self.respelled.is_none().then_some(&*self.row);
        one.into_iter().chain(self.respelled.into_iter().flatten())
    }

    /// What tells that it was left, and why.
    fn conflicts(&self, found: Option<Vec<SqlValue>>, reason: ConflictReason) -> Vec<Conflict> {
        let conflict = |row| Conflict::new(self.change, row, found.clone(), reason.clone());
        self.changes().map(conflict).collect()
    }

    fn is(&self, found: Option<&[SqlValue]>, wanted: Option<&[SqlValue]>) -> bool {
        exactly(found) == exactly(wanted)
    }

    /// The row as it is now, locked: the one whose key the database takes for the same, however it is written.
    pub(super) async fn found(&self, client: &Client) -> Result<Option<Vec<SqlValue>>, DbError> {
        let columns = self.target.table.values_of_named("t", &self.change.columns);
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {} FOR UPDATE",
            columns.join(", "),
            self.target.table.sql,
            self.by_key(0)
        );
        let rows = run(client, &sql, &self.row.key().iter().collect::<Vec<_>>()).await?;
        Ok(rows_of(rows, columns.len())?.pop())
    }

    /// Makes the row what it was; if that cannot be, why. Nothing is left of a try that has failed.
    ///
    /// With others that are put back in the same transaction, those of them that refer to it are in nobody's way.
    pub(super) async fn put_back(
        &self,
        client: &Client,
        with: Option<&Company<'_>>,
    ) -> Result<Option<ConflictReason>, DbError> {
        client.batch_execute("SAVEPOINT wflo_undo").await.map_err(translate)?;
        let tried = self.try_put_back(client, with).await;
        match &tried {
            Err(DbError::Interrupted(_)) => return tried,
            Ok(_) => client.batch_execute("RELEASE wflo_undo").await,
            Err(_) => client.batch_execute("ROLLBACK TO wflo_undo; RELEASE wflo_undo").await,
        }
        .map_err(translate)?;
        tried.or_else(|error| Ok(Some(ConflictReason::Constraint { message: of_values(error)? })))
    }

    async fn try_put_back(
        &self,
        client: &Client,
        with: Option<&Company<'_>>,
    ) -> Result<Option<ConflictReason>, DbError> {
        let found = self.found(client).await?;
        if let Some(found) = &found
            && let Some(table) = self.referring(client, found, self.row.before(), with).await?
        {
            return Ok(Some(ConflictReason::Referenced { table }));
        }
        if let Some((sql, values)) = self.statement(found.as_deref(), 0) {
            run(client, &sql, &values).await?;
        }
        Ok(None)
    }

    /// The statement that makes the row what it was, if it is not; its parameters stand after `before` others.
    fn statement(&self, found: Option<&[SqlValue]>, before: usize) -> Option<(String, Vec<&SqlValue>)> {
        let name = &self.target.table.sql;
        let columns = &self.change.columns;
        match (found, self.row.before()) {
            (None, None) => None,
            (Some(_), None) => Some((
                format!("DELETE FROM {name} WHERE {}", self.by_key(before)),
                self.row.key().iter().collect(),
            )),
            (Some(found), Some(wanted)) => {
                let differs: Vec<usize> = (0..columns.len())
                    .filter(|&at| exactly(Some(&found[at..=at])) != exactly(Some(&wanted[at..=at])))
                    .collect();
                if differs.is_empty() {
                    return None;
                }
                let set =
                    (1 + before..).zip(&differs).map(|(n, &at)| format!("{} = ${n}", quoted(&columns[at])));
                let set = set.collect::<Vec<_>>().join(", ");
                let values = differs.iter().map(|&at| &wanted[at]).chain(self.row.key()).collect();
                Some((
                    format!("UPDATE {name} SET {set} WHERE {}", self.by_key(before + differs.len())),
                    values,
                ))
            }
            (None, Some(wanted)) => {
                let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
                let places: Vec<_> = (1..=columns.len()).map(|n| format!("${}", before + n)).collect();
                let sql = format!(
                    "INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                    names.join(", "),
                    places.join(", ")
                );
                Some((sql, wanted.iter().collect()))
            }
        }
    }

    /// A condition that the row with the key is; its parameters stand after `before` others.
    fn by_key(&self, before: usize) -> String {
        let same = (1 + before..)
            .zip(&self.change.key_columns)
            .map(|(n, column)| format!("{} = ${n}", quoted(column)));
        same.collect::<Vec<_>>().join(" AND ")
    }

    /// The values of some columns in a row; none where the change set does not have them all.
    fn values_of(&self, columns: &[String], row: &[SqlValue]) -> Option<Vec<SqlValue>> {
        let at = |column: &String| self.change.columns.iter().position(|name| name == column);
        columns.iter().map(|column| Some(row[at(column)?].clone())).collect()
    }

    /// A table with rows that refer to this one by values it is about to lose, and would be changed with it; but for
    /// those of its company that are in nobody's way.
    async fn referring(
        &self,
        client: &Client,
        found: &[SqlValue],
        wanted: Option<&[SqlValue]>,
        with: Option<&Company<'_>>,
    ) -> Result<Option<String>, DbError> {
        for key in &self.target.referring {
            let is_itself = key.oid == self.target.table.oid;
            let Some(loses) = self.values_of(&key.to, found) else { continue };
            let keeps = wanted.and_then(|wanted| self.values_of(&key.to, wanted));
            if loses.contains(&SqlValue::Null) || exactly(Some(&loses)) == exactly(keeps.as_deref()) {
                continue;
            }
            // Written in another way it is the same to whoever refers to it.
            let is_same =
                self.respelled.is_some() && key.to.iter().all(|it| self.change.key_columns.contains(it));
            if is_same && !key.acts.on_update {
                continue;
            }
            let same = (1..).zip(&key.from).map(|(n, column)| format!("r.{} = ${n}", quoted(column)));
            let same = same.collect::<Vec<_>>().join(" AND ");
            let itself = if is_itself {
                let own = (1 + key.from.len()..).zip(&self.change.key_columns);
                let own: Vec<_> = own.map(|(n, column)| format!("r.{} = ${n}", quoted(column))).collect();
                format!(" AND NOT ({})", own.join(" AND "))
            } else {
                String::new()
            };
            let params: Vec<&SqlValue> = match itself.is_empty() {
                true => loses.iter().collect(),
                false => loses.iter().chain(self.row.key()).collect(),
            };
            let (columns, most) = match with {
                Some(with) => with.key_of(key),
                None => (vec!["1".to_owned()], 1),
            };
            let sql = format!(
                "SELECT {} FROM {} AS r WHERE {same}{itself} LIMIT {most}",
                columns.join(", "),
                key.sql
            );
            let rows = run(client, &sql, &params).await?;
            let is_in_the_way = match with {
                Some(with) => with.holds_back(key, &loses, wanted.is_none(), &rows_of(rows, columns.len())?),
                None => !rows.is_empty(),
            };
            if is_in_the_way {
                return Ok(Some(key.name.clone()));
            }
        }
        Ok(None)
    }
}

/// The values of rows with so many columns.
pub(super) fn rows_of(rows: Vec<Row>, columns: usize) -> Result<Vec<Vec<SqlValue>>, DbError> {
    let value = |row: &Row, at| row.try_get::<_, Read>(at).map(|Read(value)| value).map_err(translate);
    rows.iter().map(|row| (0..columns).map(|at| value(row, at)).collect()).collect()
}

/// Whether a table has triggers, besides wflo's own, that run when a row comes or changes.
const HAS_TRIGGERS: &str = "
    SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1 AND t.tgname <> $2 AND NOT t.tgisinternal
        AND t.tgenabled <> 'D' AND t.tgtype & 20 <> 0)";

/// The foreign keys to a table: where they are, which columns refer to which, and what they do.
const REFERRING: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), c.relname::text,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k(n, i)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i),
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k(n, i)
                 JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY k.i),
           f.conrelid, f.confdeltype NOT IN ('a', 'r'), f.confupdtype NOT IN ('a', 'r'), f.condeferrable
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND f.confrelid = $1 ORDER BY 1, f.conname";

/// Runs a statement of the host with values.
pub(super) async fn run(client: &Client, sql: &str, values: &[&SqlValue]) -> Result<Vec<Row>, DbError> {
    let prepared = client.prepare(sql).await.map_err(translate)?;
    let params: Vec<Parameter> = parameters(values.iter().copied(), prepared.params())?;
    let params: Vec<_> = params.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client.query(&prepared, &params).await.map_err(translate)
}
