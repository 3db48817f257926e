//! A step that parked after many calls goes on: its calls are replayed.

use anyhow::{Context as _, Result, ensure};
use wflo::{RunStatus, Verdict, Voter};

use crate::args::Args;
use crate::guest::Guest;
use crate::meter::{median, timed};
use crate::outside::quick;
use crate::row::Row;
use crate::world::{World, in_folder};

const ROUNDS: usize = 15;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let journal = in_folder(&folder.path().join("state")).await?;
    let world = World::new(journal, Guest::read(&args.guest)?, quick()?)?;
    let plan = world.guest.plan(&["pauses-1000"])?;
    let crew = Voter { name: "alice".parse()?, groups: ["crew".parse()?].into() };
    let mut resumes = Vec::new();
    for round in 0..=ROUNDS {
        let run = world.start(&plan).await?;
        let view = world.drive(run).await?;
        ensure!(view.status == RunStatus::Waiting, "a run is {}", view.status);
        let asked = view.waiting_for.first().and_then(|it| it.id).context("nobody is asked")?;
        world.runtime.vote(asked, &crew, Verdict::Approve, None).await?;
        let resumed = timed(world.finish(run)).await?;
        if round > 0 {
            resumes.push(resumed / 1e3);
        }
    }
    let row = Row::new("resume of a parked step with 1,000 calls", median(resumes), "ms").at_most(20.0);
    Ok(vec![row.note("from the vote to the end of the run, its events read from the store")])
}
