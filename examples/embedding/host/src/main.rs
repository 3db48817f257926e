//! The clinic with an approver at the terminal.
//!
//! `clinic FOLDER STATE [--patient NAME] [--ward N]`: the workflow is in FOLDER, the journal and the records in STATE.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod terminal;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clinic::Clinic;
use serde_json::{Map, Value};
use wflo_model::PrincipalName;

/// What the command line says.
struct Args {
    folder: PathBuf,
    state: PathBuf,
    inputs: Map<String, Value>,
}

fn args() -> Result<Args> {
    let usage = "usage: clinic FOLDER STATE [--ward N] [--patient NAME]";
    let mut words = std::env::args().skip(1);
    let (folder, state) = (words.next().context(usage)?.into(), words.next().context(usage)?.into());
    let mut inputs = Map::new();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").context(usage)?;
        inputs.insert(name.to_owned(), words.next().context(usage)?.into());
    }
    Ok(Args { folder, state, inputs })
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { folder, state, inputs } = args()?;
    let clinic = Clinic::open(&folder, &state).await?;
    let (runtime, host) = (&clinic.runtime, &clinic.host);
    let run = clinic.start(inputs).await?;
    let physician: PrincipalName = "physician".parse()?;
    let mut view = runtime.drive(run, host, None).await?;
    while let Some(approval) = runtime.approvals(false).await?.into_iter().find(|it| it.run == run) {
        let verdict = tokio::task::spawn_blocking(move || {
            let asked = terminal::ask(&approval, &mut std::io::stdin().lock(), &mut std::io::stdout());
            asked.map(|verdict| (approval, verdict))
        });
        let (approval, verdict) = verdict.await??;
        // Who sits there is the host's to say: it has let them in.
        let voter = clinic.voter(&physician).context("the clinic knows them")?;
        runtime.vote(approval.id, &voter, verdict, None).await?;
        view = runtime.drive(run, host, None).await?;
    }
    println!("{}", serde_json::to_string_pretty(&view)?);
    if !view.status.is_final() {
        bail!("run `{run}` waits for something that this program cannot give");
    }
    let replayed = runtime.replay(run).await?;
    println!("replayed: {}", if replayed.identical { "identical" } else { "it differs" });
    Ok(())
}
