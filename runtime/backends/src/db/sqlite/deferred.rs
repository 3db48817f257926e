//! Foreign keys that wait for the commit.

use std::ffi::c_int;

use rusqlite::ffi::{SQLITE_DBSTATUS_DEFERRED_FKS, SQLITE_OK, sqlite3_db_status};
use rusqlite::{Connection, Error};
use wflo_ports::DbError;

use super::error::translate;

/// Checks what COMMIT would: that no foreign key declared `DEFERRABLE INITIALLY DEFERRED` is violated. The transaction
/// stays as it is.
///
/// SQLite counts them as rows are written and tells whether there are any: `SQLITE_DBSTATUS_DEFERRED_FKS` of
/// <https://www.sqlite.org/c3ref/c_dbstatus_options.html>. `PRAGMA foreign_key_check` would read every table, and find
/// also what was broken before anybody checked foreign keys, which no commit is refused for.
pub(super) fn check(sqlite: &Connection) -> Result<(), DbError> {
    if !is_any_violated(sqlite).map_err(translate)? {
        return Ok(());
    }
    // The words of SQLite at a COMMIT, and when it would have been.
    Err(DbError::Constraint("FOREIGN KEY constraint failed, of one that is checked at the commit".into()))
}

fn is_any_violated(sqlite: &Connection) -> rusqlite::Result<bool> {
    let (mut current, mut highest): (c_int, c_int) = (0, 0);
    #[expect(unsafe_code, reason = "rusqlite has no safe function for it; see below")]
    // SAFETY: the handle is of a connection that is open for as long as it is borrowed here, and no other thread uses it
    // meanwhile: `Connection` is not `Sync`. The function writes one integer through each of the two pointers, which are
    // of locals that outlive the call, and keeps neither.
    let code = unsafe {
        sqlite3_db_status(
            sqlite.handle(),
            SQLITE_DBSTATUS_DEFERRED_FKS,
            &raw mut current,
            &raw mut highest,
            0,
        )
    };
    match code {
        SQLITE_OK => Ok(current != 0),
        code => Err(Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)),
    }
}
