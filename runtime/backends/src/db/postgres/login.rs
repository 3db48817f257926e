//! A login role of the database: its connections, and what is asked of each before it is lent.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime, TimeoutType, Timeouts,
};
use tokio_postgres::{CancelToken, Client};
use wflo_ports::DbError;

use super::address::{Address, CONNECT};
use super::error::{translate, with_cause};
use super::judge::Calls;
use super::tls::Tls;
use crate::db::names::quoted;

/// What every value depends on, set whatever the role's own settings are: results have to be the same each time, and
/// what commits has to be durable.
const SESSION: &str = "
    SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;
    SET bytea_output = 'hex'; SET standard_conforming_strings = on; SET xmloption = 'content';
    SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; SET cursor_tuple_fraction = 1;
    SET client_min_messages = 'error'";

/// What a login role must not be, and its schema: the first of its search path that is there.
const WHO: &str = "
    SELECT rolsuper, rolbypassrls, rolcreaterole, rolreplication, rolname::text,
           coalesce((pg_catalog.current_schemas(false))[1], 'public')::text
    FROM pg_catalog.pg_roles WHERE rolname = session_user";

/// The connections of one role.
pub(super) struct Login {
    pool: Pool,
    tls: Tls,
    user: String,
    calls: Arc<Known>,
}

/// What the database was last asked, and when.
type Known = Mutex<Option<(Instant, Arc<Calls>)>>;

/// How long what the owner has made is not asked for again.
const FRESH: Duration = Duration::from_secs(10);

impl Login {
    /// Takes the address apart; nothing is connected yet. `key` is what it is called where it was written.
    pub(super) fn new(key: &str, url: &str, connections: usize) -> Result<Self, DbError> {
        let address = Address::of(key, url)?;
        let tls = Tls::of(&address)?;
        let config = address.config;
        let user = config.get_user().unwrap_or_default().to_owned();
        let manager = Manager::from_config(
            config,
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let hook = Hook::async_fn(|client: &mut ClientWrapper, _| Box::pin(set_up(client)));
        let pool =
            Pool::builder(manager).max_size(connections.max(1)).runtime(Runtime::Tokio1).post_create(hook);
        let pool = pool.build().map_err(|error| DbError::Other(error.to_string()))?;
        Ok(Self { pool, tls, user, calls: Arc::default() })
    }

    /// The role's name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Lends a connection; those who ask get theirs in the order in which they came.
    pub(super) async fn get(&self, patience: Duration) -> Result<Lent, DbError> {
        let timeouts = Timeouts { wait: Some(patience), create: Some(CONNECT * 2), recycle: Some(CONNECT) };
        let object = self.pool.timeout_get(&timeouts).await.map_err(|error| self.not_lent(error))?;
        let cancel = object.cancel_token();
        Ok(Lent { object: Some(object), cancel, tls: self.tls.clone(), calls: Arc::clone(&self.calls) })
    }

    fn not_lent(&self, error: PoolError) -> DbError {
        let user = &self.user;
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                DbError::Unavailable("the database is busy with other work of this host; try again".into())
            }
            PoolError::Timeout(_) => DbError::Unavailable("the database does not answer".into()),
            PoolError::Backend(error) => DbError::Unavailable(format!(
                "the database cannot be reached as `{user}`: {}",
                with_cause(&error)
            )),
            PoolError::PostCreateHook(HookError::Message(why)) => DbError::Denied(why.into_owned()),
            PoolError::PostCreateHook(HookError::Backend(error)) => translate(error),
            other => DbError::Other(other.to_string()),
        }
    }
}

async fn set_up(client: &mut ClientWrapper) -> Result<(), HookError> {
    client.batch_execute(SESSION).await.map_err(HookError::Backend)?;
    let row = client.query_typed_one(WHO, &[]).await.map_err(HookError::Backend)?;
    let role: String = row.get(4);
    for (at, what) in [
        (0, "is a superuser"),
        (1, "passes by row level security"),
        (2, "may make roles"),
        (3, "may replicate the database"),
    ] {
        if row.get(at) {
            return Err(HookError::message(format!(
                "login role `{role}` {what}, so that no grant would bind it; bind the database to a role that is none"
            )));
        }
    }
    // Temporary tables come last, and, where it is not listed, `pg_catalog` comes first.
    let schema: String = row.get(5);
    let path = format!("SET search_path = {}, pg_temp", quoted(&schema));
    client.batch_execute(&path).await.map_err(HookError::Backend)
}

/// A connection that is lent. Dropped before it is [given back](Self::give_back), it is closed, and what runs on it is
/// stopped: nobody knows what state it is in.
pub(super) struct Lent {
    object: Option<Object>,
    cancel: CancelToken,
    tls: Tls,
    calls: Arc<Known>,
}

impl Lent {
    /// Gives it back, with no transaction open.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }

    /// The functions that statements call without naming them, as the role finds them; asked for every few seconds.
    pub(super) async fn calls(&self) -> Result<Arc<Calls>, DbError> {
        let known = self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, calls)) = known
            && at.elapsed() < FRESH
        {
            return Ok(calls);
        }
        let calls = Arc::new(Calls::look_up(self).await?);
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&calls)));
        Ok(calls)
    }

    /// Executes statements of the host, without results.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), DbError> {
        self.batch_execute(sql).await.map_err(translate)
    }
}

impl Deref for Lent {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.object.as_ref().expect("it is emptied by what consumes or drops it alone")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        // Out of the pool; the connection closes when what is sent on it has been.
        drop(Object::take(object));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (cancel, tls) = (self.cancel.clone(), self.tls.clone());
            runtime.spawn(async move {
                if let Err(error) = cancel.cancel_query(tls).await {
                    tracing::debug!(%error, "a statement that nobody waits for could not be stopped");
                }
            });
        }
    }
}
