//! Makes the shop of the customer-service example: `shop-data [FILE]`. One that exists is replaced.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rusqlite::Connection;

/// Orders, what was paid back, and what customers say of us. An order is refunded once, and an interaction has one
/// rating.
const SHOP: &str = "
    CREATE TABLE orders (id TEXT PRIMARY KEY, paid_cents INTEGER NOT NULL CHECK (paid_cents > 0));
    CREATE TABLE refunds (order_id TEXT PRIMARY KEY REFERENCES orders, amount NUMERIC NOT NULL);
    CREATE TABLE ratings (
        interaction TEXT PRIMARY KEY, rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5), comment TEXT NOT NULL
    );
    INSERT INTO orders VALUES ('large', 15000), ('small', 5000), ('tiny', 999), ('exact', 10000);";

fn main() -> Result<()> {
    let path = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "shop.db".into()));
    // Whoever has it open keeps what they have; whoever opens it sees the old one or the new one.
    let new = path.with_extension("db.new");
    if new.exists() {
        std::fs::remove_file(&new).with_context(|| format!("`{}`", new.display()))?;
    }
    let shop = Connection::open(&new)?;
    shop.execute_batch(SHOP)?;
    let orders: i64 = shop.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))?;
    shop.close().map_err(|(_, error)| error)?;
    std::fs::rename(&new, &path).with_context(|| format!("`{}`", path.display()))?;
    writeln!(stdout(), "{}: {orders} orders", path.display())?;
    Ok(())
}
