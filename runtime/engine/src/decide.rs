//! What happens next.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use wflo_manifest::{OnReject, Plan, PlanStep, Retry};
use wflo_model::{ApprovalId, Digest, FailureKind, RunId, StepName, Timestamp, canonical};

use crate::{
    Approval, ApprovalState, AttemptEnd, Event, Outcome, Place, RunState, RunStatus, StepState, StepStatus,
    Subject,
};

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Append these events, in one piece.
    Append(Vec<(Place, Event)>),
    /// Run an attempt of a step, unless this process runs it already: from its start, or from its journal where
    /// a crash cut it off or it was parked.
    Attempt {
        /// The step.
        step: StepName,
        /// The attempt, from 1.
        attempt: u32,
    },
}

/// Most attempts of a step that are interrupted through no fault of their own.
const MAX_INTERRUPTED: u32 = 10;

/// Longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(3600);

/// Says what to do next: a pure function of the plan, the state and the time.
///
/// Due timers come before anything else. The events of an [`Append`](Command::Append) take effect before the
/// next call; attempts go on side by side. Nothing at all means: there is nothing to do until a vote, a timer
/// ([`next_due`]) or a person moves it, or until a running attempt ends.
#[must_use]
pub fn decide(run: &RunId, plan: &Plan, state: &RunState, now: Timestamp) -> Vec<Command> {
    if state.created().is_none() || state.status().is_final() {
        return Vec::new();
    }
    let overdue: Vec<_> = state
        .approvals()
        .filter(|approval| approval.is_overdue(now))
        .map(|approval| (Place::step(&approval.step), close(approval, Outcome::Expired)))
        .collect();
    if !overdue.is_empty() {
        return vec![Command::Append(overdue)];
    }
    let status = |step: &PlanStep| state.step_ref(&step.name).map_or(StepStatus::Pending, |step| step.status);
    let failed = plan.steps.iter().find(|step| status(step) == StepStatus::Failed);
    let going: Vec<_> = plan.steps.iter().filter(|step| status(step) == StepStatus::Running).collect();
    let mut commands = Vec::new();

    if let Some(failed) = failed {
        // No new step starts; attempts under way come to their end first.
        for step in going {
            let state = state.step(&step.name);
            if state.in_attempt {
                commands.push(Command::Attempt { step: step.name.clone(), attempt: state.attempt });
            }
        }
        if commands.is_empty() {
            commands.push(end(state, failed));
        }
        return commands;
    }

    let mut room = plan.max_parallel.map_or(usize::MAX, |most| most as usize).saturating_sub(going.len());
    for step in &plan.steps {
        let at = state.step(&step.name);
        match at.status {
            StepStatus::Running if at.in_attempt => {
                commands.push(Command::Attempt { step: step.name.clone(), attempt: at.attempt });
            }
            StepStatus::Running if at.retry_at.is_none_or(|due| due <= now) => {
                commands.push(start(step, at.attempt + 1, None));
            }
            StepStatus::Pending if room > 0 => {
                let ready = step
                    .depends_on
                    .iter()
                    .all(|name| state.step_ref(name).is_some_and(|parent| parent.status.is_done()));
                if ready {
                    let (command, starts) = permit(run, plan, state, step, &at, now);
                    room -= usize::from(starts);
                    commands.extend(command);
                }
            }
            _ => {}
        }
    }
    if plan.steps.iter().all(|step| status(step).is_done()) {
        let event = Event::RunEnded { status: RunStatus::Succeeded, error: None };
        return vec![Command::Append(vec![(Place::RUN, event)])];
    }
    commands
}

/// When [`decide`] will have something to do although nothing happens: an approval expires, a retry is due.
#[must_use]
pub fn next_due(state: &RunState) -> Option<Timestamp> {
    let expiries = state
        .approvals()
        .filter(|approval| approval.state == ApprovalState::Open)
        .filter_map(|approval| approval.expires_at);
    let retries = state.steps().filter_map(|(_, step)| step.retry_at);
    if state.status().is_final() { None } else { expiries.chain(retries).min() }
}

/// When the next attempt of a step may begin, after one that ended so; none if there is to be none.
///
/// The wait doubles with each attempt, up to an hour, and is spread over half of itself by `seed`, so that
/// steps that failed together do not come back together.
#[must_use]
pub fn retry_at(
    retry: &Retry,
    step: &StepState,
    end: &AttemptEnd,
    seed: u64,
    now: Timestamp,
) -> Option<Timestamp> {
    match end {
        AttemptEnd::Succeeded { .. } => None,
        AttemptEnd::Interrupted { .. } => (step.interrupted < MAX_INTERRUPTED).then_some(now),
        AttemptEnd::Failed(failure) if failure.kind == FailureKind::Permanent => None,
        AttemptEnd::Failed(_) | AttemptEnd::Fault(_) => (step.counted < retry.max_attempts).then(|| {
            let doubled = retry.backoff.saturating_mul(1 << step.counted.saturating_sub(1).min(20));
            let wait = doubled.min(MAX_BACKOFF);
            let spread = (wait / 2).mul_f64((seed % 1024) as f64 / 1024.0);
            now.after(wait / 2 + spread)
        }),
    }
}

fn start(step: &PlanStep, attempt: u32, consumes: Option<ApprovalId>) -> Command {
    let event = Event::AttemptStarted { component: step.component, consumes };
    Command::Append(vec![(Place::attempt(&step.name, attempt), event)])
}

/// Starts a step that is ready, or asks for the approval it needs; and whether it started.
fn permit(
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    step: &PlanStep,
    at: &StepState,
    now: Timestamp,
) -> (Option<Command>, bool) {
    let Some(rule) = &step.approval else { return (Some(start(step, at.attempt + 1, None)), true) };
    let place = Place::step(&step.name);
    let last = at.approval.and_then(|id| state.approval(&id));
    match last.map(|approval| (approval, approval.state)) {
        Some((_, ApprovalState::Open)) => (None, false),
        Some((approval, ApprovalState::Closed { outcome: Outcome::Approved, .. })) => {
            if approval.is_good(now) {
                (Some(start(step, at.attempt + 1, Some(approval.id))), true)
            } else {
                (Some(Command::Append(vec![(place, close(approval, Outcome::Superseded))])), false)
            }
        }
        Some((
            approval,
            ApprovalState::Closed { outcome: outcome @ (Outcome::Rejected | Outcome::Expired), .. },
        )) => {
            let skipped = outcome == Outcome::Rejected && rule.on_reject == OnReject::Skip;
            (
                Some(Command::Append(vec![(
                    place,
                    Event::StepEnded { skipped, reason: verdict(approval, outcome) },
                )])),
                false,
            )
        }
        _ => {
            let (subject, shows) = subject(run, plan, state, step);
            let event = Event::ApprovalOpened {
                id: ApprovalId::derive(&subject, state.seq()),
                subject,
                shows,
                rule: rule.clone(),
                expires_at: rule.timeout.map(|timeout| now.after(timeout)),
            };
            (Some(Command::Append(vec![(place, event)])), false)
        }
    }
}

fn verdict(approval: &Approval, outcome: Outcome) -> String {
    let against = approval.votes.iter().find(|vote| vote.verdict == crate::Verdict::Reject);
    match (outcome, against) {
        (Outcome::Rejected, Some(vote)) => match &vote.comment {
            Some(comment) => format!("rejected by `{}`: {comment}", vote.by),
            None => format!("rejected by `{}`", vote.by),
        },
        _ => format!("approval `{}` {outcome}", approval.id),
    }
}

fn close(approval: &Approval, outcome: Outcome) -> Event {
    Event::ApprovalClosed { approval: approval.id, outcome }
}

/// What an approval of `step` is bound to: its digest, and what is shown for it.
fn subject(run: &RunId, plan: &Plan, state: &RunState, step: &PlanStep) -> (Digest, Value) {
    let created = state.created().expect("a run that decides anything was created");
    let outputs: BTreeMap<StepName, Value> =
        step.depends_on.iter().filter_map(|name| Some((name.clone(), state.output(name)?.clone()))).collect();
    let subject = Subject {
        step: step.name.clone(),
        inputs: created.inputs.clone(),
        depends_on: outputs,
        component: step.component,
        grants: step.grants.clone(),
        budget: created.budget,
    };
    let bytes = canonical(&subject).expect("a subject has text keys and finite numbers only");
    let digest =
        Digest::of_parts(&[b"wflo approval at start", run.as_bytes(), plan.digest().as_bytes(), &bytes]);
    (digest, json!(subject))
}

fn end(state: &RunState, failed: &PlanStep) -> Command {
    let why = state.step(&failed.name).error.unwrap_or_else(|| "it failed".to_owned());
    let mut events: Vec<(Place, Event)> = state
        .approvals()
        .filter(|approval| approval.state == ApprovalState::Open)
        .map(|approval| (Place::step(&approval.step), close(approval, Outcome::Cancelled)))
        .collect();
    let error = Some(format!("step `{}`: {why}", failed.name));
    events.push((Place::RUN, Event::RunEnded { status: RunStatus::Failed, error }));
    Command::Append(events)
}
