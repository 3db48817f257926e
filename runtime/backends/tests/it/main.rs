//! The backends against the real thing: SQLite files, HTTP over loopback, tapes on disk.

mod cassette;
mod files;
mod http;
mod openai;
mod server;
mod sqlite;
mod sqlite_escape;
mod sqlite_fuzz;
