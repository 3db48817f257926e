//! The backends against the real thing: SQLite files, HTTP over loopback, tapes on disk.

mod sqlite;
mod sqlite_escape;
