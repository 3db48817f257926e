//! The warehouse that the customers go to.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::Connection;

const SCHEMA: &str = "
    CREATE TABLE customers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        street TEXT NOT NULL,
        unit TEXT,
        city TEXT NOT NULL,
        state TEXT NOT NULL CHECK (length(state) = 2),
        zip TEXT NOT NULL CHECK (length(zip) = 5),
        phone TEXT,
        signed_up TEXT NOT NULL,
        lifetime_cents INTEGER NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO customers VALUES
        ('W-1', 'Mary Somerville', '1 Harbor Street', NULL, 'Portland', 'ME', '04101', NULL, '2014-05-01', 120000);
";

/// Makes the warehouse, with one customer of old. One that exists already is replaced.
///
/// # Errors
/// When the file cannot be written.
pub fn make(path: &Path) -> Result<()> {
    let writing = || format!("cannot write `{}`", path.display());
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        if Path::new(&file).exists() {
            std::fs::remove_file(&file).with_context(writing)?;
        }
    }
    Connection::open(path).and_then(|warehouse| warehouse.execute_batch(SCHEMA)).with_context(writing)
}
