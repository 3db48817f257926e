//! Many runs at once, whose steps share flushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use wflo_manifest::Plan;

use crate::args::Args;
use crate::guest::Guest;
use crate::meter::{bytes_written, cpu, median};
use crate::outside::quick;
use crate::row::Row;
use crate::world::{World, counted};

/// Runs at once.
pub(crate) const AT_ONCE: usize = 64;
/// Steps of a run.
pub(crate) const STEPS: usize = 10;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

/// What one round came to, a step.
struct Round {
    rate: f64,
    cpu: f64,
    bytes: f64,
    flushes: f64,
}

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let (journal, syncs) = counted(&folder.path().join("state")).await?;
    let world = World::new(journal, Guest::read(&args.guest)?, quick()?)?;
    let plan = world.guest.plan(&["nothing"; STEPS])?;
    for_a_while(&world, &plan, Duration::from_secs(1)).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = (bytes_written()?, cpu()?, syncs.count());
        let start = Instant::now();
        let steps = for_a_while(&world, &plan, ROUND).await? as f64;
        rounds.push(Round {
            rate: steps / start.elapsed().as_secs_f64(),
            bytes: (bytes_written()? - before.0) as f64 / steps,
            cpu: (cpu()? - before.1) / steps,
            flushes: (syncs.count() - before.2) as f64 / steps,
        });
    }
    let of = |what: fn(&Round) -> f64| median(rounds.iter().map(what).collect());
    Ok(vec![
        Row::new("64 runs at once: durable steps", of(|it| it.rate), "steps/s")
            .at_least(12_000.0)
            .note("whole runs of 10 steps, accepting included"),
        Row::new("64 runs at once: processor time a step", of(|it| it.cpu), "us"),
        Row::new("64 runs at once: flushes a step", of(|it| it.flushes), "flushes"),
        Row::new("bytes written a trivial step", of(|it| it.bytes), "bytes")
            .at_most(2048.0)
            .note("as the system counts what goes to the disk, 64 at once"),
    ])
}

/// Starts and finishes runs, so many at once, and says how many steps that were.
async fn for_a_while(world: &World, plan: &Plan, time: Duration) -> Result<u64> {
    let end = Instant::now() + time;
    crowd(world, plan, move |_| Instant::now() < end).await
}

/// Starts and finishes runs, so many at once, as long as `goes_on` says of the steps so far. Gives the steps.
pub(crate) async fn crowd(
    world: &World,
    plan: &Plan,
    goes_on: impl Fn(u64) -> bool + Send + Sync + 'static,
) -> Result<u64> {
    let steps = Arc::new(AtomicU64::new(0));
    let goes_on = Arc::new(goes_on);
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (world, plan) = (world.clone(), plan.clone());
        let (steps, goes_on) = (Arc::clone(&steps), Arc::clone(&goes_on));
        clients.spawn(async move {
            while goes_on(steps.load(Ordering::Relaxed)) {
                Box::pin(async { world.finish(world.start(&plan).await?).await }).await?;
                steps.fetch_add(plan.steps.len() as u64, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(steps.load(Ordering::Relaxed))
}
