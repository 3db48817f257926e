//! The runtime above real stores and real SQLite, with scripted steps.

mod approvals;
mod clock;
mod support;
mod sweep;
