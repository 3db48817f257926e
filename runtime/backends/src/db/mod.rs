//! SQL databases: one module each.

mod made_up;
mod names;
mod order;
pub mod postgres;
pub mod sqlite;

pub use made_up::MadeUp;
