//! Makes the items of the content-moderation example, the same ones each time for the same seed.

mod content;
mod random;
mod store;

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::content::{Kind, generate};

/// Makes `site.db` and `inbox/content.jsonl` of the content-moderation example; what is there is replaced.
#[derive(Parser)]
struct Args {
    /// The folder to put them into.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// How many items.
    #[arg(long, default_value_t = 40)]
    items: usize,
    /// Another seed makes other items.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print how many items there are of each kind, and write nothing.
    #[arg(long)]
    truth: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let items = generate(args.seed, args.items);
    let mut out = stdout().lock();
    if args.truth {
        for kind in Kind::ALL {
            let count = items.iter().filter(|item| item.kind == kind).count();
            writeln!(out, "{kind}  {count}")?;
        }
        return Ok(());
    }
    store::write(&args.folder, &items)?;
    writeln!(out, "inbox/content.jsonl: {} items", items.len())?;
    Ok(())
}
