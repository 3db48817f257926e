//! SQL databases: one module each.

pub mod sqlite;
