//! Makes the bank of the fraud-detection example, the same one each time for the same seed.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::Result;
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
    #[arg(long, default_value_t = fraud_data::SEED)]
    seed: u64,
    /// Print the accounts with planted fraud, and those that only look like it, and write nothing.
    #[arg(long)]
    truth: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut out = stdout().lock();
    if args.truth {
        for (account, kind) in fraud_data::truth(args.seed) {
            writeln!(out, "{account}  {kind}")?;
        }
        return Ok(());
    }
    let written = fraud_data::write(&args.path, args.seed)?;
    let path = args.path.display();
    writeln!(out, "{path}: {} accounts, {} transactions", written.accounts, written.transactions)?;
    Ok(())
}
