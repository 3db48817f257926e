//! A guest that claims a fact: what the policies say to it.

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_engine::Event;
use wflo_host_api::{FactVerdict, Stop};
use wflo_model::{CallError, CallResult};

use crate::gate::{AttemptGate, returned};
use crate::operation::Operation;
use crate::player::Asked;
use crate::policy_gate::Passage;

/// `wflo:approval/policy.fact`
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Fact {
    /// What the step's manifest calls it.
    pub(crate) name: String,
    /// What the guest claims.
    pub(crate) value: Value,
}

impl AttemptGate {
    /// Has the policies judge a claim, and tells the guest what they say. The commit point is the append of the
    /// verdict; from then on the fact is bound for later policies of the attempt.
    pub(crate) async fn claim(&mut self, call: Asked, fact: Fact) -> Result<CallResult, Stop> {
        if !self.step.facts.contains_key(fact.name.as_str()) {
            let Fact { name, .. } = fact;
            let message = format!("fact `{name}` is not declared; `facts = {{ {name} = \"number\" }}` would");
            return self.deny(call, CallError::AccessDenied { message });
        }
        let verdict = match self.judged(&call, &Operation::Fact(fact.clone())).await? {
            Passage::Refused(error @ CallError::RefusedByPolicy { .. }) => return Ok(Err(error)),
            Passage::Refused(_) => FactVerdict::Rejected,
            Passage::Free { .. } if self.permit.is_some() => FactVerdict::Approved,
            Passage::Free { permitted: true } => FactVerdict::AutoApproved,
            Passage::Free { .. } => FactVerdict::Unopposed,
        };
        self.told(call, fact, verdict)
    }

    /// Tells the guest the verdict on a claim.
    pub(crate) fn told(&mut self, call: Asked, fact: Fact, verdict: FactVerdict) -> Result<CallResult, Stop> {
        let result = Ok(json!(verdict));
        self.append(Event::Returned(returned(None, call, &result)))?;
        self.facts.insert(fact.name, fact.value);
        Ok(result)
    }
}
