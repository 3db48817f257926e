//! The runtime above real stores and real SQLite, with scripted steps.

mod clock;
mod interface;
mod outbox;
mod support;
mod sweep;
