//! What policies would say, before anything happens.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wflo_manifest::{Plan, PlanStep, PolicyEvent, Scope, TERRAFORM_COUNTS};
use wflo_model::{Call, Label, StepName, TerraformVerb};

use super::{Judgement, Occurrence, judge};

/// Something that would bind the given values, and what the policies would say to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// The step it would happen in.
    pub step: StepName,
    /// What it would be.
    pub on: PolicyEvent,
    /// Its name: of the fact, of the statement and its database, or of the terraform folder. None for an output.
    pub name: Option<String>,
    /// What the policies would say.
    pub judgement: Judgement,
}

/// A value was given for a name that nothing in the plan declares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fact, output or statement of the workflow declares `{name}`")]
pub struct Undeclared {
    /// The name.
    pub name: String,
    /// The names there are.
    pub known: BTreeSet<String>,
}

/// Judges everything in a plan that would bind one of `values`: each fact of each step, each call of a statement, each
/// output. All other values count as missing, so that a policy that needs them and protects something fires.
///
/// ```
/// use serde_json::json;
/// # use wflo_engine::policy::rehearse;
/// # fn example(plan: &wflo_manifest::Plan) {
/// let values = json!({ "refund_amount": "150.00" });
/// for rehearsal in rehearse(plan, values.as_object().unwrap(), &serde_json::Map::new()).unwrap() {
///     println!("{} of `{}`: {:?}", rehearsal.on, rehearsal.step, rehearsal.judgement.decision);
/// }
/// # }
/// ```
///
/// # Errors
/// When a name is declared nowhere: a slip would look like a policy that is silent.
pub fn rehearse(
    plan: &Plan,
    values: &Map<String, Value>,
    inputs: &Map<String, Value>,
) -> Result<Vec<Rehearsal>, Undeclared> {
    let known = declared(plan);
    if let Some(name) = values.keys().find(|name| !known.contains(*name)) {
        return Err(Undeclared { name: name.clone(), known });
    }
    let mut scope = Scope::new();
    scope.bind(&["inputs"], inputs);
    let mut all = Vec::new();
    for step in &plan.steps {
        let mut push = |on, name, occurrence: &Occurrence<'_>, scope: &Scope<'_>| {
            let judgement = judge(&plan.policies, occurrence, scope);
            all.push(Rehearsal { step: step.name.clone(), on, name, judgement });
        };
        // A step that claims one of these facts may have claimed the others.
        let mut claimed = scope.clone();
        for (name, value) in values {
            if let Some(bound) = step.facts.get(name.as_str()).and_then(|declared| declared.read(value)) {
                claimed.bind(&[name], bound);
            }
        }
        for (name, value) in values {
            if let Some(occurrence) = Occurrence::fact(step, name, value) {
                push(PolicyEvent::Fact, Some(name.clone()), &occurrence, &claimed);
            }
        }
        for (label, statement, declared) in statements(plan, step) {
            if values.keys().any(|name| declared.params.contains_key(name.as_str())) {
                let args = json!({ "db": label, "statement": statement, "params": values });
                let call = Call::new("wflo:db/sql", "call", args);
                let name = Some(format!("{label}.{statement}"));
                push(PolicyEvent::HostCall, name, &Occurrence::statement(&call, declared, values), &claimed);
            }
        }
        for label in applied(step) {
            if values.keys().any(|name| TERRAFORM_COUNTS.contains(&name.as_str())) {
                let mut args = json!({ "terraform": label });
                let counts = values.iter().filter(|(name, _)| TERRAFORM_COUNTS.contains(&name.as_str()));
                counts.for_each(|(name, value)| args[name] = value.clone());
                let call = Call::new("wflo:infra/terraform", "apply", args);
                let name = Some(label.to_string());
                push(PolicyEvent::TerraformApply, name, &Occurrence::terraform_apply(&call), &claimed);
            }
        }
        let types = step.output_types();
        if values.keys().any(|name| types.contains_key(name.as_str())) {
            let fields = values.iter().filter(|(name, _)| types.contains_key(name.as_str()));
            let output = Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect());
            push(PolicyEvent::StepOutput, None, &Occurrence::output(step, &output), &claimed);
        }
    }
    Ok(all)
}

/// The statements that a step may call, with their databases.
fn statements<'a>(
    plan: &'a Plan,
    step: &'a PlanStep,
) -> impl Iterator<Item = (&'a str, &'a str, &'a wflo_manifest::Statement)> {
    let granted =
        step.grants.db.iter().flat_map(|(label, access)| access.call.iter().map(move |call| (label, call)));
    granted.filter_map(|(label, call)| {
        let statement = plan.statements.get(label)?.get(call)?;
        Some((label.as_str(), call.as_str(), statement))
    })
}

/// The terraform folders that a step may apply plans to.
fn applied(step: &PlanStep) -> impl Iterator<Item = &Label> {
    let granted = step.grants.terraform.iter();
    granted.filter(|(_, verbs)| verbs.contains(&TerraformVerb::Apply)).map(|(label, _)| label)
}

fn declared(plan: &Plan) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for step in &plan.steps {
        all.extend(step.facts.keys().map(ToString::to_string));
        all.extend(step.output_types().keys().map(ToString::to_string));
        all.extend(applied(step).flat_map(|_| TERRAFORM_COUNTS.map(str::to_owned)));
        all.extend(
            statements(plan, step)
                .flat_map(|(.., statement)| statement.params.keys())
                .map(ToString::to_string),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, Value, json};
    use wflo_manifest::{
        OnCancel, OnExceeded, OnFailure, Plan, PlanStep, Policy, PolicyAction, PolicyEvent, Statement,
        UnknownPrice, ValueType,
    };
    use wflo_model::{DbAccess, Digest};

    use super::rehearse;
    use crate::policy::Decision;

    fn plan() -> Plan {
        let params = [("order_id", ValueType::Integer), ("refund_amount", ValueType::Decimal)];
        let statement = Statement {
            sql: "INSERT INTO refunds VALUES (:order_id, :refund_amount)".into(),
            params: params.map(|(name, declared)| (name.parse().unwrap(), declared)).into(),
        };
        let mut handle = PlanStep {
            facts: [("refund_amount", ValueType::Decimal), ("region", ValueType::Text)]
                .map(|(name, declared)| (name.parse().unwrap(), declared))
                .into(),
            output: Some(
                json!({ "properties": { "refund_amount": { "type": "string", "format": "decimal" } } }),
            ),
            ..PlanStep::new("handle_query".parse().unwrap(), Digest::ZERO)
        };
        let call = ["process_refund".parse().unwrap()].into();
        handle.grants.db.insert("shop".parse().unwrap(), DbAccess { call, ..DbAccess::default() });
        let deny = |name: &str, when: &str| Policy {
            name: name.parse().unwrap(),
            when: when.parse().unwrap(),
            on: [PolicyEvent::HostCall, PolicyEvent::Fact, PolicyEvent::StepOutput].into(),
            actions: vec![PolicyAction::Deny],
        };
        Plan {
            workflow: "customer-service".parse().unwrap(),
            version: "1".into(),
            steps: vec![handle, PlanStep::new("collect_feedback".parse().unwrap(), Digest::ZERO)],
            inputs: BTreeMap::new(),
            budget: None,
            on_exceeded: OnExceeded::Park,
            budget_approvers: Vec::new(),
            rollback_reserve: None,
            rollback_approvers: Vec::new(),
            budget_alerts: Vec::new(),
            budget_notify: Vec::new(),
            on_failure: OnFailure::Keep,
            on_cancel: OnCancel::Keep,
            max_parallel: None,
            prices: BTreeMap::new(),
            price_table: Digest::ZERO,
            on_unknown_price: UnknownPrice::Deny,
            min_output_tokens: 64,
            compute: Default::default(),
            prompts: BTreeMap::new(),
            statements: [("shop".parse().unwrap(), [("process_refund".parse().unwrap(), statement)].into())]
                .into(),
            policies: vec![
                deny("large_refund", "refund_amount > inputs.limit"),
                deny("abroad", "region != 'EU' && refund_amount > 10"),
            ],
        }
    }

    fn rehearsed(values: &Value) -> Vec<(PolicyEvent, Option<String>, Vec<String>)> {
        let inputs = json!({ "limit": 100 });
        let all = rehearse(&plan(), values.as_object().unwrap(), inputs.as_object().unwrap()).unwrap();
        let by = |decision| match decision {
            Decision::Deny { by } => by.iter().map(ToString::to_string).collect(),
            Decision::None => Vec::new(),
            other => panic!("{other:?}"),
        };
        all.into_iter().map(|one| (one.on, one.name, by(one.judgement.decision))).collect()
    }

    #[test]
    fn everything_that_would_bind_a_value_is_judged() {
        let fact = |name: &str, by: &[&str]| {
            (PolicyEvent::Fact, Some(name.to_owned()), by.iter().map(ToString::to_string).collect())
        };
        let call = |by: &[&str]| {
            let name = Some("shop.process_refund".to_owned());
            (PolicyEvent::HostCall, name, by.iter().map(ToString::to_string).collect())
        };
        let output =
            |by: &[&str]| (PolicyEvent::StepOutput, None, by.iter().map(ToString::to_string).collect());
        // The region is not known, and a policy that needs it fires.
        let both: &[&str] = &["abroad", "large_refund"];
        assert_eq!(
            rehearsed(&json!({ "refund_amount": "150.00" })),
            [fact("refund_amount", both), call(both), output(both)]
        );
        assert_eq!(
            rehearsed(&json!({ "refund_amount": 5 })),
            [fact("refund_amount", &[]), call(&[]), output(&[])]
        );
        let europe = json!({ "refund_amount": 50, "region": "EU" });
        assert_eq!(
            rehearsed(&europe),
            [fact("refund_amount", &[]), fact("region", &[]), call(&[]), output(&[])]
        );
        assert_eq!(rehearsed(&json!({})), []);
    }

    #[test]
    fn a_name_that_nothing_declares_is_an_error() {
        let values = json!({ "refund_amuont": 150 });
        let error = rehearse(&plan(), values.as_object().unwrap(), &Map::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no fact, output or statement of the workflow declares `refund_amuont`"
        );
        assert_eq!(error.known, ["order_id", "refund_amount", "region"].map(str::to_owned).into());
    }
}
