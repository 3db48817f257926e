//! Verification of an audit file.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use wflo_journal::{Created, Draft, Extras, audit};
use wflo_model::{RunId, Timestamp};

use crate::args::Args;
use crate::meter::median;
use crate::row::Row;
use crate::world::in_memory;

const EVENTS: u64 = 200_000;
/// Events of an append.
const BATCH: u64 = 200;
/// What the goal speaks of.
const GOAL: u64 = 1_000_000;
const ROUNDS: usize = 3;

pub(crate) async fn measure(_: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("run.audit");
    let journal = in_memory().await?;
    let run = RunId::new(Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
    let body = br#"{"call":{"interface":"wflo:db/sql","function":"query","args":{"db":"bank","sql":"SELECT ?1","params":[{"integer":"17"}]}},"result":{"ok":{"columns":["c0"],"rows":[[{"integer":"17"}]]}}}"#;
    let draft = || Draft {
        step: Some("review".parse().expect("a word is a name")),
        attempt: 1,
        ..Draft::new(Timestamp::from_micros(1_700_000_000_000_000), 12, body.to_vec())
    };
    let Created::New(mut writer) = journal.create_run(run, None, vec![draft()], Vec::new()).await? else {
        bail!("a run was there");
    };
    while writer.head() < EVENTS {
        let drafts = (0..BATCH.min(EVENTS - writer.head())).map(|_| draft()).collect();
        writer.append(drafts, Extras::default())?.ticket.durable().await?;
    }
    audit::export(&journal, run, &mut BufWriter::new(File::create(&path)?)).await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let verified = audit::verify(BufReader::new(File::open(&path)?))?;
        ensure!(verified.events == EVENTS, "{} events were verified", verified.events);
        times.push(start.elapsed().as_secs_f64() * GOAL as f64 / EVENTS as f64);
    }
    let row = Row::new("verification of an audit of 1,000,000 events", median(times), "s").at_most(5.0);
    Ok(vec![row.note("measured with 200,000, and five times that")])
}
