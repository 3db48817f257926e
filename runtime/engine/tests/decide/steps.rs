//! Steps: which begin, which are tried again, and how a run ends with them.

use std::time::Duration;

use wflo_engine::{AttemptEnd, Event, Place, Recorded, RunState, RunStatus, StepStatus, next_due};
use wflo_manifest::{Plan, PlanStep, Retry};
use wflo_model::FailureKind;

use crate::driver::{Driver, names, plan, step};

#[test]
fn steps_run_side_by_side_where_dependencies_let_them() {
    let steps = vec![step("a", &[]), step("b", &[]), step("c", &["a", "b"]), step("d", &["a"])];
    let mut run = Driver::new(plan(steps));
    assert_eq!(run.settle(), [("a".into(), 1), ("b".into(), 1)]);
    run.succeed("a");
    assert_eq!(run.settle(), [("b".into(), 1), ("d".into(), 1)]);
    run.succeed("b");
    run.succeed("d");
    assert_eq!(run.settle(), [("c".into(), 1)]);
    run.succeed("c");
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Succeeded);
}

#[test]
fn max_parallel_is_kept() {
    let mut run = Driver::new(Plan { max_parallel: Some(1), ..plan(vec![step("a", &[]), step("b", &[])]) });
    assert_eq!(run.settle(), [("a".into(), 1)]);
    run.succeed("a");
    assert_eq!(run.settle(), [("b".into(), 1)]);
}

#[test]
fn what_another_attempt_cannot_help_is_not_tried_again() {
    let retry = Retry { max_attempts: 3, backoff: Duration::from_secs(2) };
    let mut run = Driver::new(plan(vec![PlanStep { retry, ..step("a", &[]) }]));
    run.settle();
    run.fail("a", FailureKind::Retryable);
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Running);
    let due = next_due(&run.state).unwrap();
    assert!(due > run.now && due <= run.now.after(Duration::from_secs(2)));
    run.now = due;
    assert_eq!(run.settle(), [("a".into(), 2)]);
    run.fail("a", FailureKind::Permanent);
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert_eq!(run.state.error(), Some("step `a`: no"));
}

#[test]
fn an_interrupted_attempt_does_not_count() {
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    for attempt in 1..=10 {
        assert_eq!(run.settle(), [("a".into(), attempt)]);
        run.end("a", AttemptEnd::Interrupted { message: "differs".into() });
    }
    assert_eq!(run.settle(), [("a".into(), 11)]);
    run.end("a", AttemptEnd::Interrupted { message: "differs".into() });
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Failed);
}

#[test]
fn a_failure_lets_what_runs_come_to_its_end_and_starts_nothing() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &[]), step("c", &["b"])]));
    run.settle();
    run.fail("a", FailureKind::Permanent);
    assert_eq!(run.settle(), [("b".into(), 1)]);
    run.succeed("b");
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), run.status("c")), (RunStatus::Failed, StepStatus::Pending));
}

#[test]
fn a_run_that_is_failing_waits_for_no_retry() {
    let retry = Retry { max_attempts: 2, backoff: Duration::from_secs(2) };
    let steps = vec![PlanStep { retry, ..step("a", &[]) }, step("b", &[]), step("c", &[])];
    let mut run = Driver::new(plan(steps));
    run.settle();
    run.fail("a", FailureKind::Retryable);
    assert!(next_due(&run.state).is_some());
    run.fail("b", FailureKind::Permanent);
    assert_eq!(run.settle(), [("c".into(), 1)]);
    assert_eq!(next_due(&run.state), None);
    run.succeed("c");
    run.settle();
    assert_eq!((run.state.status(), run.status("a")), (RunStatus::Failed, StepStatus::Cancelled));
}

#[test]
fn a_history_out_of_order_is_refused() {
    let run = Driver::new(plan(vec![step("a", &[])]));
    let mut state = run.state.clone();
    let event = Event::RunEnded { status: RunStatus::Succeeded, error: None };
    let skipped = Recorded { seq: 5, time: run.now, place: Place::RUN, event };
    assert!(state.apply(&skipped).is_err());
    assert!(RunState::default().apply(&Recorded { seq: 1, ..skipped }).is_err());
}

#[test]
fn a_condition_leaves_a_step_out_or_fails_it_where_it_cannot_be_told() {
    let with = |when: &str| {
        let when = Some(when.parse().unwrap());
        let mut run = Driver::new(plan(vec![PlanStep { when, ..step("a", &[]) }, step("b", &["a"])]));
        (names(run.settle()), run.status("a"), run.state.status())
    };
    assert_eq!(with("1 < 2"), (vec!["a".into()], StepStatus::Running, RunStatus::Running));
    assert_eq!(with("1 > 2"), (vec!["b".into()], StepStatus::Skipped, RunStatus::Running));
    assert_eq!(with("inputs.missing"), (vec![], StepStatus::Failed, RunStatus::Failed));
}
