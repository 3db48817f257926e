//! Alerts about money: each part of a budget once.

use wflo_manifest::Plan;

use crate::{Event, Place, RunState};

/// What is to be told about the budget of a run: the highest of its thresholds that what is spent has reached and
/// that was not told before.
#[must_use]
pub fn budget_alert(plan: &Plan, state: &RunState) -> Option<(Place, Event)> {
    let ledger = state.ledger();
    let limit = ledger.limit()?;
    let settled = ledger.settled();
    let reached = |percent: &&u32| {
        settled.pico().saturating_mul(100) >= limit.pico().saturating_mul(i128::from(**percent))
    };
    let highest = plan.budget_alerts.iter().filter(reached).copied().max()?;
    let tells = plan.budget_notify.clone();
    let event = Event::BudgetAlert { percent: highest, settled_usd: settled, limit_usd: limit, tells };
    (highest > state.alerted()).then_some((Place::RUN, event))
}
