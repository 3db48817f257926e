//! Calls of the host that are journaled, many runs at once.

use std::time::Instant;

use anyhow::Result;

use super::crowd::{AT_ONCE, crowd};
use crate::args::Args;
use crate::guest::Guest;
use crate::meter::median;
use crate::outside::quick;
use crate::row::Row;
use crate::world::{World, in_folder};

/// Calls of a step. Many, so that what the run itself costs is little of it.
const CALLS: u64 = 200;
const ROUNDS: usize = 3;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (function, name, note) in [
        ("asks-200", "questions to a model, 64 at once", "an intent that is waited for, and a result"),
        ("reads-200", "reads of a database, 64 at once", "one event each, waited for at the end of the step"),
    ] {
        let folder = tempfile::tempdir()?;
        let journal = in_folder(&folder.path().join("state")).await?;
        let world = World::new(journal, Guest::read(&args.guest)?, quick()?)?;
        let plan = world.guest.plan(&[function])?;
        let mut rates = Vec::new();
        for round in 0..=ROUNDS {
            let start = Instant::now();
            let steps = crowd(&world, &plan, |steps| steps < 2 * AT_ONCE as u64).await?;
            if round > 0 {
                rates.push((CALLS * steps) as f64 / start.elapsed().as_secs_f64());
            }
        }
        rows.push(Row::new(name, median(rates), "calls/s").at_least(30_000.0).note(note));
    }
    Ok(rows)
}
