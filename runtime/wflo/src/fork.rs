//! Forks: a run that goes on from where another stood.

use std::collections::{BTreeMap, BTreeSet};

use wflo_engine::{
    Account, AttemptEnd, CallClass, Event, Forked, InheritedArtifact, Outcome, Place, Recorded, Returned,
    RollbackPlan, RunState, RunStatus, TakenBack, UnitId,
};
use wflo_journal::Created;
use wflo_manifest::Plan;
use wflo_model::{Artifact, PrincipalName, RunId, StepName};
use wflo_ports::{Marker, MarkerPurpose};

use crate::lend::{Loan, lend};
use crate::run_log::{draft, encoded_summary};
use crate::{LogFailed, Runtime, RuntimeError};

/// A fork to make.
///
/// ```
/// use wflo::Fork;
/// # fn doc(run: wflo_model::RunId) {
/// let fork = Fork { run, at: 12, keep: false };
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The parent; it must have ended, or wait.
    pub run: RunId,
    /// The parent's event up to which the fork is as the parent was. Steps that had ended by then keep their outputs; all
    /// others begin anew, and are given what their calls had been answered by then instead of making them again.
    pub at: u64,
    /// Make it although steps that begin anew have had effects already.
    pub keep: bool,
}

impl Runtime {
    /// Makes a run that goes on from where another stood, under the same plan; durable when this returns. The parent
    /// is superseded: nothing happens to it any more.
    ///
    /// What the parent has spent in all counts in the fork's budget, which is the parent's with its top-ups, and accounts
    /// that an overrun has frozen are frozen in the fork. Approvals are not inherited. The commit point is the append of the parent's last event, which names the fork: where a crash
    /// comes before the fork itself is written, forking the parent once more writes it.
    ///
    /// # Errors
    /// [`RuntimeError::NotForkable`] for a parent that runs or has a call whose outcome is unknown,
    /// [`RuntimeError::Superseded`] for one that was forked before;
    /// [`RuntimeError::Effects`] where steps that would begin anew have had effects, unless `keep` is set.
    pub async fn fork(&self, fork: Fork, by: &PrincipalName) -> Result<RunId, RuntimeError> {
        let Fork { run, at, keep } = fork;
        let events = self.events(run).await?;
        let not = |why: &str| RuntimeError::NotForkable { run, why: why.to_owned() };
        let interrupted = self.superseded_by(&events).await?;
        let upto = usize::try_from(at).ok().and_then(|at| events.get(..at)).filter(|upto| !upto.is_empty());
        let upto = upto.ok_or_else(|| not(&format!("it has no event {at}")))?;
        let then = RunState::replay(upto).map_err(LogFailed::from)?;
        let now = RunState::replay(&events).map_err(LogFailed::from)?;
        let plan = self.plan(&then).await?;

        if interrupted.is_none() && now.rolling_back().is_some() {
            return Err(not("it is being rolled back"));
        }
        let taken = TakenBack::of(&events);
        let inherited = inherited(&plan, &then, &taken);
        if now.active().any(|(_, unit)| unit.is_unknown()) {
            return Err(not("it has a call whose outcome is unknown; `wflo resolve` settles it"));
        }
        let store = self.journal().store_id();
        let mut anew: BTreeMap<UnitId, Vec<&Recorded>> = BTreeMap::new();
        for recorded in upto {
            let unit = recorded.place.unit_id();
            if let Some(unit) = unit.filter(|it| !inherited.contains(&it.step) && it.compensates().is_none())
            {
                anew.entry(unit).or_default().push(recorded);
            }
        }
        let mut loans: Vec<(UnitId, Loan)> = Vec::new();
        let mut next = 2 + inherited.len() as u64;
        for (unit, events) in anew {
            let (step, item) = (unit.step.clone(), unit.item);
            let marker = Marker { store, run, step, item, purpose: MarkerPurpose::Step };
            let loan = lend(&events, &unit, &marker, next, taken.get(&unit));
            next += loan.lent.len() as u64;
            loans.push((unit, loan));
        }
        let lent: BTreeSet<u64> = loans.iter().flat_map(|(_, loan)| loan.intents.iter().copied()).collect();
        let mut effects = effects(&events, &inherited, &lent, &taken);
        let mut of_parents = RollbackPlan::default();
        self.inherit(&mut of_parents, &events, None, |_| false).await?;
        effects.extend(of_parents.units().filter(|unit| !inherited.contains(&unit.step)));
        if !effects.is_empty() && !keep {
            return Err(RuntimeError::Effects { run, units: effects.into_iter().collect() });
        }

        let child = match interrupted {
            Some(child) => child,
            None => self.supersede(run, events.len() as u64, by).await?,
        };
        let header = self.journal().read(run, at).await?;
        let hash = header.first().map(|entry| entry.hash).ok_or_else(|| not("its journal is shorter"))?;
        let created = then.created().expect("a run with events was created");
        let (time, ledger) = (self.now(), now.ledger());
        let mut drafted = vec![(
            Place::RUN,
            Event::RunCreated {
                workflow: created.workflow.clone(),
                version: created.version.clone(),
                plan: created.plan,
                component: created.component,
                inputs: created.inputs.clone(),
                requester: by.clone(),
                // What was spent after that event is spent all the same, and what people have given is there.
                budget: ledger.limit(),
                forked: Some(Forked {
                    run,
                    seq: at,
                    hash,
                    spent: ledger.settled(),
                    overrun: ledger.overrun(),
                    undoing: ledger.stands(&Account::Undoing).settled,
                    frozen: ledger.frozen().clone(),
                }),
            },
        )];
        drafted.extend(inherited.into_iter().map(|name| {
            let made = then.step(name).artifacts().into_iter();
            let artifacts = made.map(|(item, artifact)| {
                let kept_in = Some(artifact.run.unwrap_or(run));
                InheritedArtifact { item, artifact: Artifact { run: kept_in, ..artifact.clone() } }
            });
            let (output, artifacts) = (then.output(name).cloned(), artifacts.collect());
            (Place::step(name), Event::Inherited { output, artifacts })
        }));
        drafted.extend(loans.into_iter().flat_map(|(unit, loan)| {
            let place = Place::unit(&unit);
            loan.lent.into_iter().map(move |lent| (place.clone(), Event::Lent(Box::new(lent))))
        }));
        let records: Vec<_> = (1..)
            .zip(&drafted)
            .map(|(seq, (place, event))| Recorded { seq, time, place: place.clone(), event: event.clone() })
            .collect();
        let summary = encoded_summary(&RunState::replay(&records).map_err(LogFailed::from)?);
        let drafts = drafted.iter().map(|(place, event)| draft(time, place, event)).collect();
        match self.journal().create_run(child, None, drafts, summary).await? {
            Created::New(_) | Created::Exists(_) => Ok(child),
        }
    }

    /// The fork that a parent is superseded by and that a crash kept from being written; none for a parent that was
    /// never forked.
    async fn superseded_by(&self, events: &[Recorded]) -> Result<Option<RunId>, RuntimeError> {
        let Some(child) = fork_of(events) else { return Ok(None) };
        match self.journal().head(child).await {
            Err(wflo_journal::ReadError::UnknownRun { .. }) => Ok(Some(child)),
            Ok(_) => Err(RuntimeError::Superseded { by: child }),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the parent, whose newest event is `head`, in favour of a fork, and gives the fork its id.
    async fn supersede(&self, run: RunId, head: u64, by: &PrincipalName) -> Result<RunId, RuntimeError> {
        let not = |why: &str| RuntimeError::NotForkable { run, why: why.to_owned() };
        let child = self.new_run_id()?;
        let (log, _plan) = self.open(run).await?;
        tracing::debug!(%run, %child, %by, "fork");
        let superseded = log.transact(|state| match state.status() {
            RunStatus::Running => Err(not("it runs")),
            _ if state.rolling_back().is_some() => Err(not("it is being rolled back")),
            _ if state.seq() != head => Err(not("it has gone on meanwhile")),
            _ => {
                let open = state.open().map(|approval| approval.close(Outcome::Superseded));
                Ok((open.chain([(Place::RUN, Event::Superseded { by: child })]).collect(), ()))
            }
        })?;
        superseded?.0.durable().await?;
        Ok(child)
    }
}

/// The run that goes on in place of the one that these are the events of.
pub(crate) fn fork_of(events: &[Recorded]) -> Option<RunId> {
    events.iter().rev().find_map(|recorded| match recorded.event {
        Event::Superseded { by } => Some(by),
        _ => None,
    })
}

/// The steps whose outputs the fork has: those that had ended then, but for what a rollback has worked on since, and
/// what was made of its output.
fn inherited<'a>(
    plan: &'a Plan,
    then: &RunState,
    taken: &'a BTreeMap<UnitId, TakenBack>,
) -> BTreeSet<&'a StepName> {
    let mut anew: BTreeSet<&StepName> = taken.keys().map(|unit| &unit.step).collect();
    loop {
        let steps = plan.steps.iter().filter(|step| !anew.contains(&step.name));
        let follow = steps.filter(|step| step.depends_on.iter().any(|name| anew.contains(name)));
        let follow: Vec<_> = follow.map(|step| &step.name).collect();
        if follow.is_empty() {
            break;
        }
        anew.extend(follow);
    }
    let steps = plan.steps.iter().map(|step| &step.name);
    steps.filter(|name| then.step(name).status().is_done() && !anew.contains(name)).collect()
}

/// Steps and items that begin anew in the fork and have had effects that they would have once more: writes that were
/// committed, messages that have left, calls that were made and are not lent. What was undone since is none.
fn effects(
    events: &[Recorded],
    inherited: &BTreeSet<&StepName>,
    lent: &BTreeSet<u64>,
    taken: &BTreeMap<UnitId, TakenBack>,
) -> BTreeSet<UnitId> {
    let mut intents = std::collections::HashMap::new();
    let mut found = BTreeSet::new();
    // Those whose attempt has queued a message, which leaves when it succeeds.
    let mut queues = BTreeSet::new();
    for recorded in events {
        let unit = recorded.place.unit_id().filter(|unit| unit.compensates().is_none());
        let Some(unit) = unit.filter(|unit| !inherited.contains(&unit.step)) else { continue };
        let is_undone = || taken.get(&unit).is_some_and(|taken| taken.covers(&recorded.event));
        match &recorded.event {
            Event::Committing { .. } if !is_undone() => _ = found.insert(unit),
            Event::AttemptEnded { end: AttemptEnd::Succeeded { .. }, .. } if queues.contains(&unit) => {
                found.insert(unit);
            }
            Event::Returned(Returned { queued: Some(_), .. }) if !is_undone() => _ = queues.insert(unit),
            Event::AttemptStarted { .. } => _ = queues.remove(&unit),
            Event::Intent { class, .. }
                if *class != CallClass::Transactional && !lent.contains(&recorded.seq) && !is_undone() =>
            {
                intents.insert(recorded.seq, *class);
            }
            Event::Returned(returned) if returned.result.is_ok() => {
                let class = returned.intent.and_then(|intent| intents.get(&intent));
                if class.is_some_and(|class| *class != CallClass::Repeatable) {
                    found.insert(unit);
                }
            }
            _ => {}
        }
    }
    found
}
