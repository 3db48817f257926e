//! SQL databases: one module each.

mod order;
pub mod postgres;
pub mod sqlite;
