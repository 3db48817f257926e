//! Whether a step whose dependencies are done may start.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wflo_manifest::{OnReject, Plan, PlanStep};
use wflo_model::{ApprovalId, Digest, RunId, StepName, Timestamp, canonical};

use crate::{Approval, ApprovalState, Event, GateAt, Outcome, RunState, Subject, Verdict};

/// What a step that is ready comes to.
pub(crate) enum Permit {
    /// It does not start now; there may be something to be written about it.
    Not(Option<Event>),
    /// Its next attempt begins.
    Start {
        /// The approval that this uses up.
        consumes: Option<ApprovalId>,
    },
    /// It fans out.
    FanOut {
        /// Its items.
        items: Vec<Value>,
        /// The approval that this uses up.
        consumes: Option<ApprovalId>,
    },
}

/// Says whether a step that is ready starts, has to be asked for, or is left out.
pub(crate) fn permit(run: &RunId, plan: &Plan, state: &RunState, step: &PlanStep, now: Timestamp) -> Permit {
    let consumes = match &step.approval {
        None => None,
        Some(rule) => {
            let last = state.step(&step.name).unit.approval.and_then(|id| state.approval(&id));
            match last.map(|approval| (approval, approval.state)) {
                Some((_, ApprovalState::Open)) => return Permit::Not(None),
                Some((approval, ApprovalState::Closed { outcome: Outcome::Approved, .. })) => {
                    if !approval.is_good(now) {
                        return Permit::Not(Some(close(approval, Outcome::Superseded)));
                    }
                    Some(approval.id)
                }
                Some((approval, ApprovalState::Closed { outcome, .. }))
                    if matches!(outcome, Outcome::Rejected | Outcome::Expired) =>
                {
                    let skipped = outcome == Outcome::Rejected && rule.on_reject == OnReject::Skip;
                    let reason = verdict(approval, outcome);
                    return Permit::Not(Some(Event::StepEnded { skipped, reason }));
                }
                _ => {
                    let (subject, shows) = subject(run, plan, state, step);
                    return Permit::Not(Some(Event::ApprovalOpened {
                        id: ApprovalId::derive(&subject, state.seq()),
                        at: GateAt::Start,
                        call: None,
                        subject,
                        shows,
                        rule: rule.clone(),
                        expires_at: rule.timeout.map(|timeout| now.after(timeout)),
                    }));
                }
            }
        }
    };
    Permit::Start { consumes }
}

/// How an approval that was not given reads.
pub(crate) fn verdict(approval: &Approval, outcome: Outcome) -> String {
    let against = approval.votes.iter().find(|vote| vote.verdict == Verdict::Reject);
    match (outcome, against) {
        (Outcome::Rejected, Some(vote)) => match &vote.comment {
            Some(comment) => format!("rejected by `{}`: {comment}", vote.by),
            None => format!("rejected by `{}`", vote.by),
        },
        _ => format!("approval `{}` {outcome}", approval.id),
    }
}

pub(crate) fn close(approval: &Approval, outcome: Outcome) -> Event {
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
