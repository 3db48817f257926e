//! The runtime above real stores and real SQLite, with scripted steps.

mod approvals;
mod away;
mod budgets;
mod clock;
mod fork;
mod interface;
mod keys;
mod outbox;
mod pages;
mod rollback;
mod step_tests;
mod support;
mod sweep;
mod terraform;
mod two_databases;
mod use_cases;
