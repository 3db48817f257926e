//! Queries, transactions and markers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_model::{DbAccess, RunId, SqlRows, SqlValue, StoreId, TableAccess};
use wflo_ports::{
    Begun, Capture, Database, DbError, Marker, MarkerPurpose, QueryLimits, Statement, Transaction,
};

/// A database file with an owner beside the host.
pub(crate) struct Bank {
    pub(crate) owner: rusqlite::Connection,
    pub(crate) db: Arc<Sqlite>,
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

/// One that steps write: it is ready for that.
pub(crate) fn bank(schema: &str, options: SqliteOptions) -> Bank {
    let (folder, path, owner) = file(schema);
    let db = Arc::new(Sqlite::open(&path, options).unwrap());
    let preparing = Arc::clone(&db);
    let prepared = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(preparing.prepare())
    });
    prepared.join().unwrap().unwrap();
    Bank { owner, db, path, _folder: folder }
}

fn file(schema: &str) -> (TempDir, PathBuf, rusqlite::Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.db");
    let owner = rusqlite::Connection::open(&path).unwrap();
    owner.busy_timeout(Duration::from_secs(5)).unwrap();
    owner.execute_batch(schema).unwrap();
    (folder, path, owner)
}

pub(crate) const SCHEMA: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, status TEXT UNIQUE, balance INTEGER);
    INSERT INTO accounts VALUES (1, 'ann', 'a', 10), (2, 'bob', 'b', 20), (3, 'cid', 'c', 30);";

pub(crate) fn statement(sql: &str, params: &[SqlValue]) -> Statement {
    Statement { sql: sql.to_owned(), params: params.to_vec() }
}

pub(crate) fn access(read: &[&str], write: &[&str]) -> DbAccess {
    let all = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), TableAccess::All)).collect();
    DbAccess { read: all(read), write: all(write), ..DbAccess::default() }
}

pub(crate) fn marker(run: u8) -> Marker {
    Marker {
        store: StoreId::from_bytes([1; 16]),
        run: RunId::from_bytes([run; 16]),
        step: "block".parse().unwrap(),
        item: None,
        purpose: MarkerPurpose::Step,
    }
}

pub(crate) async fn begin(db: &Sqlite, run: u8) -> Box<dyn Transaction> {
    match db.begin(&marker(run), Capture::Off).await.unwrap() {
        Begun::Open(transaction) => transaction,
        Begun::AlreadyCommitted => panic!("the marker is there"),
    }
}

async fn rows(db: &Sqlite, sql: &str, params: &[SqlValue]) -> Result<SqlRows, DbError> {
    db.query(&statement(sql, params), &access(&["accounts"], &[]), QueryLimits::default()).await
}

fn integer(bank: &Bank, sql: &str) -> i64 {
    bank.owner.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn values_go_in_and_come_out() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let given = [
        SqlValue::Null,
        SqlValue::Boolean(true),
        SqlValue::Integer(i64::MIN),
        SqlValue::Real(0.1),
        SqlValue::Real(f64::NEG_INFINITY),
        SqlValue::Decimal("12.50".into()),
        SqlValue::Text("é\0'x".into()),
        SqlValue::Blob(vec![0, 255]),
        SqlValue::Timestamp("2026-01-01T00:00:00Z".into()),
        SqlValue::Json("[1]".into()),
        SqlValue::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".into()),
    ];
    let sql = "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 AS last";
    let out = rows(&bank.db, sql, &given).await.unwrap();
    assert_eq!(out.columns.last().unwrap(), "last");
    let mut expect = given.to_vec();
    expect[1] = SqlValue::Integer(1);
    for at in [5, 8, 9, 10] {
        let (SqlValue::Decimal(text)
        | SqlValue::Timestamp(text)
        | SqlValue::Json(text)
        | SqlValue::Uuid(text)) = &given[at]
        else {
            panic!("only those become text")
        };
        expect[at] = SqlValue::Text(text.clone());
    }
    assert_eq!(out.rows, [expect]);
}

#[tokio::test]
async fn bad_statements_are_invalid() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    for (sql, params, message) in [
        ("SELEC 1", vec![], "near \"SELEC\": syntax error"),
        ("SELECT none FROM accounts", vec![], "no such column: none"),
        ("SELECT \"none\" FROM accounts", vec![], "no such column: \"none\""),
        ("SELECT ?1", vec![], "the statement takes 1 parameters, 0 were given"),
        ("SELECT 1", vec![SqlValue::Null], "the statement takes 0 parameters, 1 were given"),
        ("SELECT ?1", vec![SqlValue::Real(f64::NAN)], "a parameter is NaN, which SQLite cannot store"),
        ("SELECT 1; SELECT 2", vec![], "more than one statement: send them one at a time"),
        ("", vec![], "the statement is empty"),
        (" ; -- nothing", vec![], "the statement is empty"),
    ] {
        match rows(&bank.db, sql, &params).await {
            Err(DbError::Invalid(text)) => assert!(text.starts_with(message), "{sql}: {text}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    // A trailing semicolon and comments are no second statement.
    assert!(rows(&bank.db, "SELECT 1; -- done", &[]).await.is_ok());
}

#[tokio::test]
async fn a_missing_file_is_an_error_and_stays_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.db");
    let error = Sqlite::open(&path, SqliteOptions::default()).unwrap_err();
    assert!(matches!(&error, DbError::Unavailable(text) if text.contains("create it")), "{error}");
    assert!(!path.exists());
    assert!(Sqlite::open(folder.path(), SqliteOptions::default()).is_err());
    std::fs::write(&path, "this is not a database, and it is long enough to be read as a header of one....")
        .unwrap();
    let error = Sqlite::open(&path, SqliteOptions::default()).unwrap_err();
    assert!(matches!(&error, DbError::Other(text) if text.contains("not a database")), "{error}");
}

#[tokio::test]
async fn a_file_that_is_only_read_stays_as_it_is() {
    let (folder, path, owner) = file(SCHEMA);
    let before = std::fs::read(&path).unwrap();
    // Another program reads it all the while.
    owner.execute_batch("BEGIN; SELECT * FROM accounts").unwrap();
    let db = Sqlite::open(&path, SqliteOptions::default()).unwrap();
    let sum = rows(&db, "SELECT sum(balance) FROM accounts", &[]).await.unwrap();
    assert_eq!(sum.rows, [[SqlValue::Integer(60)]]);
    assert!(!db.committed(&marker(1)).await.unwrap());
    // It is not waited for before there is something to write.
    db.prepare().await.unwrap();
    owner.execute_batch("COMMIT").unwrap();
    // One that reads a part at a time keeps nobody from writing.
    let access = access(&["accounts"], &[]);
    let time = Duration::from_secs(60);
    let cursor = db.cursor(&statement("SELECT id FROM accounts", &[]), &access, time).await.unwrap();
    assert!(!cursor.may_stay());
    drop((cursor, db));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "nothing is beside it");
    // It is made ready when it is written, or about to be.
    let db = Sqlite::open(&path, SqliteOptions::default()).unwrap();
    db.prepare().await.unwrap();
    // One that has just come sees how the file is.
    let other = rusqlite::Connection::open(&path).unwrap();
    let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let cursor = db.cursor(&statement("SELECT id FROM accounts", &[]), &access, time).await.unwrap();
    assert!(cursor.may_stay());
    begin(&db, 1).await.commit().await.unwrap();
    assert!(db.committed(&marker(1)).await.unwrap());
}

#[tokio::test]
async fn what_a_dead_program_has_left_half_done_is_taken_back() {
    let (folder, path, owner) = file(SCHEMA);
    owner.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE").unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO accounts SELECT i, hex(randomblob(50)), hex(randomblob(50)), 1 FROM n";
    owner.execute_batch(many).unwrap();
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-journal"), copy.with_extension("db-journal")).unwrap();
    let db = Sqlite::open(&copy, SqliteOptions::default()).unwrap();
    let sum = rows(&db, "SELECT sum(balance) FROM accounts", &[]).await.unwrap();
    assert_eq!(sum.rows, [[SqlValue::Integer(60)]]);
}

#[tokio::test]
async fn a_view_that_cannot_be_written_is_told() {
    let views = "CREATE VIEW bare AS SELECT * FROM accounts; CREATE VIEW led AS SELECT * FROM accounts;
        CREATE TRIGGER lead INSTEAD OF INSERT ON led BEGIN SELECT 1; END;";
    let bank = bank(&format!("{SCHEMA}{views}"), SqliteOptions::default());
    let found = bank.db.uncapturable(&["bare".into(), "led".into(), "accounts".into()]).await.unwrap();
    let found: Vec<_> = found.iter().map(|it| (it.table.as_str(), it.why.as_str())).collect();
    assert_eq!(found, [("bare", "is a view without an `INSTEAD OF` trigger")]);
}

#[tokio::test]
async fn vacuum_is_closed_whatever_it_is_asked_of() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let denied = DbError::Denied("`VACUUM` is never open to a step".into());
    assert_eq!(rows(&bank.db, " vacuum", &[]).await, Err(denied.clone()));
    let mut transaction = begin(&bank.db, 1).await;
    let done = transaction.execute(&statement("VACUUM", &[]), &access(&[], &["accounts"])).await;
    assert_eq!(done.map(drop), Err(denied));
}

#[tokio::test]
async fn a_transaction_commits_with_its_marker_once() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let access = access(&["accounts"], &["accounts"]);
    assert!(!bank.db.committed(&marker(1)).await.unwrap());
    let mut transaction = begin(&bank.db, 1).await;
    let update = statement("UPDATE accounts SET balance = 0 WHERE id < ?1", &[SqlValue::Integer(3)]);
    assert_eq!(transaction.execute(&update, &access).await.unwrap().changed, 2);
    // The transaction sees it, others do not.
    let sum = statement("SELECT sum(balance) FROM accounts", &[]);
    let inside = transaction.query(&sum, &access, QueryLimits::default()).await.unwrap();
    assert_eq!(inside.rows, [[SqlValue::Integer(30)]]);
    let outside = bank.db.query(&sum, &access, QueryLimits::default()).await.unwrap();
    assert_eq!(outside.rows, [[SqlValue::Integer(60)]]);
    assert!(!bank.db.committed(&marker(1)).await.unwrap());
    transaction.commit().await.unwrap();
    assert!(bank.db.committed(&marker(1)).await.unwrap());
    assert_eq!(integer(&bank, "SELECT sum(balance) FROM accounts"), 30);
    assert!(matches!(bank.db.begin(&marker(1), Capture::Off).await.unwrap(), Begun::AlreadyCommitted));
    // The same step of another run, and another item of this one, are others.
    begin(&bank.db, 2).await.rollback().await;
    let item = Marker { item: Some(0), ..marker(1) };
    assert!(matches!(bank.db.begin(&item, Capture::Off).await.unwrap(), Begun::Open(_)));
    let (run, step): (String, String) = bank
        .owner
        .query_row("SELECT run, step FROM wflo_effects", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((run, step.as_str()), (marker(1).run.to_string(), "block"));
}

#[tokio::test]
async fn the_marker_is_found_by_a_host_that_opens_the_file_later() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    begin(&bank.db, 1).await.commit().await.unwrap();
    let again = Sqlite::open(&bank.path, SqliteOptions::default()).unwrap();
    assert!(again.committed(&marker(1)).await.unwrap());
    assert!(matches!(again.begin(&marker(1), Capture::Off).await.unwrap(), Begun::AlreadyCommitted));
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_gives_up_its_turn() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let access = access(&[], &["accounts"]);
    let delete = statement("DELETE FROM accounts", &[]);
    for rollback in [true, false] {
        let mut transaction = begin(&bank.db, 1).await;
        assert_eq!(transaction.execute(&delete, &access).await.unwrap().changed, 3);
        if rollback {
            transaction.rollback().await
        } else {
            drop(transaction)
        }
        begin(&bank.db, 2).await.rollback().await;
        assert_eq!(integer(&bank, "SELECT count(*) FROM accounts"), 3);
        assert_eq!(integer(&bank, "SELECT count(*) FROM wflo_effects"), 0);
    }
}

#[tokio::test]
async fn a_failed_statement_changes_nothing_and_the_transaction_goes_on() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let access = access(&["accounts"], &["accounts"]);
    let mut transaction = begin(&bank.db, 1).await;
    let first = statement("UPDATE accounts SET balance = 1 WHERE id = 1", &[]);
    transaction.execute(&first, &access).await.unwrap();
    // `OR FAIL` keeps the rows before the one that failed, unless somebody undoes it.
    for sql in [
        "UPDATE accounts SET status = 'same'",
        "UPDATE OR FAIL accounts SET status = 'same'",
        "INSERT OR FAIL INTO accounts VALUES (9, 'eve', 'e', 0), (10, 'fay', 'e', 0)",
    ] {
        let error = transaction.execute(&statement(sql, &[]), &access).await.unwrap_err();
        assert_eq!(error, DbError::Constraint("UNIQUE constraint failed: accounts.status".into()), "{sql}");
    }
    let denied = statement("DELETE FROM wflo_effects", &[]);
    assert!(matches!(transaction.execute(&denied, &access).await, Err(DbError::Denied(_))));
    transaction.commit().await.unwrap();
    assert_eq!(integer(&bank, "SELECT balance FROM accounts WHERE id = 1"), 1);
    assert_eq!(integer(&bank, "SELECT count(*) FROM accounts WHERE status IN ('same', 'e')"), 0);
}

#[tokio::test]
async fn a_trigger_that_rolls_back_ends_the_transaction_for_good() {
    let trigger = "CREATE TRIGGER no_debt BEFORE UPDATE ON accounts WHEN new.balance < 0
        BEGIN SELECT RAISE(ROLLBACK, 'no debt'); END;";
    let bank = bank(&format!("{SCHEMA}{trigger}"), SqliteOptions::default());
    let access = access(&[], &["accounts"]);
    let mut transaction = begin(&bank.db, 1).await;
    let update = |n| statement("UPDATE accounts SET balance = ?1", &[SqlValue::Integer(n)]);
    transaction.execute(&update(5), &access).await.unwrap();
    assert_eq!(transaction.execute(&update(-5), &access).await, Err(DbError::Constraint("no debt".into())));
    assert!(matches!(transaction.execute(&update(6), &access).await, Err(DbError::Unavailable(_))));
    assert!(matches!(transaction.commit().await, Err(DbError::Unavailable(_))));
    assert_eq!(integer(&bank, "SELECT sum(balance) FROM accounts"), 60);
    assert!(!bank.db.committed(&marker(1)).await.unwrap());
}

#[tokio::test]
async fn writers_take_their_turns_in_order() {
    let bank = bank("CREATE TABLE log (n INTEGER);", SqliteOptions::default());
    let first = begin(&bank.db, 0).await;
    let mut waiting = Vec::new();
    for n in 1..=4u8 {
        let db = Arc::clone(&bank.db);
        waiting.push(tokio::spawn(async move {
            let mut transaction = begin(&db, n).await;
            let insert = statement("INSERT INTO log VALUES (?1)", &[SqlValue::Integer(n.into())]);
            transaction.execute(&insert, &access(&[], &["log"])).await.unwrap();
            transaction.commit().await.unwrap();
        }));
        // On this one thread the task now runs until it waits for its turn.
        tokio::task::yield_now().await;
    }
    first.commit().await.unwrap();
    for task in waiting {
        task.await.unwrap();
    }
    let order: String = bank
        .owner
        .query_row("SELECT group_concat(n) FROM (SELECT n FROM log ORDER BY rowid)", [], |r| r.get(0))
        .unwrap();
    assert_eq!(order, "1,2,3,4");
    assert_eq!(integer(&bank, "SELECT count(*) FROM wflo_effects"), 5);
}

#[tokio::test]
async fn what_others_write_between_a_read_and_the_first_write_is_in_nobodys_way() {
    // A read that went on in the transaction of the write would be of an old snapshot by then: SQLITE_BUSY_SNAPSHOT.
    let wal = "PRAGMA journal_mode = WAL; CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (1);";
    let bank = bank(wal, SqliteOptions::default());
    let mode: String = bank.owner.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let log = access(&["log"], &["log"]);
    let count = statement("SELECT count(*) FROM log", &[]);
    let seen = bank.db.query(&count, &log, QueryLimits::default()).await.unwrap();
    assert_eq!(seen.rows, [[SqlValue::Integer(1)]]);
    // The model takes its time.
    bank.owner.execute_batch("INSERT INTO log VALUES (2)").unwrap();
    let mut transaction = begin(&bank.db, 1).await;
    let insert = statement("INSERT INTO log SELECT count(*) + 1 FROM log", &[]);
    transaction.execute(&insert, &log).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(integer(&bank, "SELECT max(n) FROM log"), 3);
}

#[tokio::test]
async fn a_turn_that_does_not_come_is_unavailable() {
    let options =
        SqliteOptions { transaction_timeout: Duration::from_millis(50), ..SqliteOptions::default() };
    let bank = bank(SCHEMA, options);
    let first = begin(&bank.db, 1).await;
    assert!(matches!(bank.db.begin(&marker(2), Capture::Off).await, Err(DbError::Unavailable(_))));
    first.rollback().await;
    // Another program holds the lock.
    bank.owner.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(bank.db.begin(&marker(2), Capture::Off).await, Err(DbError::Unavailable(_))));
    assert_eq!(rows(&bank.db, "SELECT id FROM accounts", &[]).await.unwrap().rows.len(), 3);
    bank.owner.execute_batch("COMMIT").unwrap();
    begin(&bank.db, 2).await.commit().await.unwrap();
}

#[tokio::test]
async fn results_are_capped() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let access = access(&["accounts"], &[]);
    let query = async |sql: &str, limits| bank.db.query(&statement(sql, &[]), &access, limits).await;
    let limits = |rows, bytes| QueryLimits { rows, bytes, ..QueryLimits::default() };
    assert_eq!(query("SELECT id FROM accounts", limits(3, 24)).await.unwrap().rows.len(), 3);
    let error = query("SELECT id FROM accounts", limits(2, 1000)).await.unwrap_err();
    assert!(matches!(&error, DbError::Limit(text) if text.contains("2 rows")), "{error}");
    let error = query("SELECT id FROM accounts", limits(3, 23)).await.unwrap_err();
    assert!(matches!(&error, DbError::Limit(text) if text.contains("23 bytes")), "{error}");
    let error = query("SELECT zeroblob(5000000)", limits(1, 10_000_000)).await.unwrap_err();
    assert!(matches!(error, DbError::Limit(_)), "{error}");
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[tokio::test]
async fn an_endless_query_is_stopped() {
    let bank = bank(SCHEMA, SqliteOptions { readers: 1, ..SqliteOptions::default() });
    let limits = QueryLimits { time: Duration::from_millis(30), ..QueryLimits::default() };
    let error = bank.db.query(&statement(ENDLESS, &[]), &DbAccess::default(), limits).await.unwrap_err();
    assert!(matches!(error, DbError::Limit(_)), "{error}");
    // By time, and by dropping its future: the one reader is free again at once.
    let (db, query) = (Arc::clone(&bank.db), statement(ENDLESS, &[]));
    let task = tokio::spawn(async move {
        db.query(&query, &DbAccess::default(), QueryLimits::default()).await.map(drop)
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    task.abort();
    let started = Instant::now();
    rows(&bank.db, "SELECT 1", &[]).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_endless_write_is_stopped_and_ends_its_transaction() {
    let options = SqliteOptions { statement_timeout: Duration::from_millis(30), ..SqliteOptions::default() };
    let bank = bank(SCHEMA, options);
    let access = access(&["accounts"], &["accounts"]);
    let endless = format!("UPDATE accounts SET balance = ({ENDLESS})");
    let mut transaction = begin(&bank.db, 1).await;
    let error = transaction.execute(&statement(&endless, &[]), &access).await.unwrap_err();
    assert!(matches!(error, DbError::Limit(_)), "{error}");
    assert!(matches!(transaction.commit().await, Err(DbError::Unavailable(_))));
    // A write whose future is dropped takes its transaction with it; the next one has its turn.
    let mut transaction = begin(&bank.db, 1).await;
    let write = statement(&endless, &[]);
    let given_up = tokio::time::timeout(Duration::from_millis(5), transaction.execute(&write, &access)).await;
    assert!(given_up.is_err());
    assert!(matches!(transaction.commit().await, Err(DbError::Unavailable(_))));
    begin(&bank.db, 1).await.commit().await.unwrap();
    assert_eq!(integer(&bank, "SELECT sum(balance) FROM accounts"), 60);
}

#[tokio::test]
async fn foreign_keys_that_wait_for_the_commit_speak_before_it() {
    let schema = "PRAGMA foreign_keys = OFF;
        CREATE TABLE cards (id INTEGER PRIMARY KEY, twin INTEGER REFERENCES cards DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO cards VALUES (90, 91);";
    let bank = bank(schema, SqliteOptions::default());
    let access = access(&["cards"], &["cards"]);
    let mut transaction = begin(&bank.db, 1).await;
    let execute = statement("INSERT INTO cards VALUES (1, 2)", &[]);
    transaction.execute(&execute, &access).await.unwrap();
    let refused = transaction.ready().await.unwrap_err();
    assert!(
        matches!(&refused, DbError::Constraint(message) if message.contains("FOREIGN KEY")),
        "{refused:?}"
    );
    // It is as it was, and goes on.
    let execute = statement("INSERT INTO cards VALUES (2, 1)", &[]);
    transaction.execute(&execute, &access).await.unwrap();
    transaction.ready().await.unwrap();
    transaction.commit().await.unwrap();
    // A row that refers to nothing since before anybody checked is in nobody's way.
    assert_eq!(integer(&bank, "SELECT count(*) FROM cards"), 3);
}

#[test]
fn columns_that_a_file_makes_up_anew_are_told() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT DEFAULT CURRENT_TIMESTAMP,
            day TEXT DEFAULT (date('now')), token BLOB DEFAULT (randomblob(8)), note TEXT DEFAULT 'now()', n INT DEFAULT 0);
        CREATE TABLE plain (id INTEGER PRIMARY KEY);";
    let bank = bank(schema, SqliteOptions::default());
    let found = Sqlite::made_up_at(&bank.path, ["t", "plain", "nothing"]).unwrap();
    let told: Vec<_> = found.iter().map(|it| format!("{}.{} {}", it.table, it.column, it.from)).collect();
    assert_eq!(told, ["t.at CURRENT_TIMESTAMP", "t.day date('now')", "t.token randomblob(8)"]);
}

#[tokio::test]
async fn a_random_value_that_the_owner_has_made_is_told_by_its_place() {
    let schema = "
        CREATE TABLE u (id TEXT PRIMARY KEY DEFAULT (lower(hex(RANDOMBLOB(16)))), at TEXT DEFAULT CURRENT_TIMESTAMP, n INT);
        CREATE TABLE t (id INTEGER PRIMARY KEY, n INT);
        CREATE TRIGGER t_in AFTER INSERT ON t BEGIN UPDATE t SET n = random() WHERE id = NEW.id; END;";
    let bank = bank(schema, SqliteOptions::default());
    let access = access(&["u", "t"], &["u", "t"]);
    let mut transaction = begin(&bank.db, 1).await;
    for (sql, begins) in [
        ("INSERT INTO u (n) VALUES (1)", "the default of column `id` of table `u` calls `randomblob`"),
        ("INSERT INTO t (id) VALUES (1)", "trigger or view `t_in` of the owner calls `random`"),
        ("INSERT INTO t VALUES (1, random())", "function `random` cannot be repeated"),
    ] {
        let refused = transaction.execute(&statement(sql, &[]), &access).await;
        assert!(matches!(&refused, Err(DbError::Denied(why)) if why.starts_with(begins)), "{refused:?}");
    }
    transaction.execute(&statement("INSERT INTO u (id, n) VALUES ('a', 1)", &[]), &access).await.unwrap();
}
