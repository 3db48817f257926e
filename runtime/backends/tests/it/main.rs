//! The backends against the real thing: SQLite files, HTTP over loopback, tapes on disk.

mod anthropic;
mod cassette;
mod files;
mod http;
mod mail;
mod notify;
mod openai;
mod row_model;
mod server;
mod smtp_server;
mod sqlite;
mod sqlite_changes;
mod sqlite_escape;
mod sqlite_fuzz;
mod sqlite_model;
mod sqlite_rows;
