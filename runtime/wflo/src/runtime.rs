//! The runtime: runs in one store, one sandbox, and what people can do with them.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use wflo_engine::{Day, Event, Place, Recorded, RunState, UnitId, VoteRefused};
use wflo_journal::{Created, Journal, ReadError};
use wflo_manifest::Plan;
use wflo_model::{Content, Digest, PrincipalName, RunId, Timestamp};
use wflo_ports::{Clock, Entropy};
use wflo_sandbox::Missing;

use crate::accounts::Accounts;
use crate::compensate::Parents;
use crate::describe::given;
use crate::executor::{Executor, Observer};
use crate::guest::{Components, StepProgram};
use crate::history::History;
use crate::identities::Attempts;
use crate::outbox::Outbox;
use crate::principal::{People, Principals};
use crate::run_log::{RunLog, Summary, draft, encoded_summary, recorded};
use crate::runs::Runs;
use crate::signal::Signal;
use crate::system_event::SystemEvent;
use crate::system_log::SystemLog;
use crate::view::RunView;
use crate::{Outside, RuntimeError};

/// What a host lends to the runs it drives: today's deployment.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Models and databases.
    pub outside: Arc<Outside>,
    /// The principals of the deployment's file; those of the store are added to them.
    pub principals: Principals,
}

/// A run to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// The pinned plan.
    pub plan: Plan,
    /// The plan's components, without those that [are there](Runtime::has_component).
    pub components: Vec<Content>,
    /// Inputs, checked and with defaults filled in: see [`Plan::inputs`](wflo_manifest::Plan).
    pub inputs: Map<String, Value>,
    /// Who asks.
    pub requester: PrincipalName,
    /// Idempotency key: within a workflow, the same key is the same run.
    pub key: Option<String>,
}

/// Runs, in one store.
///
/// Everything it says it did is durable. It may be killed at any time; [`resume`](Self::resume) goes on.
pub struct Runtime {
    journal: Journal,
    components: Arc<dyn Components>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) runs: Mutex<Runs>,
    pub(crate) accounts: Arc<Accounts>,
    system: SystemLog,
    pub(crate) attempts: Attempts,
    stopping: Signal,
    pub(crate) outbox: Outbox,
}

impl Runtime {
    /// Makes a runtime on an open journal. What runs components is a [`Sandbox`](wflo_sandbox::Sandbox).
    #[must_use]
    pub fn new(
        journal: Journal,
        components: Arc<dyn Components>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let stopping = Signal::default();
        let system = SystemLog::new(journal.clone(), Arc::clone(&clock));
        let (runs, accounts, attempts, outbox) = Default::default();
        Self { journal, components, clock, entropy, runs, accounts, system, attempts, stopping, outbox }
    }

    /// Has every run that is driven stop where it stands: no attempt begins, and those under way end at their
    /// next call, with the calls under way finished (for ten seconds at most) and everything durable. Each
    /// [`drive`](Self::drive) then returns with its run as it is; whoever drives it next, in this process or
    /// another, goes on there, at no attempt's cost.
    ///
    /// There is no way back: a runtime that stops drives nothing any more. What only reads or votes still works.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Whether the runtime is to [`stop`](Self::stop): what a run that was driven stands at may not be its end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Waits until the runtime is to [`stop`](Self::stop).
    pub async fn until_stopping(&self) {
        self.stopping.until(true).await;
    }

    /// Told when the runtime is to [`stop`](Self::stop).
    pub(crate) fn stopping(&self) -> Signal {
        self.stopping.clone()
    }

    /// The journal, for what only reads it: the audit.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What components import beyond what the plan grants them and what is always there. Empty: it may run.
    ///
    /// # Errors
    /// When a component cannot be compiled.
    pub async fn missing(&self, plan: &Plan, components: &[Content]) -> Result<Vec<Missing>, RuntimeError> {
        let mut missing = Vec::new();
        for digest in plan.components() {
            let program = self.load(&digest, components).await?;
            let grants = plan.component_grants(&digest);
            missing.extend(program.missing(&grants.capabilities()));
            let own = program.own_imports().into_iter();
            let ungranted = own.filter(|(_, name)| !grants.interfaces.contains_key(name));
            missing.extend(ungranted.map(|(import, name)| Missing::own(&import, name)));
        }
        Ok(missing)
    }

    /// Accepts a run: checked, pinned and durable when this returns. [`drive`](Self::drive) makes it go.
    ///
    /// # Errors
    /// [`RuntimeError::Denied`] when a component imports what the plan does not grant, [`RuntimeError::KeyTaken`] when
    /// the key is that of a run with other inputs, or of somebody else; nothing was written then.
    pub async fn start(&self, start: Start) -> Result<RunId, RuntimeError> {
        let missing = self.missing(&start.plan, &start.components).await?;
        if !missing.is_empty() {
            return Err(RuntimeError::Denied { missing });
        }
        if let Some(earlier) = self.started_before(&start).await? {
            return Ok(earlier);
        }
        for component in start.plan.components() {
            if !self.journal.holds_public(&component) {
                self.journal.put_public(given(&start.components, &component)?).await?;
            }
        }
        let plan = self.journal.put_public(&start.plan.bytes().into()).await?;
        self.note_plan(&start.plan, plan, &start.requester).await?;
        let now = self.clock.now();
        let run = self.new_run_id()?;
        let event = Event::RunCreated {
            workflow: start.plan.workflow.to_string(),
            version: start.plan.version.clone(),
            plan,
            component: start.plan.steps.first().map(|step| step.component),
            inputs: start.inputs.clone(),
            requester: start.requester.clone(),
            budget: start.plan.budget,
            forked: None,
        };
        let first = Recorded { seq: 1, time: now, place: Place::RUN, event };
        let drafts = vec![draft(now, &first.place, &first.event)];
        let state = RunState::replay([&first]).map_err(crate::LogFailed::from)?;
        let summary = encoded_summary(&state);
        let key = start.key.as_ref().map(|key| scoped(&start.plan, key));
        match self.journal.create_run(run, key.as_deref(), drafts, summary).await? {
            Created::Exists(earlier) => self.same(&start, earlier).await,
            Created::New(writer) => {
                let plan = self.plan(&state).await?;
                self.accounts.load(&self.journal, &state, Day::of(now)).await?;
                self.open_runs().made(run, (self.log(run, writer, &plan, state), plan));
                Ok(run)
            }
        }
    }

    /// The run that was started with the same key, if there is one.
    async fn started_before(&self, start: &Start) -> Result<Option<RunId>, RuntimeError> {
        let Some(key) = &start.key else { return Ok(None) };
        if let Some(earlier) = self.journal.by_key(&scoped(&start.plan, key)).await? {
            return self.same(start, earlier).await.map(Some);
        }
        // Before there were keys of workflows, a key was the whole store's.
        let Some(earlier) = self.journal.by_key(key).await? else { return Ok(None) };
        let head = self.journal.head(earlier).await?;
        match self.summary(&head.summary)?.workflow == start.plan.workflow.as_str() {
            true => self.same(start, earlier).await.map(Some),
            false => Ok(None),
        }
    }

    /// The run that has the key already, if what is to be started is that run.
    async fn same(&self, start: &Start, earlier: RunId) -> Result<RunId, RuntimeError> {
        let taken = |whose: &str| RuntimeError::KeyTaken {
            key: start.key.clone().unwrap_or_default(),
            run: earlier,
            whose: whose.to_owned(),
        };
        let head = self.journal.head(earlier).await?;
        if self.summary(&head.summary)?.requester != start.requester {
            return Err(taken("which somebody else has started"));
        }
        match self.first_event(earlier).await {
            Ok(Recorded { event: Event::RunCreated { inputs, .. }, .. }) if inputs != start.inputs => {
                Err(taken("which has other inputs"))
            }
            // With which inputs an erased run was started nobody knows any more; that it was, the key says.
            Ok(_) | Err(RuntimeError::Journal(ReadError::Erased { .. })) => Ok(earlier),
            Err(error) => Err(error),
        }
    }

    /// Notes with which plan, and so which policies, a workflow is started, where it is another than the last time.
    async fn note_plan(&self, plan: &Plan, digest: Digest, by: &PrincipalName) -> Result<(), RuntimeError> {
        let workflow = plan.workflow.to_string();
        let noted = self.system.transact(|state, _| {
            if state.has_plan(&workflow, &digest) {
                return Ok((Vec::new(), ()));
            }
            let policies =
                plan.policies.iter().map(|policy| (policy.name.clone(), policy.digest())).collect();
            let (version, by) = (plan.version.clone(), by.clone());
            Ok((vec![SystemEvent::WorkflowChanged { workflow, version, plan: digest, policies, by }], ()))
        });
        noted.await
    }

    /// Makes a run go until it has ended, or until nothing but a vote, a person or a timer can move it.
    ///
    /// Safe to call for any run at any time: one that this process drives already is waited for, one that has
    /// ended is only shown.
    ///
    /// # Errors
    /// When the host fails: the journal cannot be written, a component is gone. The run can be resumed.
    pub async fn drive(
        &self,
        run: RunId,
        host: &Host,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<RunView, RuntimeError> {
        let turns = self.open_runs().turns(run);
        let _only_one = turns.driving.lock().await;
        let (log, plan) = self.open(run).await?;
        self.open_runs().driven(&run);
        if !log.read(|state| state.status().is_final()) {
            let (log, plan) = (Arc::clone(&log), Arc::clone(&plan));
            if let Err(error) = host.outside.prepare(&plan).await {
                // A step that writes there is told so, and others are none the worse for it.
                tracing::warn!(%error, "a database is not ready to be written");
            }
            let people = self.people(host);
            let parents = Parents::default();
            Box::pin(Executor { runtime: self, host, people, log, plan, observer, parents }.drive()).await?;
        }
        let view = log.read(|state| RunView::new(&run, &plan, state));
        // What others wrote meanwhile is shown only when it is as durable as the rest.
        log.flush().await?;
        Ok(view)
    }

    pub(crate) fn people(&self, host: &Host) -> People {
        People::new(host.principals.clone(), self.system.clone())
    }

    /// Where programs come from.
    pub(crate) const fn components(&self) -> &Arc<dyn Components> {
        &self.components
    }

    /// The store's own log.
    pub(crate) const fn system(&self) -> &SystemLog {
        &self.system
    }

    /// The component of that digest, compiled.
    pub(crate) async fn program(&self, digest: &Digest) -> Result<Arc<dyn StepProgram>, RuntimeError> {
        match self.components.loaded(digest) {
            Some(program) => Ok(program),
            None => {
                let component = self.journal.get_public(digest).await?;
                Ok(Arc::clone(&self.components).load(&component).await?)
            }
        }
    }

    /// What an attempt of a step or item has done, in a run that this process writes; the rest of the run is not read.
    pub(crate) async fn history(
        &self,
        log: &RunLog,
        unit: &UnitId,
        attempt: u32,
    ) -> Result<History, RuntimeError> {
        log.flush().await?;
        self.history_of(*log.run(), unit, attempt).await
    }

    /// The same in any run, as far as it is durable.
    pub(crate) async fn history_of(
        &self,
        run: RunId,
        unit: &UnitId,
        attempt: u32,
    ) -> Result<History, RuntimeError> {
        let entries = self.journal.read_of(run, &unit.step, unit.item).await?;
        let events = entries.into_iter().map(|entry| recorded(&entry));
        Ok(History::read(events, unit, attempt).map_err(crate::LogFailed::from)?)
    }

    /// An id for a run that begins now.
    pub(crate) fn new_run_id(&self) -> Result<RunId, RuntimeError> {
        let mut random = [0; 10];
        self.entropy.fill(&mut random)?;
        Ok(RunId::new(self.clock.now(), random))
    }

    /// The time by the runtime's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The first event of a run: what it was started with.
    pub(crate) async fn first_event(&self, run: RunId) -> Result<Recorded, RuntimeError> {
        let mut reader = self.journal.reader(run, 1).await?;
        let entry = reader.next().await?.ok_or(RuntimeError::NoSuchRun { run })?;
        Ok(recorded(&entry).map_err(crate::LogFailed::from)?)
    }

    pub(crate) fn summary(&self, bytes: &[u8]) -> Result<Summary, RuntimeError> {
        serde_json::from_slice(bytes)
            .map_err(|error| RuntimeError::Bug { message: format!("the summary of a run: {error}") })
    }

    /// State and plan of a run, only to look at.
    pub(crate) async fn look(&self, run: RunId) -> Result<(RunState, Arc<Plan>), RuntimeError> {
        let state = self.state(run).await?;
        let plan = self.plan(&state).await?;
        Ok((state, plan))
    }

    pub(crate) async fn state(&self, run: RunId) -> Result<RunState, RuntimeError> {
        self.with_state(run, RunState::clone).await
    }

    /// Looks at what a run has come to, open or not.
    pub(crate) async fn with_state<R>(
        &self,
        run: RunId,
        look: impl FnOnce(&RunState) -> R,
    ) -> Result<R, RuntimeError> {
        let open = self.open_runs().get(&run);
        match open {
            Some((log, _plan)) => Ok(log.read(look)),
            None => Ok(look(&self.durable_state(run).await?)),
        }
    }
}

/// A key as the store has it: two workflows know nothing of each other's.
fn scoped(plan: &Plan, key: &str) -> String {
    // No name of a workflow has a colon in it.
    format!("wflo:run:{}:{key}", plan.workflow)
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("store", &self.journal.store_id())
            .field("is_stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}

impl From<VoteRefused> for RuntimeError {
    fn from(refused: VoteRefused) -> Self {
        Self::Vote(refused)
    }
}
