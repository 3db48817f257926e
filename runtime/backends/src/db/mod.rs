//! SQL databases: one module each.

mod names;
mod order;
pub mod postgres;
pub mod sqlite;
