//! What a rollback would come to: in each database it is done, and rolled back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wflo_engine::{RollbackPlan, RunState, RunStatus, StepUndone};
use wflo_model::{Label, RunId, StepName};

use crate::attempt::AttemptFailed;
use crate::fork::fork_of;
use crate::operation::database;
use crate::rollback::may_roll_back;
use crate::run_log::RunLog;
use crate::undo::{self, MOST_TRIES, NotUndone, Undoer};
use crate::{Host, Runtime, RuntimeError, UndoneView};

/// What a rollback would do now, and what it would leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RollbackTrial {
    /// What it undoes.
    #[serde(flatten)]
    pub plan: RollbackPlan,
    /// Writes that would be undone, by database, newest step first.
    #[serde(default)]
    pub undone: Vec<UndoneView>,
    /// Databases in which nothing could be undone, and why.
    #[serde(default)]
    pub failed: BTreeMap<Label, String>,
    /// Databases in which it could not be tried, and why.
    #[serde(default)]
    pub untried: BTreeMap<Label, String>,
}

impl RollbackTrial {
    /// A plan that could not be tried anywhere.
    #[must_use]
    pub fn untried(plan: RollbackPlan, why: &str) -> Self {
        let untried = plan.databases().into_iter().map(|label| (label.clone(), why.to_owned())).collect();
        Self { plan, untried, ..Self::default() }
    }
}

impl Runtime {
    /// Says what a rollback of the run would do, and tries it in each database: in a transaction that is rolled back. Other
    /// writers of the database wait meanwhile, and triggers of its owner run and are rolled back. What compensators would
    /// do there, which come first, is not in it.
    ///
    /// # Errors
    /// As [`rollback_plan`](Self::rollback_plan).
    pub async fn rollback_trial(
        &self,
        run: RunId,
        to: Option<&StepName>,
        host: &Host,
    ) -> Result<RollbackTrial, RuntimeError> {
        let (log, plan) = self.open(run).await?;
        let events = self.outline(run).await?;
        let fork = match log.read(RunState::status) {
            RunStatus::Superseded => fork_of(&events),
            _ => None,
        };
        log.read(|state| may_roll_back(run, &plan, state, (to, fork)))?;
        let plan = self.planned(&plan, &events, to, &[]).await?;
        let mut trial = RollbackTrial { plan: plan.clone(), ..RollbackTrial::default() };
        for label in plan.databases() {
            match self.tried(&log, &plan, label, host).await {
                Ok(steps) => trial.undone.extend(steps.into_iter().map(|it| UndoneView::new(label, it))),
                Err(NotUndone::Refused(why)) => _ = trial.failed.insert(label.clone(), why),
                Err(NotUndone::Interrupted(why)) => _ = trial.untried.insert(label.clone(), why),
                Err(NotUndone::Failed(RuntimeError::Attempt(AttemptFailed::Away { message, .. }))) => {
                    _ = trial.untried.insert(label.clone(), message);
                }
                Err(NotUndone::Failed(error)) => return Err(error),
            }
        }
        Ok(trial)
    }

    async fn tried(
        &self,
        log: &RunLog,
        plan: &RollbackPlan,
        label: &Label,
        host: &Host,
    ) -> Result<Vec<StepUndone>, NotUndone> {
        let writes = undo::of_database(plan, label);
        let Some(oldest) = writes.last() else { return Ok(Vec::new()) };
        let database = database(&host.outside, label)
            .map_err(|error| RuntimeError::from(undo::failed(oldest, error.to_string())))?;
        let (seq, left) = log.read(|state| {
            let before = |undo: &wflo_engine::UndoWrites| state.rollback()?.left(&undo.unit(), label);
            (state.seq() + 1, undo::left(&writes, before))
        });
        let undoer = Undoer { runtime: self, log };
        let undoing = undoer.prepare(label, database, seq, &writes, left).await?;
        let mut tries = 1;
        loop {
            match undoer.undone(&undoing).await {
                Ok(None) => return Ok(Vec::new()),
                Ok(Some((transaction, steps))) => {
                    transaction.rollback().await;
                    return Ok(steps);
                }
                Err(NotUndone::Interrupted(_)) if tries < MOST_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
