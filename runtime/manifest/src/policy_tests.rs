//! Policies, statements, facts and budgets of steps.
//!
//! `tests/policy/<case>.toml` is a `workflow.toml`, checked against `tests/ui/deployment/wflo.toml`. Beside each lies
//! what is printed, `<case>.stderr`. `WFLO_BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wflo_model::Digest;

use crate::diagnostic::Source;
use crate::reader::Reader;
use crate::{
    Deployment, Diagnostics, Pinning, Plan, Policy, PolicyAction, PolicyEvent, Quorum, ValueType, Workflow,
};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn read(text: &str) -> Result<Workflow, Diagnostics> {
    let reader = Reader { everything: true, ..Reader::new(&Source::new("workflow.toml", text)) };
    Workflow::read(reader)
}

fn pin(workflow: &Workflow) -> Result<Plan, Diagnostics> {
    let text = fs::read_to_string(tests().join("ui/deployment/wflo.toml")).unwrap();
    let deployment = Deployment::parse("wflo.toml", &text).unwrap();
    let components = workflow.components().into_iter().map(|path| (path.clone(), Digest::of(b"component")));
    Plan::new(
        workflow,
        &Pinning {
            components: &components.collect(),
            deployment: &deployment,
            known: &deployment.directory(),
            prompts: &BTreeMap::new(),
        },
    )
}

fn plan(case: &str) -> Plan {
    let text = fs::read_to_string(tests().join("policy").join(case).with_extension("toml")).unwrap();
    pin(&read(&text).unwrap_or_else(|found| panic!("{found}"))).unwrap_or_else(|found| panic!("{found}"))
}

fn policy<'a>(plan: &'a Plan, name: &str) -> &'a Policy {
    plan.policies.iter().find(|policy| policy.name.as_str() == name).unwrap()
}

#[test]
fn says_what_the_golden_files_say() {
    let bless = std::env::var_os("WFLO_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(tests().join("policy")).unwrap() {
        let case = entry.unwrap().path();
        if case.extension().is_none_or(|ext| ext != "toml") {
            continue;
        }
        cases += 1;
        let said = match read(&fs::read_to_string(&case).unwrap()) {
            Err(found) => found,
            Ok(workflow) => {
                let mut said = workflow.hints().clone();
                said.extend(pin(&workflow).err().unwrap_or_default());
                said
            }
        };
        let said = said.render(false);
        for line in said.lines().filter(|line| line.starts_with("error: ") || line.starts_with("hint: ")) {
            assert!(!line.ends_with('.') && line.matches('`').count() % 2 == 0, "{line}");
        }
        let golden = case.with_extension("stderr");
        if bless {
            fs::write(&golden, &said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", case.display()));
        }
    }
    assert!(cases >= 5, "the cases are not where they were");
    assert!(wrong.is_empty(), "not what the golden files say:\n\n{}", wrong.join("\n\n"));
}

#[test]
fn the_policy_of_customer_service_hears_the_statement_that_is_executed() {
    let plan = plan("customer-service");
    let large = policy(&plan, "large_refund_approval");
    assert_eq!(large.on, [PolicyEvent::HostCall, PolicyEvent::Fact, PolicyEvent::StepOutput].into());
    assert!(large.is_protective());
    let [PolicyAction::RequireApproval(rule), PolicyAction::Notify(channel)] = large.actions.as_slice()
    else {
        panic!("{:?}", large.actions);
    };
    assert_eq!((rule.approvers[0].as_str(), channel.as_str()), ("fraud-team", "slack://fraud-alerts"));
    let statement = &plan.statements["bank"]["process_refund"];
    assert_eq!(statement.params["refund_amount"], ValueType::Decimal);
    let step = plan.step(&"handle_query".parse().unwrap()).unwrap();
    assert!(step.grants.db["bank"].may_call("process_refund"));
    assert!(!step.grants.db["bank"].may_read("refunds", "amount"));
    assert_eq!(step.facts["refund_amount"], ValueType::Decimal);
    assert_eq!(step.output_types()["refund_amount"], ValueType::Decimal);
    assert_eq!(step.budget, Some("2".parse().unwrap()));
}

#[test]
fn every_key_reaches_the_plan() {
    let plan = plan("all-keys");
    let rule = match policy(&plan, "by-parameter").actions.as_slice() {
        [PolicyAction::RequireApproval(rule)] => rule,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (rule.quorum, rule.timeout, rule.valid),
        (Quorum::Any(1), Some(Duration::from_secs(60)), Duration::from_secs(30))
    );
    assert!(rule.mandatory && rule.allow_requester);
    assert_eq!(policy(&plan, "every.run").on, [PolicyEvent::RunStart].into());
    // It reads `call`, so it listens to calls.
    assert_eq!(policy(&plan, "one-call").on, [PolicyEvent::HostCall].into());
    assert_eq!(policy(&plan, "facts").actions.len(), 3);
    let close = plan.step(&"close".parse().unwrap()).unwrap();
    assert_eq!((close.budget, close.item_budget), (Some("1".parse().unwrap()), Some("0.1".parse().unwrap())));
    let back: Plan = serde_json::from_slice(&plan.bytes()).unwrap();
    assert_eq!((&back, back.digest()), (&plan, plan.digest()));
}

#[test]
fn the_digest_of_a_policy_covers_what_it_says() {
    let plan = plan("customer-service");
    let large = policy(&plan, "large_refund_approval");
    let other = Policy { when: "refund_amount > 101".parse().unwrap(), ..large.clone() };
    assert_ne!(large.digest(), other.digest());
    assert_ne!(large.digest(), Policy { actions: vec![PolicyAction::Deny], ..large.clone() }.digest());
    assert_eq!(large.digest(), large.clone().digest());
}

#[test]
fn a_step_is_explained_with_the_policies_that_hear_it() {
    let policies = |case: &str, step: &str| {
        let said = plan(case).explain(&step.parse().unwrap()).unwrap();
        said.lines()
            .filter(|line| line.contains("policy") || line.contains("statement"))
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(policies("customer-service", "handle_query"), @"
    policy `large_refund_approval` asks `fraud-team` and tells `slack://fraud-alerts` where `refund_amount > 100` holds of a call or a fact or its output, or cannot be told
    may call statement `get_refund_amount` of database `bank`
    may call statement `process_refund` of database `bank`
    ");
    insta::assert_snapshot!(policies("customer-service", "collect_feedback"), @"");
    insta::assert_snapshot!(policies("content-moderation", "analyze_content"), @"
    policy `auto_approve_safe` approves what is not mandatory where `confidence > 0.95 AND verdict == 'safe'` holds of its output
    policy `human_review_ambiguous` asks `compliance` and tells `slack://fraud-alerts` where `confidence < 0.80` holds of its output, or cannot be told
    ");
    insta::assert_snapshot!(policies("all-keys", "close"), @"
    policy `one-call` denies where `call.interface == 'wflo:db/sql' && call.args.sql.contains('DROP')` holds of a call, or cannot be told
    policy `by-parameter` asks `fraud-team` and `alice` where `account == 'x' || at < '2026-01-01'` holds of a call, or cannot be told
    may call statement `close` of database `bank`
    ");
}

#[test]
fn survives_every_truncation() {
    for case in ["customer-service", "all-keys", "bad"] {
        let text = fs::read_to_string(tests().join("policy").join(case).with_extension("toml")).unwrap();
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            if let Err(found) = read(&text[..end]) {
                assert!(found.has_errors(), "{case} cut at {end}");
            }
        }
    }
}

/// Until the runtime honours them, nobody may believe in a guard that is not there.
#[test]
fn what_is_listed_as_unsupported_is_refused() {
    let text = fs::read_to_string(tests().join("policy/customer-service.toml")).unwrap();
    for (place, key) in [
        ("workflow.toml", "policy"),
        ("workflow.toml", "db"),
        ("[[step]]", "facts"),
        ("[[step]]", "budget_usd"),
        ("`grants.db`", "call"),
    ] {
        let listed = crate::unsupported::has(crate::unsupported::KEYS, place, key);
        let found = Workflow::parse("workflow.toml", &text).err().unwrap_or_default();
        let said = format!("`{key}` is not supported");
        assert_eq!(found.iter().any(|found| found.message.contains(&said)), listed, "{key}");
    }
}
