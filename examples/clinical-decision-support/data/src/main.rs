//! Makes the clinic of the clinical-decision-support example, the same one each time for the same seed.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Makes the SQLite database of the clinical-decision-support example.
///
/// A database that exists already is replaced, in one step: whoever opens it sees the old one or the new one.
#[derive(Parser)]
struct Args {
    /// The file to write.
    #[arg(default_value = "clinic.db")]
    path: PathBuf,
    /// Another seed makes another clinic.
    #[arg(long, default_value_t = clinical_data::SEED)]
    seed: u64,
    /// Print what each patient was given, and write nothing.
    #[arg(long)]
    truth: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut out = stdout().lock();
    if args.truth {
        for (patient, case) in clinical_data::truth(args.seed) {
            writeln!(out, "{patient}  {case}")?;
        }
        return Ok(());
    }
    let written = clinical_data::write(&args.path, args.seed)?;
    let path = args.path.display();
    writeln!(out, "{path}: {} patients, {} records", written.patients, written.records)?;
    Ok(())
}
