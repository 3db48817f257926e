use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wflo_manifest::{
    ApprovalRule, Approver, OnReject, PlanStep, Policy, PolicyAction, PolicyEvent, Quorum, Scope, Statement,
    ValueType,
};
use wflo_model::{Call, Digest, GroupName, PolicyName, PrincipalName, RunId, Timestamp};

use super::{Because, Decision, Judgement, Occurrence, judge};

const HEARS: [PolicyEvent; 3] = [PolicyEvent::HostCall, PolicyEvent::Fact, PolicyEvent::StepOutput];

fn policy(name: &str, when: &str, on: &[PolicyEvent], actions: Vec<PolicyAction>) -> Policy {
    let on = on.iter().copied().collect();
    Policy { name: name.parse().unwrap(), when: when.parse().unwrap(), on, actions }
}

fn rule(approvers: &[&str]) -> ApprovalRule {
    ApprovalRule::new(approvers.iter().map(|name| Approver::new(*name)).collect(), Quorum::EachListed)
}

fn approval(approvers: &[&str]) -> PolicyAction {
    PolicyAction::RequireApproval(rule(approvers))
}

fn names(all: &[&str]) -> BTreeSet<PolicyName> {
    all.iter().map(|name| name.parse().unwrap()).collect()
}

/// The step of customer service: it claims a refund, calls the statement that pays it, and returns it.
fn handle_query() -> PlanStep {
    let output = json!({ "type": "object", "properties": {
        "response": { "type": "string" },
        "refund_amount": { "type": "string", "format": "decimal" },
    } });
    PlanStep {
        facts: [("refund_amount".parse().unwrap(), ValueType::Decimal)].into(),
        output: Some(output),
        ..PlanStep::new("handle_query".parse().unwrap(), Digest::ZERO)
    }
}

fn process_refund() -> Statement {
    Statement {
        sql: "INSERT INTO refunds (order_id, amount) VALUES (:order_id, :refund_amount)".into(),
        params: [
            ("order_id".parse().unwrap(), ValueType::Integer),
            ("refund_amount".parse().unwrap(), ValueType::Decimal),
        ]
        .into(),
    }
}

fn large_refund_approval() -> Policy {
    let notify = PolicyAction::Notify("slack://cs-managers".into());
    let actions = vec![approval(&["customer-service-manager"]), notify];
    policy("large_refund_approval", "refund_amount > 100", &HEARS, actions)
}

fn claim(amount: &Value) -> Judgement {
    let step = handle_query();
    judge(
        &[large_refund_approval()],
        &Occurrence::fact(&step, "refund_amount", amount).unwrap(),
        &Scope::new(),
    )
}

fn pay(params: &Value) -> Judgement {
    let call = Call::new(
        "wflo:db/sql",
        "call",
        json!({ "db": "shop", "statement": "process_refund", "params": params }),
    );
    let params = params.as_object().unwrap();
    judge(&[large_refund_approval()], &Occurrence::statement(&call, &process_refund(), params), &Scope::new())
}

#[test]
fn customer_service_large_refund_approval() {
    let asks = |judgement: &Judgement| match &judgement.decision {
        Decision::RequireApproval { rule, by } => {
            assert_eq!(by, &names(&["large_refund_approval"]));
            assert_eq!(rule.approvers, [Approver::new("customer-service-manager")]);
            assert_eq!(judgement.notify, ["slack://cs-managers".to_owned()].into());
            true
        }
        other => {
            assert_eq!((other, judgement.notify.len(), judgement.firings.len()), (&Decision::None, 0, 0));
            false
        }
    };
    // The number, the text of a decimal, and the exact value of a database, to the cent.
    for (amount, expect) in [
        (json!(150), true),
        (json!("150.00"), true),
        (json!({"decimal": "100.01"}), true),
        (json!(100), false),
        (json!("100.00"), false),
        (json!("99.999999999999999999999999"), false),
        // What cannot be judged is asked.
        (Value::Null, true),
        (json!("lots"), true),
        (json!(true), true),
        (json!("1e999999"), true),
    ] {
        assert_eq!(asks(&claim(&amount)), expect, "a fact of {amount}");
        assert_eq!(
            asks(&pay(&json!({ "order_id": 7, "refund_amount": amount }))),
            expect,
            "a call with {amount}"
        );
        let output = json!({ "response": "done", "refund_amount": amount });
        let returned =
            judge(&[large_refund_approval()], &Occurrence::output(&handle_query(), &output), &Scope::new());
        assert_eq!(asks(&returned), expect, "an output with {amount}");
    }
    // A refund that is not named at all is asked about, and a step that returns something else altogether too.
    assert!(asks(&pay(&json!({ "order_id": 7 }))));
    let other = json!(["done"]);
    assert!(asks(&judge(
        &[large_refund_approval()],
        &Occurrence::output(&handle_query(), &other),
        &Scope::new()
    )));
    // The policy has nothing to say about a call that has no refund.
    let call = Call::new("wflo:llm/tasks", "classify", json!({ "refund_amount": 1000 }));
    assert!(!asks(&judge(&[large_refund_approval()], &Occurrence::call(&call), &Scope::new())));
}

#[test]
fn a_refund_as_a_fact_and_again_in_the_output_is_one_question() {
    let step = "handle_query".parse().unwrap();
    let run = RunId::new(Timestamp::from_micros(1), [7; 10]);
    let question = |judgement: &Judgement, item| judgement.firings[0].ask(Some(&step), item).bytes(&run);
    let fact = claim(&json!(150));
    assert_eq!(fact.firings[0].because, Because::Held);
    assert_eq!(fact.firings[0].values, BTreeMap::from([("refund_amount".to_owned(), json!(150))]));
    assert_eq!(fact.firings[0].digest, large_refund_approval().digest());
    let output = json!({ "response": "done", "refund_amount": "150.00" });
    let output =
        judge(&[large_refund_approval()], &Occurrence::output(&handle_query(), &output), &Scope::new());
    let call = pay(&json!({ "order_id": { "integer": "7" }, "refund_amount": { "decimal": "150.000" } }));
    assert_eq!(question(&fact, None), question(&output, None));
    assert_eq!(question(&fact, None), question(&call, None));
    // Another amount, another item, another run are other questions.
    assert_ne!(question(&fact, None), question(&claim(&json!(151)), None));
    assert_ne!(question(&fact, None), question(&fact, Some(0)));
    let other = RunId::new(Timestamp::from_micros(1), [8; 10]);
    assert_ne!(question(&fact, None), fact.firings[0].ask(Some(&step), None).bytes(&other));
    assert_eq!(
        claim(&Value::Null).firings[0].because,
        Because::Missing { names: vec!["refund_amount".into()] }
    );
}

fn analyze_content() -> PlanStep {
    let output = json!({ "type": "object", "properties": {
        "verdict": { "type": "string" },
        "confidence": { "type": "number" },
        "reasoning": { "type": "string" },
    } });
    PlanStep { output: Some(output), ..PlanStep::new("analyze_content".parse().unwrap(), Digest::ZERO) }
}

fn moderate(output: Value) -> Decision {
    let safe = policy(
        "auto_approve_safe",
        "confidence > 0.95 AND verdict == 'safe'",
        &HEARS,
        vec![PolicyAction::AutoApprove],
    );
    let review = policy(
        "human_review_ambiguous",
        "confidence < 0.80",
        &HEARS,
        vec![approval(&["moderation-team"]), PolicyAction::Notify("slack://moderation".into())],
    );
    judge(&[safe, review], &Occurrence::output(&analyze_content(), &output), &Scope::new()).decision
}

#[test]
fn content_moderation_auto_approve_safe() {
    let by = names(&["auto_approve_safe"]);
    assert_eq!(
        moderate(json!({"verdict": "safe", "confidence": 0.96})),
        Decision::AutoApprove { by: by.clone() }
    );
    for output in [
        json!({"verdict": "safe", "confidence": 0.95}),
        json!({"verdict": "block", "confidence": 0.99}),
        json!({"verdict": "safe", "confidence": 0.80}),
        // It permits, so it does not apply where it cannot be judged.
        json!({"confidence": 0.99}),
        json!({"verdict": ["safe"], "confidence": 0.99}),
    ] {
        assert_eq!(moderate(output.clone()), Decision::None, "{output}");
    }
    let waives = Decision::AutoApprove { by };
    assert!(waives.waives(&rule(&["a"])));
    assert!(!waives.waives(&ApprovalRule { mandatory: true, ..rule(&["a"]) }));
    assert!(!Decision::None.waives(&rule(&["a"])));
}

#[test]
fn content_moderation_human_review_ambiguous() {
    for output in [
        json!({"verdict": "review", "confidence": 0.79}),
        json!({"verdict": "safe", "confidence": 0}),
        json!({"verdict": "safe"}),
        json!({"verdict": "safe", "confidence": "0.99"}),
        json!({"verdict": "safe", "confidence": null}),
        json!({}),
        json!("safe"),
    ] {
        let Decision::RequireApproval { rule, by } = moderate(output.clone()) else { panic!("{output}") };
        // Whoever is told of the policy is told of what it asks for.
        let asked =
            ApprovalRule { notify: vec!["slack://moderation".into()], ..self::rule(&["moderation-team"]) };
        assert_eq!((rule, by), (asked, names(&["human_review_ambiguous"])));
    }
}

#[test]
fn an_event_that_binds_none_of_its_names_does_not_concern_a_policy() {
    let deny = |when: &str, on: &[PolicyEvent]| vec![policy("p", when, on, vec![PolicyAction::Deny])];
    let denied = |policies: &[Policy], occurrence: &Occurrence<'_>, scope: &Scope<'_>| {
        matches!(judge(policies, occurrence, scope).decision, Decision::Deny { .. })
    };
    let step = handle_query();
    let amount = json!(1);
    let fact = Occurrence::fact(&step, "refund_amount", &amount).unwrap();
    assert!(Occurrence::fact(&step, "other", &amount).is_none(), "a fact that is not declared");
    let scope = Scope::new();
    assert!(!denied(&deny("other > 0", &HEARS), &fact, &scope));
    assert!(!denied(&deny("refund_amount > 0", &[PolicyEvent::StepOutput]), &fact, &scope));
    // Where the rest is not known, a policy that protects fires; where the rest does not matter, it is not asked.
    assert!(denied(&deny("refund_amount > 0 && other > 0", &HEARS), &fact, &scope));
    assert!(!denied(&deny("refund_amount > 1 && other > 0", &HEARS), &fact, &scope));
    // What was claimed before is known.
    let other = json!(-1);
    let mut earlier = Scope::new();
    earlier.bind(&["other"], &other);
    assert!(!denied(&deny("refund_amount > 0 && other > 0", &HEARS), &fact, &earlier));
    // What is claimed now and cannot be read is not what was claimed before.
    let wrong = json!("x");
    let fact = Occurrence::fact(&step, "refund_amount", &wrong).unwrap();
    earlier.bind(&["refund_amount"], &amount);
    let judgement = judge(&deny("refund_amount > 100", &HEARS), &fact, &earlier);
    assert!(matches!(judgement.decision, Decision::Deny { .. }));
    assert_eq!(judgement.firings[0].values, BTreeMap::from([("refund_amount".to_owned(), Value::Null)]));
}

#[test]
fn a_policy_without_bare_names_is_about_all_that_happens() {
    let ask = |when: &str, on| vec![policy("p", when, &[on], vec![approval(&["a"])])];
    let asked = |policies: &[Policy], occurrence: &Occurrence<'_>| {
        let judgement = judge(policies, occurrence, &Scope::new());
        judgement.firings.first().map(|firing| firing.values.clone())
    };
    let call = |sql: &str| Call::new("wflo:db/sql", "execute", json!({ "sql": sql }));
    let (one, other) = (call("DELETE FROM a"), call("DELETE FROM b"));
    for when in ["*", "call.function == 'execute'", "call.args.sql.startsWith('DELETE')"] {
        let policies = ask(when, PolicyEvent::HostCall);
        let (one, other) =
            (asked(&policies, &Occurrence::call(&one)), asked(&policies, &Occurrence::call(&other)));
        // What is decided about one call is not decided about the next.
        assert!(one.is_some() && one != other, "{when}");
    }
    assert_eq!(asked(&ask("call.function == 'query'", PolicyEvent::HostCall), &Occurrence::call(&one)), None);
    // So it is where it names a parameter beside the call.
    let params = json!({ "order_id": 7, "refund_amount": 150 }).as_object().unwrap().clone();
    let policies = ask("refund_amount > 100 && call.function == 'execute'", PolicyEvent::HostCall);
    let pay = |call| asked(&policies, &Occurrence::statement(call, &process_refund(), &params));
    assert_ne!(pay(&one), pay(&other));
    // A call that has no such argument cannot be judged.
    assert!(asked(&ask("call.args.amount > 5", PolicyEvent::HostCall), &Occurrence::call(&one)).is_some());
    let inputs = json!({ "n": 1 }).as_object().unwrap().clone();
    let values = asked(&ask("*", PolicyEvent::RunStart), &Occurrence::run_start(&inputs));
    assert_eq!(values, Some(BTreeMap::from([("inputs".to_owned(), json!({ "n": 1 }))])));
}

#[test]
fn what_else_was_read_is_kept_beside() {
    let inputs = json!({ "limit": 5, "list": [1, 2] });
    let mut scope = Scope::new();
    scope.bind(&["inputs"], &inputs);
    let deny = policy(
        "p",
        "refund_amount > inputs.limit && size(inputs.list) > 1",
        &HEARS,
        vec![PolicyAction::Deny],
    );
    let (step, amount) = (handle_query(), json!(6));
    let judgement = judge(&[deny], &Occurrence::fact(&step, "refund_amount", &amount).unwrap(), &scope);
    let firing = &judgement.firings[0];
    assert_eq!(firing.context, BTreeMap::from([("inputs.limit".to_owned(), json!(5))]));
    let json = serde_json::to_value(firing).unwrap();
    assert_eq!(
        (&json["because"], &json["on"], &json["policy"]),
        (&json!("held"), &json!("fact"), &json!("p"))
    );
    assert_eq!(&serde_json::from_value::<super::Firing>(json).unwrap(), firing);
}

#[test]
fn rules_are_joined_so_that_each_is_met() {
    let joined = |rules: &[&ApprovalRule]| ApprovalRule::union(rules).unwrap();
    let (a, b) =
        (rule(&["b", "a"]), ApprovalRule { timeout: Some(Duration::from_secs(60)), ..rule(&["c", "a"]) });
    let both = joined(&[&a, &b]);
    assert_eq!(both, joined(&[&b, &a]));
    assert_eq!(both.approvers, ["a", "b", "c"].map(Approver::new));
    assert_eq!((both.quorum, both.timeout), (Quorum::EachListed, Some(Duration::from_secs(60))));
    // One rule is itself, in the order it is written.
    assert_eq!(joined(&[&a, &a]), a);
    let any = |approvers: &[&str], n| ApprovalRule { quorum: Quorum::Any(n), ..rule(approvers) };
    let most = joined(&[&any(&["a", "b"], 1), &any(&["b", "a"], 3)]);
    assert_eq!((most.quorum, most.approvers.len()), (Quorum::Any(3), 2));
    // Two persons of one group, and one of another.
    let mixed = joined(&[&any(&["a"], 2), &rule(&["b"])]);
    assert_eq!(mixed.approvers, ["a", "a", "b"].map(Approver::new));
    let strict =
        ApprovalRule { allow_requester: true, on_reject: OnReject::Skip, mandatory: true, ..rule(&["a"]) };
    let strict = joined(&[&strict, &rule(&["a"])]);
    assert_eq!((strict.allow_requester, strict.on_reject, strict.mandatory), (false, OnReject::Fail, true));
    assert_eq!(ApprovalRule::union(&[]), None);
}

const CONDITIONS: [&str; 12] = [
    "a > 1",
    "b == 'x'",
    "a > 1 AND b == 'x'",
    "a > 1 OR c > 2",
    "c / a > 1",
    "NOT (b == 'x')",
    "a > inputs.n",
    "steps.no.output.x == a",
    "*",
    "call.function == 'f'",
    "inputs.n > 3",
    "a.x > 1",
];

fn any_rule() -> impl Strategy<Value = ApprovalRule> {
    let approver = prop_oneof![Just("g"), Just("h"), Just("i"), Just("alice")];
    let quorum = prop_oneof![Just(Quorum::EachListed), (1_u32..4).prop_map(Quorum::Any)];
    let approvers = proptest::collection::btree_set(approver, 1..4);
    (approvers, quorum, proptest::option::of(1_u64..9), any::<(bool, bool, bool)>()).prop_map(
        |(approvers, quorum, timeout, (allow_requester, mandatory, skip))| ApprovalRule {
            allow_requester,
            mandatory,
            timeout: timeout.map(Duration::from_secs),
            on_reject: if skip { OnReject::Skip } else { OnReject::Fail },
            ..ApprovalRule::new(approvers.into_iter().map(Approver::new).collect(), quorum)
        },
    )
}

fn any_policies() -> impl Strategy<Value = Vec<Policy>> {
    let action = prop_oneof![
        2 => any_rule().prop_map(PolicyAction::RequireApproval),
        1 => Just(PolicyAction::Deny),
        1 => Just(PolicyAction::AutoApprove),
        1 => "[a-c]".prop_map(PolicyAction::Notify),
    ];
    let on = prop_oneof![Just(PolicyEvent::RunStart), Just(HEARS[0]), Just(HEARS[1]), Just(HEARS[2])];
    let one = (
        proptest::sample::select(&CONDITIONS[..]),
        proptest::collection::btree_set(on, 1..4),
        proptest::collection::vec(action, 1..3),
    );
    let named = |all: Vec<(&str, BTreeSet<PolicyEvent>, Vec<PolicyAction>)>| {
        let policy = |(index, (when, on, actions)): (usize, (&str, BTreeSet<PolicyEvent>, _))| Policy {
            name: format!("p{index}").parse().unwrap(),
            when: when.parse().unwrap(),
            on,
            actions,
        };
        all.into_iter().enumerate().map(policy).collect()
    };
    proptest::collection::vec(one, 0..6).prop_map(named)
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-1_i64..4).prop_map(|n| json!(n)),
        Just(json!("x")),
        Just(json!("2.50")),
        Just(json!({ "decimal": "2.5" })),
        Just(json!({ "x": 5 })),
    ]
}

/// Something that happens, with what it needs to live.
#[derive(Clone, Debug)]
struct Happening {
    which: usize,
    step: PlanStep,
    statement: Statement,
    call: Call,
    values: Map<String, Value>,
    value: Value,
}

impl Happening {
    fn judge(&self, policies: &[Policy]) -> Judgement {
        let inputs = json!({ "n": 2 });
        let mut scope = Scope::new();
        scope.bind(&["inputs"], &inputs);
        let fact =
            |name| Occurrence::fact(&self.step, name, self.values.get(name).unwrap_or(&Value::Null)).unwrap();
        let occurrence = match self.which {
            0 => fact("a"),
            1 => fact("b"),
            2 => Occurrence::output(&self.step, &self.value),
            3 => Occurrence::statement(&self.call, &self.statement, &self.values),
            4 => Occurrence::call(&self.call),
            _ => Occurrence::run_start(inputs.as_object().unwrap()),
        };
        judge(policies, &occurrence, &scope)
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let declared = prop_oneof![
        Just(ValueType::Decimal),
        Just(ValueType::Number),
        Just(ValueType::Text),
        Just(ValueType::Any)
    ];
    let values =
        proptest::collection::btree_map(prop_oneof![Just("a"), Just("b"), Just("c")], any_value(), 0..4);
    let function = prop_oneof![Just("f"), Just("g")];
    (0_usize..6, values, [declared.clone(), declared.clone(), declared], function).prop_map(
        |(which, values, declared, function)| {
            let values: Map<_, _> =
                values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let types: BTreeMap<_, _> =
                ["a", "b", "c"].map(|name| name.parse().unwrap()).into_iter().zip(declared).collect();
            let schema =
                json!({ "properties": { "a": { "type": "number" }, "b": { "type": "string" }, "c": {} } });
            Happening {
                which,
                step: PlanStep {
                    facts: types.clone(),
                    output: Some(schema),
                    ..PlanStep::new("s".parse().unwrap(), Digest::ZERO)
                },
                statement: Statement { sql: String::new(), params: types },
                call: Call::new("i", function, json!(values)),
                value: Value::Object(values.clone()),
                values,
            }
        },
    )
}

fn strength(decision: &Decision) -> u8 {
    match decision {
        Decision::None | Decision::AutoApprove { .. } => 0,
        Decision::RequireApproval { .. } => 1,
        Decision::Deny { .. } => 2,
    }
}

fn any_votes() -> impl Strategy<Value = BTreeMap<PrincipalName, BTreeSet<GroupName>>> {
    let group = prop_oneof![Just("g"), Just("h"), Just("i")].prop_map(|name| name.parse().unwrap());
    let person = prop_oneof![
        Just("alice"),
        Just("bob"),
        Just("carl"),
        Just("dora"),
        Just("emil"),
        Just("fay"),
        Just("gus")
    ];
    let person = person.prop_map(|name| name.parse().unwrap());
    proptest::collection::btree_map(person, proptest::collection::btree_set(group, 0..4), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_policies_never_matters(
        (policies, shuffled) in any_policies().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        happening in any_happening(),
    ) {
        prop_assert_eq!(happening.judge(&policies), happening.judge(&shuffled));
    }

    /// More protection never permits more, whatever the others say.
    #[test]
    fn adding_a_policy_that_protects_never_permits(policies in any_policies(), happening in any_happening(), when in 0_usize..12, ask in proptest::option::of(any_rule())) {
        let before = happening.judge(&policies).decision;
        let action = ask.map_or(PolicyAction::Deny, PolicyAction::RequireApproval);
        let denies = matches!(action, PolicyAction::Deny);
        let all = [HEARS[0], HEARS[1], HEARS[2], PolicyEvent::RunStart];
        let more = [policies, vec![policy("more", CONDITIONS[when], &all, vec![action])]].concat();
        let after = happening.judge(&more);
        prop_assert!(strength(&after.decision) >= strength(&before));
        let fired = after.firings.iter().any(|firing| firing.policy.as_str() == "more");
        let least = if denies { 2 } else { 1 };
        prop_assert!(!fired || strength(&after.decision) >= least);
        prop_assert!(fired || after.decision == before);
    }

    /// What cannot be judged stops, and permits or tells nothing.
    #[test]
    fn what_is_missing_fires_protective_policies_only(policies in any_policies(), happening in any_happening()) {
        let judgement = happening.judge(&policies);
        for firing in &judgement.firings {
            let policy = policies.iter().find(|policy| policy.name == firing.policy).unwrap();
            prop_assert!(policy.is_protective() || firing.because == Because::Held);
        }
        // A declared value that is not there: every policy on it that protects has fired.
        let (on, absent) = match happening.which {
            0 => (PolicyEvent::Fact, !happening.values.contains_key("a")),
            2 => (PolicyEvent::StepOutput, !happening.values.contains_key("a")),
            3 => (PolicyEvent::HostCall, !happening.values.contains_key("a")),
            _ => (PolicyEvent::RunStart, false),
        };
        for policy in policies.iter().filter(|policy| absent && policy.is_protective() && policy.on.contains(&on)) {
            if policy.when.bare_names().any(|name| name == "a") {
                let firing = judgement.firings.iter().find(|firing| firing.policy == policy.name);
                let missing = matches!(firing.map(|firing| &firing.because), Some(Because::Missing { .. }));
                prop_assert!(missing, "{}", policy.name);
            }
        }
    }

    /// Whoever meets the joined rule meets each of the rules, in time and with the same say.
    #[test]
    fn the_joined_rule_is_never_weaker(rules in proptest::collection::vec(any_rule(), 1..4), votes in any_votes()) {
        let all: Vec<_> = rules.iter().collect();
        let joined = ApprovalRule::union(&all).unwrap();
        for rule in &rules {
            prop_assert!(!joined.satisfied_by(&votes) || rule.satisfied_by(&votes), "{joined:?} of {rules:?}");
            prop_assert!(rule.timeout.is_none_or(|timeout| joined.timeout.is_some_and(|joined| joined <= timeout)));
            prop_assert!(joined.valid <= rule.valid);
            prop_assert!(rule.allow_requester || !joined.allow_requester);
            prop_assert!(!rule.mandatory || joined.mandatory);
        }
        let mut reversed = all;
        reversed.reverse();
        prop_assert_eq!(ApprovalRule::union(&reversed), Some(joined));
    }
}

#[test]
fn infrastructure_is_judged_by_what_its_plan_counts() {
    let careful =
        |on: &[PolicyEvent]| policy("careful", "destroys > 0 OR adds > 10", on, vec![PolicyAction::Deny]);
    let apply = |args: Value| Call::new("wflo:infra/terraform", "apply", args);
    let decide = |policy: &Policy, call: &Call| {
        let judgement =
            judge(std::slice::from_ref(policy), &Occurrence::terraform_apply(call), &Scope::new());
        matches!(judgement.decision, Decision::Deny { .. })
    };
    let counts = |destroys: Value| {
        apply(json!({ "terraform": "prod", "adds": 1, "changes": 2, "destroys": destroys, "outputs": 0 }))
    };
    for on in [&[PolicyEvent::TerraformApply][..], &[PolicyEvent::HostCall], &HEARS] {
        let policy = careful(on);
        assert!(decide(&policy, &counts(json!(1))), "{on:?}");
        assert!(!decide(&policy, &counts(json!(0))), "{on:?}");
        assert!(decide(&policy, &counts(Value::Null)), "what cannot be known is not let through: {on:?}");
    }
    assert!(!decide(&careful(&[PolicyEvent::Fact]), &counts(json!(1))));
    let any = policy("any", "true", &[PolicyEvent::TerraformApply], vec![PolicyAction::Deny]);
    assert!(decide(&any, &counts(json!(0))));
    let other = Call::new("wflo:infra/terraform", "state", json!({ "terraform": "prod" }));
    let judgement = judge(&[any], &Occurrence::call(&other), &Scope::new());
    assert_eq!(judgement.decision, Decision::None, "it listens to applies alone");
}
