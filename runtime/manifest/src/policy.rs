//! Policies: conditions on what happens in a run, and what follows when they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use wflo_model::{Digest, PolicyName};

use crate::approval::ApprovalRule;
use crate::expression::Expression;
use crate::plan::PlanStep;
use crate::policy_value::{BareName, ValueType};

/// A policy of a [`Plan`](crate::Plan): checked, and pinned with the run.
///
/// ```
/// use wflo_manifest::{Policy, PolicyAction, PolicyEvent};
/// let policy = Policy {
///     name: "no_large_refund".parse().unwrap(),
///     when: "refund_amount > 1000".parse().unwrap(),
///     on: [PolicyEvent::Fact].into(),
///     actions: vec![PolicyAction::Deny],
/// };
/// assert!(policy.is_protective());
/// assert_eq!(policy.when.bare_names().collect::<Vec<_>>(), ["refund_amount"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name, unique in the plan.
    pub name: PolicyName,
    /// The condition under which it fires.
    pub when: Expression,
    /// What it listens to; never empty.
    pub on: BTreeSet<PolicyEvent>,
    /// What follows; never empty.
    pub actions: Vec<PolicyAction>,
}

/// What a policy can listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEvent {
    /// A run is about to start: gates the run.
    RunStart,
    /// A step is about to make a call: gates the call.
    HostCall,
    /// A step claims a fact: gates the claim, and with it what the step would do next.
    Fact,
    /// A step has returned: gates its commit.
    StepOutput,
    /// A step is about to apply a plan of terraform: gates that. It is a call, and whoever listens to calls hears it.
    #[serde(rename = "infra.terraform.apply")]
    TerraformApply,
}

/// What a plan of terraform counts, by the bare names that policies read: resources that would be created, changed and
/// destroyed, as terraform counts them (one that is replaced is destroyed and created), and outputs that would change.
pub const TERRAFORM_COUNTS: [&str; 4] = ["adds", "changes", "destroys", "outputs"];

/// What follows when a policy fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PolicyAction {
    /// People have to approve.
    RequireApproval(ApprovalRule),
    /// Nobody needs to be asked, unless the gate is mandatory.
    AutoApprove,
    /// It is refused.
    Deny,
    /// A channel is told.
    Notify(String),
}

impl Policy {
    /// Names it, and what it says, in the events it fires: the digest of its canonical JSON.
    ///
    /// # Panics
    /// Never: a policy is JSON by construction.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&wflo_model::canonical(self).expect("a policy has text keys and finite numbers only"))
    }

    /// Whether it stops something: it then fires too when it cannot be evaluated.
    #[must_use]
    pub fn is_protective(&self) -> bool {
        let stops =
            |action: &PolicyAction| matches!(action, PolicyAction::RequireApproval(_) | PolicyAction::Deny);
        self.actions.iter().any(stops)
    }
}

impl PolicyAction {
    /// The channel that it tells, if that is what it does.
    #[must_use]
    pub fn tells(&self) -> Option<&str> {
        match self {
            Self::Notify(channel) => Some(channel),
            _ => None,
        }
    }
}

impl PolicyEvent {
    /// All of them, as they are written.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("run_start", Self::RunStart),
        ("host_call", Self::HostCall),
        ("fact", Self::Fact),
        ("step_output", Self::StepOutput),
        ("infra.terraform.apply", Self::TerraformApply),
    ];

    /// Whether a policy that listens to these hears it.
    ///
    /// ```
    /// use wflo_manifest::PolicyEvent;
    /// assert!(PolicyEvent::TerraformApply.is_heard_on(&[PolicyEvent::HostCall].into()));
    /// assert!(!PolicyEvent::HostCall.is_heard_on(&[PolicyEvent::TerraformApply].into()));
    /// ```
    #[must_use]
    pub fn is_heard_on(self, on: &BTreeSet<Self>) -> bool {
        on.contains(&self) || (self == Self::TerraformApply && on.contains(&Self::HostCall))
    }
}

impl fmt::Display for PolicyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|(_, event)| event == self).map_or("", |(word, _)| word))
    }
}

impl PlanStep {
    /// What the fields of its output are, by the names that policies can read: the properties of its schema.
    #[must_use]
    pub fn output_types(&self) -> BTreeMap<BareName, ValueType> {
        let properties = self.output.as_ref().and_then(|schema| schema.get("properties")?.as_object());
        let named = |(name, schema): (&String, _)| Some((name.parse().ok()?, ValueType::of_schema(schema)));
        properties.into_iter().flatten().filter_map(named).collect()
    }
}
