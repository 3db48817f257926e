//! A step that says what it has cost elsewhere.

use serde::Deserialize;
use serde_json::Value;
use wflo_engine::{Event, Reported, Returned};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult, PicoUsd};

use crate::accounts::Room;
use crate::gate::{AttemptGate, host, returned};
use crate::operation::arguments;
use crate::player::Asked;

/// `wflo:step/context.report-cost`
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct CostReport {
    /// Of what kind.
    pub(crate) kind: String,
    /// How much.
    pub(crate) usd: PicoUsd,
    /// For what.
    pub(crate) note: String,
}

impl CostReport {
    /// Reads a report.
    ///
    /// # Errors
    /// `Invalid` for an amount that is none, or that would give money back.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let report: Self = arguments(call)?;
        match report.usd.is_negative() {
            true => Err(CallError::Invalid { message: format!("`{}` USD is below zero", report.usd) }),
            false => Ok(report),
        }
    }
}

impl AttemptGate {
    /// Charges what a step reports to every account that it is in. It is spent already: of the run's own money it is
    /// charged whatever is left, and what is kept for undoing stays there. What other runs live on is not given to a step's word: where an account above the run
    /// has a limit, a report that exceeds what is left there, or what the run was given of its own, is refused, and
    /// nothing is charged. The commit point is the append of the result.
    pub(crate) fn charge(&mut self, call: Asked, report: CostReport) -> Result<CallResult, Stop> {
        let CostReport { kind, usd, note } = report;
        let (kind, note) = (self.redactor.text(kind), self.redactor.text(note));
        let result = Ok(Value::Null);
        let answer = returned(None, call.clone(), &result);
        let place = self.call_place();
        let (consumes, performed) = (self.permit, self.performed.clone());
        let (workflow, limits) = (&self.plan.workflow, self.outside.spending());
        let reserve = self.plan.rollback_reserve.unwrap_or_default();
        let charged = self.log.transact_money(|state, books, today| {
            let (left, account) = state.ledger().tightest(&place, &self.step, reserve);
            if let Some(above) = books.room(workflow, today, limits).filter(|_| usd > PicoUsd::ZERO) {
                if left == PicoUsd::MAX {
                    return Err(format!(
                        "a cost that a step reports is charged to {} only out of a `budget_usd` of the workflow or the \
                         step, and there is none",
                        above.account
                    ));
                }
                let own = Room { left, account: account.to_string() };
                let Room { left, account } = if own.left <= above.left { own } else { above };
                if usd > left {
                    return Err(format!("`{usd}` USD is more than the {left} USD that {account} has left"));
                }
            }
            let overrun = (usd - left).max(PicoUsd::ZERO);
            let reported = Some(Reported { kind, usd, note, overrun });
            let event = Event::Returned(Returned { consumes, performed, reported, ..answer });
            Ok((vec![(place.clone(), event)], ()))
        });
        match charged.map_err(host)? {
            Ok((written, ())) => self.player.seen(written.time),
            Err(message) => {
                (self.permit, self.performed) = (None, None);
                return self.deny(call, CallError::Invalid { message });
            }
        }
        (self.permit, self.performed) = (None, None);
        self.log.alert(&self.plan).map_err(host)?;
        Ok(result)
    }
}
