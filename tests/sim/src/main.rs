//! `wflo-sim`: plays seed after seed, and tells the smallest history of one that fails.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wflo_sim::{Scenario, judge, shrink};

const HELP: &str = "\
usage: wflo-sim [--seeds N] [--from S] [--seed S] [--alone] [--plain] [--all]

  --seeds N   how many seeds to play (1000)
  --from S    the first of them (0)
  --seed S    play this one, and tell what it is
  --alone     without requests under way beside a script
  --plain     without that, and without policies, rollbacks and channels
  --all       go on after a failure";

struct Args {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    alone: bool,
    plain: bool,
    all: bool,
}

fn main() -> ExitCode {
    match args().and_then(|args| run(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn args() -> Result<Args> {
    let mut args = Args { seeds: 1000, from: 0, seed: None, alone: false, plain: false, all: false };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut number = || -> Result<u64> {
            let text = given.next().with_context(|| format!("`{arg}` needs a number"))?;
            text.parse().with_context(|| format!("`{text}` is not a number"))
        };
        match arg.as_str() {
            "--seeds" => args.seeds = number()?,
            "--from" => args.from = number()?,
            "--seed" => args.seed = Some(number()?),
            "--alone" => args.alone = true,
            "--plain" => args.plain = true,
            "--all" => args.all = true,
            other => bail!("there is no option `{other}`"),
        }
    }
    Ok(args)
}

/// Plays the seeds; whether all of them are as they must be.
fn run(args: &Args) -> Result<bool> {
    if let Some(seed) = args.seed {
        println!("seed {seed}: {}", scenario(args, seed));
        return Ok(play_one(args, seed, true));
    }
    let begun = Instant::now();
    let mut told = begun;
    let mut failed = 0_u64;
    for (done, seed) in (args.from..args.from.saturating_add(args.seeds)).enumerate() {
        // A share of the seeds is played twice.
        if !play_one(args, seed, seed.is_multiple_of(10)) {
            failed += 1;
            if !args.all {
                break;
            }
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("{}", rate(done as u64 + 1, begun.elapsed()));
        }
    }
    if failed > 0 {
        println!("{failed} seed(s) failed");
        return Ok(false);
    }
    println!("{}, all as they must be", rate(args.seeds, begun.elapsed()));
    Ok(true)
}

fn rate(seeds: u64, time: Duration) -> String {
    let minutes = time.as_secs_f64() / 60.0;
    format!("{seeds} seeds in {:.1} s: {:.0} seeds/minute", time.as_secs_f64(), seeds as f64 / minutes)
}

fn scenario(args: &Args, seed: u64) -> Scenario {
    match args {
        Args { plain: true, .. } => Scenario::plain(seed),
        Args { alone: true, .. } => Scenario::alone(seed),
        _ => Scenario::of(seed),
    }
}

fn play_one(args: &Args, seed: u64, twice: bool) -> bool {
    let scenario = scenario(args, seed);
    let Some(violation) = judge(&scenario, twice) else { return true };
    println!("seed {seed} fails: {}: {}", violation.property, violation.what);
    let (scenario, violation) = shrink(scenario, violation);
    println!(
        "the smallest history in which that fails:\n{scenario}{}: {}",
        violation.property, violation.what
    );
    let (alone, plain) = (if args.alone { " --alone" } else { "" }, if args.plain { " --plain" } else { "" });
    println!("again: cargo xtask sim --seed {seed}{alone}{plain}\n");
    false
}
