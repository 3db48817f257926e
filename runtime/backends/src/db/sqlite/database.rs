//! A SQLite file as a [`Database`].

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::OpenFlags;
use rusqlite::ffi::SQLITE_READONLY_ROLLBACK;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wflo_model::{DbAccess, SqlRows};
use wflo_ports::{Begun, Capture, Cursor, Database, DbError, Marker, QueryLimits, Statement, Uncapturable};

use super::connection::{Cancel, Connection, Mode};
use super::effects::has_effects;
use super::error::translate;
use super::filter::objections;
use super::names::folded;
use super::paged::Opening;
use super::table::{Found, find, has_trigger, made_up};
use super::transaction::Writer;
use crate::db::MadeUp;

/// How a [`Sqlite`] behaves.
///
/// ```
/// use std::time::Duration;
/// use wflo_backends::db::sqlite::SqliteOptions;
/// let options = SqliteOptions { transaction_timeout: Duration::from_secs(5), ..SqliteOptions::default() };
/// assert_eq!(options.readers, 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How long a transaction waits for its turn, behind others of this host and of other programs.
    pub transaction_timeout: Duration,
    /// How long one write may run.
    pub statement_timeout: Duration,
    /// How many queries run at once; at least one.
    pub readers: usize,
    /// Most bytes of one value or row. It bounds what a single function call can compute, which nothing can
    /// interrupt.
    pub max_value_bytes: u32,
    /// Tables that the database's own triggers write, and no step: what comes there is no part of a change set, and no
    /// rollback touches it.
    pub audit: BTreeSet<String>,
}

impl Default for SqliteOptions {
    /// 30 s, 30 s, 4 readers, 4 MiB, no audit tables.
    fn default() -> Self {
        Self {
            transaction_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(30),
            readers: 4,
            max_value_bytes: 4 << 20,
            audit: BTreeSet::new(),
        }
    }
}

impl SqliteOptions {
    /// Opens one more connection to the file.
    pub(super) fn connect(
        &self,
        path: &Path,
        mode: Mode,
        busy_timeout: Duration,
    ) -> Result<Connection, DbError> {
        let max_value_bytes = i32::try_from(self.max_value_bytes).unwrap_or(i32::MAX);
        let audit = self.audit.iter().map(|table| table.to_ascii_lowercase()).collect();
        Ok(Connection::open(path, mode, busy_timeout, max_value_bytes)?.with_audit(audit))
    }
}

/// A SQLite database file, bound for steps.
///
/// Queries run on read-only connections, each in a snapshot of its own; transactions run one after another in
/// the order they came, on a connection of their own, and do not hold up queries: the file is put into WAL mode before
/// the first, and gets the table `wflo_effects`. Nothing is written to a file that is only read.
///
/// SQLite's blocking calls run on blocking threads of the async runtime. A dropped future stops its statement
/// within milliseconds.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
/// use wflo_model::{DbAccess, SqlValue, TableAccess};
/// use wflo_ports::{Database, QueryLimits, Statement};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bank.db");
/// # let owner = rusqlite::Connection::open(&path).unwrap();
/// # owner.execute_batch("CREATE TABLE accounts (id INTEGER PRIMARY KEY); INSERT INTO accounts VALUES (7)").unwrap();
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bank: Arc<dyn Database> = Arc::new(Sqlite::open(&path, SqliteOptions::default()).unwrap());
/// let access = DbAccess { read: [("accounts".to_owned(), TableAccess::All)].into(), ..DbAccess::default() };
/// let statement = Statement { sql: "SELECT id FROM accounts".into(), params: vec![] };
/// let rows = bank.query(&statement, &access, QueryLimits::default()).await.unwrap();
/// assert_eq!(rows.rows, [[SqlValue::Integer(7)]]);
/// # });
/// ```
pub struct Sqlite {
    path: PathBuf,
    options: SqliteOptions,
    readers: Arc<Semaphore>,
    /// Half of the connections for reading may be held by results that are read a part at a time: the others are for
    /// those who would otherwise wait for one another.
    staying: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    writer: Writer,
    /// Whether a result that stays open keeps nobody else from writing.
    is_wal: AtomicBool,
}

impl Sqlite {
    /// Opens a database file that exists. It stays as it is until it is [prepared](Database::prepare) or written.
    ///
    /// Blocks; call it while setting up.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when there is no such file, or it cannot be read; [`DbError::Other`] when it is no SQLite
    /// database.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, DbError> {
        let path = path.as_ref();
        let shown = path.display();
        // Absolute, since SQLite would take a relative `file:...` for a URI.
        let full = path.canonicalize().ok().filter(|full| full.is_file()).ok_or_else(|| {
            DbError::Unavailable(format!(
                "there is no database file `{shown}`: create it and its tables first, or correct the path"
            ))
        })?;
        let about = |error: DbError| match error {
            DbError::Unavailable(message) => DbError::Unavailable(format!("database `{shown}`: {message}")),
            other => DbError::Other(format!("database `{shown}`: {other}")),
        };
        let reader = options.connect(&full, Mode::Read, options.transaction_timeout).map_err(about)?;
        let is_wal = looked_at(reader.host(), &full).map_err(|error| about(translate(error)))?;
        Ok(Self {
            readers: Arc::new(Semaphore::new(options.readers.max(1))),
            staying: Arc::new(Semaphore::new(options.readers / 2)),
            idle: Arc::new(Mutex::new(vec![reader])),
            writer: Writer::new(full.clone(), options.clone()),
            path: full,
            options,
            is_wal: is_wal.into(),
        })
    }

    /// Those of `tables` that a database file does not have, neither as tables nor as views. The file is only looked at.
    ///
    /// Blocks; it is for checking before anything runs.
    ///
    /// # Errors
    /// When the file is not there, or is no database.
    pub fn absent_at<'a>(
        path: impl AsRef<Path>,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&'a str>, DbError> {
        let options = SqliteOptions::default();
        let full = path.as_ref().canonicalize();
        let full = full.map_err(|error| DbError::Unavailable(error.to_string()))?;
        let connection = options.connect(&full, Mode::Read, options.transaction_timeout)?;
        let mut named = connection
            .host()
            .prepare("SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE")
            .map_err(translate)?;
        let mut absent = Vec::new();
        for table in tables {
            let count: i64 = named.query_row([table], |row| row.get(0)).map_err(translate)?;
            if count == 0 && !table.to_ascii_lowercase().starts_with("sqlite_") {
                absent.push(table);
            }
        }
        Ok(absent)
    }

    /// Those of `tables` whose changes cannot be kept, in a database file of which nothing is changed. A table that is
    /// not there is not among them.
    ///
    /// Blocks; it is for checking before anything runs.
    ///
    /// # Errors
    /// When the file is not there, or is no database.
    pub fn uncapturable_at<'a>(
        path: impl AsRef<Path>,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Uncapturable>, DbError> {
        let options = SqliteOptions::default();
        let full = path.as_ref().canonicalize();
        let full = full.map_err(|error| DbError::Unavailable(error.to_string()))?;
        let connection = options.connect(&full, Mode::Read, options.transaction_timeout)?;
        uncapturable(&connection, tables)
    }

    /// The columns of `tables` whose values a database file makes up by itself, anew each time; nothing is changed.
    ///
    /// Blocks; it is for checking before anything runs.
    ///
    /// # Errors
    /// When the file is not there, or is no database.
    pub fn made_up_at<'a>(
        path: impl AsRef<Path>,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<MadeUp>, DbError> {
        let options = SqliteOptions::default();
        let full = path.as_ref().canonicalize();
        let full = full.map_err(|error| DbError::Unavailable(error.to_string()))?;
        let connection = options.connect(&full, Mode::Read, options.transaction_timeout)?;
        let mut found = Vec::new();
        for table in tables {
            let columns = made_up(connection.host(), table).map_err(translate)?;
            let named = |(column, from)| MadeUp { table: table.to_owned(), column, from };
            found.extend(columns.into_iter().map(named));
        }
        Ok(found)
    }

    /// What is wrong with the row filters of an access to a database file, of which nothing is changed: each table with
    /// words that follow its name. A table that is not there is not among them.
    ///
    /// Blocks; it is for checking before anything runs.
    ///
    /// # Errors
    /// When the file is not there, or is no database.
    pub fn unfilterable_at(
        path: impl AsRef<Path>,
        access: &DbAccess,
    ) -> Result<Vec<(String, String)>, DbError> {
        let options = SqliteOptions::default();
        let full = path.as_ref().canonicalize();
        let full = full.map_err(|error| DbError::Unavailable(error.to_string()))?;
        let connection = options.connect(&full, Mode::Read, options.transaction_timeout)?;
        objections(connection.host(), &folded(access))
    }

    /// Runs `work` on a connection for reading.
    async fn read<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut Connection, &Cancel) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let reader = self.reader(patience).await?;
        blocking(move |cancel| reader.lend(|connection| work(connection, cancel))?).await
    }

    /// A connection for reading, when it is its turn.
    async fn reader(&self, patience: Duration) -> Result<Reader, DbError> {
        let turn = tokio::time::timeout(patience, Arc::clone(&self.readers).acquire_owned()).await;
        let permit = turn
            .map_err(|_| DbError::Unavailable("the database is busy with other queries; try again".into()))?
            .expect("the semaphore is never closed");
        let (idle, path, options) = (Arc::clone(&self.idle), self.path.clone(), self.options.clone());
        Ok(Reader { _permit: permit, idle, path, options })
    }
}

/// Somebody's turn with a connection for reading.
struct Reader {
    _permit: OwnedSemaphorePermit,
    idle: Arc<Mutex<Vec<Connection>>>,
    path: PathBuf,
    options: SqliteOptions,
}

impl Reader {
    /// Has `work` use the connection. Blocks.
    fn lend<T>(self, work: impl FnOnce(&mut Connection) -> T) -> Result<T, DbError> {
        let lock = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lock().pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.options.connect(&self.path, Mode::Read, self.options.transaction_timeout)?,
        };
        let done = work(&mut connection);
        // One that is stuck within a transaction is thrown away.
        if connection.host().is_autocommit() {
            lock().push(connection);
        }
        Ok(done)
    }
}

fn uncapturable<'a>(
    connection: &Connection,
    tables: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Uncapturable>, DbError> {
    let mut found = Vec::new();
    for table in tables {
        let host = connection.host();
        let why = match find(host, table).map_err(translate)? {
            Found::Uncapturable(why) => why,
            Found::View if !has_trigger(host, table).map_err(translate)? => {
                "is a view without an `INSTEAD OF` trigger"
            }
            _ => continue,
        };
        found.push(Uncapturable { table: table.to_owned(), why: why.to_owned() });
    }
    Ok(found)
}

/// Looks at a file for the first time: whether it has a write-ahead log.
fn looked_at(reader: &rusqlite::Connection, path: &Path) -> rusqlite::Result<bool> {
    let look = || reader.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    match look() {
        Err(error) if extended_code(&error) == Some(SQLITE_READONLY_ROLLBACK) => {
            // A program has died within a change, which whoever reads the file has to take back first.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let writer = rusqlite::Connection::open_with_flags(path, flags)?;
            writer.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            look()?;
        }
        looked => looked?,
    }
    reader.query_row("PRAGMA journal_mode", [], |row| Ok(row.get::<_, String>(0)? == "wal"))
}

fn extended_code(error: &rusqlite::Error) -> Option<std::ffi::c_int> {
    error.sqlite_error().map(|error| error.extended_code)
}

#[async_trait]
impl Database for Sqlite {
    async fn query(
        &self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        let (statement, access) = (statement.clone(), folded(access));
        self.read(limits.time, move |connection, cancel| {
            connection.snapshot_query(&statement, &access, limits, cancel)
        })
        .await
    }

    async fn cursor(
        &self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
    ) -> Result<Box<dyn Cursor>, DbError> {
        // One that stayed in a file without a write-ahead log would keep other programs from writing all the while.
        let may_stay = self.is_wal.load(Ordering::Relaxed);
        let stays = may_stay.then(|| Arc::clone(&self.staying).try_acquire_owned().ok()).flatten();
        let reader = self.reader(time).await?;
        let (opening, paging) = Opening::new(stays);
        let (statement, access) = (statement.clone(), folded(access));
        // It ends when the result is dropped, whoever waits for it until then.
        tokio::task::spawn_blocking(move || {
            let mut paging = Some(paging);
            let lent = reader.lend(|connection| {
                if let Some(paging) = paging.take() {
                    paging.serve(connection, &statement, &access, time);
                }
            });
            if let (Err(error), Some(paging)) = (lent, paging) {
                paging.fails(error);
            }
        });
        Ok(Box::new(opening.opened().await?))
    }

    async fn prepare(&self) -> Result<(), DbError> {
        if self.writer.prepare().await? {
            self.is_wal.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn begin(&self, marker: &Marker, capture: Capture) -> Result<Begun, DbError> {
        let begun = self.writer.begin(marker, capture).await?;
        self.is_wal.store(true, Ordering::Relaxed);
        Ok(begun)
    }

    async fn committed(&self, marker: &Marker) -> Result<bool, DbError> {
        let marker = marker.digest().hex();
        self.read(self.options.transaction_timeout, move |connection, _| {
            let host = connection.host();
            if !has_effects(host).map_err(translate)? {
                return Ok(false);
            }
            host.prepare_cached("SELECT 1 FROM main.wflo_effects WHERE marker = ?1")
                .and_then(|mut statement| statement.exists([marker]))
                .map_err(translate)
        })
        .await
    }

    fn filters_rows(&self) -> bool {
        true
    }

    async fn uncapturable(&self, tables: &[String]) -> Result<Vec<Uncapturable>, DbError> {
        let tables = tables.to_vec();
        self.read(self.options.transaction_timeout, move |connection, _| {
            uncapturable(connection, tables.iter().map(String::as_str))
        })
        .await
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Runs `work` on a blocking thread and tells it to stop when the future is dropped.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Cancel) -> Result<T, DbError> + Send + 'static,
) -> Result<T, DbError> {
    struct CancelOnDrop(Cancel);
    impl Drop for CancelOnDrop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let cancel = Cancel::default();
    let _abandoned = CancelOnDrop(cancel.clone());
    match tokio::task::spawn_blocking(move || work(&cancel)).await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => Err(DbError::Unavailable("the host is shutting down".into())),
        Err(_) => Err(DbError::Other("the database's thread panicked".into())),
    }
}
