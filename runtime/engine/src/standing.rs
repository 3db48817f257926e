//! Where a run stands.

use wflo_manifest::Plan;
use wflo_model::{RunId, Timestamp};

use crate::top_up::granted;
use crate::{ApprovalState, GateAt, Rollback, RunState, RunStatus, StepStatus, decide};

/// Where a run stands, seen from its plan: one that waits is running all the same where something follows from it now. A
/// process that is stopped leaves that undone, and [`RunState::status`] does not know which steps follow on others.
#[must_use]
pub fn standing(run: &RunId, plan: &Plan, state: &RunState, now: Timestamp) -> RunStatus {
    let status = state.status();
    if !matches!(status, RunStatus::Waiting | RunStatus::Parked) || decide(run, plan, state, now).is_empty() {
        return status;
    }
    match state.rolling_back() {
        Some(_) => RunStatus::RollingBack,
        None => RunStatus::Running,
    }
}

impl RunState {
    /// Where the run stands.
    ///
    /// It is `waiting` when an approval is open and nothing else can move, `parked` when an attempt waits for
    /// something else and nothing can move. What has been decided and not been acted upon can move: all it takes is a
    /// process.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        if self.ended_as() == Some(RunStatus::Superseded) {
            return RunStatus::Superseded;
        }
        if let Some(rollback) = self.rolling_back() {
            return self.status_in(rollback);
        }
        if let Some(status) = self.ended_as() {
            return status;
        }
        let any = |status| self.steps().any(|(_, step)| step.status() == status);
        if any(StepStatus::Running) || self.has_to_act() {
            RunStatus::Running
        } else if self.open().next().is_some() {
            RunStatus::Waiting
        } else if any(StepStatus::Parked) {
            RunStatus::Parked
        } else {
            RunStatus::Running
        }
    }

    /// Where a run stands that is rolled back: there is one compensator after another.
    fn status_in(&self, rollback: &Rollback) -> RunStatus {
        let asked = rollback.approval.and_then(|id| self.approval(&id));
        if asked.is_some_and(|approval| approval.state == ApprovalState::Open) {
            return RunStatus::Waiting;
        }
        let mut units = self.active().filter(|(id, _)| id.compensates().is_some());
        match units.next().map(|(_, unit)| unit.status) {
            Some(StepStatus::Waiting | StepStatus::Parked) if granted(self).is_some() => {
                RunStatus::RollingBack
            }
            Some(StepStatus::Parked) if self.open().any(|approval| approval.at == GateAt::TopUp) => {
                RunStatus::Waiting
            }
            Some(StepStatus::Waiting) => RunStatus::Waiting,
            Some(StepStatus::Parked) => RunStatus::Parked,
            _ => RunStatus::RollingBack,
        }
    }

    /// Whether somebody has decided something that the run has not acted upon, although none of its steps runs.
    fn has_to_act(&self) -> bool {
        if self.cancel().is_some() || self.has_failed() {
            // It is wound up, unless all that is left is what a person has to say first.
            let under_way = self.active().filter(|(_, unit)| unit.in_attempt);
            let unknown: Vec<_> = under_way.map(|(_, unit)| unit.is_unknown()).collect();
            return unknown.is_empty() || unknown.contains(&false) || self.open().next().is_some();
        }
        // A step that is asked about waits as long as nobody has decided.
        let is_decided = |unit: &crate::Unit| unit.status == StepStatus::Pending && unit.approval.is_some();
        self.steps().any(|(_, step)| is_decided(&step.unit))
            || self.run_gate().is_some_and(|gate| gate.state != ApprovalState::Open)
            || granted(self).is_some()
    }
}
