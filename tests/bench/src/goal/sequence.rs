//! One run alone: every step waits for the disk, and for nothing else.

use std::time::Instant;

use anyhow::Result;

use crate::args::Args;
use crate::floor::Disk;
use crate::guest::Guest;
use crate::meter::{median, us};
use crate::outside::quick;
use crate::row::Row;
use crate::world::{World, counted};

/// Steps of a run, and runs.
const STEPS: usize = 20;
const RUNS: usize = 60;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let (journal, syncs) = counted(&folder.path().join("state")).await?;
    let world = World::new(journal, Guest::read(&args.guest)?, quick()?)?;
    let plan = world.guest.plan(&["nothing"; STEPS])?;
    let mut disk = Disk::new(folder.path())?;
    for _ in 0..3 {
        world.finish(world.start(&plan).await?).await?;
    }
    let (mut floors, mut steps, mut flushes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        // Beside each other, since a busy disk is busy for both.
        floors.extend(disk.syncs(10)?);
        let run = world.start(&plan).await?;
        let (before, start) = (syncs.count(), Instant::now());
        world.finish(run).await?;
        steps.push(us(start.elapsed()) / STEPS as f64);
        flushes += syncs.count() - before;
    }
    let floor = median(floors);
    let flushes = flushes as f64 / (RUNS * STEPS) as f64;
    Ok(vec![
        Row::new("one run: a durable step", median(steps), "us")
            .floor(floor)
            .at_most(1.5 * floor)
            .note("floor: an append of 4 KiB and its sync, the disk alone"),
        Row::new("one run: flushes a step", flushes, "flushes").floor(1.0).at_most(1.5),
    ])
}
