//! What people do to a run: let it try again, end it, settle what nobody knows, vote.

use std::sync::Arc;

use wflo_engine::{AttemptEnd, Event, Outcome, ParkReason, Place, Resolution, Verdict, Voter, cast};
use wflo_model::{ApprovalId, Failure, FailureKind, PrincipalName, RunId};

use crate::executor::Observer;
use crate::rollback::waiting;
use crate::runtime::Host;
use crate::view::{ApprovalView, RunView};
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// Asks a run that parked for want of money to try again, then drives it.
    ///
    /// # Errors
    /// As [`drive`](Self::drive).
    pub async fn resume(
        &self,
        run: RunId,
        by: &PrincipalName,
        host: &Host,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<RunView, RuntimeError> {
        let (log, _plan) = self.open(run).await?;
        let unpark = log.transact(|state| {
            let parked =
                state.active().filter(|(_, unit)| matches!(unit.parked, Some(ParkReason::Budget { .. })));
            let events: Vec<_> = parked
                .map(|(id, unit)| (Place::attempt(&id, unit.attempt), Event::Unparked { by: by.clone() }))
                .collect();
            if events.is_empty() || state.status().is_final() { Err(()) } else { Ok((events, ())) }
        })?;
        if unpark.is_ok() {
            log.wake();
        }
        self.drive(run, host, observer).await
    }

    /// Asks for the end of a run; durable when this returns. Whoever [drives](Self::drive) the run brings it there:
    /// nothing new starts, attempts under way are stopped, what they may have cost is charged.
    ///
    /// A rollback that waits for approval is withdrawn by whoever asked for it; the run stands where it stood.
    ///
    /// # Errors
    /// [`RuntimeError::Ended`] for a run that has ended, [`RuntimeError::RollingBack`] for one that is rolled back.
    pub async fn cancel(
        &self,
        run: RunId,
        by: &PrincipalName,
        reason: Option<String>,
    ) -> Result<(), RuntimeError> {
        let (log, _plan) = self.open(run).await?;
        let asked = log.transact(|state| {
            if state.status().is_final() {
                return Err(RuntimeError::Ended { run, status: state.status() });
            }
            let Some(rollback) = state.rolling_back() else {
                return Ok((vec![(Place::RUN, Event::CancelRequested { by: by.clone(), reason })], ()));
            };
            match waiting(state) {
                Some(approval) if rollback.by.as_ref() == Some(by) => {
                    Ok((vec![approval.close(Outcome::Cancelled)], ()))
                }
                approval => {
                    Err(RuntimeError::RollingBack { run, approval: approval.map(|approval| approval.id) })
                }
            }
        })?;
        asked?.0.durable().await?;
        log.wake();
        Ok(())
    }

    /// Settles a call of which nobody knew whether it was done; durable when this returns. The run goes on when it
    /// is [driven](Self::drive).
    ///
    /// # Errors
    /// [`RuntimeError::NotUnknown`] when event `intent` is no such call.
    pub async fn resolve(
        &self,
        run: RunId,
        intent: u64,
        resolution: Resolution,
        by: &PrincipalName,
    ) -> Result<(), RuntimeError> {
        let (log, _plan) = self.open(run).await?;
        let resolved = log.transact(|state| {
            let unknown = state.active().find_map(|(id, unit)| {
                let place = Place::attempt(&id, unit.attempt);
                match unit.open.get(&intent) {
                    Some(open) => {
                        unit.is_unknown().then(|| (place.call(open.ordinal), Some(open.call.clone())))
                    }
                    // Not a call, but the commit of what calls wrote.
                    None => {
                        let of = unit.parked.as_ref().and_then(ParkReason::unknown);
                        (of == Some(intent)).then_some((place, None))
                    }
                }
            });
            let (place, call) = unknown.ok_or(RuntimeError::NotUnknown { run, intent })?;
            if let (Resolution::Done { value }, Some(call)) = (&resolution, &call) {
                crate::operation::fits(call, value)
                    .map_err(|why| RuntimeError::NotAnAnswer { call: call.clone(), why })?;
            }
            let ends = resolution == Resolution::Compensate;
            let mut events = vec![(place.clone(), Event::Resolved { intent, resolution, by: by.clone() })];
            if ends {
                let end = given_up(intent, by, call.is_none());
                events.push((Place { ordinal: 0, ..place }, end));
            }
            Ok::<_, RuntimeError>((events, ()))
        })?;
        resolved?.0.durable().await?;
        log.wake();
        Ok(())
    }

    /// Casts a vote; durable when this returns. The run goes on when it is [driven](Self::drive).
    ///
    /// # Errors
    /// [`RuntimeError::Vote`] when the voter may not vote: journaled by nobody, since it is no vote.
    pub async fn vote(
        &self,
        id: ApprovalId,
        voter: &Voter,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<ApprovalView, RuntimeError> {
        let run = self.approval(id).await?.run;
        let (log, plan) = self.open(run).await?;
        let now = log.now();
        let cast = log.transact(|state| {
            let approval = state.approval(&id).ok_or(RuntimeError::NoSuchApproval { id })?;
            let requester = &state.created().expect("a run with an approval was created").requester;
            let now = now.max(state.time());
            Ok::<_, RuntimeError>((cast(approval, requester, voter, verdict, comment, now)?, ()))
        })?;
        cast?.0.durable().await?;
        log.wake();
        let view = log
            .read(|state| state.approval(&id).map(|it| ApprovalView::new(&run, plan.workflow.as_str(), it)));
        log.flush().await?;
        self.open_runs().decided(run, (log, plan));
        view.ok_or(RuntimeError::NoSuchApproval { id })
    }
}

/// The end of an attempt of which nobody will know what it did: the step fails, and what it may have done is undone.
fn given_up(intent: u64, by: &PrincipalName, commits: bool) -> Event {
    let message = match commits {
        true => format!(
            "not every database has committed event {intent}; `{by}` has it undone in those that have"
        ),
        false => format!("event {intent} has no outcome; `{by}` has it compensated"),
    };
    let end = AttemptEnd::Failed(Failure { kind: FailureKind::Permanent, message });
    Event::AttemptEnded { end, fuel: 0, memory_peak: 0, ms: 0, retry_at: None }
}
