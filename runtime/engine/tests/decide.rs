//! Whole histories through `decide` and `apply`, without a host.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wflo_engine::policy::{Because, Firing};
use wflo_engine::{
    ApprovalState, AttemptEnd, CallClass, Command, Compensation, Event, GateAt, GatedCall, Outcome,
    ParkReason, Permitted, Place, Reapply, Recorded, Resolution, RollbackPlan, RunState, RunStatus,
    StepStatus, UnitId, Verdict, Voter, cast, decide, next_due, retry_at, standing,
};
use wflo_manifest::{
    ApprovalRule, Approver, OnCancel, OnExceeded, OnFailure, OnItemFailure, OnReject, Plan, PlanStep, Policy,
    PolicyAction, PolicyEvent, Quorum, Retry, UnknownPrice,
};
use wflo_model::{ApprovalId, Call, Digest, Failure, FailureKind, RunId, Timestamp};

/// A run driven by hand: events are applied as they are decided, attempts end as the test says.
struct Driver {
    run: RunId,
    plan: Plan,
    state: RunState,
    now: Timestamp,
}

impl Driver {
    fn new(plan: Plan) -> Self {
        let mut driver = Self {
            run: RunId::new(Timestamp::from_micros(1), [0; 10]),
            state: RunState::default(),
            now: Timestamp::from_micros(1_000_000),
            plan,
        };
        let event = Event::RunCreated {
            workflow: "w".into(),
            version: "1".into(),
            plan: driver.plan.digest(),
            component: None,
            inputs: serde_json::Map::new(),
            requester: "rita".parse().unwrap(),
            budget: None,
            forked: None,
        };
        driver.append(Place::RUN, event);
        driver
    }

    fn append(&mut self, place: Place, event: Event) {
        let recorded = Recorded { seq: self.state.seq() + 1, time: self.now, place, event };
        self.state.apply(&recorded).unwrap();
    }

    /// Performs what is decided until only attempts are left, and says which.
    fn settle(&mut self) -> Vec<(String, u32)> {
        for _ in 0..100 {
            let mut attempts = Vec::new();
            let mut appended = false;
            for command in decide(&self.run, &self.plan, &self.state, self.now) {
                match command {
                    Command::Append(events) => {
                        appended = true;
                        events.into_iter().for_each(|(place, event)| self.append(place, event));
                    }
                    Command::Attempt { unit, attempt } => attempts.push((unit.to_string(), attempt)),
                    other => panic!("{other:?}"),
                }
            }
            if !appended {
                return attempts;
            }
        }
        panic!("it never settles");
    }

    /// Performs what is decided until there is something other to do, and says what.
    fn until_planned(&mut self) -> Vec<Command> {
        loop {
            let commands = decide(&self.run, &self.plan, &self.state, self.now);
            let [Command::Append(events)] = &commands[..] else { return commands };
            events.clone().into_iter().for_each(|(place, event)| self.append(place, event));
        }
    }

    fn end(&mut self, step: &str, end: AttemptEnd) {
        let unit = unit(step);
        let at = self.state.unit(&unit);
        let (attempt, retry) = (at.attempt, self.plan.step(&unit.step).unwrap().retry);
        let retry_at = retry_at(&retry, at, &end, 512, self.now);
        let event = Event::AttemptEnded { end, fuel: 1, memory_peak: 1, ms: 1, retry_at };
        self.append(Place::attempt(&unit, attempt), event);
    }

    fn succeed(&mut self, step: &str) {
        self.end(step, AttemptEnd::Succeeded { output: json!({ "from": step }) });
    }

    fn fail(&mut self, step: &str, kind: FailureKind) {
        self.end(step, AttemptEnd::Failed(Failure { kind, message: "no".into() }));
    }

    fn vote(&mut self, name: &str, group: &str, verdict: Verdict) {
        let voter = Voter { name: name.parse().unwrap(), groups: [group.parse().unwrap()].into() };
        let approval = self.state.approvals().last().unwrap().clone();
        let events = cast(&approval, &"rita".parse().unwrap(), &voter, verdict, None, self.now).unwrap();
        events.into_iter().for_each(|(place, event)| self.append(place, event));
    }

    fn status(&self, step: &str) -> StepStatus {
        self.state.step(&step.parse().unwrap()).status()
    }
}

/// `name`, or `name[item]`.
fn unit(text: &str) -> UnitId {
    match text.trim_end_matches(']').split_once('[') {
        Some((name, item)) => UnitId::step(&name.parse().unwrap()).with_item(item.parse().unwrap()),
        None => UnitId::step(&text.parse().unwrap()),
    }
}

fn step(name: &str, depends_on: &[&str]) -> PlanStep {
    PlanStep {
        depends_on: depends_on.iter().map(|name| name.parse().unwrap()).collect(),
        ..PlanStep::new(name.parse().unwrap(), Digest::of(b"component"))
    }
}

fn plan(steps: Vec<PlanStep>) -> Plan {
    Plan {
        workflow: "w".parse().unwrap(),
        version: "1".into(),
        steps,
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
        statements: BTreeMap::new(),
        policies: Vec::new(),
    }
}

fn gated() -> Plan {
    let approvers = vec![Approver::new("fraud"), Approver::new("compliance")];
    let rule = ApprovalRule {
        timeout: Some(Duration::from_secs(3600)),
        ..ApprovalRule::new(approvers, Quorum::EachListed)
    };
    plan(vec![step("look", &[]), PlanStep { approval: Some(rule), ..step("act", &["look"]) }])
}

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
fn a_gated_step_waits_for_everybody_and_consumes_what_they_gave() {
    let mut run = Driver::new(gated());
    run.settle();
    run.succeed("look");
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), run.status("act")), (RunStatus::Waiting, StepStatus::Waiting));
    run.vote("alice", "fraud", Verdict::Approve);
    assert_eq!(run.settle(), []);
    run.vote("carol", "compliance", Verdict::Approve);
    assert_eq!(run.settle(), [("act".into(), 1)]);
    run.succeed("act");
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Succeeded);
    assert_eq!(run.state.approvals().count(), 1);
}

#[test]
fn a_rejection_fails_the_run_or_skips_the_step() {
    for (on_reject, status) in [(OnReject::Fail, RunStatus::Failed), (OnReject::Skip, RunStatus::Succeeded)] {
        let mut plan = gated();
        plan.steps[1].approval.as_mut().unwrap().on_reject = on_reject;
        let mut run = Driver::new(plan);
        run.settle();
        run.succeed("look");
        run.settle();
        run.vote("alice", "fraud", Verdict::Reject);
        assert_eq!(run.settle(), []);
        assert_eq!(run.state.status(), status);
    }
}

#[test]
fn an_approval_expires_by_the_clock_alone() {
    let mut run = Driver::new(gated());
    run.settle();
    run.succeed("look");
    run.settle();
    assert_eq!(next_due(&run.state), Some(run.now.after(Duration::from_secs(3600))));
    run.now = run.now.after(Duration::from_secs(3600));
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert!(run.state.error().unwrap().contains("expired"), "{:?}", run.state.error());
}

#[test]
fn an_approval_not_used_in_time_is_asked_again() {
    let mut run = Driver::new(gated());
    run.settle();
    run.succeed("look");
    run.settle();
    run.vote("alice", "fraud", Verdict::Approve);
    run.vote("carol", "compliance", Verdict::Approve);
    run.now = run.now.after(ApprovalRule::VALID);
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Waiting);
    assert_eq!(run.state.approvals().count(), 2);
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

/// A run whose step `each` fans out over `[10, 20, 30]`, with these changes.
fn fanned(change: impl FnOnce(&mut PlanStep)) -> Driver {
    let mut each = PlanStep { for_each: Some("[10, 20, 30]".parse().unwrap()), ..step("each", &[]) };
    change(&mut each);
    Driver::new(plan(vec![each, step("after", &["each"])]))
}

fn names(attempts: Vec<(String, u32)>) -> Vec<String> {
    attempts.into_iter().map(|(unit, _)| unit).collect()
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

fn park(run: &mut Driver, unit_name: &str, reason: ParkReason) {
    let unit = unit(unit_name);
    let attempt = run.state.unit(&unit).attempt;
    run.append(Place::attempt(&unit, attempt).call(1), Event::Parked { reason });
}

#[test]
fn a_timer_fires_when_it_is_due_and_the_attempt_goes_on() {
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    run.settle();
    let until = run.now.after(Duration::from_secs(60));
    park(&mut run, "a", ParkReason::Timer { until });
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), next_due(&run.state)), (RunStatus::Parked, Some(until)));
    run.now = until;
    assert_eq!(run.settle(), [("a".into(), 1)]);
    assert_eq!(run.state.status(), RunStatus::Running);
}

/// The intent of a call in the middle of an attempt; its number.
fn intent(run: &mut Driver, unit_name: &str, class: CallClass, hold: &str) -> u64 {
    let unit = unit(unit_name);
    let attempt = run.state.unit(&unit).attempt;
    let event = Event::Intent {
        asked: Call::new("test:it", "call", json!({})),
        transcript: None,
        class,
        args: Digest::ZERO,
        key: Digest::ZERO,
        hold: hold.parse().unwrap(),
        max_tokens: None,
        good_until: None,
        consumes: None,
        performed: None,
    };
    run.append(Place::attempt(&unit, attempt).call(1), event);
    run.state.seq()
}

fn cancel(run: &mut Driver) {
    let by = "rita".parse().unwrap();
    run.append(Place::RUN, Event::CancelRequested { by, reason: Some("enough".into()) });
}

#[test]
fn a_cancelled_run_charges_what_was_under_way_and_ends() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &[]), step("c", &["a"])]));
    run.settle();
    intent(&mut run, "a", CallClass::Repeatable, "0.5");
    cancel(&mut run);
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Cancelled);
    assert_eq!(run.state.error(), Some("cancelled by `rita`: enough"));
    assert_eq!(run.state.ledger().settled().to_string(), "0.5");
    assert_eq!(run.state.ledger().held().to_string(), "0");
    assert_eq!(["a", "b", "c"].map(|name| run.status(name)), [StepStatus::Cancelled; 3]);
}

#[test]
fn a_step_past_its_commit_point_is_finished_before_a_cancelled_run_ends() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"])]));
    run.settle();
    let committing = Event::Committing {
        output: json!(1),
        databases: vec![],
        changes: BTreeMap::default(),
        inserted: BTreeMap::default(),
        fuel: 1,
        memory_peak: 1,
    };
    run.append(Place::attempt(&unit("a"), 1), committing);
    cancel(&mut run);
    assert_eq!(run.settle(), [("a".into(), 1)]);
    run.end("a", AttemptEnd::Succeeded { output: json!(1) });
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), run.status("a")), (RunStatus::Cancelled, StepStatus::Succeeded));
}

#[test]
fn nobody_knows_until_somebody_says_so() {
    for cancelled in [false, true] {
        let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"])]));
        run.settle();
        let intent = intent(&mut run, "a", CallClass::Unsafe, "0");
        if cancelled {
            cancel(&mut run);
        } else {
            park(&mut run, "a", ParkReason::Unknown { intent, call: "test:it.call".into() });
        }
        assert_eq!(run.settle(), [], "nothing goes on by itself");
        assert_eq!(run.state.status(), RunStatus::Parked);
        assert!(run.state.unit(&unit("a")).is_unknown());
        let resolution = Resolution::Done { value: json!("it was") };
        let event = Event::Resolved { intent, resolution, by: "rita".parse().unwrap() };
        run.append(Place::attempt(&unit("a"), 1).call(1), event);
        if cancelled {
            assert_eq!(run.settle(), []);
            assert_eq!(run.state.status(), RunStatus::Cancelled);
        } else {
            assert_eq!(run.settle(), [("a".into(), 1)]);
        }
    }
}

/// Has a person say that nobody will ever know what became of a call, and the attempt ended with it.
fn give_up(run: &mut Driver, unit_name: &str, intent: u64, by: &str) {
    let (resolution, by) = (Resolution::Compensate, by.parse().unwrap());
    let place = Place::attempt(&unit(unit_name), run.state.unit(&unit(unit_name)).attempt);
    run.append(place.call(1), Event::Resolved { intent, resolution, by });
    run.fail(unit_name, FailureKind::Permanent);
}

#[test]
fn what_nobody_will_know_is_compensated_alone_unless_the_workflow_rolls_back() {
    let keeps = plan(vec![step("a", &[]), step("b", &["a"])]);
    let on_failure = Plan { on_failure: OnFailure::Rollback, ..keeps.clone() };
    let on_cancel = Plan { on_cancel: OnCancel::Rollback, ..keeps.clone() };
    for (plan, is_cancelled, all) in
        [(&keeps, false, false), (&keeps, true, false), (&on_failure, false, true), (&on_cancel, true, true)]
    {
        let mut run = Driver::new(plan.clone());
        run.settle();
        run.succeed("a");
        run.settle();
        let intent = intent(&mut run, "b", CallClass::Unsafe, "0");
        if is_cancelled {
            cancel(&mut run);
            run.settle();
        } else {
            park(&mut run, "b", ParkReason::Unknown { intent, call: "test:it.call".into() });
        }
        give_up(&mut run, "b", intent, "olga");
        let next = run.until_planned();
        assert_eq!(next, [Command::PlanRollback], "{is_cancelled} {all}");
        let rollback = run.state.rolling_back().unwrap();
        let by = if all { None } else { Some("olga".parse().unwrap()) };
        let only = if all { vec![] } else { vec![unit("b")] };
        assert_eq!((&rollback.by, &rollback.only), (&by, &only), "{is_cancelled} {all}");
        let was = if is_cancelled { RunStatus::Cancelled } else { RunStatus::Failed };
        assert_eq!(rollback.was, was);
    }
}

#[test]
fn those_who_want_something_compensated_do_not_agree_to_it_themselves() {
    let rollback_approvers = vec![Approver::new("compliance")];
    let items = Some("[1, 2, 3]".parse().unwrap());
    let fans = PlanStep { for_each: items, on_item_failure: OnItemFailure::Collect, ..step("a", &[]) };
    let mut run = Driver::new(Plan { rollback_approvers, ..plan(vec![fans]) });
    run.settle();
    for (item, by) in [("a[0]", "olga"), ("a[2]", "carl")] {
        let intent = intent(&mut run, item, CallClass::Unsafe, "0");
        park(&mut run, item, ParkReason::Unknown { intent, call: "test:it.call".into() });
        give_up(&mut run, item, intent, by);
    }
    run.succeed("a[1]");
    // The others have come to something, and the run with them: what nobody knows is compensated all the same.
    assert_eq!(run.until_planned(), [Command::PlanRollback]);
    assert_eq!(run.state.rolling_back().unwrap().was, RunStatus::Succeeded);
    assert_eq!(run.state.rolling_back().unwrap().only, [unit("a[0]"), unit("a[2]")]);
    let (step, item, effects) = ("a".parse().unwrap(), Some(0), vec!["a call".into()]);
    let compensate = vec![Compensation { step, item, certain: false, effects }];
    let planned = RollbackPlan { compensate, ..RollbackPlan::default() };
    run.append(Place::RUN, Event::RollbackPlanned { plan: planned });
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Waiting);
    let asked = run.state.open().next().unwrap();
    assert_eq!(asked.authors, ["carl".parse().unwrap(), "olga".parse().unwrap()]);
    run.vote("carol", "compliance", Verdict::Approve);
    assert_eq!(run.settle(), [("__undo_0__a".into(), 1)]);
}

/// Has a rollback begin whose plan is to compensate a step.
fn compensates(run: &mut Driver, name: &str) {
    let by = Some("olga".parse().unwrap());
    run.append(Place::RUN, Event::RollbackStarted { by, to: None, only: vec![] });
    let (step, item, effects) = (name.parse().unwrap(), None, vec!["a call".into()]);
    let compensate = vec![Compensation { step, item, certain: true, effects }];
    let planned = RollbackPlan { compensate, ..RollbackPlan::default() };
    run.append(Place::RUN, Event::RollbackPlanned { plan: planned });
}

fn compensator_ends(run: &mut Driver, name: &str, end: AttemptEnd) {
    let attempt = run.state.unit(&unit(name)).attempt;
    let event = Event::AttemptEnded { end, fuel: 1, memory_peak: 1, ms: 1, retry_at: None };
    run.append(Place::attempt(&unit(name), attempt), event);
}

#[test]
fn a_compensator_that_waits_in_a_second_rollback_is_not_forgotten() {
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    run.settle();
    run.succeed("a");
    run.settle();
    compensates(&mut run, "a");
    let undo = "__undo__a";
    assert_eq!(run.settle(), [(undo.into(), 1)]);
    let failure = Failure { kind: FailureKind::Permanent, message: "no".into() };
    compensator_ends(&mut run, undo, AttemptEnd::Failed(failure));
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::RollbackFailed);

    compensates(&mut run, "a");
    assert_eq!(run.settle(), [(undo.into(), 2)]);
    let until = run.now.after(Duration::from_secs(60));
    park(&mut run, undo, ParkReason::Timer { until });
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), next_due(&run.state)), (RunStatus::Parked, Some(until)));
    run.now = until;
    assert_eq!(run.settle(), [(undo.into(), 2)]);
    let intent = intent(&mut run, undo, CallClass::Unsafe, "0");
    park(&mut run, undo, ParkReason::Unknown { intent, call: "test:it.call".into() });
    assert_eq!((run.state.status(), run.state.active().count()), (RunStatus::Parked, 1));
    let resolution = Resolution::Done { value: json!("it was") };
    let event = Event::Resolved { intent, resolution, by: "rita".parse().unwrap() };
    run.append(Place::attempt(&unit(undo), 2).call(1), event);
    assert_eq!(run.settle(), [(undo.into(), 2)]);
    compensator_ends(&mut run, undo, AttemptEnd::Succeeded { output: json!(null) });
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::RolledBack);
}

/// Somebody asks for more money; the question.
fn asks_for_money(run: &mut Driver) -> ApprovalId {
    let id = ApprovalId::derive(&Digest::of(b"more"), run.state.seq());
    let event = Event::ApprovalOpened {
        id,
        at: GateAt::TopUp,
        call: None,
        subject: Digest::of(b"more"),
        shows: json!({}),
        rule: ApprovalRule::new(vec![Approver::new("money")], Quorum::EachListed),
        expires_at: None,
        asks: Vec::new(),
        follows: None,
        authors: vec!["rita".parse().unwrap()],
        amount: Some("5".parse().unwrap()),
    };
    run.append(Place::RUN, event);
    id
}

fn decides(run: &mut Driver, id: ApprovalId, outcome: Outcome) {
    let place = run.state.approval(&id).unwrap().home();
    if outcome == Outcome::Approved {
        let (by, groups) = ("dave".parse().unwrap(), vec![]);
        let (verdict, comment, late) = (Verdict::Approve, None, false);
        run.append(place.clone(), Event::Voted { approval: id, by, groups, verdict, comment, late });
    }
    run.append(place, Event::ApprovalClosed { approval: id, outcome });
}

fn wants_money(run: &mut Driver, name: &str) {
    let usd = |text: &str| text.parse().unwrap();
    let (needed_usd, left_usd) = (usd("0.2"), usd("0.1"));
    park(run, name, ParkReason::Budget { needed_usd, left_usd, account: None, compute: false });
}

#[test]
fn money_that_is_granted_reaches_a_compensator() {
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    run.settle();
    run.succeed("a");
    run.settle();
    compensates(&mut run, "a");
    run.settle();
    wants_money(&mut run, "__undo__a");
    assert_eq!((run.settle(), run.state.status()), (vec![], RunStatus::Parked));
    let (first, second) = (asks_for_money(&mut run), asks_for_money(&mut run));
    assert_eq!((run.settle(), run.state.status()), (vec![], RunStatus::Waiting));
    decides(&mut run, first, Outcome::Approved);
    assert_eq!(run.state.status(), RunStatus::RollingBack);
    assert_eq!(run.settle(), [("__undo__a".into(), 1)]);
    compensator_ends(&mut run, "__undo__a", AttemptEnd::Succeeded { output: json!(null) });
    run.settle();
    assert_eq!((run.state.status(), run.state.open().count()), (RunStatus::RolledBack, 0));
    assert_ne!(run.state.approval(&second).unwrap().state, ApprovalState::Open);
}

#[test]
fn what_is_decided_and_not_acted_upon_can_move() {
    let gate = |approver: &str| ApprovalRule::new(vec![Approver::new(approver)], Quorum::EachListed);
    let gated = |name: &str| PlanStep { approval: Some(gate("fraud")), ..step(name, &[]) };
    let moves = |run: &Driver| {
        let commands = decide(&run.run, &run.plan, &run.state, run.now);
        assert!(!commands.is_empty(), "there is nothing to do");
        assert_eq!(run.state.status(), RunStatus::Running);
    };
    let until = Timestamp::from_micros(1_000_000_000);
    // A step may start while another waits for people, or for a timer.
    for outcome in [Outcome::Approved, Outcome::Rejected] {
        let mut run = Driver::new(plan(vec![gated("a"), gated("b")]));
        run.settle();
        assert_eq!((run.state.status(), run.state.open().count()), (RunStatus::Waiting, 2));
        let first = run.state.open().next().unwrap().id;
        decides(&mut run, first, outcome);
        moves(&run);
        let mut run = Driver::new(plan(vec![gated("a"), step("b", &[])]));
        run.settle();
        park(&mut run, "b", ParkReason::Timer { until });
        assert_eq!(run.state.status(), RunStatus::Waiting);
        let first = run.state.open().next().unwrap().id;
        decides(&mut run, first, outcome);
        moves(&run);
    }
    // Money is there, or is not asked for any more.
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    run.settle();
    wants_money(&mut run, "a");
    for (outcome, status) in [(Outcome::Rejected, RunStatus::Parked), (Outcome::Approved, RunStatus::Running)]
    {
        let asked = asks_for_money(&mut run);
        assert_eq!(run.state.status(), RunStatus::Waiting);
        decides(&mut run, asked, outcome);
        assert_eq!(run.state.status(), status);
    }
    moves(&run);
    // Somebody has cancelled it; what nobody knows has to be said first.
    let mut run = Driver::new(plan(vec![gated("a"), step("b", &[])]));
    run.settle();
    let intent = intent(&mut run, "b", CallClass::Unsafe, "0");
    park(&mut run, "b", ParkReason::Unknown { intent, call: "test:it.call".into() });
    assert_eq!(run.state.status(), RunStatus::Waiting);
    cancel(&mut run);
    moves(&run);
    assert_eq!((run.settle(), run.state.status()), (vec![], RunStatus::Parked));
    give_up(&mut run, "b", intent, "olga");
    moves(&run);
    // So it is where a step has failed.
    let mut run = Driver::new(plan(vec![gated("a"), step("b", &[])]));
    run.settle();
    run.fail("b", FailureKind::Permanent);
    moves(&run);
}

#[test]
fn what_follows_in_the_plan_can_move_while_another_step_waits() {
    let rule = ApprovalRule::new(vec![Approver::new("fraud")], Quorum::EachListed);
    let gated = PlanStep { approval: Some(rule), ..step("c", &[]) };
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"]), gated]));
    run.settle();
    let stands = |run: &Driver| standing(&run.run, &run.plan, &run.state, run.now);
    assert_eq!(stands(&run), RunStatus::Running);
    // The process is stopped as soon as it has written down how the attempt ended.
    run.succeed("a");
    assert_eq!((run.state.status(), stands(&run)), (RunStatus::Waiting, RunStatus::Running));
    run.settle();
    run.succeed("b");
    assert_eq!((run.settle(), stands(&run)), (vec![], RunStatus::Waiting));
}

#[test]
fn infrastructure_is_not_taken_back_before_people_agree_to_it() {
    let rollback_approvers = vec![Approver::new("compliance")];
    let mut run = Driver::new(Plan { rollback_approvers, ..plan(vec![step("a", &[])]) });
    run.settle();
    run.succeed("a");
    run.settle();
    let by = Some("olga".parse().unwrap());
    run.append(Place::RUN, Event::RollbackStarted { by, to: None, only: vec![] });
    let (step, terraform) = ("a".parse().unwrap(), "prod".parse().unwrap());
    let reapply =
        Reapply { step, item: None, terraform, snapshot: 2, serial: None, certain: true, run: None };
    let planned = RollbackPlan { reapply: vec![reapply], ..RollbackPlan::default() };
    run.append(Place::RUN, Event::RollbackPlanned { plan: planned });
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Waiting);
    run.vote("carol", "compliance", Verdict::Approve);
    assert_eq!(run.until_planned(), [Command::Reapply { terraform: "prod".parse().unwrap() }]);
}

#[test]
fn a_question_in_the_middle_of_a_step_waits_and_the_attempt_goes_on() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &[])]));
    run.settle();
    let subject = Digest::of(b"what is asked");
    let opened = Event::ApprovalOpened {
        id: ApprovalId::derive(&subject, 1),
        at: GateAt::Call,
        call: Some(GatedCall::new(Call::new("test:it", "ask", json!({})), subject, subject)),
        subject,
        shows: json!({}),
        rule: ApprovalRule::new(vec![Approver::new("fraud")], Quorum::EachListed),
        expires_at: None,
        asks: Vec::new(),
        follows: None,
        authors: Vec::new(),
        amount: None,
    };
    run.append(Place::attempt(&unit("a"), 1).call(1), opened);
    assert_eq!(run.settle(), [("b".into(), 1)]);
    assert_eq!((run.state.status(), run.status("a")), (RunStatus::Running, StepStatus::Waiting));
    run.succeed("b");
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Waiting);
    run.vote("alice", "fraud", Verdict::Reject);
    assert_eq!(run.settle(), [("a".into(), 1)], "the guest is told, whatever was decided");
}

/// An approval that policies ask for, before call `n` of attempt 1 of `a`; the call may be the claim of a fact.
fn asked(interface: &str, n: u32, ask: Digest) -> (ApprovalId, Digest, Event) {
    let key = Digest::of(&n.to_be_bytes());
    let id = ApprovalId::derive(&key, u64::from(n));
    let asked = Call::new(interface, "call", json!({}));
    let opened = Event::ApprovalOpened {
        id,
        at: GateAt::Call,
        call: Some(GatedCall::new(asked, key, key)),
        subject: key,
        shows: json!({}),
        rule: ApprovalRule::new(vec![Approver::new("fraud")], Quorum::EachListed),
        expires_at: None,
        asks: vec![ask],
        follows: None,
        authors: Vec::new(),
        amount: None,
    };
    (id, key, opened)
}

fn consuming(key: Digest, consumes: ApprovalId) -> Event {
    Event::Intent {
        asked: Call::new("wflo:db/sql", "call", json!({})),
        transcript: None,
        class: CallClass::Transactional,
        args: key,
        key,
        hold: "0".parse().unwrap(),
        max_tokens: None,
        good_until: None,
        consumes: Some(consumes),
        performed: None,
    }
}

#[test]
fn an_approval_that_policies_ask_for_permits_one_effect_and_claims_of_the_same_values() {
    let (ask, other) = (Digest::of(b"150"), Digest::of(b"other"));
    for interface in ["wflo:db/sql", "wflo:approval/policy"] {
        let mut run = Driver::new(plan(vec![step("a", &[])]));
        run.settle();
        let (id, key, opened) = asked(interface, 1, ask);
        let at = |n| Place::attempt(&unit("a"), 1).call(n);
        run.append(at(1), opened);
        let permits = |run: &Driver, what| run.state.approval(&id).unwrap().permits(&[ask], what, run.now);
        assert!(!permits(&run, Permitted::Claim), "nobody has decided");
        run.vote("alice", "fraud", Verdict::Approve);
        assert_eq!(run.settle(), [("a".into(), 1)], "the attempt goes on");

        let is_claim = interface == "wflo:approval/policy";
        assert!(permits(&run, Permitted::Claim) && permits(&run, Permitted::Effect { key: &key }));
        assert_eq!(permits(&run, Permitted::Effect { key: &other }), is_claim, "a claim permits a call");
        assert_eq!(permits(&run, Permitted::Read { args: &other }), is_claim);
        assert!(!run.state.approval(&id).unwrap().permits(&[ask, other], Permitted::Claim, run.now));
        run.append(at(2), consuming(key, id));
        assert!(permits(&run, Permitted::Claim) && permits(&run, Permitted::Effect { key: &key }));
        assert!(!permits(&run, Permitted::Effect { key: &other }), "one effect");
        // The same effect again, as after a crash, is no other one; another one is no history.
        run.append(at(2), consuming(key, id));
        let recorded =
            Recorded { seq: run.state.seq() + 1, time: run.now, place: at(3), event: consuming(other, id) };
        assert!(run.state.clone().apply(&recorded).is_err());
        run.now = run.now.after(ApprovalRule::VALID);
        assert!(!permits(&run, Permitted::Claim), "it lapses");
    }
}

#[test]
fn what_was_rejected_is_rejected_wherever_it_is_asked_again() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"])]));
    run.settle();
    let ask = Digest::of(b"150");
    let (id, _, opened) = asked("wflo:db/sql", 1, ask);
    run.append(Place::attempt(&unit("a"), 1).call(1), opened);
    run.vote("alice", "fraud", Verdict::Reject);
    let approval = run.state.approval(&id).unwrap();
    assert!(approval.refuses(&[Digest::of(b"other"), ask]) && !approval.refuses(&[Digest::of(b"other")]));
    assert_eq!(approval.refusal(), "rejected by `alice`");
    // People leave the step out in the middle of its attempt: it is not tried again, and what follows goes on.
    run.end("a", AttemptEnd::Skipped { reason: approval.refusal() });
    assert_eq!(run.settle(), [("b".into(), 1)]);
    assert_eq!(run.status("a"), StepStatus::Skipped);
}

#[test]
fn a_policy_that_fired_has_one_form_in_the_journal() {
    let firing = Firing {
        policy: "large_refund".parse().unwrap(),
        digest: Digest::of(b"what it says"),
        on: PolicyEvent::HostCall,
        because: Because::Missing { names: vec!["refund_amount".into()] },
        values: [("refund_amount".to_owned(), json!(null))].into(),
        context: BTreeMap::new(),
        tells: Vec::new(),
    };
    let event = Event::PolicyFired(Box::new(firing));
    assert_eq!(event.kind() as u16, 30);
    let bytes = event.encode();
    assert_eq!(Event::decode(&bytes).unwrap(), event);
    let digest = Digest::of(b"what it says");
    let expect = format!(
        r#"{{"event":"policy_fired","policy":"large_refund","digest":"{digest}","on":"host_call","because":"missing","names":["refund_amount"],"values":{{"refund_amount":null}}}}"#
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expect, "it stays so for ever");
}

#[test]
fn a_policy_at_the_start_refuses_the_run_before_any_step_and_speaks_once() {
    let on_start = |when: &str, action: PolicyAction| Policy {
        name: "night".parse().unwrap(),
        when: when.parse().unwrap(),
        on: [PolicyEvent::RunStart].into(),
        actions: vec![action],
    };
    let with = |policy: Policy| Driver::new(Plan { policies: vec![policy], ..plan(vec![step("a", &[])]) });
    let mut run = with(on_start("run.requester == 'rita'", PolicyAction::Deny));
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert_eq!(run.state.error(), Some("the run was refused by policy `night`"));
    assert_eq!((run.state.seq(), run.status("a")), (3, StepStatus::Pending), "it fired, and ended");
    // A policy that cannot tell protects all the same.
    let mut run = with(on_start("inputs.hour < 6", PolicyAction::Deny));
    assert_eq!((run.settle(), run.state.status()), (vec![], RunStatus::Failed));

    let mut run = with(on_start("run.requester == 'rita'", PolicyAction::Notify("slack://ops".into())));
    assert_eq!(run.settle(), [("a".into(), 1)]);
    assert_eq!(run.state.seq(), 3, "created, fired, begun");
    run.succeed("a");
    run.settle();
    assert_eq!((run.state.seq(), run.state.status()), (5, RunStatus::Succeeded), "it speaks once");
    let mut run = with(on_start("run.requester == 'mallory'", PolicyAction::Deny));
    assert_eq!((run.settle(), run.state.seq()), (vec![("a".into(), 1)], 2));
}

/// Earlier versions left the approvals of a run open when it was forked, and forked one that was being rolled back:
/// nothing moves it any more all the same.
#[test]
fn a_run_that_was_forked_is_superseded_whatever_was_open() {
    let rule = ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed);
    let gated = PlanStep { approval: Some(rule), ..step("a", &[]) };
    let mut driver = Driver::new(plan(vec![gated]));
    driver.settle();
    let child = RunId::new(Timestamp::from_micros(2), [1; 10]);
    let mut rolled_back = Driver::new(plan(vec![step("a", &[])]));
    rolled_back.settle();
    rolled_back.succeed("a");
    rolled_back.settle();
    rolled_back.append(Place::RUN, Event::RollbackStarted { by: None, to: None, only: Vec::new() });
    for driver in [&mut driver, &mut rolled_back] {
        driver.append(Place::RUN, Event::Superseded { by: child });
        assert_eq!((driver.state.status(), driver.state.open().count()), (RunStatus::Superseded, 0));
        assert_eq!((driver.settle(), next_due(&driver.state)), (Vec::new(), None));
    }
    driver.vote("alice", "red", Verdict::Approve);
    assert_eq!(driver.state.approvals().last().unwrap().votes.len(), 0, "it is late");
    rolled_back.append(Place::RUN, Event::RollbackEnded { status: RunStatus::RolledBack });
    assert_eq!(rolled_back.state.status(), RunStatus::Superseded);
}
