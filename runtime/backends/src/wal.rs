//! SQLite's write-ahead log.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Has what is written go to a file beside the database. SQLite itself waits for nobody else here, however long it may
/// wait elsewhere: a database that others have open is refused as locked.
pub(crate) fn to_wal(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && began.elapsed() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;

    use super::to_wal;

    #[test]
    fn who_has_the_database_open_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Connection::open(folder.path().join("a.db")).unwrap();
        let other = open();
        other.execute_batch("CREATE TABLE t (n); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        assert!(to_wal(&open(), Duration::from_millis(20)).is_err(), "it is held for ever");
        let waiting = {
            let connection = open();
            std::thread::spawn(move || to_wal(&connection, Duration::from_secs(60)))
        };
        std::thread::sleep(Duration::from_millis(50));
        other.execute_batch("COMMIT").unwrap();
        waiting.join().unwrap().unwrap();
    }
}
