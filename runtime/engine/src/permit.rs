//! Whether a step whose dependencies are done may start.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wflo_manifest::{ApprovalAt, OnReject, Plan, PlanStep, Scope};
use wflo_model::{ApprovalId, Digest, RunId, StepName, Timestamp, canonical};

use crate::{Approval, ApprovalState, Event, GateAt, Outcome, RunState, Subject, Verdict};

/// What a step that is ready comes to.
pub(crate) enum Permit {
    /// It does not start now; there may be something to be written about it.
    Not(Option<Box<Event>>),
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
///
/// Its condition comes first, then the people, then its items: nobody is asked about what would not be done.
pub(crate) fn permit(run: &RunId, plan: &Plan, state: &RunState, step: &PlanStep, now: Timestamp) -> Permit {
    let ended = |skipped, reason| Permit::Not(Some(Box::new(Event::StepEnded { skipped, reason })));
    let scope = scope(run, state, step, plan);
    match step.when.as_ref().map(|when| (when, when.holds(&scope))) {
        None | Some((_, Ok(true))) => {}
        Some((when, Ok(false))) => return ended(true, format!("`{when}` does not hold")),
        Some((when, Err(error))) => return ended(false, format!("`when = \"{when}\"`: {error}")),
    }
    let consumes = match approved(run, plan, state, step, now) {
        Ok(consumes) => consumes,
        Err(event) => return Permit::Not(event),
    };
    match step.for_each.as_ref().map(|list| (list, list.evaluate(&scope))) {
        None => Permit::Start { consumes },
        Some((_, Ok(Value::Array(items)))) => Permit::FanOut { items, consumes },
        Some((list, Ok(_))) => ended(false, format!("`for_each = \"{list}\"` is not a list")),
        Some((list, Err(error))) => ended(false, format!("`for_each = \"{list}\"`: {error}")),
    }
}

/// The approval that lets the step start, if it needs one; or what there is to be written about it first.
fn approved(
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    step: &PlanStep,
    now: Timestamp,
) -> Result<Option<ApprovalId>, Option<Box<Event>>> {
    let first = |event| Err(Some(Box::new(event)));
    let Some(rule) = step.approval.as_ref().filter(|rule| rule.at == ApprovalAt::Start) else {
        return Ok(None);
    };
    let last = state.step(&step.name).unit.approval.and_then(|id| state.approval(&id));
    match last.map(|approval| (approval, approval.state)) {
        Some((_, ApprovalState::Open)) => Err(None),
        Some((approval, ApprovalState::Closed { outcome: Outcome::Approved, .. })) => {
            if approval.is_good(now) {
                Ok(Some(approval.id))
            } else {
                first(Event::ApprovalClosed { approval: approval.id, outcome: Outcome::Superseded })
            }
        }
        Some((approval, ApprovalState::Closed { outcome, .. }))
            if matches!(outcome, Outcome::Rejected | Outcome::Expired) =>
        {
            match rule.on_reject {
                // It runs all the same, and can read what was decided.
                OnReject::Continue => Ok(None),
                on_reject => {
                    let skipped = on_reject == OnReject::Skip;
                    first(Event::StepEnded { skipped, reason: verdict(approval, outcome) })
                }
            }
        }
        _ => {
            let (subject, shows) = subject(run, plan, state, step);
            first(Event::ApprovalOpened {
                id: ApprovalId::derive(&subject, state.seq()),
                at: GateAt::Start,
                call: None,
                subject,
                shows,
                rule: rule.clone(),
                expires_at: rule.timeout.map(|timeout| now.after(timeout)),
                asks: Vec::new(),
                follows: None,
                authors: Vec::new(),
                amount: None,
            })
        }
    }
}

/// What the expressions of a step, and the policies that hear it, can read: the run, its inputs, its budget, and the
/// outputs of what the step depends on.
#[must_use]
pub fn scope<'a>(run: &RunId, state: &'a RunState, step: &PlanStep, plan: &Plan) -> Scope<'a> {
    let mut scope = run_scope(run, state);
    for parent in plan.transitive(&step.name) {
        if let Some(output) = state.output(&parent) {
            scope.bind(&["steps", parent.as_str(), "output"], output);
        }
    }
    scope
}

/// What can be read of the run alone.
pub(crate) fn run_scope<'a>(run: &RunId, state: &'a RunState) -> Scope<'a> {
    let mut scope = Scope::new();
    if let Some(created) = state.created() {
        scope.bind(&["inputs"], &created.inputs);
        scope.bind(&["run", "id"], run.to_string());
        scope.bind(&["run", "workflow"], created.workflow.clone());
        scope.bind(&["run", "version"], created.version.clone());
        scope.bind(&["run", "requester"], created.requester.to_string());
    }
    let ledger = state.ledger();
    scope.bind(&["budget", "settled_usd"], ledger.settled());
    scope.bind(&["budget", "held_usd"], ledger.held());
    if let Some(limit) = ledger.limit() {
        scope.bind(&["budget", "limit_usd"], limit);
        scope.bind(&["budget", "left_usd"], ledger.left());
    }
    scope
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
