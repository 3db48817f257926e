//! `cargo xtask torture`: the real command, killed at random moments, again and again.
//!
//! A round starts a run or goes on with one, and kills whoever does it without warning: the process that holds the
//! store, sometimes while another waits for it, sometimes in the middle of a vote or of `wflo gc`. After every kill
//! the store must open, and what it has an answer to may never be asked again. After some rounds the run is brought
//! to its end, and everything about it is held against a run that nobody has disturbed.
//!
//! The moments follow from the seed. What the machine has come to by then does not: a seed makes a failure likely,
//! not certain.
#![expect(clippy::print_stderr, reason = "a tool for a terminal")]

mod book;
mod check;
mod journal;
mod money;
mod random;
mod rounds;
mod stage;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};

use crate::book::Kind;
use crate::rounds::Torture;
use crate::stage::Stage;

/// Kills wflo at random moments and checks that nothing is lost and nothing happens twice.
#[derive(Parser)]
#[command(name = "cargo xtask torture")]
struct Args {
    /// How many times something is killed.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// What the moments follow from; by default another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// The database that the effects are in.
    #[arg(long, value_enum, default_value_t)]
    database: Kind,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(drawn);
    match torture(args.rounds, seed, args.database) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn torture(rounds: u32, seed: u64, kind: Kind) -> Result<()> {
    let began = Instant::now();
    eprintln!("{rounds} rounds, seed {seed}");
    let mut folder = tempfile::Builder::new().prefix("wflo-torture-").tempdir()?;
    let mut played = 0;
    let result = play(folder.path(), kind, rounds, seed, &mut played);
    if result.is_err() {
        // Round 0 is the run that nobody disturbs.
        folder.disable_cleanup(true);
        eprintln!(
            "round {played} of seed {seed} failed; everything is kept in `{}`",
            folder.path().display()
        );
        let database = kind.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default();
        eprintln!("again: cargo xtask torture --rounds {rounds} --seed {seed} --database {database}");
    }
    let summary = result?;
    eprintln!("{summary}, in {} s", began.elapsed().as_secs());
    Ok(())
}

/// Plays all rounds, and says what came of them.
fn play(folder: &Path, kind: Kind, rounds: u32, seed: u64, played: &mut u32) -> Result<String> {
    let mut torture = Torture::begin(Stage::set(folder, rounds::ITEMS, kind)?, seed)?;
    for round in 1..=rounds {
        *played = round;
        torture.round(round)?;
    }
    torture.finish()?;
    Ok(torture.summary())
}

/// A seed nobody has chosen.
fn drawn() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id()) % 1_000_000_000
}
