//! Runs that stand still: what they cost a process that starts, and goes on living.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use wflo_backends::SystemEntropy;
use wflo_journal::{Created, Draft, Extras, Journal};
use wflo_model::{RunId, Timestamp};

use crate::args::Args;
use crate::meter::{median, resident};
use crate::row::Row;
use crate::world::in_folder;

const PARKED: usize = 1_000_000;
const TASKS: usize = 64;
const ROUNDS: usize = 3;
/// How often a process that lives on looks for timers before its memory is measured.
const TICKS: usize = 20;
const TICK: Duration = Duration::from_millis(100);
/// Unfinished runs listed at a time.
const PAGE: usize = 1024;

pub(crate) async fn measure(_: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let (empty, full) = (folder.path().join("empty"), folder.path().join("full"));
    drop(in_folder(&empty).await?);
    fill(&full).await?;
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (_, without) = open(&empty, 0)?;
        let (start, with) = open(&full, PARKED)?;
        if round > 0 {
            starts.push(start);
            sizes.push((with - without) / PARKED as f64);
        }
    }
    Ok(vec![
        Row::new("1,000,000 parked runs: start-up", median(starts), "s")
            .at_most(1.0)
            .note("the store opened, timers due looked up, unfinished runs listed"),
        Row::new("1,000,000 parked runs: memory a run", median(sizes), "bytes")
            .at_most(100.0)
            .note("resident two seconds later, over a process with an empty store"),
    ])
}

/// Makes the runs, at the level of the journal: what is measured looks at no event.
async fn fill(path: &Path) -> Result<()> {
    let journal = in_folder(path).await?;
    let tasks = (0..TASKS).map(|task| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in (task..PARKED).step_by(TASKS) {
                park(&journal, n).await?;
            }
            anyhow::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

/// A run with a step that waits for a timer: its four events, as large as such events are.
async fn park(journal: &Journal, n: usize) -> Result<()> {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&(n as u64).to_be_bytes());
    let begun = 1_700_000_000_000_000 + n as u64 * 1000;
    let run = RunId::new(Timestamp::from_micros(begun), random);
    let draft = |kind, size| Draft::new(Timestamp::from_micros(begun), kind, vec![b'b'; size]);
    let created = journal.create_run(run, None, vec![draft(1, 250)], vec![b's'; 220]).await?;
    let Created::New(mut writer) = created else { anyhow::bail!("a run was there") };
    let of_step = |kind, size| -> Result<Draft> {
        Ok(Draft { step: Some("nap".parse()?), attempt: 1, ..draft(kind, size) })
    };
    let due = Some(Some(Timestamp::from_micros(4_000_000_000_000_000 + begun)));
    let drafts = vec![of_step(2, 100)?, of_step(3, 400)?, of_step(4, 80)?];
    let appended =
        writer.append(drafts, Extras { due, summary: Some(vec![b's'; 220]), ..Extras::default() })?;
    Ok(appended.ticket.durable().await?)
}

/// Opens a store in a process of its own: seconds, and bytes resident after that.
fn open(path: &Path, expect: usize) -> Result<(f64, f64)> {
    let output = Command::new(std::env::current_exe()?).args(["child", "parked"]).arg(path).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let mut word = || words.next().with_context(|| format!("`{text}` is not what a child says"));
    let (found, seconds, bytes) = (word()?.parse::<usize>()?, word()?.parse()?, word()?.parse()?);
    ensure!(found == expect, "{found} runs were found, not {expect}");
    Ok((seconds, bytes))
}

pub(crate) async fn child(rest: &[String]) -> Result<()> {
    let path = rest.first().context("a folder is missing")?;
    let start = Instant::now();
    let journal = Journal::open_state(Path::new(path), None, Arc::new(SystemEntropy)).await?;
    let due = journal.due(Timestamp::from_micros(2_000_000_000_000_000), PAGE).await?;
    ensure!(due.is_empty(), "a timer is due too early");
    let (mut found, mut after) = (0, None);
    loop {
        let page = journal.unfinished(after, PAGE).await?;
        found += page.len();
        after = page.last().copied();
        if page.len() < PAGE {
            break;
        }
    }
    let started = start.elapsed().as_secs_f64();
    // What the start itself took is given back by then.
    for _ in 0..TICKS {
        tokio::time::sleep(TICK).await;
        let due = journal.due(Timestamp::from_micros(2_000_000_000_000_000), PAGE).await?;
        ensure!(due.is_empty(), "a timer is due too early");
    }
    println!("{found} {started} {}", resident()?);
    Ok(())
}
