//! People who agree to a rollback, before any of it is done.
//!
//! What they agree to is the plan: what would be undone, compensated and left. It is bound to its digest, as any approval
//! is, and whoever asked for the rollback does not decide. A rollback that the workflow says by itself (`on_failure`,
//! `on_cancel`) was agreed to with the workflow.

use std::collections::BTreeSet;

use serde_json::json;
use wflo_manifest::{ApprovalRule, Plan, Quorum};
use wflo_model::{ApprovalId, Digest, PrincipalName, RunId, Timestamp, canonical};

use super::{Rollback, RollbackPlan};
use crate::{ApprovalState, Event, GateAt, Outcome, Place, RunState};

/// Whether a planned rollback may go on.
pub(super) enum Permit {
    /// Nothing is in its way.
    Given,
    /// People are asked.
    Waits,
    /// There is something to be written first.
    Append(Vec<(Place, Event)>),
}

/// What the people of `rollback_approvers` say to a rollback that somebody has asked for.
pub(super) fn permit(
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    rollback: &Rollback,
    todo: &RollbackPlan,
    now: Timestamp,
) -> Permit {
    let Some(by) = rollback.by.as_ref().filter(|_| !plan.rollback_approvers.is_empty()) else {
        return Permit::Given;
    };
    if todo.does_nothing() {
        return Permit::Given;
    }
    let ask = || Permit::Append(vec![(Place::RUN, opened(run, plan, state, rollback, todo, by))]);
    let Some(approval) = rollback.approval.and_then(|id| state.approval(&id)) else { return ask() };
    let outcome = match approval.state {
        ApprovalState::Open => return Permit::Waits,
        ApprovalState::Consumed => return Permit::Given,
        ApprovalState::Closed { outcome, .. } => outcome,
    };
    match outcome {
        Outcome::Approved if approval.is_good(now) => {
            Permit::Append(vec![(Place::RUN, Event::RunPermitted { consumes: Some(approval.id) })])
        }
        Outcome::Approved => Permit::Append(vec![approval.close(Outcome::Superseded)]),
        // It has lapsed, or was given by people who no longer may: the same question, anew.
        Outcome::Superseded => ask(),
        // Nothing was done, and the run stands where it stood.
        Outcome::Rejected | Outcome::Expired | Outcome::Cancelled => {
            let status = state.ended_as().unwrap_or(rollback.was);
            Permit::Append(vec![(Place::RUN, Event::RollbackEnded { status })])
        }
    }
}

fn opened(
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    rollback: &Rollback,
    todo: &RollbackPlan,
    by: &PrincipalName,
) -> Event {
    let shows = json!({ "rollback": todo, "to": rollback.to, "asked_by": by });
    // Whoever wants a step compensated has asked for it as well.
    let others = rollback.only.iter().filter_map(|unit| state.compensations().get(unit));
    let authors: BTreeSet<_> = others.chain([by]).cloned().collect();
    let bytes = canonical(&shows).expect("a plan has text keys and finite numbers only");
    let pinned = plan.digest();
    let subject = Digest::of_parts(&[b"wflo rollback", run.as_bytes(), pinned.as_bytes(), &bytes]);
    Event::ApprovalOpened {
        id: ApprovalId::derive(&subject, state.seq()),
        at: GateAt::Rollback,
        call: None,
        subject,
        shows,
        rule: ApprovalRule::new(plan.rollback_approvers.clone(), Quorum::EachListed),
        expires_at: None,
        asks: Vec::new(),
        follows: rollback.approval,
        authors: authors.into_iter().collect(),
        amount: None,
    }
}
