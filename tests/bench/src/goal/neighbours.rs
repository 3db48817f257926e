//! Neighbours: how long a trivial step takes beside a guest that is at one of its limits all the time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use wflo_model::{FaultKind, Limits};
use wflo_sandbox::{End, Program, Sandbox, SandboxConfig};

use super::sandbox::Closed;
use crate::args::Args;
use crate::guest::Guest;
use crate::meter::{median, us};
use crate::row::Row;

/// Entries of a round, and rounds.
const EACH: usize = 400;
const ROUNDS: usize = 7;

/// What a bad neighbour does, and how each of its attempts ends.
const BAD: [(&str, FaultKind); 3] =
    [("spins", FaultKind::Deadline), ("grows", FaultKind::OutOfMemory), ("floods", FaultKind::TooMuchLog)];

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let guest = Guest::read(&args.guest)?;
    let program = Sandbox::new(SandboxConfig::default())?.load(&guest.content).await?;
    let mut ratios = [const { Vec::new() }; BAD.len()];
    let (mut quiet, mut slow) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        let alone = entries(&program).await?;
        for (ratios, bad) in ratios.iter_mut().zip(BAD) {
            let beside = {
                let stop = tokio::spawn(misbehave(Arc::clone(&program), bad));
                let beside = entries(&program).await;
                ensure!(!stop.is_finished(), "`{}` gave up: {:?}", bad.0, stop.await);
                stop.abort();
                beside?
            };
            if round > 0 {
                ratios.push(median(beside.clone()) / median(alone.clone()));
                slow.push(slowest_of_hundred(beside));
            }
        }
        if round > 0 {
            quiet.push(slowest_of_hundred(alone));
        }
    }
    let ratios = ratios.map(median);
    let (worst, ratio) =
        BAD.iter().zip(ratios).max_by(|a, b| a.1.total_cmp(&b.1)).context("somebody misbehaves")?;
    let each: Vec<_> =
        BAD.iter().zip(ratios).map(|((what, _), ratio)| format!("{what} {ratio:.2}")).collect();
    let note = format!("medians, beside one that {}; {}", worst.0, each.join(", "));
    Ok(vec![
        Row::new("a trivial step beside a guest at its limits, to one alone", ratio, "x")
            .at_most(2.0)
            .note(note),
        Row::new("its slowest of a hundred", median(slow), "us").floor(median(quiet)).note("floor: alone"),
    ])
}

/// Times of trivial steps, in microseconds. They are tasks of the same threads as their neighbour.
async fn entries(program: &Arc<Program>) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..EACH {
        let program = Arc::clone(program);
        let start = std::time::Instant::now();
        let ended = tokio::spawn(async move {
            let limits = Limits::default();
            program.run("nothing", Box::new(Closed::default()), &limits).await.end
        });
        let end = ended.await?;
        times.push(us(start.elapsed()));
        ensure!(matches!(end, End::Output(_)), "the guest ended as {end:?}");
    }
    Ok(times)
}

fn slowest_of_hundred(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

/// Runs into the same limit, over and over.
async fn misbehave(program: Arc<Program>, (step, kind): (&'static str, FaultKind)) -> Result<()> {
    let limits = Limits { fuel: u64::MAX / 2, timeout: Duration::from_secs(2), ..Limits::default() };
    loop {
        match program.run(step, Box::new(Closed::default()), &limits).await.end {
            End::Fault(fault) if fault.kind == kind => {}
            other => bail!("`{step}` ended as {other:?}"),
        }
    }
}
