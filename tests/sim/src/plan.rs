//! The plan of a scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use wflo_manifest::{
    ApprovalRule, Approver, OnCancel, OnExceeded, OnFailure, OnItemFailure, OnReject, Plan, PlanStep, Price,
    Quorum, Retry, UnknownPrice,
};
use wflo_model::{DbAccess, Digest, Grants, Limits, PicoUsd};

use crate::language_model::MODEL;
use crate::scenario::{Asking, Scenario, Step};
use crate::script::component;
use crate::world::name_of;

/// A thousandth of a USD.
const MILLI: i128 = 1_000_000_000;

/// What is pinned for the runs of a scenario.
pub(crate) fn plan(scenario: &Scenario) -> Plan {
    // A token of a request is 0.001 USD, one of an answer 0.01.
    let price = Price {
        max_output_tokens: Some(50),
        ..Price::flat(PicoUsd::from_pico(MILLI), PicoUsd::from_pico(10 * MILLI), "the simulation")
    };
    Plan {
        workflow: name_of("simulated"),
        version: "1".to_owned(),
        steps: scenario.steps.iter().map(plan_step).collect(),
        inputs: BTreeMap::new(),
        budget: scenario.budget.map(|milli| PicoUsd::from_pico(i128::from(milli) * MILLI)),
        on_exceeded: if scenario.parks { OnExceeded::Park } else { OnExceeded::Fail },
        budget_approvers: Vec::new(),
        rollback_reserve: None,
        rollback_approvers: Vec::new(),
        budget_alerts: Vec::new(),
        budget_notify: Vec::new(),
        on_failure: OnFailure::Keep,
        on_cancel: OnCancel::Keep,
        max_parallel: scenario.max_parallel,
        prices: [(name_of(MODEL), price)].into(),
        price_table: Digest::ZERO,
        on_unknown_price: UnknownPrice::Deny,
        min_output_tokens: 5,
        prompts: wflo::prompt_versions(),
        statements: BTreeMap::new(),
        policies: Vec::new(),
    }
}

/// What the runs of a scenario are started with.
pub(crate) fn inputs(scenario: &Scenario) -> Map<String, Value> {
    let yes = scenario.seed.is_multiple_of(2);
    let Value::Object(inputs) = json!({ "yes": yes, "n": scenario.seed % 4, "items": ["a", "b", "c"] })
    else {
        unreachable!("it is written as an object")
    };
    inputs
}

fn plan_step(step: &Step) -> PlanStep {
    let name = |id: &u32| name_of(&format!("s{id}"));
    PlanStep {
        depends_on: step.needs.iter().map(name).collect::<BTreeSet<_>>(),
        grants: Grants {
            db: [(name_of("left"), DbAccess::default()), (name_of("right"), DbAccess::default())].into(),
            llm: [name_of(MODEL)].into(),
            ..Grants::default()
        },
        limits: Limits { timeout: Duration::from_secs(step.timeout), ..Limits::default() },
        approval: step.approval.as_ref().map(rule),
        retry: Retry { max_attempts: step.attempts, backoff: Duration::from_secs(step.backoff) },
        when: step.when.as_deref().map(name_of),
        for_each: step.for_each.as_deref().map(name_of),
        max_parallel: step.max_parallel,
        on_item_failure: if step.collects { OnItemFailure::Collect } else { OnItemFailure::Fail },
        ..PlanStep::new(name(&step.id), Digest::of(&component(step)))
    }
}

fn rule(asking: &Asking) -> ApprovalRule {
    let approvers = asking.approvers.iter().map(|name| Approver::new(*name)).collect();
    ApprovalRule {
        timeout: asking.timeout.map(Duration::from_secs),
        valid: Duration::from_secs(asking.valid),
        on_reject: if asking.skips { OnReject::Skip } else { OnReject::Fail },
        ..ApprovalRule::new(approvers, asking.quorum.map_or(Quorum::EachListed, Quorum::Any))
    }
}
