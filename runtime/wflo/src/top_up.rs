//! More money for a run that has run out of it.

use serde_json::json;
use wflo_engine::{Event, GateAt, ParkReason, Place};
use wflo_manifest::{ApprovalRule, Quorum};
use wflo_model::{ApprovalId, Digest, PicoUsd, PrincipalName, RunId, canonical};

use crate::view::ApprovalView;
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// Asks the workflow's `budget_approvers` for more money for a run; durable when this returns. When they have
    /// approved and the run is [driven](Self::drive), its budget is raised, and what waits for money tries again.
    ///
    /// Whoever asks does not decide.
    ///
    /// # Errors
    /// [`RuntimeError::BadAmount`]; [`RuntimeError::NoTopUp`] for a run without a budget, or whose workflow says of
    /// nobody that they may raise it; [`RuntimeError::Ended`].
    pub async fn top_up(
        &self,
        run: RunId,
        amount: PicoUsd,
        by: &PrincipalName,
    ) -> Result<ApprovalView, RuntimeError> {
        if amount <= PicoUsd::ZERO {
            return Err(RuntimeError::BadAmount { amount });
        }
        let (log, plan) = self.open(run).await?;
        let no = |why: &str| RuntimeError::NoTopUp { run, why: why.to_owned() };
        if plan.budget_approvers.is_empty() {
            return Err(no("its workflow names no `budget_approvers`"));
        }
        let rule = ApprovalRule {
            notify: plan.budget_notify.clone(),
            ..ApprovalRule::new(plan.budget_approvers.clone(), Quorum::EachListed)
        };
        let asked = log.transact(|state| {
            let status = state.status();
            if status.is_final() {
                return Err(RuntimeError::Ended { run, status });
            }
            let ledger = state.ledger();
            let limit = ledger.limit().ok_or_else(|| no("it has no budget"))?;
            let waits: Vec<_> = state
                .active()
                .filter_map(|(id, unit)| match unit.parked.as_ref()? {
                    reason @ ParkReason::Budget { .. } => {
                        Some(json!({ "step": id.to_string(), "reason": reason.to_string() }))
                    }
                    _ => None,
                })
                .collect();
            let shows = json!({
                "top_up_usd": amount,
                "budget_usd": limit,
                "budget_usd_then": limit + amount,
                "settled_usd": ledger.settled(),
                "held_usd": ledger.held(),
                "asked_by": by,
                "waits": waits,
            });
            let bytes = canonical(&shows).expect("what is asked has text keys and finite numbers only");
            let pinned = plan.digest();
            let subject = Digest::of_parts(&[b"wflo top-up", run.as_bytes(), pinned.as_bytes(), &bytes]);
            let id = ApprovalId::derive(&subject, state.seq());
            let event = Event::ApprovalOpened {
                id,
                at: GateAt::TopUp,
                call: None,
                subject,
                shows,
                rule,
                expires_at: None,
                asks: Vec::new(),
                follows: None,
                authors: vec![by.clone()],
                amount: Some(amount),
            };
            Ok((vec![(Place::RUN, event)], id))
        })?;
        let (written, id) = asked?;
        written.durable().await?;
        log.wake();
        let view = log
            .read(|state| state.approval(&id).map(|it| ApprovalView::new(&run, plan.workflow.as_str(), it)));
        view.ok_or(RuntimeError::NoSuchApproval { id })
    }
}
