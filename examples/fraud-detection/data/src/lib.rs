//! The bank of the fraud-detection example, the same one each time for the same seed.

mod bank;
mod business;
mod fraud;
mod random;
mod store;

use std::path::Path;

use anyhow::{Context, Result};

/// The seed of the bank that the example's README and tape are about.
pub const SEED: u64 = 7;

/// How much was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Accounts.
    pub accounts: usize,
    /// Transactions.
    pub transactions: usize,
}

/// Writes the database. One that exists already is replaced, in one step: whoever opens it sees the old one or the
/// new one.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, seed: u64) -> Result<Written> {
    let bank = bank::Bank::generate(seed);
    store::write(&bank, path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Written { accounts: bank.accounts.len(), transactions: bank.transactions.len() })
}

/// The accounts with planted fraud, and those that only look like it: account and kind.
#[must_use]
pub fn truth(seed: u64) -> Vec<(String, String)> {
    let bank = bank::Bank::generate(seed);
    bank.planted.iter().map(|planted| (planted.account.to_string(), planted.kind.to_string())).collect()
}
