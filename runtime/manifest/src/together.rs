//! Gates and policies that ask at the same place are one question: whether there are people to answer it.

use std::collections::BTreeSet;

use crate::approval::{ApprovalAt, ApprovalRule};
use crate::approval_toml::ApprovalToml;
use crate::diagnostic::Diagnostics;
use crate::directory::Directory;
use crate::policy::PolicyEvent;
use crate::policy_check::listens_to;
use crate::policy_toml::ActionToml;
use crate::reader::Reader;
use crate::workflow::Workflow;

/// Somebody who asks, and where.
struct Asker<'a> {
    name: String,
    on: BTreeSet<PolicyEvent>,
    approval: &'a ApprovalToml,
    is_gate: bool,
}

impl Workflow {
    /// Says where two policies, or a policy and the gate at a commit, would ask together what these people can answer
    /// one by one and not at once: a run in which both ask would wait for ever. Whether both ever do is not known, so
    /// these are notes.
    ///
    /// ```
    /// use wflo_manifest::{Directory, Workflow};
    /// let text = r#"
    /// [workflow]
    /// name = "refunds"
    /// component = "refunds.wasm"
    /// [[step]]
    /// name = "refund"
    /// facts = { amount = "number" }
    /// [[policy]]
    /// name = "large"
    /// when = "amount > 100"
    /// actions = [{ require_approval = { approvers = ["managers"] } }]
    /// [[policy]]
    /// name = "odd"
    /// when = "amount != 50"
    /// actions = [{ require_approval = { approvers = ["auditors"] } }]
    /// "#;
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let mut known = Directory::default();
    /// known.add("maria".parse().unwrap(), ["managers", "auditors"].map(|it| it.parse().unwrap()));
    /// assert!(workflow.together(&known).to_string().contains("policy `large` and policy `odd`"));
    /// known.add("otto".parse().unwrap(), ["auditors".parse().unwrap()]);
    /// assert!(workflow.together(&known).is_empty());
    /// ```
    #[must_use]
    pub fn together(&self, known: &Directory) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        let people = known.principals();
        let all = self.askers();
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                let rules = [&other.approval.rule, &one.approval.rule];
                // Two gates never stand at one commit.
                let apart = one.on.is_disjoint(&other.on) || (one.is_gate && other.is_gate);
                if apart || !rules.iter().all(|rule| rule.satisfied_by(people)) {
                    continue;
                }
                if ApprovalRule::union(&rules).is_some_and(|both| !both.satisfied_by(people)) {
                    let (other, name) = (&other.name, &one.name);
                    let message = format!(
                        "where {other} and {name} ask at once, there are not enough people to answer both"
                    );
                    let found = reader.note(one.approval.span.clone(), message);
                    found.hint("one person stands for one approver only: add people to these groups");
                }
            }
        }
        reader.finish()
    }

    fn askers(&self) -> Vec<Asker<'_>> {
        let gates = self.steps.iter().filter_map(|step| {
            let approval = step.approval.as_ref().filter(|gate| gate.rule.at == ApprovalAt::Commit)?;
            let (name, on) = (format!("the gate of step `{}`", step.name), [PolicyEvent::StepOutput].into());
            Some(Asker { name, on, approval, is_gate: true })
        });
        let policies = self.policies.iter().flat_map(|policy| {
            let name =
                policy.name.as_ref().map_or_else(String::new, |name| format!("policy `{}`", name.value));
            policy.actions.iter().filter_map(move |action| match &action.value {
                ActionToml::RequireApproval(approval) => {
                    let (name, on) = (name.clone(), listens_to(policy));
                    Some(Asker { name, on, approval, is_gate: false })
                }
                _ => None,
            })
        });
        gates.chain(policies).collect()
    }
}
