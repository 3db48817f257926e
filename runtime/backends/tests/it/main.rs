//! The backends against the real thing: SQLite files, a PostgreSQL server, HTTP over loopback, tapes on disk.

mod anthropic;
mod cassette;
mod files;
mod http;
mod knowledge;
mod mail;
mod notify;
mod openai;
mod postgres;
mod postgres_changes;
mod postgres_escape;
mod postgres_model;
mod postgres_rows;
mod postgres_tls;
mod postgres_types;
mod row_model;
mod server;
mod smtp_server;
mod sqlite;
mod sqlite_bulk;
mod sqlite_changes;
mod sqlite_escape;
mod sqlite_fuzz;
mod sqlite_model;
mod sqlite_rows;
mod terraform;
