//! What the policies of a plan say about something that happens.
//!
//! [`judge`] is pure: the same policies, occurrence and scope give the same [`Judgement`], whatever the order of the
//! policies. It fails closed: a policy that asks or refuses fires too when a value it needs is missing, and when its
//! condition cannot be evaluated; one that permits or tells does not.
//!
//! What the runtime does with a judgement:
//!
//! 1. it writes the [`Firing`]s as events, before anything else follows from them;
//! 2. [`Decision::Deny`]: the call, the claim or the commit is refused, and the guest told by which policy;
//! 3. [`Decision::RequireApproval`]: an approval is opened with the rule, unless one for the same [`Ask`] was
//!    decided in this run;
//! 4. [`Decision::AutoApprove`]: a gate of the manifest that it [waives](Decision::waives) is not opened;
//! 5. the channels of [`Judgement::notify`] are told, whatever the decision.

mod combine;
mod firing;
mod occurrence;
mod rehearsal;

use std::collections::BTreeSet;

use wflo_manifest::{ApprovalRule, Policy, PolicyAction, Scope};
use wflo_model::PolicyName;

pub use combine::Decision;
pub use firing::{Ask, Because, Firing};
pub use occurrence::Occurrence;
pub use rehearsal::{Rehearsal, Undeclared, rehearse};

/// What all policies together say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What follows.
    pub decision: Decision,
    /// The policies that fired, by name: each becomes an event.
    pub firings: Vec<Firing>,
    /// Channels that are told.
    pub notify: BTreeSet<String>,
}

/// Judges something that happens.
///
/// `scope` has what is not bare: `inputs`, `steps`, `run`, `budget`. It may have facts that were claimed before, by
/// their bare names; what the occurrence binds takes their place. A policy is looked at if it listens to what happens
/// and the occurrence declares one of its bare names, or it has none.
///
/// ```
/// use serde_json::json;
/// use wflo_engine::policy::{Decision, Occurrence, judge};
/// use wflo_manifest::{PlanStep, Policy, PolicyAction, PolicyEvent, Scope, ValueType};
/// use wflo_model::Digest;
///
/// let policy = Policy {
///     name: "no_large_refund".parse().unwrap(),
///     when: "refund_amount > 1000".parse().unwrap(),
///     on: [PolicyEvent::Fact].into(),
///     actions: vec![PolicyAction::Deny],
/// };
/// let step = PlanStep {
///     facts: [("refund_amount".parse().unwrap(), ValueType::Decimal)].into(),
///     ..PlanStep::new("handle_query".parse().unwrap(), Digest::ZERO)
/// };
/// let amount = json!("1000.01");
/// let fact = Occurrence::fact(&step, "refund_amount", &amount).unwrap();
/// let judgement = judge(&[policy], &fact, &Scope::new());
/// assert!(matches!(judgement.decision, Decision::Deny { .. }));
/// ```
#[must_use]
pub fn judge(policies: &[Policy], occurrence: &Occurrence<'_>, scope: &Scope<'_>) -> Judgement {
    let concerned: Vec<_> = policies.iter().filter(|policy| occurrence.concerns(policy)).collect();
    // Most calls of most runs concern no policy.
    if concerned.is_empty() {
        return Judgement::default();
    }
    let mut here = scope.clone();
    let missing = occurrence.bind(&mut here);
    let mut fired: Vec<(&Policy, Firing)> = Vec::new();
    for policy in concerned {
        if let Some(firing) = firing::of(policy, occurrence, &here, &missing) {
            fired.push((policy, firing));
        }
    }
    fired.sort_by(|(_, one), (_, other)| one.policy.cmp(&other.policy));
    let actions =
        || fired.iter().flat_map(|(policy, _)| policy.actions.iter().map(|action| (&policy.name, action)));
    let by = |wanted: fn(&PolicyAction) -> bool| -> BTreeSet<PolicyName> {
        actions().filter(|(_, action)| wanted(action)).map(|(name, _)| name.clone()).collect()
    };
    let rules: Vec<_> = actions()
        .filter_map(|(_, action)| match action {
            PolicyAction::RequireApproval(rule) => Some(rule),
            _ => None,
        })
        .collect();
    let denied = by(|action| matches!(action, PolicyAction::Deny));
    let permitted = by(|action| matches!(action, PolicyAction::AutoApprove));
    let decision = if !denied.is_empty() {
        Decision::Deny { by: denied }
    } else if let Some(mut rule) = ApprovalRule::union(&rules) {
        // Whoever is told of the policies is told of what they ask for.
        let told = actions().filter_map(|(_, action)| action.tells()).map(str::to_owned);
        let more: BTreeSet<_> = told.filter(|channel| !rule.notify.contains(channel)).collect();
        rule.notify.extend(more);
        let by = by(|action| matches!(action, PolicyAction::RequireApproval(_)));
        Decision::RequireApproval { rule, by }
    } else if !permitted.is_empty() {
        Decision::AutoApprove { by: permitted }
    } else {
        Decision::None
    };
    let notify = actions().filter_map(|(_, action)| action.tells()).map(str::to_owned).collect();
    Judgement { decision, notify, firings: fired.into_iter().map(|(_, firing)| firing).collect() }
}

#[cfg(test)]
mod tests;
