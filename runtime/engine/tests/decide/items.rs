//! Items of a step that fans out.

use std::time::Duration;

use serde_json::json;
use wflo_engine::{RunStatus, StepStatus};
use wflo_manifest::{OnItemFailure, PlanStep, Retry};
use wflo_model::FailureKind;

use crate::driver::{Driver, names, plan, step};

/// A run whose step `each` fans out over `[10, 20, 30]`, with these changes.
fn fanned(change: impl FnOnce(&mut PlanStep)) -> Driver {
    let mut each = PlanStep { for_each: Some("[10, 20, 30]".parse().unwrap()), ..step("each", &[]) };
    change(&mut each);
    Driver::new(plan(vec![each, step("after", &["each"])]))
}

#[test]
fn items_run_side_by_side_and_their_outputs_are_a_list_in_order() {
    let mut run = fanned(|step| step.max_parallel = Some(2));
    assert_eq!(names(run.settle()), ["each[0]", "each[1]"]);
    run.succeed("each[1]");
    assert_eq!(names(run.settle()), ["each[0]", "each[2]"]);
    run.succeed("each[2]");
    assert_eq!(run.status("each"), StepStatus::Running);
    run.succeed("each[0]");
    assert_eq!(names(run.settle()), ["after"]);
    let output = json!([{ "from": "each[0]" }, { "from": "each[1]" }, { "from": "each[2]" }]);
    assert_eq!(run.state.output(&"each".parse().unwrap()), Some(&output));
    let items = run.state.step(&"each".parse().unwrap()).items.clone().unwrap();
    assert_eq!((items.total(), items.succeeded(), items.failed()), (3, 3, 0));
    assert_eq!(items.value(2), Some(&json!(30)));
}

#[test]
fn an_item_is_tried_again_by_itself() {
    let retry = Retry { max_attempts: 2, backoff: Duration::ZERO };
    let mut run = fanned(|step| step.retry = retry);
    run.settle();
    run.fail("each[1]", FailureKind::Retryable);
    assert_eq!(run.settle(), [("each[0]".into(), 1), ("each[1]".into(), 2), ("each[2]".into(), 1)]);
}

#[test]
fn a_failed_item_fails_the_step_when_the_others_have_ended() {
    let mut run = fanned(|step| step.max_parallel = Some(2));
    run.settle();
    run.fail("each[1]", FailureKind::Permanent);
    assert_eq!(names(run.settle()), ["each[0]"], "no further item begins");
    run.succeed("each[0]");
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert_eq!(run.state.error(), Some("step `each`: item 1: no"));
}

#[test]
fn failures_of_items_can_be_collected() {
    let mut run = fanned(|step| step.on_item_failure = OnItemFailure::Collect);
    run.settle();
    run.succeed("each[0]");
    run.fail("each[1]", FailureKind::Permanent);
    run.succeed("each[2]");
    assert_eq!(names(run.settle()), ["after"]);
    let output = json!([{ "ok": { "from": "each[0]" } }, { "err": "no" }, { "ok": { "from": "each[2]" } }]);
    assert_eq!(run.state.output(&"each".parse().unwrap()), Some(&output));
}

#[test]
fn a_step_over_nothing_succeeds_with_an_empty_list() {
    let mut run = fanned(|step| step.for_each = Some("[]".parse().unwrap()));
    assert_eq!(names(run.settle()), ["after"]);
    assert_eq!(run.state.output(&"each".parse().unwrap()), Some(&json!([])));
}
