//! A PostgreSQL database as a [`Database`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use wflo_model::{DbAccess, SqlRows};
use wflo_ports::{Begun, Capture, Cursor, Database, DbError, Marker, QueryLimits, Statement, Uncapturable};

use super::cursor::collect;
use super::error::unavailable;
use super::judge::{Judged, Purpose, judge};
use super::login::{Lent, Login};
use super::paged::Paged;
use super::prepare::Preparation;
use super::roles::{self, Wall};
use super::some_rows;
use super::table;
use super::transaction::{self, Open};
use crate::db::MadeUp;

/// How a [`Postgres`] behaves.
///
/// ```
/// use std::time::Duration;
/// use wflo_backends::db::postgres::PostgresOptions;
/// let options = PostgresOptions { statement_timeout: Duration::from_secs(5), ..PostgresOptions::default() };
/// assert_eq!(options.readers, 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How long a transaction waits for its turn, and for another one that may have committed the same.
    pub transaction_timeout: Duration,
    /// How long one write may run.
    pub statement_timeout: Duration,
    /// How many queries run at once; at least one.
    pub readers: usize,
    /// How many transactions are open at once; at least one. Others wait for their turn in the order they came.
    pub writers: usize,
    /// Tables that the database's own triggers write, and no step: what comes there is no part of a change set, and no
    /// rollback touches it. They are named as in grants.
    pub audit: BTreeSet<String>,
}

impl Default for PostgresOptions {
    /// 30 s, 30 s, 8 readers, 4 writers, no audit tables.
    fn default() -> Self {
        Self {
            transaction_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(30),
            readers: 8,
            writers: 4,
            audit: BTreeSet::new(),
        }
    }
}

/// A PostgreSQL database, bound for steps by a login role for reading and one for writing.
///
/// Nothing is connected before it is needed. Queries run in read-only transactions of the reading role; a step's
/// writes in one transaction of the writing role, at most [`writers`](PostgresOptions::writers) at once.
///
/// ```
/// use wflo_backends::db::postgres::{Postgres, PostgresOptions};
/// let url = "postgres://wflo_read@db.example.org/bank";
/// let bank = Postgres::new(url, None, PostgresOptions::default()).unwrap();
/// assert!(Postgres::new("bank.db", None, PostgresOptions::default()).is_err());
/// # drop(bank);
/// ```
pub struct Postgres {
    reader: Login,
    writer: Option<Login>,
    options: PostgresOptions,
    /// Half of the connections for reading may be held by results that are read a part at a time: the others are for
    /// those who would otherwise wait for one another.
    staying: Arc<Semaphore>,
}

impl Postgres {
    /// Binds a database by its addresses. Without one for writing, every write is denied.
    ///
    /// An address that leads off this machine is spoken to by TLS unless it says `sslmode=disable`.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for what is no address.
    pub fn new(read_url: &str, write_url: Option<&str>, options: PostgresOptions) -> Result<Self, DbError> {
        let reader = Login::new("read_url", read_url, options.readers)?;
        let writer = write_url.map(|url| Login::new("write_url", url, options.writers)).transpose()?;
        let staying = Arc::new(Semaphore::new(options.readers / 2));
        Ok(Self { reader, writer, options, staying })
    }

    /// The names of the login roles: for reading, and for writing.
    #[must_use]
    pub fn roles(&self) -> (&str, Option<&str>) {
        (self.reader.user(), self.writer.as_ref().map(Login::user))
    }

    /// What the login roles may do beyond what they are prepared for, and what of that they may not: for `wflo check`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn walls(&self, preparation: &Preparation) -> Result<Vec<Wall>, DbError> {
        let mut found = Vec::new();
        for login in [Some(&self.reader), self.writer.as_ref()].into_iter().flatten() {
            // One that is never lent has nothing more to be said about.
            let lent = match login.get(self.options.transaction_timeout).await {
                Ok(lent) => lent,
                Err(DbError::Denied(why)) => {
                    found.push(Wall { refused: true, why });
                    continue;
                }
                Err(error) => return Err(unavailable(error)),
            };
            let is_reader = std::ptr::eq(login, &self.reader);
            let examined = roles::examine(&lent, login.user(), is_reader, preparation).await;
            found.extend(examined.map_err(unavailable)?);
            lent.give_back();
        }
        Ok(found)
    }

    /// Which of these tables are not there: for `wflo check`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn absent(&self, tables: &BTreeSet<String>) -> Result<Vec<String>, DbError> {
        let lent = self.reader.get(self.options.transaction_timeout).await.map_err(unavailable)?;
        let found = roles::absent(&lent, tables).await.map_err(unavailable)?;
        lent.give_back();
        Ok(found)
    }

    /// What is wrong with the row filters of an access: the table, and why in words that follow its name. For `wflo check`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn unfilterable(&self, access: &DbAccess) -> Result<Vec<(String, String)>, DbError> {
        let login = self.writer.as_ref().unwrap_or(&self.reader);
        let lent = login.get(self.options.transaction_timeout).await.map_err(unavailable)?;
        let found = some_rows::objections(&lent, access).await.map_err(unavailable)?;
        lent.give_back();
        Ok(found)
    }

    /// The columns of `tables` whose values the server makes up by itself, anew each time, for `wflo check`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn made_up(&self, tables: &[String]) -> Result<Vec<MadeUp>, DbError> {
        let login = self.writer.as_ref().unwrap_or(&self.reader);
        let lent = login.get(self.options.transaction_timeout).await.map_err(unavailable)?;
        let mut found = Vec::new();
        for table in tables {
            let columns = table::made_up(&lent, table).await.map_err(unavailable)?;
            let named = |(column, from)| MadeUp { table: table.clone(), column, from };
            found.extend(columns.into_iter().map(named));
        }
        lent.give_back();
        Ok(found)
    }

    fn writer(&self) -> Result<&Login, DbError> {
        self.writer.as_ref().ok_or_else(|| {
            DbError::Denied(
                "the deployment binds the database for reading only; `write_url` would let steps write"
                    .into(),
            )
        })
    }

    async fn read(
        &self,
        lent: &Lent,
        judged: &Judged,
        statement: &Statement,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        let begin = format!("BEGIN READ ONLY; {}", transaction::times(limits.time));
        lent.batch(&begin).await?;
        let rows = match judged.settle(lent).await {
            Ok(()) => collect(lent, &judged.sql, &statement.params, limits).await,
            Err(error) => Err(error),
        };
        lent.batch("ROLLBACK").await?;
        rows
    }
}

#[async_trait]
impl Database for Postgres {
    async fn query(
        &self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        let judged = judge(&statement.sql, access, Purpose::Query)?;
        let lent = self.reader.get(limits.time).await.map_err(unavailable)?;
        let reading = self.read(&lent, &judged, statement, limits);
        let Ok(rows) = tokio::time::timeout(limits.time, reading).await else {
            return Err(DbError::Limit(format!("the query ran longer than {:?}", limits.time)));
        };
        if !matches!(rows, Err(DbError::Interrupted(_))) {
            lent.give_back();
        }
        rows.map_err(unavailable)
    }

    async fn cursor(
        &self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
    ) -> Result<Box<dyn Cursor>, DbError> {
        let judged = judge(&statement.sql, access, Purpose::Query)?;
        let stays = Arc::clone(&self.staying).try_acquire_owned().ok();
        let lent = self.reader.get(time).await.map_err(unavailable)?;
        let paged = Paged::open(lent, &judged, statement, time, stays).await?;
        Ok(Box::new(paged))
    }

    async fn begin(&self, marker: &Marker, capture: Capture) -> Result<Begun, DbError> {
        let begun = transaction::begin(self.writer()?, marker, capture, &self.options).await;
        Ok(match begun.map_err(unavailable)? {
            Some(open) => Begun::Open(Box::new(open)),
            None => Begun::AlreadyCommitted,
        })
    }

    /// A transaction with the marker that is still in flight is waited for: the marker's row is inserted to see whether
    /// it is there, which waits for whoever else inserts it.
    async fn committed(&self, marker: &Marker) -> Result<bool, DbError> {
        let Some(writer) = &self.writer else { return Ok(false) };
        let begun: Option<Open> =
            transaction::begin(writer, marker, Capture::Off, &self.options).await.map_err(unavailable)?;
        match begun {
            None => Ok(true),
            Some(open) => {
                wflo_ports::Transaction::rollback(Box::new(open)).await;
                Ok(false)
            }
        }
    }

    fn filters_rows(&self) -> bool {
        true
    }

    async fn uncapturable(&self, tables: &[String]) -> Result<Vec<Uncapturable>, DbError> {
        let lent = self.writer()?.get(self.options.transaction_timeout).await.map_err(unavailable)?;
        let mut found = Vec::new();
        for name in tables {
            if let Some(why) = table::find(&lent, name).await.map_err(unavailable)?.unkept() {
                found.push(Uncapturable { table: name.clone(), why });
            }
        }
        lent.give_back();
        Ok(found)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reads_as, writes_as) = self.roles();
        f.debug_struct("Postgres")
            .field("reads_as", &reads_as)
            .field("writes_as", &writes_as)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
