//! SQL databases: one module each.

mod agenda;
mod bonds;
mod names;
mod order;
pub mod postgres;
pub mod sqlite;
mod stand_in;
