//! What happens next in a rollback.

use wflo_manifest::Plan;
use wflo_model::{RunId, Timestamp};

use super::permit::{Permit, permit};
use super::{Compensation, Reapplied, Rollback, RollbackPlan};
use crate::decide::started;
use crate::{Command, Event, Outcome, Place, RunState, RunStatus, StepStatus};

/// Says what to do next in a run that is rolled back: one thing after another, newest first.
pub(crate) fn decide(
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    rollback: &Rollback,
    now: Timestamp,
) -> Vec<Command> {
    let Some(todo) = &rollback.plan else { return vec![Command::PlanRollback] };
    match permit(run, plan, state, rollback, todo, now) {
        Permit::Given => {}
        Permit::Waits => return Vec::new(),
        Permit::Append(events) => return vec![Command::Append(events)],
    }
    for compensation in &todo.compensate {
        match compensate(plan, state, rollback, compensation, now) {
            Next::Over => {}
            Next::Do(command) => return vec![*command],
            Next::Waits => return Vec::new(),
        }
    }
    let mut databases = todo.databases().into_iter();
    if let Some(database) = databases.find(|label| !rollback.settled.contains_key(*label)) {
        return vec![Command::Undo { database: database.clone() }];
    }
    let mut folders = todo.terraform().into_iter();
    if let Some(terraform) = folders.find(|label| !rollback.reapplied.contains_key(*label)) {
        return vec![Command::Reapply { terraform: terraform.clone() }];
    }
    // Money that was asked for and is not needed any more.
    let mut events: Vec<_> = state.open().map(|approval| approval.close(Outcome::Cancelled)).collect();
    events.push((Place::RUN, Event::RollbackEnded { status: status(state, rollback, todo) }));
    vec![Command::Append(events)]
}

enum Next {
    Over,
    Do(Box<Command>),
    Waits,
}

/// Begins a compensator, goes on with it, or passes on where it has ended: one that fails does not stop the others.
fn compensate(
    plan: &Plan,
    state: &RunState,
    rollback: &Rollback,
    compensation: &Compensation,
    now: Timestamp,
) -> Next {
    let Some(id) = compensation.unit().compensator() else { return Next::Over };
    let Some(step) = plan.step(&compensation.step) else { return Next::Over };
    let unit = state.unit(&id);
    let begin = || {
        let event = started(state, step, None);
        Next::Do(Box::new(Command::Append(vec![(Place::attempt(&id, unit.attempt + 1), event)])))
    };
    if !rollback.begun.contains(&id) {
        return begin();
    }
    match unit.status {
        StepStatus::Running if unit.in_attempt => {
            Next::Do(Box::new(Command::Attempt { unit: id.clone(), attempt: unit.attempt }))
        }
        StepStatus::Running if unit.retry_at.is_none_or(|due| due <= now) => begin(),
        StepStatus::Running | StepStatus::Pending | StepStatus::Waiting | StepStatus::Parked => Next::Waits,
        _ => Next::Over,
    }
}

/// What a rollback has come to.
fn status(state: &RunState, rollback: &Rollback, plan: &RollbackPlan) -> RunStatus {
    let uncompensated = plan.compensate.iter().any(|compensation| {
        let unit = compensation.unit().compensator();
        unit.is_none_or(|id| state.unit(&id).status != StepStatus::Succeeded)
    });
    let reapplied = |is: fn(&Reapplied) -> bool| rollback.reapplied.values().any(is);
    let failed = reapplied(|it| matches!(it, Reapplied::Failed { .. }));
    if uncompensated || failed || rollback.settled.values().any(Option::is_some) {
        return RunStatus::RollbackFailed;
    }
    let conflicts = rollback.undone.values().flatten().any(|undone| !undone.conflicts.is_empty());
    let left = reapplied(|it| matches!(it, Reapplied::Left { .. }));
    if conflicts || left || !plan.left.is_empty() {
        RunStatus::PartiallyRolledBack
    } else {
        RunStatus::RolledBack
    }
}
