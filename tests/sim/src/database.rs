//! A simulated database: snapshots, markers, one writer at a time through wflo and others beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;
use wflo_model::{
    ChangeSet, Conflict, ConflictReason, DbAccess, Digest, RowChange, SqlRows, SqlValue, TableChange, Undone,
};
use wflo_ports::{
    Begun, Capture, ChangeLimits, Database, DbError, Executed, Marker, QueryLimits, Statement, Transaction,
};

use crate::scenario::{Kind, Wrong};
use crate::world::World;

/// What a database holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct DbData {
    /// Numbers that are added to, and the unique ids that were inserted, by `r` and `i` before their number.
    rows: BTreeMap<String, Row>,
    commits: u64,
    /// What each transaction of a step wrote, by its marker.
    pub(crate) effects: BTreeMap<Digest, Vec<(String, i64)>>,
    /// Everything that was ever committed, in order.
    pub(crate) log: Vec<Commit>,
}

/// A commit: by whom, and what became of which row.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    /// The marker; none for somebody who knows nothing of wflo.
    pub(crate) by: Option<Digest>,
    pub(crate) rows: BTreeMap<String, (Option<i64>, Option<i64>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// None once it was deleted.
    value: Option<i64>,
    /// The commit that wrote it last.
    written: u64,
}

impl DbData {
    fn get(&self, key: &str) -> Option<i64> {
        self.rows.get(key).and_then(|row| row.value)
    }

    fn commit(&mut self, by: Option<Digest>, values: &BTreeMap<String, Option<i64>>) {
        self.commits += 1;
        let rows = values.iter().map(|(key, value)| (key.clone(), (self.get(key), *value))).collect();
        for (key, value) in values {
            self.rows.insert(key.clone(), Row { value: *value, written: self.commits });
        }
        self.log.push(Commit { by, rows });
    }

    /// A write by somebody who knows nothing of wflo.
    pub(crate) fn add(&mut self, row: i64, by: i64) {
        let key = format!("r{row}");
        let value = self.get(&key).unwrap_or_default() + by;
        self.commit(None, &[(key, Some(value))].into());
    }
}

/// The connections of one process to a database.
pub(crate) struct SimDatabase {
    world: Arc<World>,
    name: &'static str,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl SimDatabase {
    pub(crate) fn new(world: &Arc<World>, name: &'static str) -> Self {
        Self { world: Arc::clone(world), name, turn: Arc::default() }
    }

    fn with<T>(&self, look: impl FnOnce(&mut DbData) -> T) -> T {
        with(&self.world, self.name, look)
    }
}

fn with<T>(world: &World, name: &str, look: impl FnOnce(&mut DbData) -> T) -> T {
    look(world.lock().databases.get_mut(name).expect("the world has every database that is lent"))
}

#[async_trait]
impl Database for SimDatabase {
    async fn query(&self, statement: &Statement, _: &DbAccess, _: QueryLimits) -> Result<SqlRows, DbError> {
        self.world.live_on().await;
        self.with(|data| select(statement, |key| data.get(key)))
    }

    async fn begin(&self, marker: &Marker, _: Capture) -> Result<Begun, DbError> {
        self.world.live_on().await;
        if self.world.fault(Kind::Begin) == Some(Wrong::BeginUnavailable) {
            return Err(DbError::Unavailable("the simulated database is busy".to_owned()));
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let marker = marker.digest();
        if self.with(|data| data.effects.contains_key(&marker)) {
            return Ok(Begun::AlreadyCommitted);
        }
        Ok(Begun::Open(Box::new(SimTransaction {
            world: Arc::clone(&self.world),
            name: self.name,
            marker,
            snapshot: self.with(|data| data.clone()),
            own: BTreeMap::new(),
            wrote: Vec::new(),
            _turn: turn,
        })))
    }

    async fn committed(&self, marker: &Marker) -> Result<bool, DbError> {
        self.world.live_on().await;
        Ok(self.with(|data| data.effects.contains_key(&marker.digest())))
    }
}

struct SimTransaction {
    world: Arc<World>,
    name: &'static str,
    marker: Digest,
    snapshot: DbData,
    own: BTreeMap<String, Option<i64>>,
    wrote: Vec<(String, i64)>,
    _turn: OwnedMutexGuard<()>,
}

impl SimTransaction {
    fn get(&self, key: &str) -> Option<i64> {
        self.own.get(key).copied().unwrap_or_else(|| self.snapshot.get(key))
    }
}

/// A row as change sets have it: its key and its value.
fn image(key: &str, value: i64) -> Vec<SqlValue> {
    vec![SqlValue::Text(key.to_owned()), SqlValue::Integer(value)]
}

fn value(image: Option<&[SqlValue]>) -> Option<i64> {
    match image {
        Some([_, SqlValue::Integer(value)]) => Some(*value),
        _ => None,
    }
}

#[async_trait]
impl Transaction for SimTransaction {
    async fn query(
        &mut self,
        statement: &Statement,
        _: &DbAccess,
        _: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        self.world.live_on().await;
        select(statement, |key| self.get(key))
    }

    async fn execute(&mut self, statement: &Statement, _: &DbAccess) -> Result<Executed, DbError> {
        self.world.live_on().await;
        let [SqlValue::Integer(row), SqlValue::Integer(by)] = statement.params[..] else {
            return Err(DbError::Invalid("two integers are needed".to_owned()));
        };
        let (key, value) = match statement.sql.as_str() {
            "add" => {
                let key = format!("r{row}");
                let value = self.get(&key).unwrap_or_default() + by;
                (key, value)
            }
            "insert" => {
                let key = format!("i{row}");
                if self.get(&key).is_some() {
                    return Err(DbError::Constraint(format!("there is an id {row}")));
                }
                (key, by)
            }
            other => return Err(DbError::Invalid(format!("`{other}` is no statement"))),
        };
        self.own.insert(key, Some(value));
        self.wrote.push((format!("{} {row}", statement.sql), by));
        Ok(Executed { changed: 1 })
    }

    async fn changes(&mut self, _: ChangeLimits) -> Result<ChangeSet, DbError> {
        self.world.live_on().await;
        let rows = self.own.iter().filter_map(|(key, after)| {
            let id = vec![SqlValue::Text(key.clone())];
            match (self.snapshot.get(key), *after) {
                (None, Some(after)) => Some(RowChange::Insert { key: id, after: image(key, after) }),
                (Some(before), None) => Some(RowChange::Delete { key: id, before: image(key, before) }),
                (Some(before), Some(after)) if before != after => {
                    let (before, after) = (image(key, before), image(key, after));
                    Some(RowChange::Update { key: id, before, after })
                }
                _ => None,
            }
        });
        let rows: Vec<_> = rows.collect();
        let columns = vec!["key".to_owned(), "value".to_owned()];
        let table =
            TableChange { table: "numbers".to_owned(), key_columns: vec!["key".to_owned()], columns, rows };
        Ok(ChangeSet { tables: if table.rows.is_empty() { Vec::new() } else { vec![table] } })
    }

    async fn undo(&mut self, changes: &ChangeSet) -> Result<Undone, DbError> {
        self.world.live_on().await;
        let mut undone = Undone::default();
        for table in &changes.tables {
            for row in &table.rows {
                let [SqlValue::Text(key)] = row.key() else {
                    return Err(DbError::Invalid("a key is one text".to_owned()));
                };
                let found = self.get(key);
                if found == value(row.before()) || found == value(row.after()) {
                    self.own.insert(key.clone(), value(row.before()));
                    undone.rows += 1;
                } else {
                    let found = found.map(|value| image(key, value));
                    undone.conflicts.push(Conflict::new(table, row, found, ConflictReason::Changed));
                }
            }
        }
        Ok(undone)
    }

    async fn commit(self: Box<Self>) -> Result<(), DbError> {
        self.world.live_on().await;
        let fault = self.world.fault(Kind::Commit);
        if fault == Some(Wrong::CommitRefused) {
            return Err(DbError::Unavailable("the simulated database is gone".to_owned()));
        }
        let began = self.snapshot.commits;
        with(&self.world, self.name, |data| {
            let moved = |key: &String| data.rows.get(key).is_some_and(|row| row.written > began);
            if self.own.keys().any(moved) {
                return Err(DbError::Other("could not serialize access due to concurrent update".to_owned()));
            }
            data.commit(Some(self.marker), &self.own);
            data.effects.insert(self.marker, self.wrote.clone());
            Ok(())
        })?;
        self.world.live_on().await;
        if fault == Some(Wrong::CommitAnswerLost) {
            return Err(DbError::Unavailable("the simulated connection broke".to_owned()));
        }
        Ok(())
    }

    async fn rollback(self: Box<Self>) {
        self.world.live_on().await;
    }
}

fn select(statement: &Statement, get: impl Fn(&str) -> Option<i64>) -> Result<SqlRows, DbError> {
    let ("get", [SqlValue::Integer(row)]) = (statement.sql.as_str(), &statement.params[..]) else {
        return Err(DbError::Invalid(format!("`{}` is no query", statement.sql)));
    };
    let value = get(&format!("r{row}")).map_or(SqlValue::Null, SqlValue::Integer);
    Ok(SqlRows { columns: vec!["value".to_owned()], rows: vec![vec![value]] })
}
