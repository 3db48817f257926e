//! What an attempt pays for its fuel and its time, where the deployment prices them.
//!
//! An attempt runs in stretches, from one place where it parks, or its process ends, to the next. Before each, what it
//! costs at most is held, in every account that it is in, as for a call of a model; after it, what it has used is
//! charged. Replay uses fuel up again: what was charged before is not charged again.

use wflo_engine::{AttemptEnd, Event, Place, Refusal};
use wflo_manifest::OnExceeded;
use wflo_model::Limits;

use crate::accounts::{Room, out_of_money};
use crate::attempt::{Attempt, AttemptFailed, Left};
use crate::run_log::LogFailed;

impl Attempt {
    /// Holds what the stretch that begins can cost at most. Where the money for that is not there, the attempt parks or
    /// ends, and this is what it leaves.
    pub(crate) fn hold_compute(&self) -> Result<Option<Left>, LogFailed> {
        let price = self.plan.compute;
        let (held, charged) = self.log.read(|state| {
            let compute = state.unit(&self.unit).compute;
            (compute.held.is_some(), compute.fuel)
        });
        // A process that died has held for it already.
        if price.is_free() || held {
            return Ok(None);
        }
        let limits = &self.step.limits;
        let amount = price.quote(&Limits { fuel: limits.fuel.saturating_sub(charged), ..limits.clone() });
        let (place, spending) = (self.place(), self.outside.spending());
        let admitted = self.log.transact_money(|state, books, today| {
            let Room { left, account } =
                books.room_for(state, &place, &self.plan, &self.step, spending, today);
            if amount > left {
                return Err((Refusal { needed_usd: amount, left_usd: left }, account));
            }
            Ok((vec![(place.clone(), Event::ComputeHeld { amount })], ()))
        })?;
        let Err((refusal, account)) = admitted else { return Ok(None) };
        match self.plan.on_exceeded {
            OnExceeded::Park => {
                let reason = out_of_money(refusal, account, true);
                self.log.append(vec![(place, Event::Parked { reason })])?;
                Ok(Some(None))
            }
            OnExceeded::Fail => {
                let message = format!("its fuel and time are not paid for: it {refusal}");
                Ok(Some(Some(self.end(AttemptEnd::Unpaid { message }, self.meters))))
            }
        }
    }

    /// Charges the stretch that is over.
    pub(crate) fn charge_compute(&self) -> Result<(), AttemptFailed> {
        let price = self.plan.compute;
        let place = self.place();
        let charged = self.log.transact(|state| {
            let compute = state.unit(&self.unit).compute;
            let hold = compute.held.ok_or(())?;
            let (fuel, ms) = (self.meters.fuel.saturating_sub(compute.fuel), self.meters.ms);
            // A clock that ticks after the deadline costs no more than the deadline.
            let usd = price.charge(fuel, ms).min(state.ledger().held_by(hold));
            Ok::<_, ()>((vec![(place.clone(), Event::ComputeCharged { hold, fuel, ms, usd })], ()))
        });
        // Nothing is held where nothing is priced.
        if charged?.is_ok() {
            self.log.alert(&self.plan)?;
        }
        Ok(())
    }

    /// Where it stands in the run.
    pub(crate) fn place(&self) -> Place {
        Place::attempt(&self.unit, self.attempt)
    }
}
