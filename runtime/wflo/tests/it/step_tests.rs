//! Tests of steps: written by hand, and made of everything that the other tests here have run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wflo::{
    Outside, Record, RunView, RuntimeError, StepTest, TapeAnswer, TapeArgs, TapeEntry, TestApproval,
    TestBench, TestEnd, TestExpects, Tested,
};
use wflo_backends::SystemEntropy;
use wflo_host_api::DecisionStatus;
use wflo_journal::FaultSync;
use wflo_manifest::{
    ApprovalRule, Approver, OnReject, Plan, PlanStep, Policy, PolicyAction, PolicyEvent, Quorum,
};
use wflo_model::{CallError, FailureKind, Grants, RunId};

use crate::support::{COMPONENT, MODEL, Process, World, scripts};
use crate::sweep::{go_on, plan, step};

fn bench(plan: &Plan, outside: &Outside) -> TestBench {
    let code = vec![COMPONENT.into()];
    TestBench::new(plan.clone(), code, scripts(), Arc::new(SystemEntropy)).with_outside(outside.clone())
}

async fn tested(plan: &Plan, test: &StepTest) -> Tested {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    bench(plan, &process.host.outside).run(test).await.unwrap_or_else(|error| panic!("{error}"))
}

fn told(tested: &Tested) -> Vec<String> {
    tested.differences.iter().map(ToString::to_string).collect()
}

/// Makes a test of every step and item of a run that has ended, and runs each: the component is the same, so all pass.
/// Says how many there were.
pub(crate) async fn hold(process: &Process, plan: &Plan, view: &RunView) -> usize {
    let mut count = 0;
    for step in &view.steps {
        let items = match step.items {
            Some(items) => (0..items.total).map(Some).collect(),
            None => vec![None],
        };
        if let Some(items) = step.items {
            let record =
                Record { run: view.run, step: step.name.clone(), item: Some(items.total), labelled: false };
            let none = process.runtime.record(&record).await.unwrap_err().to_string();
            assert!(none.contains(&format!("has no item {}", items.total)), "{none}");
        }
        for item in items {
            let record = Record { run: view.run, step: step.name.clone(), item, labelled: false };
            let test = match process.runtime.record(&record).await {
                Ok(test) => test,
                Err(RuntimeError::NotRecordable { why, .. }) => {
                    let is_known =
                        why.contains("has come to an end of its own") || why.contains("changed what");
                    assert!(is_known, "{why}");
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let tested = bench(plan, &process.host.outside).run(&test).await;
            let tested = tested.unwrap_or_else(|error| panic!("{error}: {test:#?}"));
            assert!(tested.passed(), "{:#?}\n{test:#?}", tested.differences);
            count += 1;
        }
    }
    count
}

fn answer(text: &str) -> Value {
    json!({ "text": text, "model": MODEL, "finish_reason": "stop" })
}

fn think() -> StepTest {
    let mut test = StepTest::new("think".parse().unwrap());
    test.tape = ["a", "b"].map(|text| TapeEntry::any("wflo:llm/chat", "complete", answer(text))).into();
    test.expect.end = TestExpects::Output(json!(["a", "b"]));
    test
}

#[tokio::test]
async fn a_step_is_answered_from_its_tape_and_nothing_else_is_asked() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let plan = plan(vec![step("think", &[]), step("other", &["think"])], None);
    let tested = bench(&plan, &process.host.outside).run(&think()).await.unwrap();
    assert!(tested.passed(), "{:?}", tested.differences);
    assert_eq!(tested.calls.len(), 2);
    assert!(world.model.calls.lock().unwrap().is_empty(), "the model was asked");
}

#[tokio::test]
async fn what_differs_is_said_where_it_differs() {
    let plan = plan(vec![step("think", &[])], None);
    let mut test = think();
    test.expect.end = TestExpects::Output(json!(["a", "c"]));
    test.expect.calls = Some(vec!["wflo:llm/chat.complete".into()]);
    assert_eq!(
        told(&tested(&plan, &test).await),
        [
            "at output[1]: expected \"c\", got \"b\"",
            "at calls[1]: expected nothing, got \"wflo:llm/chat.complete\"",
        ]
    );
    let mut test = think();
    test.expect.end = TestExpects::Failure { kind: Some(FailureKind::Permanent), message: None };
    assert_eq!(
        told(&tested(&plan, &test).await),
        ["at the end: expected a failure, got the output [\"a\",\"b\"]"]
    );
}

#[tokio::test]
async fn a_call_that_is_not_on_the_tape_names_the_nearest_entry() {
    let plan = plan(vec![step("think", &[])], None);
    let mut test = think();
    let like = |text: &str| TapeArgs::Like(json!({ "messages": [{ "role": "user", "content": text }] }));
    test.tape[0].args = like("one");
    test.tape[1].args = like("too");
    let tested_now = tested(&plan, &test).await;
    assert_eq!(
        told(&tested_now),
        [
            "at call 2, `wflo:llm/chat.complete`, messages[0].content (nearest: entry 2 of the tape): expected \"too\", got \"two\""
        ]
    );
    assert!(matches!(tested_now.end, TestEnd::Stopped(_)), "{:?}", tested_now.end);

    test.tape.truncate(1);
    let told_now = told(&tested(&plan, &test).await);
    assert!(told_now[0].contains("no such call any more: entry 1 of the tape has answered"), "{told_now:?}");
    test.tape.clear();
    let told_now = told(&tested(&plan, &test).await);
    assert!(told_now[0].starts_with("at call 1, `wflo:llm/chat.complete`: expected no call"), "{told_now:?}");
}

#[tokio::test]
async fn an_entry_that_nothing_asks_for_fails_the_test() {
    let plan = plan(vec![step("think", &[])], None);
    let mut test = think();
    test.tape.push(TapeEntry::any("wflo:db/sql", "query", json!(null)));
    assert_eq!(
        told(&tested(&plan, &test).await),
        ["at entry 3 of the tape: expected a call of `wflo:db/sql.query`, got none that it answers"]
    );
}

#[tokio::test]
async fn what_is_not_granted_is_denied_although_the_tape_has_it() {
    let bare = PlanStep { grants: Grants::default(), ..step("pay", &[]) };
    let mut test = StepTest::new("pay".parse().unwrap());
    test.tape.push(TapeEntry::any("wflo:db/sql", "execute", json!({ "changed": 1 })));
    let found = told(&tested(&plan(vec![bare], None), &test).await);
    assert!(found[0].contains("got none that it answers"), "{found:?}");
    let tested = tested(&plan(vec![step("pay", &[])], None), &test).await;
    assert!(tested.passed(), "{:?}", tested.differences);
}

#[tokio::test]
async fn people_decide_as_the_test_says() {
    let plan = plan(vec![step("ask", &[])], None);
    let mut test = StepTest::new("ask".parse().unwrap());
    let found = told(&tested(&plan, &test).await);
    assert_eq!(found, ["at approval 1: expected nobody is asked, got `red` and `blue` are asked: may I?"]);

    for (decision, word) in [(DecisionStatus::Approved, "approved"), (DecisionStatus::Rejected, "rejected")] {
        test.approvals = vec![TestApproval::new(decision)];
        test.approvals[0].reason = Some("may I?".into());
        test.approvals[0].approvers = Some(["red".to_owned(), "blue".to_owned()].into());
        test.expect.end = TestExpects::Output(json!(word));
        let tested = tested(&plan, &test).await;
        assert!(tested.passed(), "{:?}", tested.differences);
    }
    test.approvals[0].approvers = Some(["green".to_owned()].into());
    test.approvals[0].reason = Some("must I?".into());
    assert_eq!(
        told(&tested(&plan, &test).await),
        [
            "at approval 1, reason: expected \"must I?\", got \"may I?\"",
            "at approval 1, approvers: expected `green`, got `blue`, `red`",
        ]
    );
    test.approvals = vec![TestApproval::new(DecisionStatus::Rejected); 2];
    let found = told(&tested(&plan, &test).await);
    assert_eq!(found, ["at approval 2: expected people are asked, got nobody was asked"]);
    test.approvals = vec![TestApproval::new(DecisionStatus::Expired)];
    let found = told(&tested(&plan, &test).await);
    assert!(found[0].contains("it never expires"), "{found:?}");
}

#[tokio::test]
async fn a_policy_and_the_gate_at_the_start_ask_in_a_test_too() {
    let rule = ApprovalRule {
        on_reject: OnReject::Continue,
        timeout: Some(Duration::from_secs(60)),
        ..ApprovalRule::new([Approver::new("red")].into(), Quorum::EachListed)
    };
    let pay = PlanStep { approval: Some(rule.clone()), ..step("pay", &[]) };
    let policy = Policy {
        name: "every_statement".parse().unwrap(),
        when: "call.function == 'execute'".parse().unwrap(),
        on: [PolicyEvent::HostCall].into(),
        actions: vec![PolicyAction::RequireApproval(rule)],
    };
    let plan = Plan { policies: vec![policy], ..plan(vec![pay], None) };
    let mut test = StepTest::new("pay".parse().unwrap());
    let mut approvals = [DecisionStatus::Approved, DecisionStatus::Expired].map(TestApproval::new);
    approvals[0].reason = Some("before it starts".into());
    approvals[1].reason = Some("every_statement".into());
    test.approvals = approvals.into();
    let tested = tested(&plan, &test).await;
    assert!(tested.passed(), "{:?}", tested.differences);
    assert_eq!(tested.end, TestEnd::Output(json!({ "refused": "approval `{approval}` expired" })));
}

#[tokio::test]
async fn a_timer_is_not_waited_for_and_errors_are_answers() {
    let mut test = StepTest::new("wait".parse().unwrap());
    test.expect.end = TestExpects::Output(json!("waited"));
    let plan = plan(vec![step("wait", &[]), step("pay", &[])], None);
    let began = std::time::Instant::now();
    assert!(tested(&plan, &test).await.passed());
    assert!(began.elapsed() < Duration::from_secs(60), "an hour was waited for");

    let mut test = StepTest::new("pay".parse().unwrap());
    let error = CallError::Constraint { message: "there is one already".into() };
    test.tape.push(TapeEntry::new("wflo:db/sql", "execute", TapeArgs::Any, TapeAnswer::Error(error)));
    test.expect.end = TestExpects::Output(json!({ "refused": "there is one already" }));
    let tested = tested(&plan, &test).await;
    assert!(tested.passed(), "{:?}", tested.differences);
}

#[tokio::test]
async fn a_test_that_does_not_fit_its_workflow_is_an_error() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let each = PlanStep { for_each: Some("inputs.all".parse().unwrap()), ..step("note", &["think"]) };
    let bench = bench(&plan(vec![step("think", &[]), each], None), &process.host.outside);
    let check = async |test: StepTest, says: &str| {
        let error = bench.run(&test).await.unwrap_err();
        assert!(matches!(error, RuntimeError::BadTest { .. }) && error.to_string().contains(says), "{error}");
    };
    let of = |step: &str| StepTest::new(step.parse().unwrap());
    check(of("other"), "there is no step `other`").await;
    check(of("note"), "`item` is the element").await;
    let mut test = of("think");
    test.item = Some(json!(1));
    check(test, "works on no `item`").await;
    let mut test = of("think");
    test.outputs.insert("note".parse().unwrap(), json!(1));
    check(test, "does not depend on `note`").await;
    let mut test = of("think");
    test.inputs.insert("more".into(), json!(1));
    check(test, "more").await;
}

#[tokio::test]
async fn what_was_recorded_passes_and_fails_when_the_step_does_something_else() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let steps = ["think", "note", "fail-once", "wait", "report", "post", "ask"].map(|name| step(name, &[]));
    let plan = plan(steps.into(), None);
    let (run, view) = go_on(&process, &plan).await.unwrap();
    assert_eq!(hold(&process, &plan, &view).await, 7);

    let record = |step: &str| Record { run, step: step.parse().unwrap(), item: None, labelled: false };
    let test = process.runtime.record(&record("fail-once")).await.unwrap();
    assert_eq!((test.attempt, test.expect.end.clone()), (2, TestExpects::Output(json!(2))));
    // The component has changed: it asks as another step does.
    let test = process.runtime.record(&record("think")).await.unwrap();
    let mut changed = plan.clone();
    changed.steps[0].function = "note".parse().unwrap();
    let tested = bench(&changed, &process.host.outside).run(&test).await.unwrap();
    let found = told(&tested);
    assert!(found[0].starts_with("at call 1, `wflo:db/sql.execute`: expected no call"), "{found:?}");
    changed.steps[0].function = "pay".parse().unwrap();
    assert!(!bench(&changed, &process.host.outside).run(&test).await.unwrap().passed());

    let of_item = Record { item: Some(7), ..record("think") };
    let none = process.runtime.record(&of_item).await.unwrap_err();
    assert!(none.to_string().contains("does not fan out"), "{none}");
    let none = process.runtime.record(&record("other")).await.unwrap_err();
    assert!(none.to_string().contains("has no step `other`"), "{none}");
    let nobody = Record { run: RunId::from_bytes([9; 16]), ..record("think") };
    assert!(process.runtime.record(&nobody).await.is_err());
}

#[tokio::test]
async fn a_step_with_labelled_data_is_recorded_only_where_somebody_says_so() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let labels = ["phi".parse().unwrap()];
    let plan = plan(vec![PlanStep { labels: labels.into(), ..step("pay", &[]) }], None);
    let (run, _) = go_on(&process, &plan).await.unwrap();
    let record = Record { run, step: "pay".parse().unwrap(), item: None, labelled: false };
    let refused = process.runtime.record(&record).await.unwrap_err();
    assert!(matches!(&refused, RuntimeError::Labelled { .. }), "{refused}");
    assert_eq!(
        refused.to_string(),
        "step `pay` handles data labelled `phi`, which a test would have as plain text"
    );
    let test = process.runtime.record(&Record { labelled: true, ..record }).await.unwrap();
    assert!(bench(&plan, &process.host.outside).run(&test).await.unwrap().passed());
}
