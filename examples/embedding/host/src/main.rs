//! A program that embeds wflo: its own interface beside wflo's, behind the same gate, and an approver in the terminal.
//!
//! `clinic FOLDER STATE [--patient NAME] [--ward N]`: the workflow is in FOLDER, the journal and the records in STATE.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod records;
mod terminal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use wflo::{Host, Outside, Principal, Principals, Runtime, Start, Voter};
use wflo_backends::{SystemClock, SystemEntropy};
use wflo_journal::Journal;
use wflo_manifest::{Deployment, Pinning, Plan, Workflow};
use wflo_model::{Digest, PrincipalName};
use wflo_sandbox::{Sandbox, SandboxConfig};

use crate::records::Records;

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
    std::fs::create_dir_all(&state).with_context(|| format!("`{}`", state.display()))?;
    let records = Arc::new(Records::open(&state.join("records.json")));

    // The sandbox links the interface; what its calls do is lent to runs, and reached through the gate alone.
    let sandbox = Sandbox::with(SandboxConfig::default(), None, &[&*records])?;
    let entropy = Arc::new(SystemEntropy);
    let journal = Journal::open_state(&state.join("journal"), None, entropy.clone()).await?;
    let runtime = Runtime::new(journal, sandbox, Arc::new(SystemClock), entropy);
    let physician: PrincipalName = "physician".parse()?;
    let groups = ["physicians".parse()?].into();
    let principals = Principals([(physician.clone(), Principal { groups, ..Principal::default() })].into());
    let outside = Outside::default().with_interface(records.clone(), None);
    let host = Host { outside: Arc::new(outside), principals };

    let (plan, component) = pinned(&folder, &records, &host)?;
    let inputs = plan.inputs(inputs).map_err(|wrong| anyhow::anyhow!(wrong.join("; ")))?;
    let components = BTreeMap::from([(Digest::of(&component), component)]);
    let requester: PrincipalName = "nurse".parse()?;
    let run = runtime.start(Start { plan, components, inputs, requester, key: None }).await?;
    let mut view = runtime.drive(run, &host, None).await?;
    while let Some(approval) = runtime.approvals(false).await?.into_iter().find(|it| it.run == run) {
        let verdict = tokio::task::spawn_blocking(move || {
            let asked = terminal::ask(&approval, &mut std::io::stdin().lock(), &mut std::io::stdout());
            asked.map(|verdict| (approval, verdict))
        });
        let (approval, verdict) = verdict.await??;
        // Who sits there is the host's to say: it has let them in.
        let voter = Voter {
            name: physician.clone(),
            groups: host.principals.groups_of(&physician).unwrap_or_default(),
        };
        runtime.vote(approval.id, &voter, verdict, None).await?;
        view = runtime.drive(run, &host, None).await?;
    }
    println!("{}", serde_json::to_string_pretty(&view)?);
    if !view.status.is_final() {
        bail!("run `{run}` waits for something that this program cannot give");
    }
    let replayed = runtime.replay(run).await?;
    println!("replayed: {}", if replayed.identical { "identical" } else { "it differs" });
    Ok(())
}

/// The workflow, pinned to its component and to what this host offers.
fn pinned(folder: &Path, records: &Records, host: &Host) -> Result<(Plan, Vec<u8>)> {
    let file = folder.join("workflow.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("`{}`", file.display()))?;
    let workflow = Workflow::parse("workflow.toml", &text)?;
    let component = std::fs::read(folder.join("ward.wasm")).context("`wflo build` makes `ward.wasm`")?;
    let mut deployment = Deployment::default();
    wflo::offer(&mut deployment, records);
    let digest = Digest::of(&component);
    let components = workflow.components().into_iter().map(|path| (path.clone(), digest)).collect();
    let known = host.principals.directory();
    let prompts = wflo::prompt_versions();
    let pinning =
        Pinning { components: &components, deployment: &deployment, known: &known, prompts: &prompts };
    Ok((Plan::new(&workflow, &pinning)?, component))
}
