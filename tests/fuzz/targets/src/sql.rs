//! Statements of guests against the gate of a real database: no text gets at a table that was not granted, and none
//! changes anything where only reading was.

use std::sync::LazyLock;

use tempfile::TempDir;
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_model::{DbAccess, SqlRows, TableAccess};
use wflo_ports::{Database, QueryLimits, Statement};

/// What no answer may hold.
const SECRET: &str = "s3cret-word";

struct Bank {
    runtime: tokio::runtime::Runtime,
    db: Sqlite,
    owner: std::sync::Mutex<rusqlite::Connection>,
    _folder: TempDir,
}

static BANK: LazyLock<Bank> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("bank.db");
    let owner = rusqlite::Connection::open(&path).expect("a database");
    let schema = format!(
        "CREATE TABLE open (id INTEGER PRIMARY KEY, n INTEGER, t TEXT);
         CREATE TABLE shut (id INTEGER PRIMARY KEY, n INTEGER, t TEXT);
         INSERT INTO open VALUES (1, 1, 'a'), (2, 2, 'b');
         INSERT INTO shut VALUES (1, 7, '{SECRET}');"
    );
    owner.execute_batch(&schema).expect("its tables");
    let db = Sqlite::open(&path, SqliteOptions::default()).expect("it can be opened");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    Bank { runtime, db, owner: owner.into(), _folder: folder }
});

pub(crate) fn read(bytes: &[u8]) {
    let bank = &*BANK;
    let access = DbAccess { read: [("open".to_owned(), TableAccess::All)].into(), ..DbAccess::default() };
    let statement = Statement { sql: crate::text(bytes).to_owned(), params: Vec::new() };
    let limits = QueryLimits { time: std::time::Duration::from_millis(50), ..QueryLimits::default() };
    let answer = bank.runtime.block_on(bank.db.query(&statement, &access, limits));
    let said = match &answer {
        Ok(SqlRows { rows, columns }) => format!("{columns:?} {rows:?}"),
        Err(error) => error.to_string(),
    };
    // A statement may say the word itself; the database does not.
    assert!(!said.contains(SECRET) || statement.sql.contains(SECRET), "{said}");
    let owner = bank.owner.lock().expect("no other test uses it");
    let count = |table: &str| -> i64 {
        owner.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
    };
    // The host's own table of markers is there as well.
    let schema = count("sqlite_schema WHERE tbl_name <> 'wflo_effects'");
    assert_eq!((count("open"), count("shut"), schema), (2, 1, 2), "something was changed");
}
