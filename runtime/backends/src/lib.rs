//! The real outside: models over HTTP or from tape, SQLite.
