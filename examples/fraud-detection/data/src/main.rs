//! Makes the bank of the fraud-detection example, the same one each time for the same seed.

mod bank;
mod business;
mod fraud;
mod random;
mod store;

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

/// Makes the SQLite database of the fraud-detection example.
///
/// A database that exists already is replaced, in one step: whoever opens it sees the old one or the new one.
#[derive(Parser)]
struct Args {
    /// The file to write.
    #[arg(default_value = "bank.db")]
    path: PathBuf,
    /// Another seed makes another bank.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print the accounts with planted fraud, and those that only look like it, and write nothing.
    #[arg(long)]
    truth: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let bank = bank::Bank::generate(args.seed);
    let mut out = stdout().lock();
    if args.truth {
        for planted in &bank.planted {
            writeln!(out, "{}  {}", planted.account, planted.kind)?;
        }
        return Ok(());
    }
    store::write(&bank, &args.path).with_context(|| format!("cannot write `{}`", args.path.display()))?;
    let (accounts, transactions) = (bank.accounts.len(), bank.transactions.len());
    writeln!(out, "{}: {accounts} accounts, {transactions} transactions", args.path.display())?;
    Ok(())
}
