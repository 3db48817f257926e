//! Policies at the start of a run: before any step, and once.

use std::collections::BTreeSet;

use serde_json::json;
use wflo_manifest::{ApprovalRule, OnReject, Plan, PolicyEvent};
use wflo_model::{ApprovalId, Digest, PolicyName, RunId, Timestamp, canonical};

use crate::permit::{run_scope, verdict};
use crate::policy::{Decision, Firing, Judgement, Occurrence, judge};
use crate::{Approval, ApprovalState, Created, Event, GateAt, Outcome, Place, RunState, RunStatus};

/// Whether a run may begin.
pub(crate) enum Start {
    /// Nothing is in its way.
    Goes,
    /// People are asked.
    Waits,
    /// There is something to be written first.
    Append(Vec<(Place, Event)>),
}

/// What policies, and the people they ask, say to a run that is about to start.
pub(crate) fn start(run: &RunId, plan: &Plan, state: &RunState, now: Timestamp) -> Start {
    match state.run_gate() {
        Some(gate) => decided(plan, gate, now),
        None => judged(run, plan, state, now).map_or(Start::Goes, Start::Append),
    }
}

/// The events to append before anything else; none if no policy fires, or the run has begun.
fn judged(run: &RunId, plan: &Plan, state: &RunState, now: Timestamp) -> Option<Vec<(Place, Event)>> {
    let listens = plan.policies.iter().any(|policy| policy.on.contains(&PolicyEvent::RunStart));
    let created = state.created().filter(|_| listens && !state.has_begun())?;
    let occurrence = Occurrence::run_start(&created.inputs);
    let Judgement { decision, firings, .. } = judge(&plan.policies, &occurrence, &run_scope(run, state));
    let then = match decision {
        Decision::Deny { by } => {
            let names: Vec<_> = by.iter().map(|name| format!("`{name}`")).collect();
            let error = Some(format!("the run was refused by policy {}", names.join(", ")));
            Some(Event::RunEnded { status: RunStatus::Failed, error })
        }
        Decision::RequireApproval { rule, by } => Some(opened(run, plan, created, rule, &by, &firings, now)),
        Decision::AutoApprove { .. } | Decision::None => None,
    };
    let fired = firings.into_iter().map(Box::new).map(Event::PolicyFired);
    let events: Vec<_> = fired.chain(then).map(|event| (Place::RUN, event)).collect();
    (!events.is_empty()).then_some(events)
}

/// Asks people whether the run may begin: about its inputs, its budget and its plan.
fn opened(
    run: &RunId,
    plan: &Plan,
    created: &Created,
    rule: ApprovalRule,
    by: &BTreeSet<PolicyName>,
    firings: &[Firing],
    now: Timestamp,
) -> Event {
    let asking = firings.iter().filter(|firing| by.contains(&firing.policy));
    let policies: Vec<_> = asking.map(|firing| firing.shown(&plan.policies)).collect();
    let what = json!({
        "workflow": created.workflow,
        "version": created.version,
        "inputs": created.inputs,
        "requester": created.requester,
        "budget_usd": created.budget,
    });
    let bytes = canonical(&what).expect("what is asked has text keys and finite numbers only");
    let subject =
        Digest::of_parts(&[b"wflo approval of run", run.as_bytes(), plan.digest().as_bytes(), &bytes]);
    let mut shows = what;
    shows["policies"] = json!(policies);
    asked(ApprovalId::derive(&subject, 1), subject, shows, rule, now)
}

fn asked(
    id: ApprovalId,
    subject: Digest,
    shows: serde_json::Value,
    rule: ApprovalRule,
    now: Timestamp,
) -> Event {
    Event::ApprovalOpened {
        id,
        at: GateAt::Run,
        call: None,
        subject,
        shows,
        expires_at: rule.timeout.map(|timeout| now.after(timeout)),
        rule,
        asks: Vec::new(),
        follows: None,
        authors: Vec::new(),
        amount: None,
    }
}

/// What follows from the decision about the run.
fn decided(plan: &Plan, gate: &Approval, now: Timestamp) -> Start {
    let first = |event| Start::Append(vec![(Place::RUN, event)]);
    let outcome = match gate.state {
        ApprovalState::Open => return Start::Waits,
        // Its own append has taken the gate away.
        ApprovalState::Consumed => return Start::Goes,
        ApprovalState::Closed { outcome, .. } => outcome,
    };
    match outcome {
        Outcome::Approved if gate.is_good(now) => first(Event::RunPermitted { consumes: Some(gate.id) }),
        Outcome::Approved => Start::Append(vec![gate.close(Outcome::Superseded)]),
        Outcome::Rejected | Outcome::Expired => {
            let reason = verdict(gate, outcome);
            match gate.rule.on_reject {
                OnReject::Continue => first(Event::RunPermitted { consumes: None }),
                OnReject::Skip => {
                    let skipped = plan.steps.iter().map(|step| {
                        let event = Event::StepEnded { skipped: true, reason: reason.clone() };
                        (Place::step(&step.name), event)
                    });
                    let first = (Place::RUN, Event::RunPermitted { consumes: None });
                    Start::Append(std::iter::once(first).chain(skipped).collect())
                }
                _ => first(Event::RunEnded { status: RunStatus::Failed, error: Some(reason) }),
            }
        }
        // It has lapsed, or was given by people who no longer may: the same question, anew.
        Outcome::Superseded | Outcome::Cancelled => {
            let named = Digest::of_parts(&[b"wflo asked again", gate.id.to_string().as_bytes()]);
            let id = ApprovalId::derive(&named, 0);
            first(asked(id, gate.subject, gate.shows.clone(), gate.rule.clone(), now))
        }
    }
}
