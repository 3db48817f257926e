//! Policies at the output of a step: after the guest has returned, before anything it wrote commits.
//!
//! The output takes its place behind the guest's calls, as one more that the host makes for it: a step that waits for
//! people is run again from its journal, returns the same, and comes to the same place. What it wrote is rolled back
//! while it waits and redone when it is approved. People are shown the output and every statement that would commit.

use serde_json::{Value, json};
use wflo_engine::{ApprovalState, Event, Outcome};
use wflo_host_api::Stop;
use wflo_manifest::PolicyEvent;
use wflo_model::{Call, CallError};

use crate::gate::{AttemptGate, returned};
use crate::history::CameTo;
use crate::operation::Operation;
use crate::player::Asked;
use crate::policy_gate::Passage;
use crate::transactions::Transactions;

const INTERFACE: &str = "wflo:step/handler";

/// The place of an output among the calls of its attempt.
pub(crate) fn output_call(output: &Value) -> Call {
    Call::new(INTERFACE, "run", output.clone())
}

/// Whether a recorded call is an output.
pub(crate) fn is_output(call: &Call) -> bool {
    call.interface == INTERFACE
}

impl AttemptGate {
    /// Has the policies judge what the guest returned.
    ///
    /// # Errors
    /// [`Stop::Parked`] while people are asked, [`Stop::Rejected`] where a policy or they are against it.
    pub(crate) async fn returns(&mut self, output: &Value) -> Result<(), Stop> {
        if !self.plan.policies.iter().any(|policy| policy.on.contains(&PolicyEvent::StepOutput)) {
            return Ok(());
        }
        let call = match self.player.history().peek() {
            // The guest has not made every recorded call: that is told elsewhere.
            Some(recorded) if !is_output(&recorded.call) => return Ok(()),
            _ => output_call(output),
        };
        match self.player.ask(call) {
            Err(divergence) => Err(self.diverged(divergence)),
            Ok((_, Some(CameTo::Returned { .. }))) => Ok(()),
            Ok((_, Some(CameTo::Denied { error, .. }))) => self.refused_output(error),
            Ok((asked, Some(CameTo::Asked { approval, .. }))) => {
                let approval = self.log.read(|state| state.approval(&approval).cloned());
                let approval = approval.ok_or_else(|| Stop::Host("an approval is missing".into()))?;
                match approval.state {
                    ApprovalState::Open => Err(Stop::Parked),
                    ApprovalState::Closed { outcome: Outcome::Rejected | Outcome::Expired, .. } => {
                        let error = self.refused(&asked, &Operation::Output(output.clone()), &approval)?;
                        self.refused_output(error)
                    }
                    _ if self.may_use(&approval).await? => {
                        self.permit = Some(approval.id);
                        self.approved_output(asked)
                    }
                    _ => self.ask_again(approval).await.map(|_| ()),
                }
            }
            Ok((_, Some(CameTo::Open(_)))) => Err(Stop::Host("an output has no intent".into())),
            Ok((asked, None)) => {
                self.redo().await?;
                self.permit = None;
                match self.judged(&asked, &Operation::Output(output.clone())).await? {
                    Passage::Refused(error) => self.refused_output(error),
                    Passage::Free { .. } if self.permit.is_some() => self.approved_output(asked),
                    Passage::Free { .. } => Ok(()),
                }
            }
        }
    }

    /// Consumes the approval of an output; the step goes forward from here.
    fn approved_output(&mut self, asked: Asked) -> Result<(), Stop> {
        self.append(Event::Returned(returned(None, asked, &Ok(Value::Null)))).map(|_| ())
    }

    /// An output that is not to be: what the step wrote is discarded; whether it fails is the policy's to say.
    fn refused_output(&mut self, error: CallError) -> Result<(), Stop> {
        match error {
            CallError::Rejected { .. } => {
                self.transactions = Transactions::default();
                Ok(())
            }
            other => Err(Stop::Rejected { reason: format!("the output was {other}"), skips: false }),
        }
    }

    /// What a step would commit with its output, for people.
    pub(crate) fn would_commit(&self) -> Vec<Value> {
        let shown = self.written.iter().map(|(call, result)| match result {
            Ok(value) => json!({ "call": call, "result": value }),
            Err(error) => json!({ "call": call, "error": error.to_string() }),
        });
        shown.collect()
    }
}
