//! The runtime above real stores and real SQLite, with scripted steps.

mod support;
mod sweep;
