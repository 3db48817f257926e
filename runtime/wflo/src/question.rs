//! What people are asked about a call or an output: what policies say to it, its digest, and what is shown.
//!
//! It is the same whether the gate asks, with the attempt in memory, or a person has changed what was asked while
//! nothing of the attempt is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wflo_engine::policy::{Firing, Judgement, Occurrence, judge};
use wflo_engine::{RunState, scope};
use wflo_journal::RunKeys;
use wflo_manifest::{ApprovalRule, Plan, PlanStep};
use wflo_model::{Call, ChangeSet, Digest, Label, RunId, canonical_json};
use wflo_ports::Marker;

use crate::operation::Operation;
use crate::output_gate::output_call;

/// What people are asked about a call.
pub(crate) struct Question {
    pub(crate) at: wflo_engine::GateAt,
    pub(crate) gated: wflo_engine::GatedCall,
    pub(crate) subject: Digest,
    pub(crate) shows: Value,
    pub(crate) rule: ApprovalRule,
    pub(crate) asks: Vec<Digest>,
    pub(crate) follows: Option<wflo_model::ApprovalId>,
    pub(crate) authors: Vec<wflo_model::PrincipalName>,
}

/// Where it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) keys: &'a RunKeys,
    pub(crate) plan: &'a Plan,
    pub(crate) step: &'a PlanStep,
    pub(crate) marker: &'a Marker,
    /// The element that the step works on, where it fans out.
    pub(crate) item: Option<&'a Value>,
}

impl Asking<'_> {
    /// What the policies say to a call, a claim or an output, given the facts that were claimed before.
    pub(crate) fn judgement(
        &self,
        state: &RunState,
        facts: &BTreeMap<String, Value>,
        call: &Call,
        operation: &Operation,
    ) -> Judgement {
        let mut scope = scope(self.run, state, self.step, self.plan);
        for (name, value) in facts {
            let declared = self.step.facts.get(name.as_str());
            if let Some(bound) = declared.and_then(|declared| declared.read(value)) {
                scope.bind(&[name], bound);
            }
        }
        let occurrence = match operation {
            Operation::Fact(fact) => Occurrence::fact(self.step, &fact.name, &fact.value),
            Operation::Call(named) => {
                let statement = named.find(&self.plan.statements).ok();
                statement.map(|statement| Occurrence::statement(call, statement, &named.params))
            }
            Operation::Output(output) => Some(Occurrence::output(self.step, output)),
            Operation::Terraform(it) if it.is_apply() => Some(Occurrence::terraform_apply(call)),
            _ => Some(Occurrence::call(call)),
        };
        occurrence.map(|it| judge(&self.plan.policies, &it, &scope)).unwrap_or_default()
    }

    /// Names what a policy asks, within the run.
    pub(crate) fn question(&self, firing: &Firing) -> Digest {
        let bytes = firing.ask(Some(&self.marker.step), self.marker.item).bytes(self.run);
        self.keys.args().digest(&[b"wflo policy asks once", &bytes])
    }

    /// What an approval of a call is bound to: the run, the call as it will be made, the component and the plan.
    pub(crate) fn subject(&self, key: &Digest, call: &Call) -> Digest {
        let arguments = canonical_json(&call.args);
        Digest::of_parts(&[
            b"wflo approval at call",
            self.run.as_bytes(),
            self.plan.digest().as_bytes(),
            self.step.component.as_bytes(),
            key.as_bytes(),
            call.to_string().as_bytes(),
            &arguments,
        ])
    }

    /// What an approval of an output is bound to: the output as it is to be, and all that would commit with it.
    pub(crate) fn output_subject<'a>(
        &self,
        key: &Digest,
        output: &Value,
        changes: impl IntoIterator<Item = (&'a Label, &'a ChangeSet)>,
        statements: &Value,
    ) -> Digest {
        let changes: Vec<_> = changes.into_iter().map(|(db, set)| json!([db, set.digest()])).collect();
        let whole = json!({ "output": output, "changes": changes, "statements": statements });
        self.subject(key, &output_call(&whole))
    }

    /// What people decide on: the call as it will be made, what it is made for, and why they are asked.
    pub(crate) fn shows(&self, call: &Call, operation: &Operation, asking: &[&Firing]) -> Value {
        let policies: Vec<_> = asking.iter().map(|firing| firing.shown(&self.plan.policies)).collect();
        let Call { interface, function, args } = call;
        let mut shows = json!({
            "call": { "interface": interface, "function": function, "args": args },
            "policies": policies,
        });
        if let Operation::Call(named) = operation
            && let Ok(statement) = named.find(&self.plan.statements)
        {
            shows["sql"] = json!(statement.sql);
        }
        // It follows from run, step and item, which the subject names: people see what their decision is about.
        if let Some(item) = self.item {
            shows["item"] = item.clone();
        }
        shows
    }
}
