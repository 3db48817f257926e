//! SQL databases: one module each.

mod order;
pub mod sqlite;
