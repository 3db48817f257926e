//! More money for a run that has run out of it.

use wflo_model::Timestamp;

use crate::{Approval, ApprovalState, Event, GateAt, Outcome, ParkReason, Place, RunState};

/// The approval of money that was asked for, once it is given and as long as the money is not there.
pub(crate) fn granted(state: &RunState) -> Option<&Approval> {
    state.approvals().find(|approval| {
        let is_given = matches!(approval.state, ApprovalState::Closed { outcome: Outcome::Approved, .. });
        approval.at == GateAt::TopUp && is_given
    })
}

/// What follows from money that was asked for and granted: it is there, and what waits for money tries again. The
/// commit point is the append of these events, which consumes the approval.
pub(crate) fn topped_up(state: &RunState, now: Timestamp) -> Option<Vec<(Place, Event)>> {
    let granted = granted(state)?;
    if !granted.is_good(now) {
        return Some(vec![granted.close(Outcome::Superseded)]);
    }
    let amount = granted.amount.unwrap_or_default();
    let by = granted.votes.last().map(|vote| vote.by.clone());
    let parked = state.active().filter(|(_, unit)| matches!(unit.parked, Some(ParkReason::Budget { .. })));
    let unparked = parked.filter_map(|(id, unit)| {
        Some((Place::attempt(&id, unit.attempt), Event::Unparked { by: by.clone()? }))
    });
    let first = (Place::RUN, Event::ToppedUp { amount, consumes: granted.id });
    Some(std::iter::once(first).chain(unparked).collect())
}
