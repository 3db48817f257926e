//! A simulated database: snapshots, markers, one writer at a time through wflo and others beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;
use wflo_model::{DbAccess, Digest, SqlRows, SqlValue};
use wflo_ports::{Begun, Capture, Database, DbError, Executed, Marker, QueryLimits, Statement, Transaction};

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
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    value: i64,
    /// The commit that wrote it last.
    written: u64,
}

impl DbData {
    fn get(&self, key: &str) -> Option<i64> {
        self.rows.get(key).map(|row| row.value)
    }

    fn put(&mut self, key: String, value: i64) {
        self.rows.insert(key, Row { value, written: self.commits });
    }

    /// A write by somebody who knows nothing of wflo.
    pub(crate) fn add(&mut self, row: i64, by: i64) {
        self.commits += 1;
        let key = format!("r{row}");
        self.put(key.clone(), self.get(&key).unwrap_or_default() + by);
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
    own: BTreeMap<String, i64>,
    wrote: Vec<(String, i64)>,
    _turn: OwnedMutexGuard<()>,
}

impl SimTransaction {
    fn get(&self, key: &str) -> Option<i64> {
        self.own.get(key).copied().or_else(|| self.snapshot.get(key))
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
        self.own.insert(key, value);
        self.wrote.push((format!("{} {row}", statement.sql), by));
        Ok(Executed { changed: 1 })
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
            data.commits += 1;
            self.own.iter().for_each(|(key, value)| data.put(key.clone(), *value));
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
