//! The runtime above real stores and real SQLite, with scripted steps.

mod clock;
mod interface;
mod support;
mod sweep;
