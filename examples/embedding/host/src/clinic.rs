//! The runtime, put together: a journal, a sandbox, and what the clinic lends to steps.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use wflo::{Host, Outside, Principal, Principals, Runtime, RuntimeError, Start, Voter};
use wflo_backends::{SystemClock, SystemEntropy};
use wflo_journal::Journal;
use wflo_manifest::{Deployment, Pinning, Plan, Workflow};
use wflo_model::{Content, PrincipalName, RunId};
use wflo_sandbox::{Sandbox, SandboxConfig};

use crate::guidelines::Guidelines;
use crate::records::Records;

/// A clinic with its one workflow.
pub struct Clinic {
    /// Runs it.
    pub runtime: Runtime,
    /// What is lent to runs: the records, the guidelines, and the people.
    pub host: Host,
    plan: Plan,
    component: Content,
}

impl Clinic {
    /// Opens the clinic: the workflow is in `folder`, the journal and the records are in `state`.
    ///
    /// # Errors
    /// When a file cannot be read, or the workflow is not one that this clinic can run.
    pub async fn open(folder: &Path, state: &Path) -> Result<Arc<Self>> {
        std::fs::create_dir_all(state).with_context(|| format!("`{}`", state.display()))?;
        let records = Arc::new(Records::open(&state.join("records.json")));

        // The sandbox links the interface; what its calls do is lent to runs, and reached through the gate alone.
        let sandbox = Sandbox::with(SandboxConfig::default(), None, &[&*records])?;
        let entropy = Arc::new(SystemEntropy);
        let journal = Journal::open_state(&state.join("journal"), None, entropy.clone()).await?;
        let runtime = Runtime::new(journal, sandbox, Arc::new(SystemClock), entropy);

        let outside = Outside::default()
            .with_interface(Arc::clone(&records), None)
            .with_knowledge("guidelines".parse()?, Arc::new(Guidelines));
        let groups = ["physicians".parse()?].into();
        let physician = Principal { groups, ..Principal::default() };
        let principals = Principals([("physician".parse()?, physician)].into());
        let host = Host { outside: Arc::new(outside), principals };

        let (plan, component) = pinned(folder, &records, &host)?;
        Ok(Arc::new(Self { runtime, host, plan, component }))
    }

    /// Starts a run: when this returns it is accepted and durable, and nothing of it has happened yet.
    ///
    /// # Errors
    /// When the inputs are not those of the workflow, or the journal cannot be written.
    pub async fn start(&self, inputs: Map<String, Value>) -> Result<RunId> {
        let inputs = self.plan.inputs(inputs).map_err(|wrong| anyhow::anyhow!(wrong.join("; ")))?;
        let components = vec![self.component.clone()];
        let requester: PrincipalName = "nurse".parse()?;
        let start = Start { plan: self.plan.clone(), components, inputs, requester, key: None };
        Ok(self.runtime.start(start).await?)
    }

    /// Lets a run go on in the background, until it ends or waits for somebody. To ask for it twice does no harm.
    pub fn go_on(self: &Arc<Self>, run: RunId) {
        let clinic = Arc::clone(self);
        tokio::spawn(async move {
            // What failed is in the journal; the run goes on when somebody lets it.
            let _: Result<_, RuntimeError> = clinic.runtime.drive(run, &clinic.host, None).await;
        });
    }

    /// Lets the runs go on whose timers are due, and tells people what waits for them, until the runtime is to stop.
    pub async fn keep_going(self: Arc<Self>) {
        let timers = async {
            let mut every_second = tokio::time::interval(Duration::from_secs(1));
            loop {
                every_second.tick().await;
                // A journal that cannot be read now can be in a second.
                for run in self.runtime.due(100).await.unwrap_or_default() {
                    self.go_on(run);
                }
            }
        };
        tokio::select! {
            () = timers => {}
            () = self.runtime.keep_telling(&self.host) => {}
        }
    }

    /// Somebody as a voter, in the groups that the clinic knows them in.
    #[must_use]
    pub fn voter(&self, name: &PrincipalName) -> Option<Voter> {
        let groups = self.host.principals.groups_of(name)?;
        Some(Voter { name: name.clone(), groups })
    }
}

impl std::fmt::Debug for Clinic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clinic")
            .field("workflow", &self.plan.workflow)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// The workflow, pinned to its component and to what this host offers.
fn pinned(folder: &Path, records: &Records, host: &Host) -> Result<(Plan, Content)> {
    let file = folder.join("workflow.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("`{}`", file.display()))?;
    let workflow = Workflow::parse("workflow.toml", &text)?;
    let component = std::fs::read(folder.join("ward.wasm")).context("`wflo build` makes `ward.wasm`")?;
    let component = Content::new(component);

    // What a workflow may ask of this host: the names that it lends, and the interface with the grants it reads.
    let mut deployment = Deployment::parse("the clinic", "[knowledge.guidelines]\npath = \"built in\"\n")?;
    wflo::offer(&mut deployment, records);

    let named = workflow.components().into_iter();
    let components = named.map(|path| (path.clone(), component.digest())).collect();
    let known = host.principals.directory();
    let prompts = wflo::prompt_versions();
    let pinning =
        Pinning { components: &components, deployment: &deployment, known: &known, prompts: &prompts };
    Ok((Plan::new(&workflow, &pinning)?, component))
}
