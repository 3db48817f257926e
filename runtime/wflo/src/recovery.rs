//! What a resumed attempt finds in its journal, call by call, and how each is mended.
//!
//! | found | what is done |
//! |---|---|
//! | a result, a denial | it is returned; nothing is written |
//! | people were asked | undecided: the attempt parks again; decided: the guest is told, or the call they were asked about is made |
//! | an intent alone: repeatable | what the first may have cost is charged, and it is made again |
//! | transactional | its transaction is gone with the process: it is redone, then executed |
//! | keyed | made again under the same key while that lives; unknown afterwards |
//! | recognisable | made again: whoever receives it twice can tell |
//! | verifiable | the other side is asked: done, not done and so made now, or put back; else unknown |
//! | unsafe | unknown: the attempt parks, and a person says what became of it |

use wflo_engine::{CallClass, Event, ParkReason};
use wflo_host_api::Stop;
use wflo_model::CallResult;
use wflo_ports::HttpRequest;

use crate::artifact::Save;
use crate::ask::{decision, told};
use crate::gate::AttemptGate;
use crate::history::{CameTo, OpenIntent};
use crate::operation::Operation;
use crate::player::Asked;

impl AttemptGate {
    /// Gives a recorded call what it came to, or mends it where a crash or a wait cut it off.
    pub(crate) async fn recover(
        &mut self,
        call: Asked,
        operation: Operation,
        came_to: CameTo,
    ) -> Result<CallResult, Stop> {
        match came_to {
            CameTo::Returned { result, .. } => {
                // What the guest was told last is what its own `decision` gives.
                if let Some(decision) = told(&call.call.to_string(), &result) {
                    self.context.decision = Some(decision);
                }
                match (operation, &result) {
                    (Operation::Fact(fact), Ok(_)) => _ = self.facts.insert(fact.name, fact.value),
                    (Operation::Page(page), Ok(rows)) => self.pages.told(&page, rows),
                    _ => {}
                }
                self.recall_decision();
                Ok(result)
            }
            CameTo::Denied { error, .. } => {
                self.recall_decision();
                Ok(Err(error))
            }
            CameTo::Asked { approval, .. } => match operation {
                Operation::Ask(_) => self.decided(call, &approval).await,
                operation => match self.decided_on_call(&call, &operation, &approval).await? {
                    Some(result) => Ok(result),
                    None => self.live(call, operation).await,
                },
            },
            CameTo::Open(intent) => self.cut_off(call, operation, intent).await,
        }
    }

    /// Has the guest know the decision about a recorded call, as it did when the call was made.
    pub(crate) fn recall_decision(&mut self) {
        let approval = self.player.approval();
        if let Some(recalled) = approval.and_then(|id| self.log.read(|state| decision(state.approval(&id)?)))
        {
            self.context.decision = Some(recalled);
        }
    }

    /// Whether a keyed request without a result is made again: while its key lives, and nobody has revoked it.
    pub(crate) fn may_repeat(&self, request: &HttpRequest, intent: &OpenIntent) -> bool {
        intent.class == CallClass::Keyed
            && intent.good_until.is_some_and(|until| self.log.is_before(until))
            && crate::http::authorise(request, &self.step.grants, &self.outside).is_ok()
            && self.placeholders.fill(&mut request.clone(), &self.outside).is_ok()
    }

    /// Mends a call that has an intent and no result.
    pub(crate) async fn cut_off(
        &mut self,
        call: Asked,
        operation: Operation,
        intent: OpenIntent,
    ) -> Result<CallResult, Stop> {
        match intent.class {
            CallClass::Transactional => {
                self.recall_decision();
                self.redo().await?;
                match operation.bound(&self.plan.statements) {
                    Ok(bound) => self.statement(call, bound, Some(intent)).await,
                    Err(error) => Err(Stop::Host(error.to_string())),
                }
            }
            CallClass::Read | CallClass::Repeatable => {
                // Settled before anything else can stop the attempt, so that no hold outlives it.
                self.append(Event::Abandoned { intent: intent.seq, cost: intent.hold })?;
                self.live(call, operation).await
            }
            CallClass::Keyed if intent.good_until.is_some_and(|until| self.log.is_before(until)) => {
                match operation {
                    // What has been revoked since is not made again, and so stays unknown.
                    Operation::Http(request) if self.may_repeat(&request, &intent) => {
                        self.recall_decision();
                        self.http(call, request, None, Some(intent)).await
                    }
                    Operation::Save(Save { artifact, request }) if self.may_repeat(&request, &intent) => {
                        self.recall_decision();
                        self.http(call, request, Some(artifact), Some(intent)).await
                    }
                    Operation::Own(own) if own.authorise(&self.step.grants, &self.outside).is_ok() => {
                        self.recall_decision();
                        self.own(call, own, Some(intent)).await
                    }
                    _ => Err(self.park(unknown(&call, &intent)).await),
                }
            }
            CallClass::Verifiable if matches!(operation, Operation::Terraform(_)) => {
                self.recall_decision();
                let Operation::Terraform(it) = operation else { return Err(Stop::Host("it was one".into())) };
                self.verify(call, it, intent).await
            }
            _ => Err(self.park(unknown(&call, &intent)).await),
        }
    }
}

/// Why an attempt parks whose call may or may not be done.
fn unknown(call: &Asked, intent: &OpenIntent) -> ParkReason {
    ParkReason::Unknown { intent: intent.seq, call: call.call.to_string() }
}
