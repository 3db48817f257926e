//! The runtime above real stores and real SQLite, with scripted steps.

mod clock;
mod interface;
mod rollback;
mod support;
mod sweep;
