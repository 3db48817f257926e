//! What a store that has seen much costs a step.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;

use super::crowd::{STEPS, crowd};
use crate::args::Args;
use crate::guest::Guest;
use crate::meter::{cpu, median};
use crate::outside::quick;
use crate::row::Row;
use crate::world::{World, in_folder};

/// Steps in all, and of a mark.
const TOTAL: u64 = 1_000_000;
const MARK: u64 = 5_000;
/// Marks of the beginning and of the end that are compared.
const COMPARED: usize = 20;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let journal = in_folder(&folder.path().join("state")).await?;
    let world = World::new(journal, Guest::read(&args.guest)?, quick()?)?;
    let plan = world.guest.plan(&["nothing"; STEPS])?;
    let marks = Arc::new(Mutex::new(vec![(0, Instant::now(), cpu()?)]));
    let noted = Arc::clone(&marks);
    crowd(&world, &plan, move |steps| {
        let mut marks = noted.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.last().is_none_or(|last| steps >= last.0 + MARK) {
            marks.push((steps, Instant::now(), cpu().unwrap_or(f64::NAN)));
        }
        steps < TOTAL
    })
    .await?;
    let marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
    let stretches = marks.windows(2).map(|pair| {
        let steps = (pair[1].0 - pair[0].0) as f64;
        (steps / pair[1].1.duration_since(pair[0].1).as_secs_f64(), (pair[1].2 - pair[0].2) / steps)
    });
    // The first stretch warms up.
    let stretches = stretches.skip(1).collect::<Vec<_>>();
    let (first, last) = (&stretches[..COMPARED], &stretches[stretches.len() - COMPARED..]);
    let loss = |first: Vec<f64>, last: Vec<f64>| 100.0 * (1.0 - median(last) / median(first));
    let rate = |of: &[(f64, f64)]| of.iter().map(|it| it.0).collect();
    let per_cpu = |of: &[(f64, f64)]| of.iter().map(|it| 1.0 / it.1).collect();
    Ok(vec![
        Row::new("throughput lost over 1,000,000 steps", loss(rate(first), rate(last)), "%")
            .at_most(10.0)
            .note(
                "the first 100,000 against the last 100,000. Of each second of processor time: the next line",
            ),
        Row::new("the same, a second of processor time", loss(per_cpu(first), per_cpu(last)), "%"),
    ])
}
