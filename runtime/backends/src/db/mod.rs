//! SQL databases: one module each.

mod agenda;
mod bonds;
mod made_up;
mod names;
mod order;
pub mod postgres;
pub mod sqlite;
mod stand_in;

pub use made_up::MadeUp;
