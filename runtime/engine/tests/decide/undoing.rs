//! Rollbacks: compensators, the money and the people they need.

use std::time::Duration;

use serde_json::json;
use wflo_engine::{
    ApprovalState, AttemptEnd, CallClass, Command, Compensation, Event, Outcome, ParkReason, Place, Reapply,
    Resolution, RollbackPlan, RunStatus, Verdict, next_due,
};
use wflo_manifest::{Approver, OnCancel, OnFailure, OnItemFailure, Plan, PlanStep};
use wflo_model::{Failure, FailureKind};

use crate::driver::{
    Driver, asks_for_money, cancel, decides, give_up, intent, park, plan, step, unit, wants_money,
};

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
