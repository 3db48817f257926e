//! The runs that this process writes, and the plans they are pinned to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use wflo_engine::{Day, RunState};
use wflo_journal::RunWriter;
use wflo_manifest::Plan;
use wflo_model::{ApprovalId, Digest, RunId};

use crate::run_log::{RunLog, recorded};
use crate::{Runtime, RuntimeError};

/// New runs whose logs stay open until somebody drives them. Further ones are claimed and read when they are driven.
const MOST_FRESH: usize = 256;

/// So many approvals are known by their run; then it is begun anew.
const MOST_ASKED: usize = 1 << 17;

/// So many entries are few: they are not swept.
const FEW: usize = 1024;

/// A run that this process writes.
pub(crate) type Writing = (Arc<RunLog>, Arc<Plan>);

/// What is open. It holds no run by itself but the newest that nobody has driven yet: a run that stands still takes no
/// memory.
#[derive(Default)]
pub(crate) struct Runs {
    open: HashMap<RunId, Open>,
    /// Oldest first.
    fresh: VecDeque<(RunId, Writing)>,
    /// Which runs approvals are of, as far as somebody has looked: whoever decides on many does not have all runs read
    /// for each.
    asked: HashMap<ApprovalId, RunId>,
    plans: HashMap<Digest, Weak<Plan>>,
    /// How many entries there have to be before those that nobody works on are taken out.
    sweep_at: usize,
}

/// A run that this process writes, as long as somebody holds its log.
#[derive(Default)]
struct Open {
    log: Weak<RunLog>,
    plan: Weak<Plan>,
    turns: Turns,
}

impl Open {
    /// Whether nobody works on the run any more.
    fn is_idle(&self) -> bool {
        let Turns { opening, driving } = &self.turns;
        let turns = Arc::strong_count(opening) + Arc::strong_count(driving);
        self.log.strong_count() == 0 && turns == 2
    }
}

/// Who works on a run, one at a time each: the one that opens it, and the one that drives it.
#[derive(Clone, Default)]
pub(crate) struct Turns {
    pub(crate) opening: Arc<tokio::sync::Mutex<()>>,
    pub(crate) driving: Arc<tokio::sync::Mutex<()>>,
}

impl Runs {
    /// The run, if its log is open.
    pub(crate) fn get(&self, run: &RunId) -> Option<Writing> {
        let open = self.open.get(run)?;
        Some((open.log.upgrade()?, open.plan.upgrade()?))
    }

    pub(crate) fn turns(&mut self, run: RunId) -> Turns {
        self.entry(run).turns.clone()
    }

    fn entry(&mut self, run: RunId) -> &mut Open {
        // Seldom enough that it costs a run next to nothing.
        if self.open.len() >= self.sweep_at.max(FEW) {
            self.open.retain(|_, open| !open.is_idle());
            self.sweep_at = 2 * self.open.len();
        }
        self.open.entry(run).or_default()
    }

    /// Notes that a run's log is open.
    pub(crate) fn opened(&mut self, run: RunId, (log, plan): &Writing) {
        let open = self.entry(run);
        (open.log, open.plan) = (Arc::downgrade(log), Arc::downgrade(plan));
    }

    /// Holds a run that was just made until somebody drives it, since that will be soon.
    pub(crate) fn made(&mut self, run: RunId, writing: Writing) {
        self.opened(run, &writing);
        self.fresh.push_back((run, writing));
        if self.fresh.len() > MOST_FRESH {
            self.fresh.pop_front();
        }
    }

    /// Holds a run that somebody has decided in, until somebody drives it: the next decision may be of the same run.
    pub(crate) fn decided(&mut self, run: RunId, writing: Writing) {
        if !self.fresh.iter().any(|(fresh, _)| *fresh == run) {
            self.made(run, writing);
        }
    }

    /// Notes which run an approval is of.
    pub(crate) fn asks(&mut self, run: RunId, approval: ApprovalId) {
        if self.asked.len() >= MOST_ASKED {
            self.asked.clear();
        }
        self.asked.insert(approval, run);
    }

    /// The run that an approval is of, if it is known.
    pub(crate) fn asked(&self, approval: &ApprovalId) -> Option<RunId> {
        self.asked.get(approval).copied()
    }

    /// No longer holds a run by itself: somebody drives it.
    pub(crate) fn driven(&mut self, run: &RunId) {
        if let Some(at) = self.fresh.iter().position(|(fresh, _)| fresh == run) {
            self.fresh.remove(at);
        }
    }

    /// The plan of that digest, if a run has it open.
    pub(crate) fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.plans.get(digest)?.upgrade()
    }

    /// Shares a plan among the runs that are pinned to it.
    pub(crate) fn share(&mut self, digest: Digest, plan: Plan) -> Arc<Plan> {
        self.plans.retain(|_, plan| plan.strong_count() > 0);
        let shared = Arc::new(plan);
        self.plans.insert(digest, Arc::downgrade(&shared));
        shared
    }
}

impl Runtime {
    /// The plan that a run is pinned to.
    pub(crate) async fn plan(&self, state: &RunState) -> Result<Arc<Plan>, RuntimeError> {
        let digest = state.created().map(|created| created.plan).unwrap_or(Digest::ZERO);
        let open = self.open_runs().plan(&digest);
        if let Some(plan) = open {
            return Ok(plan);
        }
        let content = self.journal().get_public(&digest).await?;
        let plan = serde_json::from_slice(content.bytes())
            .map_err(|error| RuntimeError::BadPlan { plan: digest, source: error })?;
        Ok(self.open_runs().share(digest, plan))
    }

    /// The log of a run, to write: the one this process has open, or a newly claimed one.
    pub(crate) async fn open(&self, run: RunId) -> Result<Writing, RuntimeError> {
        let turns = self.open_runs().turns(run);
        // Others open other runs meanwhile, and their claims share a flush.
        let _only_one = turns.opening.lock().await;
        let open = self.open_runs().get(&run);
        if let Some(writing) = open {
            return Ok(writing);
        }
        let mut state = self.durable_state(run).await?;
        let plan = self.plan(&state).await?;
        let writer = self.journal().claim(run).await?;
        // What a driver that was let go of had under way may have landed since; after the claim nothing can.
        if writer.head() > state.seq() {
            for entry in self.journal().read(run, state.seq() + 1).await? {
                let recorded = recorded(&entry).map_err(crate::LogFailed::from)?;
                state.apply(&recorded).map_err(crate::LogFailed::from)?;
            }
        }
        self.accounts.load(self.journal(), &state, Day::of(self.now())).await?;
        let writing = (self.log(run, writer, &plan, state), plan);
        self.open_runs().opened(run, &writing);
        Ok(writing)
    }

    pub(crate) fn log(
        &self,
        run: RunId,
        writer: RunWriter,
        plan: &Arc<Plan>,
        state: RunState,
    ) -> Arc<RunLog> {
        let of = (Arc::clone(plan), state);
        let (store, clock, accounts) =
            (self.journal().store_id(), Arc::clone(&self.clock), Arc::clone(&self.accounts));
        Arc::new(RunLog::new(run, store, clock, accounts, writer, of, self.outbox.posted.clone()))
    }

    pub(crate) fn open_runs(&self) -> MutexGuard<'_, Runs> {
        // Nothing panics while it is held, and the maps are whole between any two of their changes.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u128) -> RunId {
        RunId::from_bytes(n.to_be_bytes())
    }

    #[test]
    fn a_run_that_nobody_works_on_is_forgotten_and_one_that_somebody_does_is_not() {
        let mut runs = Runs::default();
        let held = runs.turns(run(0));
        for n in 1..=5000 {
            drop(runs.turns(run(n)));
        }
        assert!(runs.open.len() <= FEW + 1, "{} entries are left", runs.open.len());
        assert!(Arc::ptr_eq(&held.driving, &runs.turns(run(0)).driving));
    }
}
