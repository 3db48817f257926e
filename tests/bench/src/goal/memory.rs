//! What the gate adds to a call where no disk is waited for.

use anyhow::Result;

use crate::args::Args;
use crate::guest::Guest;
use crate::meter::{median, timed};
use crate::outside::quick;
use crate::row::Row;
use crate::world::{World, in_memory};

const CALLS: f64 = 1000.0;
const ROUNDS: usize = 31;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let world = World::new(in_memory().await?, Guest::read(&args.guest)?, quick()?)?;
    let (none, many) = (world.guest.plan(&["nothing"])?, world.guest.plan(&["reads-1000"])?);
    let mut calls = Vec::new();
    for round in 0..=ROUNDS {
        let (without, with) = (world.start(&none).await?, world.start(&many).await?);
        let without = timed(world.finish(without)).await?;
        let with = timed(world.finish(with)).await?;
        if round > 0 {
            calls.push((with - without) / CALLS);
        }
    }
    let row = Row::new("a call of the host, in memory", median(calls), "us").at_most(5.0);
    Ok(vec![row.note("a read of a database in this process: gate, digests, event, seal and chain")])
}
