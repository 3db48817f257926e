//! What people are asked about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo_model::{Call, Digest, Grants, PicoUsd, StepName};

/// What an approval permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateAt {
    /// All attempts of a step.
    #[default]
    Start,
    /// One call.
    Call,
    /// What a step commits: its output, and the rows it has written.
    Commit,
    /// The run.
    Run,
    /// More money for the run.
    TopUp,
    /// A rollback of the run.
    Rollback,
}

impl GateAt {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
    pub(super) const fn is_start(&self) -> bool {
        matches!(self, Self::Start)
    }
}

/// A call that an approval stands before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatedCall {
    /// The call as the guest asked for it.
    pub asked: Call,
    /// Keyed digest of the arguments.
    pub args: Digest,
    /// Names the call across crashes and attempts.
    pub key: Digest,
    /// The call as it is to be made, where people have changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performed: Option<Call>,
}

impl GatedCall {
    /// A call as the guest asked for it.
    #[must_use]
    pub const fn new(asked: Call, args: Digest, key: Digest) -> Self {
        Self { asked, args, key, performed: None }
    }

    /// The call as it is to be made.
    #[must_use]
    pub fn to_perform(&self) -> &Call {
        self.performed.as_ref().unwrap_or(&self.asked)
    }

    /// The interface through which a guest returns its output.
    const OUTPUT: &str = "wflo:step/handler";
    /// The interfaces through which a guest claims facts, and returns its output.
    const CLAIMS: [&str; 2] = ["wflo:approval/policy", Self::OUTPUT];

    /// Whether what was asked for is that an output stand.
    pub(crate) fn is_output(asked: &Call) -> bool {
        asked.interface == Self::OUTPUT
    }

    /// Whether it is a claim of the guest, which has no effect of its own: a fact, or its output.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        Self::CLAIMS.contains(&self.asked.interface.as_str())
    }
}

/// What an approval is bound to; its canonical JSON is what the subject's digest is taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The step.
    pub step: StepName,
    /// Inputs of the run.
    pub inputs: Map<String, Value>,
    /// Outputs of the steps it depends on directly.
    pub depends_on: BTreeMap<StepName, Value>,
    /// The component that would run.
    pub component: Digest,
    /// What it may touch.
    pub grants: Grants,
    /// The most the run may still cost.
    pub budget: Option<PicoUsd>,
}
