//! The runtime: runs in one store, one sandbox, and what people can do with them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use serde_json::{Map, Value};
use wflo_engine::{
    Event, ParkReason, Place, Recorded, Resolution, RunState, UnitId, Verdict, VoteRefused, Voter, cast,
};
use wflo_journal::{Created, Journal};
use wflo_manifest::Plan;
use wflo_model::{ApprovalId, Digest, GroupName, PrincipalName, RunId, Timestamp};
use wflo_ports::{Clock, Entropy};
use wflo_sandbox::{Missing, Program, Sandbox};

use crate::executor::{Executor, Observer};
use crate::principal::{IDENTITIES, People, Principal, Principals, new_token};
use crate::run_log::{RunLog, Summary, draft, first_summary, recorded};
use crate::view::{ApprovalView, CostView, LogView, RunLine, RunView};
use crate::{Outside, RuntimeError};

/// Runs listed at a time.
const PAGE: usize = 1024;

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
    /// The plan's components.
    pub components: BTreeMap<Digest, Vec<u8>>,
    /// Inputs, checked and with defaults filled in: see [`Plan::inputs`](wflo_manifest::Plan).
    pub inputs: Map<String, Value>,
    /// Who asks.
    pub requester: PrincipalName,
    /// Idempotency key: the same key is the same run.
    pub key: Option<String>,
}

/// Runs, in one store.
///
/// Everything it says it did is durable. It may be killed at any time; [`resume`](Self::resume) goes on.
pub struct Runtime {
    journal: Journal,
    sandbox: Arc<Sandbox>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    runs: tokio::sync::Mutex<HashMap<RunId, Open>>,
    /// Held while the stored identities are read, changed and written.
    identities: tokio::sync::Mutex<()>,
    stopping: tokio::sync::watch::Sender<bool>,
}

/// A run that this process writes, as long as somebody holds its log.
#[derive(Default)]
struct Open {
    log: Weak<RunLog>,
    plan: Weak<Plan>,
    driver: Arc<tokio::sync::Mutex<()>>,
}

impl Runtime {
    /// Makes a runtime on an open journal.
    #[must_use]
    pub fn new(
        journal: Journal,
        sandbox: Arc<Sandbox>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let stopping = tokio::sync::watch::Sender::new(false);
        let (runs, identities) = Default::default();
        Self { journal, sandbox, clock, entropy, runs, identities, stopping }
    }

    /// Has every run that is driven stop where it stands: no attempt begins, and those under way end at their
    /// next call, with the calls under way finished (for ten seconds at most) and everything durable. Each
    /// [`drive`](Self::drive) then returns with its run as it is; whoever drives it next, in this process or
    /// another, goes on there, at no attempt's cost.
    ///
    /// There is no way back: a runtime that stops drives nothing any more. What only reads or votes still works.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the runtime is to [`stop`](Self::stop): what a run that was driven stands at may not be its end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Told when the runtime is to [`stop`](Self::stop).
    pub(crate) fn stopping(&self) -> tokio::sync::watch::Receiver<bool> {
        self.stopping.subscribe()
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
    pub async fn missing(
        &self,
        plan: &Plan,
        components: &BTreeMap<Digest, Vec<u8>>,
    ) -> Result<Vec<Missing>, RuntimeError> {
        let mut missing = Vec::new();
        for digest in plan.components() {
            let bytes = components.get(&digest).ok_or(RuntimeError::NoComponent { component: digest })?;
            let program = self.sandbox.load(bytes).await?;
            missing.extend(program.missing(&plan.component_grants(&digest).capabilities()));
        }
        Ok(missing)
    }

    /// Accepts a run: checked, pinned and durable when this returns. [`drive`](Self::drive) makes it go.
    ///
    /// # Errors
    /// [`RuntimeError::Denied`] when a component imports what the plan does not grant; nothing was written then.
    pub async fn start(&self, start: Start) -> Result<RunId, RuntimeError> {
        let missing = self.missing(&start.plan, &start.components).await?;
        if !missing.is_empty() {
            return Err(RuntimeError::Denied { missing });
        }
        for bytes in start.components.values() {
            self.journal.put_public(bytes).await?;
        }
        let plan = self.journal.put_public(&start.plan.bytes()).await?;
        let now = self.clock.now();
        let run = self.new_run_id()?;
        let event = Event::RunCreated {
            workflow: start.plan.workflow.to_string(),
            version: start.plan.version.clone(),
            plan,
            inputs: start.inputs,
            requester: start.requester,
            budget: start.plan.budget,
            forked: None,
        };
        let first = Recorded { seq: 1, time: now, place: Place::RUN, event };
        let drafts = vec![draft(now, &first.place, &first.event)];
        let summary = first_summary(std::slice::from_ref(&first)).map_err(crate::LogFailed::from)?;
        match self.journal.create_run(run, start.key.as_deref(), drafts, summary).await? {
            Created::Exists(earlier) => Ok(earlier),
            Created::New(writer) => {
                drop(writer);
                Ok(run)
            }
        }
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
        let driver = Arc::clone(&self.runs.lock().await.entry(run).or_default().driver);
        let _only_one = driver.lock().await;
        let (log, plan) = self.open(run).await?;
        if !log.read(|state| state.status().is_final()) {
            let (log, plan) = (Arc::clone(&log), Arc::clone(&plan));
            Box::pin(Executor { runtime: self, host, log, plan, observer }.drive()).await?;
        }
        Ok(log.read(|state| RunView::new(&run, &plan, state)))
    }

    /// Asks a run that parked for want of money to try again, then drives it.
    ///
    /// # Errors
    /// As [`drive`](Self::drive).
    pub async fn resume(
        &self,
        run: RunId,
        by: &PrincipalName,
        host: &Host,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<RunView, RuntimeError> {
        let (log, _plan) = self.open(run).await?;
        let unpark = log.transact(|state| {
            let parked =
                state.active().filter(|(_, unit)| matches!(unit.parked, Some(ParkReason::Budget { .. })));
            let events: Vec<_> = parked
                .map(|(id, unit)| (Place::attempt(&id, unit.attempt), Event::Unparked { by: by.clone() }))
                .collect();
            if events.is_empty() || state.status().is_final() { Err(()) } else { Ok((events, ())) }
        })?;
        if unpark.is_ok() {
            log.wake();
        }
        self.drive(run, host, observer).await
    }

    /// Asks for the end of a run; durable when this returns. Whoever [drives](Self::drive) the run brings it there:
    /// nothing new starts, attempts under way are stopped, what they may have cost is charged.
    ///
    /// # Errors
    /// [`RuntimeError::Ended`] for a run that has ended.
    pub async fn cancel(
        &self,
        run: RunId,
        by: &PrincipalName,
        reason: Option<String>,
    ) -> Result<(), RuntimeError> {
        let (log, _plan) = self.open(run).await?;
        let asked = log.transact(|state| match state.status() {
            status if status.is_final() => Err(RuntimeError::Ended { run, status }),
            _ => Ok((vec![(Place::RUN, Event::CancelRequested { by: by.clone(), reason })], ())),
        })?;
        asked?.0.durable().await?;
        log.wake();
        Ok(())
    }

    /// Settles a call of which nobody knew whether it was done; durable when this returns. The run goes on when it
    /// is [driven](Self::drive).
    ///
    /// # Errors
    /// [`RuntimeError::NotUnknown`] when event `intent` is no such call.
    pub async fn resolve(
        &self,
        run: RunId,
        intent: u64,
        resolution: Resolution,
        by: &PrincipalName,
    ) -> Result<(), RuntimeError> {
        let (log, _plan) = self.open(run).await?;
        let resolved = log.transact(|state| {
            let unknown = state.active().find_map(|(id, unit)| {
                let open = unit.open.get(&intent).filter(|_| unit.is_unknown())?;
                Some(Place::attempt(&id, unit.attempt).call(open.ordinal))
            });
            let place = unknown.ok_or(RuntimeError::NotUnknown { run, intent })?;
            Ok::<_, RuntimeError>((vec![(place, Event::Resolved { intent, resolution, by: by.clone() })], ()))
        })?;
        resolved?.0.durable().await?;
        log.wake();
        Ok(())
    }

    /// The runs that have not ended, oldest first: what a crash or a wait has left. Costs what it gives, however many
    /// runs have ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<RunId>, RuntimeError> {
        let mut runs: Vec<RunId> = Vec::new();
        loop {
            let page = self.journal.unfinished(runs.last().copied(), PAGE).await?;
            let is_last = page.len() < PAGE;
            runs.extend(page);
            if is_last {
                return Ok(runs);
            }
        }
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self) -> Result<Vec<RunLine>, RuntimeError> {
        let heads = self.journal.runs().await?;
        heads
            .into_iter()
            .map(|head| {
                let summary = self.summary(&head.summary)?;
                Ok(RunLine {
                    run: head.run,
                    workflow: summary.workflow,
                    version: summary.version,
                    status: summary.status,
                    requester: summary.requester,
                    created_at: summary.created_at.to_string(),
                    cost_usd: summary.cost_usd,
                })
            })
            .collect()
    }

    /// One run.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn show(&self, run: RunId) -> Result<RunView, RuntimeError> {
        let (state, plan) = self.look(run).await?;
        Ok(RunView::new(&run, &plan, &state))
    }

    /// The plan that a run is pinned to: what it needs of whoever drives it.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn plan_of(&self, run: RunId) -> Result<Arc<Plan>, RuntimeError> {
        Ok(self.look(run).await?.1)
    }

    /// What one run cost.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn cost(&self, run: RunId) -> Result<CostView, RuntimeError> {
        let (state, _plan) = self.look(run).await?;
        Ok(CostView::new(&run, &state))
    }

    /// The events of one run, durable ones only.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn events(&self, run: RunId) -> Result<Vec<Recorded>, RuntimeError> {
        self.events_after(run, 0).await
    }

    /// The events of one run after event `after`, durable ones only; none when it is the newest.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn events_after(&self, run: RunId, after: u64) -> Result<Vec<Recorded>, RuntimeError> {
        let entries = self.journal.read(run, after + 1).await?;
        if entries.is_empty() && after == 0 {
            return Err(RuntimeError::NoSuchRun { run });
        }
        Ok(entries.iter().map(recorded).collect::<Result<_, _>>().map_err(crate::LogFailed::from)?)
    }

    /// The log lines of one run.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn logs(&self, run: RunId) -> Result<Vec<LogView>, RuntimeError> {
        Ok(LogView::of(self.events(run).await?))
    }

    /// The open approvals of all runs, or with `all` every one there ever was; newest run first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, RuntimeError> {
        let runs = if all {
            self.journal.runs().await?.into_iter().map(|head| head.run).collect()
        } else {
            self.unfinished().await?.into_iter().rev().collect::<Vec<_>>()
        };
        let mut views = Vec::new();
        for run in runs {
            let state = self.state(run).await?;
            let Some(created) = state.created() else { continue };
            let of_run = state.approvals().map(|it| ApprovalView::new(&run, &created.workflow, it));
            views.extend(of_run.filter(|view| all || view.status == "open"));
        }
        Ok(views)
    }

    /// One approval, open or not.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchApproval`].
    pub async fn approval(&self, id: ApprovalId) -> Result<ApprovalView, RuntimeError> {
        let mut all = self.approvals(false).await?;
        if !all.iter().any(|view| view.id == id) {
            all = self.approvals(true).await?;
        }
        all.into_iter().find(|view| view.id == id).ok_or(RuntimeError::NoSuchApproval { id })
    }

    /// Casts a vote; durable when this returns. The run goes on when it is [driven](Self::drive).
    ///
    /// # Errors
    /// [`RuntimeError::Vote`] when the voter may not vote: journaled by nobody, since it is no vote.
    pub async fn vote(
        &self,
        id: ApprovalId,
        voter: &Voter,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<ApprovalView, RuntimeError> {
        let run = self.approval(id).await?.run;
        let (log, plan) = self.open(run).await?;
        let now = log.now();
        let cast = log.transact(|state| {
            let approval = state.approval(&id).ok_or(RuntimeError::NoSuchApproval { id })?;
            let requester = &state.created().expect("a run with an approval was created").requester;
            let place = Place::unit(&approval.unit);
            let events = cast(approval, requester, voter, verdict, comment, now)?;
            Ok::<_, RuntimeError>((events.into_iter().map(|event| (place.clone(), event)).collect(), ()))
        })?;
        cast?.0.durable().await?;
        log.wake();
        let view = log
            .read(|state| state.approval(&id).map(|it| ApprovalView::new(&run, plan.workflow.as_str(), it)));
        view.ok_or(RuntimeError::NoSuchApproval { id })
    }

    /// Adds a principal to the store and returns their token, which is kept nowhere.
    ///
    /// # Errors
    /// [`RuntimeError::PrincipalExists`] when the store has one of that name.
    pub async fn add_identity(
        &self,
        name: &PrincipalName,
        groups: BTreeSet<GroupName>,
    ) -> Result<String, RuntimeError> {
        let entropy = Arc::clone(&self.entropy);
        let made = tokio::task::spawn_blocking(move || new_token(&*entropy)).await;
        let (token, hash) = made.map_err(|error| RuntimeError::Bug { message: error.to_string() })??;
        self.keep_identity(name, Principal { groups, token_hash: Some(hash) }).await?;
        Ok(token)
    }

    /// Keeps a principal in the store. To keep the very same one again is no error, so that whoever does not
    /// know whether it was done can do it again.
    ///
    /// # Errors
    /// [`RuntimeError::PrincipalExists`] when the store has another one of that name.
    pub async fn keep_identity(
        &self,
        name: &PrincipalName,
        principal: Principal,
    ) -> Result<(), RuntimeError> {
        let _alone = self.identities.lock().await;
        let mut stored = self.identities().await?;
        match stored.0.get(name) {
            Some(kept) if *kept == principal => return Ok(()),
            Some(_) => return Err(RuntimeError::PrincipalExists { name: name.clone() }),
            None => stored.0.insert(name.clone(), principal),
        };
        let bytes = serde_json::to_vec(&stored).expect("principals have text keys");
        Ok(self.journal.meta_put(IDENTITIES, &bytes).await?)
    }

    /// Everybody known now: the deployment's principals, and those of the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn principals(&self, host: &Host) -> Result<Principals, RuntimeError> {
        Ok(host.principals.clone().or(self.identities().await?))
    }

    /// Checks who somebody is.
    ///
    /// # Errors
    /// [`RuntimeError::NotAuthenticated`].
    pub async fn authenticate(
        &self,
        host: &Host,
        name: &PrincipalName,
        token: &str,
    ) -> Result<Voter, RuntimeError> {
        let principals = self.principals(host).await?;
        let (name, token) = (name.clone(), token.to_owned());
        let checked = tokio::task::spawn_blocking(move || principals.authenticate(&name, &token)).await;
        Ok(checked.map_err(|error| RuntimeError::Bug { message: error.to_string() })??)
    }

    /// A way to ask who is known, for those that outlive a borrow.
    pub(crate) fn people(&self, host: &Host) -> People {
        People { journal: self.journal.clone(), file: Arc::new(host.principals.clone()) }
    }

    async fn identities(&self) -> Result<Principals, RuntimeError> {
        crate::principal::stored(&self.journal).await
    }

    /// The component of that digest, compiled.
    pub(crate) async fn program(&self, digest: &Digest) -> Result<Arc<Program>, RuntimeError> {
        match self.sandbox.loaded(digest) {
            Some(program) => Ok(program),
            None => Ok(self.sandbox.load(&self.journal.get_public(digest).await?).await?),
        }
    }

    /// The events of a step or item of a run that this process writes; the rest of the run is not read.
    pub(crate) async fn history(&self, log: &RunLog, unit: &UnitId) -> Result<Vec<Recorded>, RuntimeError> {
        log.flush().await?;
        let entries = self.journal.read_of(*log.run(), &unit.step, unit.item).await?;
        Ok(entries.iter().map(recorded).collect::<Result<_, _>>().map_err(crate::LogFailed::from)?)
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
    async fn look(&self, run: RunId) -> Result<(RunState, Arc<Plan>), RuntimeError> {
        let state = self.state(run).await?;
        let plan = self.plan(&state).await?;
        Ok((state, plan))
    }

    async fn state(&self, run: RunId) -> Result<RunState, RuntimeError> {
        let log = self.runs.lock().await.get(&run).and_then(|open| open.log.upgrade());
        match log {
            Some(log) => Ok(log.read(Clone::clone)),
            None => Ok(RunState::replay(&self.events(run).await?).map_err(crate::LogFailed::from)?),
        }
    }

    pub(crate) async fn plan(&self, state: &RunState) -> Result<Arc<Plan>, RuntimeError> {
        let digest = state.created().map(|created| created.plan).unwrap_or(Digest::ZERO);
        let bytes = self.journal.get_public(&digest).await?;
        let plan = serde_json::from_slice(&bytes)
            .map_err(|error| RuntimeError::BadPlan { plan: digest, source: error })?;
        Ok(Arc::new(plan))
    }

    /// The log of a run, to write: the one this process has open, or a newly claimed one.
    pub(crate) async fn open(&self, run: RunId) -> Result<(Arc<RunLog>, Arc<Plan>), RuntimeError> {
        let mut runs = self.runs.lock().await;
        if let Some(open) = runs.get(&run)
            && let (Some(log), Some(plan)) = (open.log.upgrade(), open.plan.upgrade())
        {
            return Ok((log, plan));
        }
        let state = RunState::replay(&self.events(run).await?).map_err(crate::LogFailed::from)?;
        let plan = self.plan(&state).await?;
        let writer = self.journal.claim(run).await?;
        let store = self.journal.store_id();
        let log = Arc::new(RunLog::new(run, store, Arc::clone(&self.clock), writer, state));
        let open = runs.entry(run).or_default();
        (open.log, open.plan) = (Arc::downgrade(&log), Arc::downgrade(&plan));
        Ok((log, plan))
    }
}

impl From<VoteRefused> for RuntimeError {
    fn from(refused: VoteRefused) -> Self {
        Self::Vote(refused)
    }
}
