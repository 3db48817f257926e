//! A connection on which guests' statements can run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{OpenFlags, Statement as Prepared};
use wflo_model::{DbAccess, SqlRows};
use wflo_ports::{DbError, Executed, QueryLimits, Statement};

use super::authorize::{Authorizer, Enforced, Purpose, Rules, Written};
use super::capture::Capture;
use super::error::{parameter_count, translate};
use super::fence::Fence;
use super::filter::{Filters, Raised, Staging};
use super::schema::Schema;
use super::stage::{Stage, Touched};
use super::table::made_up;
use super::text::may_replace_rows;
use super::value::{from_sqlite, size, to_sqlite};
use crate::wal::to_wal;

/// Instructions of SQLite's machine between two looks at the clock: some tens of microseconds.
const STEPS_PER_CHECK: std::ffi::c_int = 1000;

/// Limits for statements by strangers, against statements made to exhaust the compiler or the stack. Where
/// <https://www.sqlite.org/security.html> proposes less, honest statements of programs were the reason.
const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 256 << 10),
    (Limit::SQLITE_LIMIT_COLUMN, 1000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 64),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 10_000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 20),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// How a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// For queries.
    Read,
    /// For transactions.
    Write,
}

/// Tells a statement to stop, from outside of its thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops the statement soon.
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is to stop.
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// When the running statement has to stop.
#[derive(Debug, Default)]
struct Watch {
    running: Mutex<Option<(Cancel, Instant)>>,
}

impl Watch {
    fn set(&self, running: Option<(Cancel, Instant)>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    fn is_over(&self) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .as_ref()
            .is_some_and(|(cancel, deadline)| cancel.is_cancelled() || Instant::now() >= *deadline)
    }
}

/// A connection with the authorizer, the limits and the clock in place.
pub(super) struct Connection {
    sqlite: rusqlite::Connection,
    authorizer: Authorizer,
    watch: Arc<Watch>,
    modules: Arc<[String]>,
    schema: Option<Arc<Schema>>,
    /// Whether nothing can be written, temporary things included: row filters need some for a moment.
    is_query_only: bool,
    /// Keeps what the open transaction changes, if it is to be kept.
    capture: Option<Capture>,
    /// Tables that the database's own triggers write, and no step, in lower case.
    audit: Arc<BTreeSet<String>>,
}

impl Connection {
    /// Opens a database file that exists.
    pub(super) fn open(
        path: &Path,
        mode: Mode,
        busy_timeout: Duration,
        max_value_bytes: i32,
    ) -> Result<Self, DbError> {
        let access = match mode {
            Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Mode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let sqlite = rusqlite::Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(translate)?;
        let mut connection = Self {
            sqlite,
            authorizer: Authorizer::default(),
            watch: Arc::default(),
            modules: Arc::default(),
            schema: None,
            is_query_only: mode == Mode::Read,
            capture: None,
            audit: Arc::default(),
        };
        connection.harden(mode, busy_timeout, max_value_bytes).map_err(translate)?;
        Ok(connection)
    }

    /// The same with these audit tables, in lower case.
    pub(super) fn with_audit(self, audit: BTreeSet<String>) -> Self {
        Self { audit: Arc::new(audit), ..self }
    }

    /// Whether a table is one that only the database's own triggers write.
    pub(super) fn is_audit(&self, table: &str) -> bool {
        self.audit.contains(&table.to_ascii_lowercase())
    }

    fn harden(&mut self, mode: Mode, busy_timeout: Duration, max_value_bytes: i32) -> rusqlite::Result<()> {
        let sqlite = &self.sqlite;
        sqlite.busy_timeout(busy_timeout)?;
        if mode == Mode::Write {
            to_wal(sqlite, busy_timeout)?;
            // Durable when COMMIT returns, also in WAL mode.
            sqlite.execute_batch("PRAGMA synchronous = FULL")?;
        } else {
            sqlite.execute_batch("PRAGMA query_only = ON")?;
        }
        for (config, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        ] {
            sqlite.set_db_config(config, value)?;
        }
        for &(limit, value) in LIMITS {
            sqlite.set_limit(limit, value)?;
        }
        sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, max_value_bytes)?;
        self.modules = sqlite
            .prepare("PRAGMA module_list")?
            .query_map([], |row| row.get::<_, String>(0))?
            .map(|name| name.map(|name| name.to_ascii_lowercase()))
            .collect::<rusqlite::Result<_>>()?;
        let authorizer = self.authorizer.clone();
        self.sqlite
            .authorizer(Some(move |asked: rusqlite::hooks::AuthContext<'_>| authorizer.answer(&asked)))?;
        let watch = Arc::clone(&self.watch);
        self.sqlite.progress_handler(STEPS_PER_CHECK, Some(move || watch.is_over()))?;
        Ok(())
    }

    /// The connection, for statements of the host.
    pub(super) fn host(&self) -> &rusqlite::Connection {
        &self.sqlite
    }

    /// Runs a guest's query in a snapshot of its own.
    pub(super) fn snapshot_query(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        limits: QueryLimits,
        cancel: &Cancel,
    ) -> Result<SqlRows, DbError> {
        self.in_snapshot(|this| this.query(statement, access, Purpose::Query, limits, cancel))
    }

    /// Runs a guest's query in a snapshot of its own, whose rows `work` takes a part at a time. Before each part it calls
    /// what it is given, so that the part has all of `time`.
    pub(super) fn snapshot_rows(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
        cancel: &Cancel,
        work: impl FnOnce(&mut Prepared<'_>, &dyn Fn()) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let watch = Arc::clone(&self.watch);
        let again = move || watch.set(Some((cancel.clone(), Instant::now() + time)));
        let run = Allowance { access, purpose: Purpose::Query, time, cancel };
        self.in_snapshot(|this| {
            this.as_guest(statement, run, |prepared, _| {
                if !prepared.readonly() {
                    return Err(DbError::Denied("a query only reads; use `execute`".into()));
                }
                work(prepared, &again)
            })
        })
    }

    fn in_snapshot<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, DbError>) -> Result<T, DbError> {
        self.sqlite.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).map_err(translate)?;
        let done = work(self);
        // An error of the disk ends it by itself. A connection that stays in it is thrown away by the caller.
        if !self.sqlite.is_autocommit()
            && let Err(error) = self.sqlite.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]))
        {
            tracing::warn!(%error, "a snapshot did not end");
        }
        done
    }

    /// Runs a guest's query in the transaction that is open.
    pub(super) fn query(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        purpose: Purpose,
        limits: QueryLimits,
        cancel: &Cancel,
    ) -> Result<SqlRows, DbError> {
        let run = Allowance { access, purpose, time: limits.time, cancel };
        self.as_guest(statement, run, |prepared, _| {
            if !prepared.readonly() {
                return Err(DbError::Denied("a query only reads; use `execute`".into()));
            }
            collect(prepared, limits)
        })
    }

    /// Has the transaction that begins keep what it changes, or not.
    pub(super) fn set_capture(&mut self, capture: Option<Capture>) {
        self.capture = capture;
    }

    /// What the open transaction keeps of its changes.
    pub(super) fn capture(&self) -> Option<&Capture> {
        self.capture.as_ref()
    }

    /// The same, to be told more.
    pub(super) fn capture_mut(&mut self) -> Option<&mut Capture> {
        self.capture.as_mut()
    }

    /// Makes ready to keep what a guest's write will change: it is compiled once to see where it writes.
    ///
    /// To be called before anything is done that a failure of the write would undo.
    pub(super) fn watch_tables(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
        cancel: &Cancel,
    ) -> Result<(), DbError> {
        if self.capture.is_none() {
            return Ok(());
        }
        let watch = Allowance { access, purpose: Purpose::Execute, time, cancel };
        let mut written = match self.target(statement, watch)? {
            Some((filters, table)) => self.written_through(&filters, &table, statement, watch)?,
            None => self.as_guest(statement, watch, |_, enforced| Ok(enforced.written()))?,
        };
        written.retain(|table, _| !self.audit.contains(table));
        match &mut self.capture {
            Some(capture) => capture.add(&self.sqlite, &written),
            None => Ok(()),
        }
    }

    /// Runs a guest's write in the transaction that is open. The caller undoes what a failed one did.
    pub(super) fn execute(
        &mut self,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
        cancel: &Cancel,
    ) -> Result<Executed, DbError> {
        let run = Allowance { access, purpose: Purpose::Execute, time, cancel };
        match self.target(statement, run)? {
            Some((filters, table)) => self.execute_through(&filters, &table, statement, run),
            None => {
                self.as_guest(statement, run, |prepared, _| step(prepared))?;
                Ok(Executed { changed: self.sqlite.changes() })
            }
        }
    }

    /// The table that a statement writes, if it is one of which only some rows may be touched.
    fn target(
        &mut self,
        statement: &Statement,
        run: Allowance<'_>,
    ) -> Result<Option<(Filters, String)>, DbError> {
        let Some(filters) = Filters::of(run.access, &statement.sql)?.filter(Filters::may_write) else {
            return Ok(None);
        };
        let raised = self.raise(&filters, Staging::All)?;
        let compiled = self.enforced(statement, run, Some(&raised.fence), |_, enforced| {
            Ok((enforced.touched(), enforced.written()))
        });
        raised.lower(&self.sqlite)?;
        let (touched, written) = compiled?;
        let table = written.into_keys().next().filter(|_| touched != Touched::default());
        Ok(table.map(|table| (filters, table)))
    }

    /// Runs a guest's write on the stage of a table, and carries over what it did: see `stage.rs`.
    fn execute_through(
        &mut self,
        filters: &Filters,
        table: &str,
        statement: &Statement,
        run: Allowance<'_>,
    ) -> Result<Executed, DbError> {
        let raised = self.raise(filters, Staging::One { table, filled: true })?;
        let stage = raised.stage.as_ref().expect("it was raised as a stage");
        let mut done = self.enforced(statement, run, Some(&raised.fence), |prepared, enforced| {
            step(prepared)?;
            Ok(enforced.touched())
        });
        let changed = self.sqlite.changes();
        if let Ok(touched) = &done {
            let carried = stage.check(&self.sqlite).and_then(|()| {
                let fence = raised.fence.clone().applying(table);
                let mut all = carried_over(stage, touched, statement).into_iter();
                all.try_for_each(|sql| self.enforced(&sql, run, Some(&fence), |prepared, _| step(prepared)))
            });
            done = carried.and(done);
        }
        // The transaction may be gone, and all of it with it.
        raised.lower(&self.sqlite)?;
        done.map(|_| Executed { changed })
    }

    /// The tables that such a write would write.
    fn written_through(
        &mut self,
        filters: &Filters,
        table: &str,
        statement: &Statement,
        run: Allowance<'_>,
    ) -> Result<Written, DbError> {
        let raised = self.raise(filters, Staging::One { table, filled: false })?;
        let stage = raised.stage.as_ref().expect("it was raised as a stage");
        let compiled =
            self.enforced(statement, run, Some(&raised.fence), |_, enforced| Ok(enforced.touched()));
        let written = compiled.and_then(|touched| {
            let fence = raised.fence.clone().applying(table);
            let mut written = Written::new();
            for sql in carried_over(stage, &touched, statement) {
                written.extend(self.enforced(&sql, run, Some(&fence), |_, enforced| Ok(enforced.written()))?);
            }
            Ok(written)
        });
        raised.lower(&self.sqlite)?;
        written
    }

    fn raise(&self, filters: &Filters, staging: Staging<'_>) -> Result<Raised, DbError> {
        let query_only = |on| self.sqlite.pragma_update(None, "query_only", on).map_err(translate);
        if !self.is_query_only {
            return filters.raise(&self.sqlite, staging);
        }
        // The file itself was opened for reading.
        query_only(false)?;
        let raised = filters.raise(&self.sqlite, staging);
        query_only(true)?;
        raised
    }

    fn lower(&self, raised: &Raised) -> Result<(), DbError> {
        if !self.is_query_only {
            return raised.lower(&self.sqlite);
        }
        // What was made in a snapshot goes with it.
        Ok(())
    }

    /// Runs a guest's statement, which meets tables of which it may read some rows as views.
    pub(super) fn as_guest<T>(
        &mut self,
        statement: &Statement,
        run: Allowance<'_>,
        work: impl FnOnce(&mut Prepared<'_>, &Enforced<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let Some(filters) = Filters::of(run.access, &statement.sql)? else {
            return self.enforced(statement, run, None, work);
        };
        let raised = self.raise(&filters, Staging::None)?;
        let done = self.enforced(statement, run, Some(&raised.fence), work);
        self.lower(&raised)?;
        done
    }

    fn enforced<T>(
        &mut self,
        statement: &Statement,
        run: Allowance<'_>,
        fence: Option<&Fence>,
        work: impl FnOnce(&mut Prepared<'_>, &Enforced<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let Allowance { access, purpose, time, cancel } = run;
        if let Some(schema) = Schema::read(&self.sqlite, self.schema.as_deref()).map_err(translate)? {
            self.schema = Some(Arc::new(schema));
        }
        let schema = self.schema.clone().expect("the first read always gives a schema");
        let prefix = self.capture.as_ref().map(Capture::prefix);
        let rules = Rules::new(&statement.sql, access, purpose, schema, Arc::clone(&self.modules));
        let rules = rules.capturing(prefix).behind(fence).recording(Arc::clone(&self.audit));
        rules.judge_text()?;
        self.watch.set(Some((cancel.clone(), Instant::now() + time)));
        let enforced = self.authorizer.enforce(rules);
        let done = prepare(&self.sqlite, statement, &enforced)
            .and_then(|mut prepared| work(&mut prepared, &enforced));
        let (mut denial, of_default) = (enforced.denial(), enforced.denied_default());
        drop(enforced);
        if let Some((table, function)) = of_default {
            let columns = made_up(&self.sqlite, &table).map_err(translate)?;
            if let Some((column, _)) =
                columns.iter().find(|(_, from)| from.to_ascii_lowercase().contains(&function))
            {
                denial = Some(format!(
                    "the default of column `{column}` of table `{table}` calls `{function}`, which cannot be repeated with \
                     equal results within a transaction; pass a value for it, such as a random number of the step"
                ));
            }
        }
        let over = self.watch.is_over();
        self.watch.set(None);
        match (denial, done) {
            // Also where SQLite went on in spite of it.
            (Some(denial), _) => Err(DbError::Denied(denial)),
            (None, Err(DbError::Other(_))) if over && cancel.is_cancelled() => {
                Err(DbError::Unavailable("the statement was abandoned".into()))
            }
            (None, Err(DbError::Other(_))) if over => {
                Err(DbError::Limit(format!("the statement ran longer than {time:?}")))
            }
            (None, Err(error)) => match fence.and_then(|fence| fence.without_names(&error.to_string())) {
                Some(message) => Err(DbError::Invalid(message)),
                None => Err(error),
            },
            (None, done) => done,
        }
    }
}

/// What a statement is run with.
#[derive(Clone, Copy)]
pub(super) struct Allowance<'a> {
    pub(super) access: &'a DbAccess,
    pub(super) purpose: Purpose,
    pub(super) time: Duration,
    pub(super) cancel: &'a Cancel,
}

/// Steps a write to its end.
fn step(prepared: &mut Prepared<'_>) -> Result<(), DbError> {
    if prepared.readonly() {
        return Err(DbError::Invalid("the statement changes nothing; use `query`".into()));
    }
    // Rows of a RETURNING clause are stepped over, since the write is done only at the end.
    let mut rows = prepared.raw_query();
    while rows.next().map_err(translate)?.is_some() {}
    Ok(())
}

/// The statements of the host that carry over what a guest's statement did to a stage.
fn carried_over(stage: &Stage, touched: &Touched, of: &Statement) -> Vec<Statement> {
    let mut touched = touched.clone();
    if may_replace_rows(&of.sql) {
        // Any row may have gone, and another may be in its place.
        touched = Touched { inserts: touched.inserts, deletes: true, updates: stage.every_column() };
    }
    let statement = |sql| Statement { sql, params: Vec::new() };
    stage.carry_over(&touched).into_iter().map(statement).collect()
}

/// Compiles the one statement and binds its parameters.
fn prepare<'c>(
    sqlite: &'c rusqlite::Connection,
    statement: &Statement,
    enforced: &Enforced<'_>,
) -> Result<Prepared<'c>, DbError> {
    let mut prepared = sqlite.prepare(&statement.sql).map_err(translate)?;
    if let Some(denial) = enforced.denial() {
        return Err(DbError::Denied(denial));
    }
    if prepared.column_count() == 0 && prepared.readonly() {
        // What only reads and is denied nothing has columns, unless there is no statement at all.
        return Err(DbError::Invalid("the statement is empty".into()));
    }
    // `EXPLAIN` shows the schema's inside, and SQLite does not ask about it.
    if prepared.is_explain() != 0 {
        return Err(DbError::Denied("`EXPLAIN` is never open to a step".into()));
    }
    let wanted = prepared.parameter_count();
    if wanted != statement.params.len() {
        return Err(parameter_count(statement.params.len(), wanted));
    }
    for (at, value) in (1..).zip(&statement.params) {
        prepared.raw_bind_parameter(at, to_sqlite(value)?).map_err(translate)?;
    }
    Ok(prepared)
}

fn collect(prepared: &mut Prepared<'_>, limits: QueryLimits) -> Result<SqlRows, DbError> {
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let mut out = SqlRows { columns, rows: Vec::new() };
    let mut bytes = 0usize;
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(translate)? {
        if out.rows.len() == limits.rows {
            return Err(DbError::Limit(format!(
                "the query has more than {} rows; aggregate in SQL, or read it in parts with `page`",
                limits.rows
            )));
        }
        let mut values = Vec::with_capacity(out.columns.len());
        for (at, column) in out.columns.iter().enumerate() {
            let value = row.get_ref(at).map_err(translate)?;
            bytes = bytes.saturating_add(size(value));
            if bytes > limits.bytes {
                return Err(DbError::Limit(format!(
                    "the query gives more than {} bytes; select fewer columns or rows",
                    limits.bytes
                )));
            }
            values.push(from_sqlite(value, column)?);
        }
        out.rows.push(values);
    }
    Ok(out)
}
