//! What several policies come to together.

use std::collections::BTreeSet;

use wflo_manifest::ApprovalRule;
use wflo_model::PolicyName;

/// What policies decide, the stronger over the weaker: to deny, to ask, to permit.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Decision {
    /// Nothing: it goes on as without policies.
    #[default]
    None,
    /// Nobody needs to be asked, unless a gate is mandatory.
    AutoApprove {
        /// The policies that say so.
        by: BTreeSet<PolicyName>,
    },
    /// People have to approve.
    RequireApproval {
        /// Who, and until when: not weaker than what any of the policies asks for.
        rule: ApprovalRule,
        /// The policies that say so.
        by: BTreeSet<PolicyName>,
    },
    /// It is refused.
    Deny {
        /// The policies that say so.
        by: BTreeSet<PolicyName>,
    },
}

impl Decision {
    /// Whether a gate that the manifest sets need not be opened.
    #[must_use]
    pub fn waives(&self, gate: &ApprovalRule) -> bool {
        matches!(self, Self::AutoApprove { .. }) && !gate.mandatory
    }
}
