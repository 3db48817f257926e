//! What a rollback plans, and what it does next.

use std::collections::BTreeMap;

use serde_json::json;
use wflo_engine::{
    AttemptEnd, CallClass, Event, ParkReason, Place, Reapplied, Recorded, Resolution, Returned, RollbackPlan,
    StepUndone, UnitId, plan_rollback,
};
use wflo_model::{
    Call, CallError, CallResult, ChangeSet, Conflict, ConflictReason, Digest, Failure, FailureKind, Label,
    RowChange, SqlValue, StepName, TableChange, Timestamp,
};

/// A journal as it is written, event by event.
#[derive(Default)]
struct Journal(Vec<Recorded>);

impl Journal {
    fn add(&mut self, place: Place, event: Event) -> u64 {
        let seq = self.0.len() as u64 + 1;
        self.0.push(Recorded { seq, time: Timestamp::from_micros(seq), place, event });
        seq
    }

    fn begins(&mut self, unit: &UnitId) {
        let event = Event::AttemptStarted { component: None, consumes: None };
        self.add(Place::attempt(unit, 1), event);
    }

    fn ends(&mut self, unit: &UnitId, end: AttemptEnd) {
        let event = Event::AttemptEnded { end, fuel: 0, memory_peak: 0, ms: 0, retry_at: None };
        self.add(Place::attempt(unit, 1), event);
    }

    fn succeeds(&mut self, unit: &UnitId) {
        self.ends(unit, AttemptEnd::Succeeded { output: json!(null) });
    }

    fn calls(&mut self, unit: &UnitId, class: CallClass, key: u8) -> u64 {
        let args = json!({ "method": "POST", "url": "https://a.example/pay?token=secret" });
        let event = Event::Intent {
            asked: Call::new("wasi:http/outgoing-handler", "handle", args),
            transcript: None,
            class,
            args: Digest::ZERO,
            key: Digest::from_bytes([key; 32]),
            hold: wflo_model::PicoUsd::ZERO,
            max_tokens: None,
            good_until: None,
            consumes: None,
            performed: None,
        };
        self.add(Place::attempt(unit, 1), event)
    }

    fn returns(&mut self, unit: &UnitId, intent: u64) {
        let returned = Returned {
            intent: Some(intent),
            call: None,
            args: Digest::ZERO,
            result: Ok(json!({ "status": 200 })),
            spend: None,
            tentative: false,
            reused: None,
            consumes: None,
            performed: None,
            reported: None,
            queued: None,
            filters: Vec::new(),
            artifact: None,
            beside: false,
        };
        self.add(Place::attempt(unit, 1), Event::Returned(returned));
    }

    fn commits(&mut self, unit: &UnitId, databases: &[&str], kept: &[&str]) -> u64 {
        let row = RowChange::Insert { key: vec![SqlValue::Integer(1)], after: vec![SqlValue::Integer(1)] };
        let table = TableChange {
            table: "t".into(),
            key_columns: vec!["id".into()],
            columns: vec!["id".into()],
            rows: vec![row],
        };
        let changes = ChangeSet { tables: vec![table] };
        let event = Event::Committing {
            output: json!(null),
            databases: databases.iter().map(|name| label(name)).collect(),
            changes: kept.iter().map(|name| (label(name), changes.clone())).collect(),
            inserted: std::collections::BTreeMap::new(),
            fuel: 0,
            memory_peak: 0,
        };
        self.add(Place::attempt(unit, 1), event)
    }

    /// What was there before plan `plan` is written down, and the plan is applied.
    fn applies(&mut self, unit: &UnitId, plan: &str, came_to: Option<CallResult>) -> u64 {
        let args = json!({ "terraform": "prod", "plan": plan });
        let call = |function: &str| Call::new("wflo:infra/terraform", function, args.clone());
        let returned = |intent, call, result| {
            Event::Returned(Returned {
                intent,
                call,
                args: Digest::ZERO,
                result,
                spend: None,
                tentative: false,
                reused: None,
                consumes: None,
                performed: None,
                reported: None,
                queued: None,
                artifact: None,
                beside: false,
                filters: Vec::new(),
            })
        };
        let place = Place::attempt(unit, 1);
        let snapshot = self.add(place.clone(), returned(None, Some(call("prepare")), Ok(json!({}))));
        let event = Event::Intent {
            asked: call("apply"),
            transcript: None,
            class: CallClass::Verifiable,
            args: Digest::ZERO,
            key: Digest::of(plan.as_bytes()),
            hold: wflo_model::PicoUsd::ZERO,
            max_tokens: None,
            good_until: None,
            consumes: None,
            performed: None,
        };
        let intent = self.add(place.clone(), event);
        if let Some(result) = came_to {
            self.add(place, returned(Some(intent), None, result));
        }
        snapshot
    }

    fn plan(&self, to: Option<&str>) -> RollbackPlan {
        let to: Option<StepName> = to.map(|name| name.parse().unwrap());
        plan_rollback(&self.0, to.as_ref(), |step| step.as_str() == "able")
    }
}

fn label(name: &str) -> Label {
    name.parse().unwrap()
}

fn unit(name: &str) -> UnitId {
    UnitId::step(&name.parse().unwrap())
}

#[test]
fn a_mail_that_has_left_is_undone_by_a_compensator_or_stays() {
    let queued = |journal: &mut Journal, unit: &UnitId, to: &str| {
        let returned = Returned {
            intent: None,
            call: Some(Call::new("wflo:notify/mail", "send", json!({ "to": [to], "text": "secret" }))),
            args: Digest::ZERO,
            result: Ok(json!({ "id": "1@wflo" })),
            spend: None,
            tentative: false,
            reused: None,
            consumes: None,
            performed: None,
            reported: None,
            artifact: None,
            beside: false,
            queued: Some(wflo_engine::MAIL.to_owned()),
            filters: Vec::new(),
        };
        journal.add(Place::attempt(unit, 1), Event::Returned(returned));
    };
    let mut journal = Journal::default();
    let (able, a, b) = (unit("able"), unit("a"), unit("b"));
    for of in [&able, &a, &b] {
        journal.begins(of);
        queued(&mut journal, of, "ann@example.org");
    }
    journal.succeeds(&able);
    journal.succeeds(&a);
    journal.ends(&b, AttemptEnd::Interrupted { message: "redone otherwise".into() });
    let plan = journal.plan(None);
    let left: Vec<_> = plan.left.iter().map(|it| (it.step.as_str(), it.what.as_str(), it.certain)).collect();
    assert_eq!(
        left,
        [("a", "mail to ann@example.org", true)],
        "of an attempt that did not succeed nothing has left"
    );
    assert_eq!(plan.compensate[0].effects, ["mail to ann@example.org"]);
}

#[test]
fn what_was_applied_is_taken_back_and_what_was_put_back_is_not() {
    let failed = |message: &str| Some(Err(CallError::Upstream { message: message.into() }));
    let unrestored = Some(Err(CallError::Other { message: "neither".into() }));
    for (came_to, expect) in [
        (Some(Ok(json!({ "serial": 7 }))), Some((Some(7), true))),
        (failed("it was put back"), None),
        (Some(Err(CallError::Constraint { message: "stale".into() })), None),
        (unrestored, Some((None, false))),
        (None, Some((None, false))),
    ] {
        let mut journal = Journal::default();
        // Whoever can compensate is not asked to: the host takes it back itself.
        let able = unit("able");
        journal.begins(&able);
        let snapshot = journal.applies(&able, "sha256:1", came_to.clone());
        let plan = journal.plan(None);
        let found: Vec<_> = plan.reapply.iter().map(|it| (it.snapshot, it.serial, it.certain)).collect();
        let expect: Vec<_> =
            expect.map(|(serial, certain)| (snapshot, serial, certain)).into_iter().collect();
        assert_eq!(found, expect, "{came_to:?}");
        assert!(plan.left.is_empty() && plan.compensate.is_empty(), "{plan:?}");
    }
}

#[test]
fn plans_are_taken_back_newest_first_and_once() {
    let mut journal = Journal::default();
    let (a, b) = (unit("a"), unit("b"));
    journal.begins(&a);
    let first = journal.applies(&a, "sha256:1", Some(Ok(json!({ "serial": 2 }))));
    journal.succeeds(&a);
    journal.begins(&b);
    let second = journal.applies(&b, "sha256:2", Some(Ok(json!({ "serial": 3 }))));
    journal.succeeds(&b);
    let snapshots = |plan: &RollbackPlan| plan.reapply.iter().map(|it| it.snapshot).collect::<Vec<_>>();
    assert_eq!(snapshots(&journal.plan(None)), [second, first]);
    assert_eq!(snapshots(&journal.plan(Some("a"))), [second]);
    let came_to = Reapplied::Left { why: "somebody else".into() };
    let left = Event::Reapplied { terraform: label("prod"), units: vec![b.clone()], came_to };
    journal.add(Place::RUN, left);
    assert_eq!(
        snapshots(&journal.plan(None)),
        [second, first],
        "what was left may be taken back another time"
    );
    journal.add(
        Place::RUN,
        Event::Reapplied {
            terraform: label("prod"),
            units: vec![b],
            came_to: Reapplied::Done { serial: Some(4) },
        },
    );
    let plan = journal.plan(None);
    assert_eq!(snapshots(&plan), [first]);
    assert_eq!(plan.reapply[0].serial, Some(4), "where the rollback has left it");
}

#[test]
fn writes_are_undone_newest_first_and_only_those_that_committed() {
    let mut journal = Journal::default();
    let (a, b, c) = (unit("a"), unit("b").with_item(2), unit("c"));
    for of in [&a, &b, &c] {
        journal.begins(of);
    }
    let in_a = journal.commits(&a, &["bank"], &["bank"]);
    journal.succeeds(&a);
    let in_b = journal.commits(&b, &["bank", "shop"], &["bank", "shop"]);
    journal.succeeds(&b);
    journal.commits(&c, &["bank"], &["bank"]);
    journal.ends(&c, AttemptEnd::Interrupted { message: "redone otherwise".into() });
    let plan = journal.plan(None);
    let undo: Vec<_> = plan.undo.iter().map(|undo| (undo.unit(), undo.event)).collect();
    assert_eq!(undo, [(b, in_b), (a, in_a)]);
    assert_eq!(plan.undo[0].databases, BTreeMap::from([(label("bank"), 1), (label("shop"), 1)]));
    assert_eq!(plan.databases().len(), 2);
    assert!(plan.compensate.is_empty() && plan.left.is_empty());
    // What began before the step ended stays with it.
    assert!(journal.plan(Some("a")).is_empty());
}

#[test]
fn of_steps_side_by_side_the_last_to_commit_is_undone_first() {
    let mut journal = Journal::default();
    let (a, b) = (unit("a"), unit("b"));
    journal.begins(&a);
    journal.begins(&b);
    let first = journal.commits(&a, &["bank"], &["bank"]);
    let in_b = journal.commits(&b, &["bank"], &["bank"]);
    journal.succeeds(&b);
    // A crash came between the journal and the database: it is redone, and changes other rows now.
    let in_a = journal.commits(&a, &["bank"], &["bank"]);
    journal.succeeds(&a);
    let events: Vec<_> = journal.plan(None).undo.iter().map(|undo| undo.event).collect();
    assert_eq!(events, [in_a, in_b], "not {first}");
}

#[test]
fn effects_are_compensated_or_told_and_their_arguments_are_not() {
    let mut journal = Journal::default();
    let (able, unable) = (unit("able"), unit("unable"));
    journal.begins(&able);
    let first = journal.calls(&able, CallClass::Unsafe, 1);
    journal.returns(&able, first);
    journal.succeeds(&able);
    journal.begins(&unable);
    let model = journal.calls(&unable, CallClass::Repeatable, 2);
    journal.returns(&unable, model);
    journal.calls(&unable, CallClass::Keyed, 3);
    let again = journal.calls(&unable, CallClass::Keyed, 3);
    let cut_off = journal.plan(None);
    assert_eq!(cut_off.left.len(), 1, "one key is one effect: {cut_off:?}");
    assert!(!cut_off.left[0].certain);
    journal.returns(&unable, again);
    journal.succeeds(&unable);
    let plan = journal.plan(None);
    assert_eq!((&plan.left[0].what[..], plan.left[0].certain), ("`POST https://a.example/pay`", true));
    assert_eq!((plan.compensate[0].unit(), plan.compensate[0].certain), (able, true));
    assert_eq!(journal.plan(Some("able")).compensate, []);
}

#[test]
fn what_a_person_says_of_a_call_counts() {
    for (resolution, left) in [
        (Resolution::Done { value: json!(null) }, vec![true]),
        (Resolution::NotDone, vec![]),
        (Resolution::Compensate, vec![false]),
    ] {
        let mut journal = Journal::default();
        let of = unit("unable");
        journal.begins(&of);
        let intent = journal.calls(&of, CallClass::Unsafe, 1);
        let by = "olga".parse().unwrap();
        journal.add(Place::attempt(&of, 1), Event::Resolved { intent, resolution: resolution.clone(), by });
        let certain: Vec<_> = journal.plan(None).left.iter().map(|left| left.certain).collect();
        assert_eq!(certain, left, "{resolution:?}");
    }
}

#[test]
fn what_a_commit_that_was_given_up_may_have_written_is_not_forgotten() {
    let mut journal = Journal::default();
    let a = unit("a");
    journal.begins(&a);
    let committing = journal.commits(&a, &["bank", "log", "shop"], &["bank", "shop"]);
    let reason = ParkReason::Unknown { intent: committing, call: "the commit of `shop`".into() };
    journal.add(Place::attempt(&a, 1), Event::Parked { reason });
    let (intent, resolution, by) = (committing, Resolution::Compensate, "olga".parse().unwrap());
    journal.add(Place::attempt(&a, 1), Event::Resolved { intent, resolution, by });
    let failure = Failure { kind: FailureKind::Permanent, message: "given up".into() };
    journal.ends(&a, AttemptEnd::Failed(failure));
    let plan = journal.plan(None);
    let [undo] = &plan.undo[..] else { panic!("{plan:?}") };
    assert_eq!((undo.event, undo.certain), (committing, false));
    assert_eq!(undo.databases, BTreeMap::from([(label("bank"), 1), (label("shop"), 1)]));
    let [left] = &plan.left[..] else { panic!("{plan:?}") };
    assert!(left.what.contains("`log`") && !left.certain, "{left:?}");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["undo"][0]["certain"], false);
    assert_eq!(serde_json::from_value::<RollbackPlan>(json).unwrap(), plan);
}

#[test]
fn what_others_did_is_left_out_where_only_some_are_undone() {
    let mut journal = Journal::default();
    let (able, unable, a) = (unit("able"), unit("unable"), unit("a"));
    for of in [&able, &unable] {
        journal.begins(of);
        let intent = journal.calls(of, CallClass::Unsafe, 1);
        journal.returns(of, intent);
        journal.succeeds(of);
    }
    journal.begins(&a);
    journal.commits(&a, &["bank"], &["bank"]);
    journal.succeeds(&a);
    let all = journal.plan(None);
    assert_eq!((all.compensate.len(), all.left.len(), all.undo.len()), (1, 1, 1));
    let plan = all.clone().only(std::slice::from_ref(&able));
    assert_eq!((plan.compensate[0].unit(), plan.left.len(), plan.undo.len()), (able, 0, 0));
    assert_eq!(all.only(&[a]).undo.len(), 1);
}

#[test]
fn what_is_undone_is_not_undone_again_but_what_was_left_is_tried() {
    let mut journal = Journal::default();
    let (a, able) = (unit("a"), unit("able"));
    journal.begins(&a);
    journal.commits(&a, &["bank", "shop"], &["bank", "shop"]);
    journal.succeeds(&a);
    journal.begins(&able);
    let intent = journal.calls(&able, CallClass::Unsafe, 1);
    journal.returns(&able, intent);
    journal.succeeds(&able);
    let compensator = able.compensator().unwrap();
    journal.begins(&compensator);
    journal.succeeds(&compensator);
    let conflict = Conflict {
        table: "t".into(),
        key_columns: vec!["id".into()],
        key: vec![SqlValue::Integer(1)],
        columns: vec!["id".into()],
        expected: None,
        found: None,
        wanted: None,
        reason: ConflictReason::Changed,
    };
    for (name, conflicts) in [("bank", vec![]), ("shop", vec![conflict])] {
        let steps =
            vec![StepUndone { step: a.step.clone(), item: None, rows: 1, conflicts, more_conflicts: 0 }];
        journal.add(Place::RUN, Event::Undoing { database: label(name), steps });
        journal.add(Place::RUN, Event::Undone { database: label(name), error: None });
    }
    let plan = journal.plan(None);
    assert!(plan.compensate.is_empty() && plan.left.is_empty());
    assert_eq!(plan.undo[0].databases, BTreeMap::from([(label("shop"), 1)]));
}
