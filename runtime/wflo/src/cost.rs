//! A step that says what it has cost elsewhere.

use serde::Deserialize;
use serde_json::Value;
use wflo_engine::{Event, Reported, Returned};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult, PicoUsd};

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
    /// Charges what a step reports to every account that it is in; it is charged already, whatever is left. The commit
    /// point is the append of the result.
    pub(crate) fn charge(&mut self, call: Asked, report: CostReport) -> Result<CallResult, Stop> {
        let CostReport { kind, usd, note } = report;
        let result = Ok(Value::Null);
        let answer = returned(None, call, &result);
        let (place, consumes) = (self.call_place(), self.permit.take());
        let performed = self.performed.take();
        let charged = self.log.transact(|state| {
            let (left, _) = state.ledger().tightest(&place, &self.step, PicoUsd::ZERO);
            let overrun = (usd - left).max(PicoUsd::ZERO);
            let reported = Some(Reported { kind, usd, note, overrun });
            let event = Event::Returned(Returned { consumes, performed, reported, ..answer });
            Ok::<_, std::convert::Infallible>((vec![(place.clone(), event)], ()))
        });
        match charged.map_err(host)? {
            Ok((written, ())) => self.player.seen(written.time),
            Err(never) => match never {},
        }
        self.log.alert(&self.plan).map_err(host)?;
        Ok(result)
    }
}
