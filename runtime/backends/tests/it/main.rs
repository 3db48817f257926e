//! The backends against the real thing: SQLite files, HTTP over loopback, tapes on disk.

mod anthropic;
mod cassette;
mod http;
mod openai;
mod server;
mod sqlite;
mod sqlite_changes;
mod sqlite_escape;
mod sqlite_fuzz;
