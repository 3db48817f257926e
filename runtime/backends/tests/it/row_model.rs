//! Rows in memory beside a real database: random steps, failures, kills, rollbacks and outside writers, after each of
//! which the table is what the model says, and nothing that somebody else wrote was overwritten.
//!
//! It knows databases by their port and by [`Subject`] alone, so that each of them is held against the same model.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use proptest::collection::vec;
use proptest::prelude::*;
use wflo_model::{ChangeSet, DbAccess, RowChange, SqlValue, TableAccess};
use wflo_ports::{
    Begun, Capture, ChangeLimits, Database, DbError, Executed, Marker, MarkerPurpose, QueryLimits, Statement,
    Transaction,
};

use crate::sqlite::marker;

/// The table that everything happens in.
pub(crate) const TABLE: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY NOT NULL, owner BIGINT NOT NULL, name TEXT NOT NULL UNIQUE, n BIGINT NOT NULL)";

/// A database with [`TABLE`] in it, empty.
#[async_trait]
pub(crate) trait Subject: Send {
    /// The database, as steps have it.
    fn database(&self) -> Arc<dyn Database>;
    /// Runs a statement as somebody who is no step; false if a constraint was against it.
    async fn outside(&mut self, sql: &str) -> bool;
    /// What a process that is killed leaves: everything it had open is gone.
    async fn kill(&mut self);
    /// Whether others can write while a step does. Where they cannot, they have before it began.
    fn is_shared(&self) -> bool;
}

/// A row, by its id: owner, name, n.
type Row = (i64, String, i64);
type Rows = BTreeMap<i64, Row>;

/// One write. Names and numbers are few, so that they collide.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Insert {
        id: i64,
        owner: i64,
        name: u8,
        n: i64,
    },
    Upsert {
        id: i64,
        owner: i64,
        name: u8,
        n: i64,
    },
    Add {
        from: i64,
        to: i64,
        n: i64,
    },
    Rename {
        id: i64,
        name: u8,
    },
    /// Names a row as nobody has it by chance.
    Name {
        id: i64,
        name: String,
    },
    /// Has two rows exchange their names: what it comes to is told by [`Write::parts`].
    Swap {
        id: i64,
        with: i64,
    },
    Give {
        id: i64,
        owner: i64,
    },
    Move {
        id: i64,
        to: i64,
    },
    Delete {
        from: i64,
        to: i64,
    },
}

impl Write {
    /// The statements it is made of, on rows as they are found: names change hands by way of one that nobody has.
    fn parts(&self, rows: &Rows) -> Vec<Self> {
        let &Self::Swap { id, with } = self else { return vec![self.clone()] };
        let name = |id: i64| rows.get(&id).map(|row| row.1.clone());
        match (name(id), name(with)) {
            (Some(one), Some(other)) if id != with => vec![
                Self::Name { id, name: "between".to_owned() },
                Self::Name { id: with, name: one },
                Self::Name { id, name: other },
            ],
            _ => Vec::new(),
        }
    }

    fn sql(&self) -> String {
        match *self {
            Self::Insert { id, owner, name, n } => {
                format!("INSERT INTO t VALUES ({id}, {owner}, 'x{name}', {n})")
            }
            Self::Upsert { id, owner, name, n } => format!(
                "INSERT INTO t VALUES ({id}, {owner}, 'x{name}', {n}) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = excluded.n"
            ),
            Self::Add { from, to, n } => format!("UPDATE t SET n = n + {n} WHERE id >= {from} AND id < {to}"),
            Self::Rename { id, name } => format!("UPDATE t SET name = 'x{name}' WHERE id = {id}"),
            Self::Name { id, ref name } => format!("UPDATE t SET name = '{name}' WHERE id = {id}"),
            Self::Swap { .. } => unreachable!("it is made of others"),
            Self::Give { id, owner } => format!("UPDATE t SET owner = {owner} WHERE id = {id}"),
            Self::Move { id, to } => format!("UPDATE t SET id = {to} WHERE id = {id}"),
            Self::Delete { from, to } => format!("DELETE FROM t WHERE id >= {from} AND id < {to}"),
        }
    }

    /// What it does to rows, of which a step may touch those of one owner, or all: how many, or none if it is refused,
    /// and then it does nothing.
    fn apply(&self, rows: &mut Rows, only: Option<i64>) -> Option<u64> {
        let mine = |row: &Row| only.is_none_or(|owner| row.0 == owner);
        let taken =
            |rows: &Rows, name: &str, but: i64| rows.iter().any(|(id, row)| *id != but && row.1 == name);
        match *self {
            Self::Insert { id, owner, name, n } => {
                let (name, is_mine) = (format!("x{name}"), only.is_none_or(|only| owner == only));
                if rows.contains_key(&id) || taken(rows, &name, id) || !is_mine {
                    return None;
                }
                rows.insert(id, (owner, name, n));
                Some(1)
            }
            Self::Upsert { id, owner, name, n } => match rows.get(&id).filter(|row| mine(row)).cloned() {
                Some((owner, ..)) => {
                    let name = format!("x{name}");
                    if taken(rows, &name, id) {
                        return None;
                    }
                    rows.insert(id, (owner, name, n));
                    Some(1)
                }
                // A row that the step cannot see stays, and is in the way.
                None => Self::Insert { id, owner, name, n }.apply(rows, only),
            },
            Self::Add { from, to, n } => {
                let found = rows.range_mut(from..to.max(from)).filter(|(_, row)| mine(row));
                Some(found.map(|(_, row)| row.2 += n).count() as u64)
            }
            Self::Rename { id, name } => Self::Name { id, name: format!("x{name}") }.apply(rows, only),
            Self::Swap { .. } => unreachable!("it is made of others"),
            Self::Name { id, ref name } => {
                let name = name.clone();
                let Some(row) = rows.get(&id).filter(|row| mine(row)).cloned() else { return Some(0) };
                if taken(rows, &name, id) {
                    return None;
                }
                rows.insert(id, (row.0, name, row.2));
                Some(1)
            }
            Self::Give { id, owner } => {
                let Some(row) = rows.get_mut(&id).filter(|row| mine(row)) else { return Some(0) };
                if only.is_some_and(|only| only != owner) {
                    return None;
                }
                row.0 = owner;
                Some(1)
            }
            Self::Move { id, to } => {
                // The key of a row stays as it is where only some rows may be touched.
                if only.is_some() {
                    return None;
                }
                if id == to || !rows.contains_key(&id) {
                    return Some(u64::from(rows.contains_key(&id)));
                }
                if rows.contains_key(&to) {
                    return None;
                }
                let row = rows.remove(&id).expect("it is there");
                rows.insert(to, row);
                Some(1)
            }
            Self::Delete { from, to } => {
                let gone: Vec<i64> =
                    rows.range(from..to.max(from)).filter(|(_, row)| mine(row)).map(|(id, _)| *id).collect();
                gone.iter().for_each(|id| drop(rows.remove(id)));
                Some(gone.len() as u64)
            }
        }
    }
}

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commits,
    Fails,
    /// Killed before its commit, and redone.
    KilledBefore,
    /// Killed after it: the marker tells.
    KilledAfter,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Step {
        only: Option<i64>,
        writes: Vec<Write>,
        /// What somebody else writes when it has begun.
        beside: Option<Write>,
        end: End,
    },
    Outside(Write),
    /// Rolls back a step that committed, counted from the last; once killed before its commit or not.
    Rollback {
        back: usize,
        killed: bool,
    },
}

fn write() -> impl Strategy<Value = Write> {
    let id = || 0..8_i64;
    let row = || (id(), 1..3_i64, 0..8_u8, -2..3_i64);
    prop_oneof![
        3 => row().prop_map(|(id, owner, name, n)| Write::Insert { id, owner, name, n }),
        2 => row().prop_map(|(id, owner, name, n)| Write::Upsert { id, owner, name, n }),
        3 => (id(), 0..9_i64, -2..3_i64).prop_map(|(from, to, n)| Write::Add { from, to, n }),
        2 => (id(), 0..8_u8).prop_map(|(id, name)| Write::Rename { id, name }),
        3 => (id(), id()).prop_map(|(id, with)| Write::Swap { id, with }),
        1 => (id(), 1..3_i64).prop_map(|(id, owner)| Write::Give { id, owner }),
        1 => (id(), id()).prop_map(|(id, to)| Write::Move { id, to }),
        1 => (id(), 0..9_i64).prop_map(|(from, to)| Write::Delete { from, to }),
    ]
}

/// What may happen, one thing after another.
pub(crate) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let end = prop_oneof![
        4 => Just(End::Commits),
        1 => Just(End::Fails),
        1 => Just(End::KilledBefore),
        1 => Just(End::KilledAfter)
    ];
    let only = prop_oneof![Just(None), (1..3_i64).prop_map(Some)];
    let beside = prop_oneof![2 => Just(None), 1 => write().prop_map(Some)];
    let step = (only, vec(write(), 1..6), beside, end)
        .prop_map(|(only, writes, beside, end)| Happening::Step { only, writes, beside, end });
    let rollback =
        (0..4_usize, any::<bool>()).prop_map(|(back, killed)| Happening::Rollback { back, killed });
    vec(prop_oneof![5 => step, 2 => write().prop_map(Happening::Outside), 3 => rollback], 1..14)
}

/// A step that committed: its number, and what it changed.
struct Committed {
    run: u8,
    changes: ChangeSet,
}

/// Plays what happens to a database and to the model.
pub(crate) async fn play(subject: &mut dyn Subject, happenings: &[Happening]) {
    let mut rows = Rows::new();
    let mut committed: Vec<Committed> = Vec::new();
    let mut undos = 0;
    for (number, happening) in (1_u8..).zip(happenings) {
        match happening {
            Happening::Outside(write) => outside(subject, write, &mut rows).await,
            Happening::Step { only, writes, beside, end } => {
                let Ran { mut transaction, results, before, mut after } =
                    run(subject, number, *only, writes, beside.as_ref(), &mut rows).await;
                let changes = transaction.changes(ChangeLimits::default()).await.expect("it was captured");
                assert_eq!(
                    told(&changes),
                    difference(&before, &after),
                    "what step {number} tells: {happening:?}"
                );
                // Who wrote beside it and was not in its way has written what it did not see.
                let theirs = difference(&before, &rows);
                let both = theirs.keys().filter(|id| difference(&before, &after).contains_key(id)).count();
                assert_eq!(both, 0, "a write of somebody else's is overwritten: {happening:?}");
                for (id, (_, row)) in theirs {
                    match row {
                        Some(row) => _ = after.insert(id, row),
                        None => _ = after.remove(&id),
                    }
                }
                match end {
                    End::Fails => {
                        transaction.rollback().await;
                        after = rows.clone();
                    }
                    End::Commits => transaction.commit().await.expect("nobody is in its way"),
                    End::KilledAfter => {
                        transaction.commit().await.expect("nobody is in its way");
                        subject.kill().await;
                        let begun = subject.database().begin(&marker(number), Capture::On).await;
                        assert!(matches!(begun.expect("it can be asked"), Begun::AlreadyCommitted));
                    }
                    End::KilledBefore => {
                        drop(transaction);
                        subject.kill().await;
                        let redone = run(subject, number, *only, writes, None, &mut rows).await;
                        // Where somebody else has written, it may come to something else, and a new attempt does that.
                        if before == rows {
                            assert_eq!((&redone.results, &redone.after), (&results, &after), "a redo");
                        }
                        after = redone.after;
                        redone.transaction.commit().await.expect("nobody is in its way");
                    }
                }
                // That of a step which was redone is what the redo says.
                let changes = match end {
                    End::KilledBefore if before != rows => None,
                    End::Fails => None,
                    _ => Some(changes),
                };
                committed.extend(changes.map(|changes| Committed { run: number, changes }));
                rows = after;
            }
            Happening::Rollback { back, killed } => {
                let Some(at) = committed.len().checked_sub(1 + back) else { continue };
                let Committed { run, changes } = &committed[at];
                undos += 1;
                let marker = Marker { purpose: MarkerPurpose::Undo { rollback: undos }, ..marker(*run) };
                let mut after = rows.clone();
                let expected = undo(&mut after, changes);
                for attempt in 0..=u8::from(*killed) {
                    let begun = subject.database().begin(&marker, Capture::Off).await.expect("it begins");
                    let Begun::Open(mut transaction) = begun else {
                        panic!("it was undone before: {attempt}")
                    };
                    let undone = transaction.undo(changes).await.expect("it can be undone");
                    let keys = |conflict: &wflo_model::Conflict| integer(&conflict.key[0]);
                    let mut conflicts: Vec<i64> = undone.conflicts.iter().map(keys).collect();
                    conflicts.sort_unstable();
                    assert_eq!((undone.rows, conflicts), expected, "rolling back step {run}");
                    if *killed && attempt == 0 {
                        drop(transaction);
                        subject.kill().await;
                    } else {
                        transaction.commit().await.expect("nobody is in its way");
                    }
                }
                let begun = subject.database().begin(&marker, Capture::Off).await;
                assert!(matches!(begun.expect("it can be asked"), Begun::AlreadyCommitted), "once is enough");
                rows = after;
            }
        }
        assert_eq!(read(subject).await, rows, "after {happening:?}");
    }
}

/// A step that has done its writes.
struct Ran {
    transaction: Box<dyn Transaction>,
    /// What each write came to.
    results: Vec<Option<u64>>,
    /// The rows that it saw at its beginning.
    before: Rows,
    /// Those rows after its writes.
    after: Rows,
}

/// Runs the writes of a step, and again where it is interrupted by what was written beside it. `rows` are those that
/// others see.
async fn run(
    subject: &mut dyn Subject,
    number: u8,
    only: Option<i64>,
    writes: &[Write],
    beside: Option<&Write>,
    rows: &mut Rows,
) -> Ran {
    if !subject.is_shared()
        && let Some(write) = beside
    {
        outside(subject, write, rows).await;
    }
    let beside = beside.filter(|_| subject.is_shared());
    match step(subject, number, only, writes, beside, rows).await {
        Some(ran) => ran,
        None => step(subject, number, only, writes, None, rows).await.expect("nobody is in its way"),
    }
}

/// Writes as somebody who is no step.
async fn outside(subject: &mut dyn Subject, write: &Write, rows: &mut Rows) {
    for write in write.parts(rows) {
        let mut after = rows.clone();
        let expected = write.apply(&mut after, None).is_some();
        assert_eq!(subject.outside(&write.sql()).await, expected, "{write:?} on {rows:?}");
        if expected {
            *rows = after;
        }
    }
}

/// Runs the writes of a step, and holds each against the model; none where it is interrupted.
async fn step(
    subject: &mut dyn Subject,
    number: u8,
    only: Option<i64>,
    writes: &[Write],
    beside: Option<&Write>,
    rows: &mut Rows,
) -> Option<Ran> {
    let begun = subject.database().begin(&marker(number), Capture::On).await.expect("it begins");
    let Begun::Open(mut transaction) = begun else { panic!("step {number} has not committed") };
    let before = rows.clone();
    if let Some(write) = beside {
        outside(subject, write, rows).await;
    }
    let theirs = difference(&before, rows);
    let granted =
        TableAccess::new(None, only.map(|owner| format!("owner = {owner}").parse().expect("a filter")));
    let access = DbAccess {
        read: [("t".to_owned(), granted.clone())].into(),
        write: [("t".to_owned(), granted)].into(),
        ..DbAccess::default()
    };
    let (mut results, mut after) = (Vec::new(), before.clone());
    let mut parts = Vec::new();
    let mut whole = writes.iter();
    loop {
        let write: Write = match parts.pop() {
            Some(write) => write,
            None => match whole.next() {
                Some(write) => {
                    parts = write.parts(&after);
                    parts.reverse();
                    continue;
                }
                None => break,
            },
        };
        let mut next = after.clone();
        let mut expected = write.apply(&mut next, only);
        let statement = Statement { sql: write.sql(), params: Vec::new() };
        let came_to = match transaction.execute(&statement, &access).await {
            Ok(Executed { changed }) => Some(changed),
            Err(DbError::Constraint(_) | DbError::Denied(_)) => None,
            Err(DbError::Interrupted(_)) if beside.is_some() => return None,
            Err(error) => panic!("{write:?} of {only:?}: {error}"),
        };
        // What must be unique is held against the rows that are there, which it does not see.
        if came_to != expected && !theirs.is_empty() {
            let mut all = after.clone();
            for (id, (_, row)) in &theirs {
                match row {
                    Some(row) => _ = all.insert(*id, row.clone()),
                    None => _ = all.remove(id),
                }
            }
            (expected, next) = (write.apply(&mut all, only), after.clone());
            // It has taken the place that somebody else made free. Its snapshot has both rows; the model has no such.
            if came_to.is_some() && came_to == expected {
                return None;
            }
        }
        // The same, where what it wrote over in its snapshot was not there any more.
        if let Write::Upsert { id, .. } = write
            && let Some((_, None)) = theirs.get(&id)
            && came_to.is_some()
        {
            return None;
        }
        assert_eq!(came_to, expected, "{write:?} of {only:?} on {after:?}, beside {theirs:?}");
        if expected.is_some() {
            after = next;
        }
        results.push(came_to);
    }
    Some(Ran { transaction, results, before, after })
}

/// Every row, as somebody who may read all of them sees it.
async fn read(subject: &dyn Subject) -> Rows {
    let access = DbAccess { read: [("t".to_owned(), TableAccess::All)].into(), ..DbAccess::default() };
    let statement = Statement { sql: "SELECT id, owner, name, n FROM t".to_owned(), params: Vec::new() };
    let found = subject.database().query(&statement, &access, QueryLimits::default()).await.expect("rows");
    found.rows.iter().map(|row| (integer(&row[0]), row_of(row))).collect()
}

fn integer(value: &SqlValue) -> i64 {
    match value {
        SqlValue::Integer(n) => *n,
        other => panic!("{other:?} is no integer"),
    }
}

fn row_of(values: &[SqlValue]) -> Row {
    let SqlValue::Text(name) = &values[2] else { panic!("{values:?}") };
    (integer(&values[1]), name.clone(), integer(&values[3]))
}

/// A change set as the rows before and after, by id.
fn told(changes: &ChangeSet) -> BTreeMap<i64, (Option<Row>, Option<Row>)> {
    let rows = changes.tables.iter().flat_map(|table| &table.rows);
    rows.map(|row: &RowChange| (integer(&row.key()[0]), (row.before().map(row_of), row.after().map(row_of))))
        .collect()
}

fn difference(before: &Rows, after: &Rows) -> BTreeMap<i64, (Option<Row>, Option<Row>)> {
    let ids = before.keys().chain(after.keys());
    let pairs = ids.map(|id| (*id, (before.get(id).cloned(), after.get(id).cloned())));
    pairs.filter(|(_, (before, after))| before != after).collect()
}

/// Applies the inverse of a change set: how many rows are as they were, and which are left.
///
/// All those go back that can go together: a row is left where it changed since, or where the name that it had is with a
/// row that stays as it is.
fn undo(rows: &mut Rows, changes: &ChangeSet) -> (u64, Vec<i64>) {
    let told = told(changes);
    let now = |rows: &Rows, id: &i64| rows.get(id).cloned();
    let is_there = |(id, (wanted, _)): &(&i64, &(Option<Row>, Option<Row>))| now(rows, id) == *wanted;
    let already = told.iter().filter(is_there).count();
    let mut back: BTreeMap<i64, Option<Row>> = told
        .iter()
        .filter(|(id, (wanted, found))| now(rows, id) == *found && wanted != found)
        .map(|(id, (wanted, _))| (*id, wanted.clone()))
        .collect();
    loop {
        let stays = |name: &str| rows.iter().any(|(id, row)| row.1 == name && !back.contains_key(id));
        let held: Vec<i64> = back
            .iter()
            .filter(|(_, wanted)| wanted.as_ref().is_some_and(|row| stays(&row.1)))
            .map(|(id, _)| *id)
            .collect();
        if held.is_empty() {
            break;
        }
        held.iter().for_each(|id| drop(back.remove(id)));
    }
    let left =
        told.keys().filter(|id| !back.contains_key(id) && now(rows, id) != told[id].0).copied().collect();
    for (id, wanted) in &back {
        match wanted {
            Some(row) => _ = rows.insert(*id, row.clone()),
            None => _ = rows.remove(id),
        }
    }
    ((already + back.len()) as u64, left)
}
