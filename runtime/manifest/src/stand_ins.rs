//! People in the place of those that a deployment knows, for where it does not matter who there is.

use wflo_model::{GroupName, PrincipalName};

use crate::approval::{ApprovalRule, Approver, Quorum};
use crate::approval_toml::ApprovalToml;
use crate::policy_toml::ActionToml;
use crate::{Directory, Workflow};

impl Workflow {
    /// Somebody for everything that the workflow has people asked for, as many as it takes: with them it can be pinned
    /// where nobody is known yet, to be tested.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = r#"
    /// [workflow]
    /// name = "refunds"
    /// component = "refunds.wasm"
    /// [[step]]
    /// name = "refund"
    /// approval = { approvers = ["managers"], quorum = 2 }
    /// "#;
    /// let people = Workflow::parse("workflow.toml", text).unwrap().stand_ins();
    /// assert!(people.knows("managers") && people.principals().len() == 2);
    /// ```
    #[must_use]
    pub fn stand_ins(&self) -> Directory {
        let gates = self.steps.iter().filter_map(|step| step.approval.as_ref());
        let actions = self.policies.iter().flat_map(|policy| &policy.actions);
        let policies = actions.filter_map(|action| match &action.value {
            ActionToml::RequireApproval(approval) => Some(approval.as_ref()),
            _ => None,
        });
        let mut people = Directory::default();
        for ApprovalToml { rule, .. } in gates.chain(policies) {
            add(&mut people, rule);
            if let Some(escalated) = rule.escalated() {
                add(&mut people, &escalated);
            }
        }
        for named in [&self.budget_approvers, &self.rollback_approvers] {
            let all = named.iter().map(|name| Approver::new(name.value.as_str())).collect();
            add(&mut people, &ApprovalRule::new(all, Quorum::EachListed));
        }
        people
    }
}

/// As many for each who is listed as the rule needs in all.
fn add(people: &mut Directory, rule: &ApprovalRule) {
    for approver in &rule.approvers {
        let group: Option<GroupName> = approver.as_str().parse().ok();
        for number in 1..=rule.needed().max(1) {
            let name = match number {
                1 => approver.to_string(),
                _ => format!("{approver}-{number}"),
            };
            if let Ok(name) = name.parse::<PrincipalName>() {
                people.add(name, group.clone());
            }
        }
    }
}
