//! The plan of a scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use wflo_manifest::{
    ApprovalAt, ApprovalRule, Approver, ComputePrice, OnCancel, OnExceeded, OnFailure, OnItemFailure,
    OnReject, Plan, PlanStep, Policy, PolicyAction, PolicyEvent, Price, Quorum, Retry, Spending,
    UnknownPrice, ValueType, WindowLimits,
};
use wflo_model::{DbAccess, Digest, Grants, Limits, PicoUsd};

use crate::channel::CHANNEL;
use crate::language_model::MODEL;
use crate::scenario::{Asking, Does, Hears, Rule, Scenario, Step};
use crate::script::component;
use crate::site;
use crate::world::name_of;

/// A thousandth of a USD.
const MILLI: i128 = 1_000_000_000;

/// An attempt is 10 thousandths of a USD for its fuel at most, and a tenth of one for each second.
const COMPUTE: ComputePrice =
    ComputePrice { billion_fuel: PicoUsd::from_pico(MILLI), hour: PicoUsd::from_pico(360 * MILLI) };

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
        steps: scenario.steps.iter().map(|step| plan_step(step, scenario)).collect(),
        inputs: BTreeMap::new(),
        budget: scenario.budget.map(|milli| PicoUsd::from_pico(i128::from(milli) * MILLI)),
        on_exceeded: if scenario.parks { OnExceeded::Park } else { OnExceeded::Fail },
        budget_approvers: Vec::new(),
        rollback_reserve: None,
        rollback_approvers: Vec::new(),
        budget_alerts: Vec::new(),
        budget_notify: Vec::new(),
        on_failure: if scenario.undoes { OnFailure::Rollback } else { OnFailure::Keep },
        on_cancel: if scenario.undoes { OnCancel::Rollback } else { OnCancel::Keep },
        max_parallel: scenario.max_parallel,
        prices: [(name_of(MODEL), price)].into(),
        price_table: Digest::ZERO,
        on_unknown_price: UnknownPrice::Deny,
        min_output_tokens: 5,
        compute: if scenario.meters { COMPUTE } else { ComputePrice::default() },
        prompts: wflo::prompt_versions(),
        statements: BTreeMap::new(),
        policies: (0..).zip(&scenario.policies).map(|(at, rule)| policy(at, rule, scenario)).collect(),
    }
}

/// What all runs together may spend.
pub(crate) fn spending(scenario: &Scenario) -> Spending {
    let day = scenario.day.map(|milli| PicoUsd::from_pico(i128::from(milli) * MILLI));
    Spending { all: WindowLimits { day, month: None }, ..Spending::default() }
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

fn plan_step(step: &Step, scenario: &Scenario) -> PlanStep {
    let name = |id: &u32| name_of(&format!("s{id}"));
    PlanStep {
        depends_on: step.needs.iter().map(name).collect::<BTreeSet<_>>(),
        grants: Grants {
            db: [(name_of("left"), DbAccess::default()), (name_of("right"), DbAccess::default())].into(),
            llm: [name_of(MODEL)].into(),
            http: site::grants(),
            ..Grants::default()
        },
        limits: Limits { timeout: Duration::from_secs(step.timeout), ..Limits::default() },
        approval: step.approval.as_ref().map(|asking| ApprovalRule {
            at: if step.at_commit { ApprovalAt::Commit } else { ApprovalAt::Start },
            ..rule(asking, scenario)
        }),
        rollback: step.rollback,
        facts: [(name_of("risk"), ValueType::Integer)].into(),
        output: Some(json!({ "type": "object", "properties": { "sum": { "type": "integer" } } })),
        retry: Retry { max_attempts: step.attempts, backoff: Duration::from_secs(step.backoff) },
        when: step.when.as_deref().map(name_of),
        for_each: step.for_each.as_deref().map(name_of),
        max_parallel: step.max_parallel,
        on_item_failure: if step.collects { OnItemFailure::Collect } else { OnItemFailure::Fail },
        ..PlanStep::new(name(&step.id), Digest::of(&component(step)))
    }
}

fn policy(at: u32, of: &Rule, scenario: &Scenario) -> Policy {
    let (on, name) = match of.on {
        Hears::Fact => (PolicyEvent::Fact, "risk"),
        Hears::Output => (PolicyEvent::StepOutput, "sum"),
    };
    let action = match &of.does {
        Does::Deny => PolicyAction::Deny,
        Does::Approve => PolicyAction::AutoApprove,
        Does::Ask(asking) => PolicyAction::RequireApproval(ApprovalRule {
            at: if of.on == Hears::Output { ApprovalAt::Commit } else { ApprovalAt::Start },
            ..rule(asking, scenario)
        }),
        Does::Tell => PolicyAction::Notify(CHANNEL.to_owned()),
    };
    Policy {
        name: name_of(&format!("p{at}")),
        when: name_of(&format!("{name} > {}", of.over)),
        on: [on].into(),
        actions: vec![action],
    }
}

fn rule(asking: &Asking, scenario: &Scenario) -> ApprovalRule {
    let approvers = asking.approvers.iter().map(|name| Approver::new(*name)).collect();
    ApprovalRule {
        timeout: asking.timeout.map(Duration::from_secs),
        valid: Duration::from_secs(asking.valid),
        on_reject: if asking.skips { OnReject::Skip } else { OnReject::Fail },
        notify: if scenario.tells { vec![CHANNEL.to_owned()] } else { Vec::new() },
        ..ApprovalRule::new(approvers, asking.quorum.map_or(Quorum::EachListed, Quorum::Any))
    }
}
