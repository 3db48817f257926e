//! A process is killed with runs in flight, and another goes on with them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::task::JoinSet;

use crate::args::Args;
use crate::guest::Guest;
use crate::meter::median;
use crate::outside::{quick, silent};
use crate::row::Row;
use crate::world::{World, in_folder};

const RUNS: usize = 200;
const ROUNDS: usize = 3;
/// The step that is under way when the process is killed: five are done, four have not begun.
const FUNCTIONS: [&str; 10] = [
    "nothing", "nothing", "nothing", "nothing", "nothing", "asks-1", "nothing", "nothing", "nothing",
    "nothing",
];

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let mut times = Vec::new();
    let mut repeated = 0;
    for round in 0..=ROUNDS {
        let folder = tempfile::tempdir()?;
        kill(folder.path(), &args.guest)?;
        let start = Instant::now();
        let after = child("recovery-after", folder.path(), &args.guest)?.stdout(Stdio::piped()).output()?;
        ensure!(after.status.success(), "the process after the crash ended with {}", after.status);
        let time = start.elapsed().as_secs_f64();
        repeated += String::from_utf8(after.stdout)?.trim().parse::<u64>()?;
        // The first fills the cache of compiled code.
        if round > 0 {
            times.push(time);
        }
    }
    Ok(vec![
        Row::new("kill -9 with 200 runs in flight: all done", median(times), "s")
            .at_most(1.0)
            .note("from the start of the next process to its end; every run had four more steps to go"),
        Row::new("the same: steps done twice or retries used up", repeated as f64, "steps").at_most(0.0),
    ])
}

fn child(what: &str, folder: &Path, guest: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", what]).arg(folder).arg(guest);
    Ok(command)
}

/// Has a process bring its runs into the middle, and kills it there.
fn kill(folder: &Path, guest: &Path) -> Result<()> {
    let mut before = child("recovery-before", folder, guest)?.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let out = before.stdout.take().context("its output was asked for")?;
    BufReader::new(out).read_line(&mut line)?;
    before.kill()?;
    before.wait()?;
    ensure!(line == "ready\n", "the process before the crash said `{line}`");
    Ok(())
}

fn folder_and_guest(rest: &[String]) -> Result<(&Path, Guest)> {
    let [folder, guest] = rest else { bail!("a folder and a guest are expected") };
    Ok((Path::new(folder), Guest::read(Path::new(guest))?))
}

/// Brings the runs to where none goes on, and says so.
pub(crate) async fn before(rest: &[String]) -> Result<()> {
    let (folder, guest) = folder_and_guest(rest)?;
    let (outside, all_asked) = silent(RUNS)?;
    let journal = in_folder(&folder.join("state")).await?;
    let world = World::with_room(journal, guest, outside, &folder.join("cache"), RUNS)?;
    let plan = world.guest.plan(&FUNCTIONS)?;
    let mut clients = JoinSet::new();
    for _ in 0..RUNS {
        let (world, plan) = (world.clone(), plan.clone());
        clients.spawn(async move { world.finish(world.start(&plan).await?).await });
    }
    tokio::select! {
        _ = all_asked.wait() => {}
        Some(ended) = clients.join_next() => bail!("a run came to its end: {:?}", ended?.map(|it| it.status)),
    }
    println!("ready");
    std::future::pending().await
}

/// Goes on with all runs, and says how many steps began more than once.
pub(crate) async fn after(rest: &[String]) -> Result<()> {
    let (folder, guest) = folder_and_guest(rest)?;
    let journal = in_folder(&folder.join("state")).await?;
    let world = World::with_room(journal, guest, quick()?, &folder.join("cache"), RUNS)?;
    let runs = world.runtime.unfinished().await?;
    ensure!(runs.len() == RUNS, "{} runs are unfinished, not {RUNS}", runs.len());
    let mut clients = JoinSet::new();
    for run in runs {
        let world = world.clone();
        clients.spawn(async move { world.finish(run).await });
    }
    let mut repeated = 0;
    while let Some(view) = clients.join_next().await {
        repeated += view??.steps.iter().filter(|step| step.attempts != 1).count();
    }
    println!("{repeated}");
    Ok(())
}
