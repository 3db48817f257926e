//! A policy that fires.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wflo_manifest::{Policy, PolicyAction, PolicyEvent, Scope};
use wflo_model::{Digest, PolicyName, RunId, StepName};

use super::Occurrence;
use crate::Place;

/// A policy fired: what the journal keeps of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// Which.
    pub policy: PolicyName,
    /// What it said then: [`Policy::digest`].
    pub digest: Digest,
    /// At what.
    pub on: PolicyEvent,
    /// Why.
    #[serde(flatten)]
    pub because: Because,
    /// The values of its bare names, by how they are read; null where there is none. Of a policy that has no bare
    /// name it is all that happened. What is asked is asked once for the same values.
    pub values: BTreeMap<String, Value>,
    /// What else it read, where that is no list or object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, Value>,
    /// Channels that it tells, whatever is decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tells: Vec<String>,
}

/// Why a policy fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Because {
    /// Its condition holds.
    Held,
    /// Values that it needs are absent, null or of another type than declared, and it protects something.
    Missing {
        /// Their names.
        names: Vec<String>,
    },
    /// Its condition cannot be evaluated, and it protects something.
    Unevaluable {
        /// Why not.
        error: String,
    },
}

/// A question that is asked once: a decision on the same one is reused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The policy that asks.
    pub policy: PolicyName,
    /// The step; none for a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// The item of a step that fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// [`Firing::values`].
    pub values: BTreeMap<String, Value>,
}

impl Firing {
    /// What is asked when this policy asks in a step or one of its items.
    #[must_use]
    pub fn ask(&self, step: Option<&StepName>, item: Option<u32>) -> Ask {
        Ask { policy: self.policy.clone(), step: step.cloned(), item, values: self.values.clone() }
    }

    /// Why people are asked, for them: the policy, its condition, and the values it fired on.
    #[must_use]
    pub fn shown(&self, policies: &[Policy]) -> Value {
        let policy = policies.iter().find(|policy| policy.name == self.policy);
        json!({
            "name": self.policy,
            "when": policy.map(|policy| policy.when.to_string()),
            "because": self.because,
            "values": self.values,
        })
    }
}

impl Firing {
    /// Names what it tells within a run: the same policy on the same values is told once, as it is asked once.
    pub(crate) fn told(&self, place: &Place) -> Digest {
        let ask = self.ask(place.step.as_ref(), place.item);
        Digest::of(&wflo_model::canonical(&ask).expect("values have text keys and finite numbers only"))
    }
}

impl Ask {
    /// The bytes that name the question within a run, to be keyed with the run's key like every digest of
    /// arguments.
    ///
    /// # Panics
    /// Never: a question is JSON by construction.
    #[must_use]
    pub fn bytes(&self, run: &RunId) -> Vec<u8> {
        let question = ("wflo policy asks once", run.to_string(), self);
        wflo_model::canonical(&question).expect("values have text keys and finite numbers only")
    }
}

/// The firing of a policy that is concerned; `missing` are the declared names that have no value.
pub(super) fn of(
    policy: &Policy,
    occurrence: &Occurrence<'_>,
    scope: &Scope<'_>,
    missing: &BTreeSet<&str>,
) -> Option<Firing> {
    let names: Vec<_> =
        policy.when.bare_names().filter(|name| missing.contains(name)).map(str::to_owned).collect();
    let because = if !names.is_empty() {
        Err(Because::Missing { names })
    } else {
        match policy.when.holds(scope) {
            Ok(false) => return None,
            Ok(true) => Ok(Because::Held),
            Err(error) => Err(Because::Unevaluable { error: error.to_string() }),
        }
    };
    let because = match because {
        Ok(held) => held,
        Err(unknown) if policy.is_protective() => unknown,
        Err(_) => return None,
    };
    let mut values = BTreeMap::new();
    let mut context = BTreeMap::new();
    let mut reads_call = false;
    for name in policy.when.names() {
        let value = scope.read(name).unwrap_or(Value::Null);
        reads_call |= name.root() == "call";
        if name.is_bare() {
            values.insert(name.to_string(), value);
        } else if !value.is_object() && !value.is_array() {
            context.insert(name.to_string(), value);
        }
    }
    // A policy on `call.function` has seen one call: what is decided about it is not decided about the next.
    if values.is_empty() || reads_call {
        values.extend([occurrence.whole()]);
    }
    let (name, digest) = (policy.name.clone(), policy.digest());
    let tells = policy.actions.iter().filter_map(PolicyAction::tells).map(str::to_owned).collect();
    Some(Firing { policy: name, digest, on: occurrence.on(), because, values, context, tells })
}
