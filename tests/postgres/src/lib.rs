//! A PostgreSQL of the tests' own: a cluster in a temporary folder, reached by a socket in it, that ends with the process
//! which started it.
//!
//! `cargo xtask test` starts one for all tests and tells them by `WFLO_TEST_POSTGRES`. Without it a test process starts
//! its own. The server's programs are those of the machine, or what `cargo xtask test` has unpacked below `target/`.

mod cluster;
mod database;
mod programs;

use std::sync::OnceLock;

pub use cluster::{Cluster, SOCKET};
pub use database::Database;
pub use programs::Programs;

/// A new database in the cluster that the tests of this process share.
///
/// # Panics
/// When PostgreSQL is not there, or does not start: a test that needs it fails and is never skipped.
#[must_use]
pub fn database() -> Database {
    try_database().unwrap_or_else(|why| panic!("{why}"))
}

/// A new database in the cluster that this process shares.
///
/// # Errors
/// When PostgreSQL is not there, or does not start.
pub fn try_database() -> Result<Database, String> {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    let cluster = SHARED
        .get_or_init(|| Cluster::shared().map_err(|why| format!("what is tested needs a PostgreSQL: {why}")));
    cluster.as_ref().map(Cluster::database).map_err(Clone::clone)
}
