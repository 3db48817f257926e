//! The two ends of the etl-pipeline example: a source of customers over HTTP, and the warehouse they go to.

mod customer;
mod random;
mod serve;
mod warehouse;

pub use customer::{HEADER, ODD_ROWS, Quality, row};
pub use serve::{Source, serve};
pub use warehouse::make as make_warehouse;

/// The customers that the example's README and tape are about.
pub const ROWS: u64 = 2_000;
