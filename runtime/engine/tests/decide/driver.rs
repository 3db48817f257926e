//! A run driven by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wflo_engine::{
    AttemptEnd, CallClass, Command, Event, GateAt, Outcome, ParkReason, Place, Recorded, Resolution,
    RunState, StepStatus, UnitId, Verdict, Voter, cast, decide, retry_at,
};
use wflo_manifest::{
    ApprovalRule, Approver, OnCancel, OnExceeded, OnFailure, Plan, PlanStep, Quorum, UnknownPrice,
};
use wflo_model::{ApprovalId, Call, Digest, Failure, FailureKind, RunId, Timestamp};

/// A run driven by hand: events are applied as they are decided, attempts end as the test says.
pub(crate) struct Driver {
    pub(crate) run: RunId,
    pub(crate) plan: Plan,
    pub(crate) state: RunState,
    pub(crate) now: Timestamp,
}

impl Driver {
    pub(crate) fn new(plan: Plan) -> Self {
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

    pub(crate) fn append(&mut self, place: Place, event: Event) {
        let recorded = Recorded { seq: self.state.seq() + 1, time: self.now, place, event };
        self.state.apply(&recorded).unwrap();
    }

    /// Performs what is decided until only attempts are left, and says which.
    pub(crate) fn settle(&mut self) -> Vec<(String, u32)> {
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
    pub(crate) fn until_planned(&mut self) -> Vec<Command> {
        loop {
            let commands = decide(&self.run, &self.plan, &self.state, self.now);
            let [Command::Append(events)] = &commands[..] else { return commands };
            events.clone().into_iter().for_each(|(place, event)| self.append(place, event));
        }
    }

    pub(crate) fn end(&mut self, step: &str, end: AttemptEnd) {
        let unit = unit(step);
        let at = self.state.unit(&unit);
        let (attempt, retry) = (at.attempt, self.plan.step(&unit.step).unwrap().retry);
        let retry_at = retry_at(&retry, at, &end, 512, self.now);
        let event = Event::AttemptEnded { end, fuel: 1, memory_peak: 1, ms: 1, retry_at };
        self.append(Place::attempt(&unit, attempt), event);
    }

    pub(crate) fn succeed(&mut self, step: &str) {
        self.end(step, AttemptEnd::Succeeded { output: json!({ "from": step }) });
    }

    pub(crate) fn fail(&mut self, step: &str, kind: FailureKind) {
        self.end(step, AttemptEnd::Failed(Failure { kind, message: "no".into() }));
    }

    pub(crate) fn vote(&mut self, name: &str, group: &str, verdict: Verdict) {
        let voter = Voter { name: name.parse().unwrap(), groups: [group.parse().unwrap()].into() };
        let approval = self.state.approvals().last().unwrap().clone();
        let events = cast(&approval, &"rita".parse().unwrap(), &voter, verdict, None, self.now).unwrap();
        events.into_iter().for_each(|(place, event)| self.append(place, event));
    }

    pub(crate) fn status(&self, step: &str) -> StepStatus {
        self.state.step(&step.parse().unwrap()).status()
    }
}

/// `name`, or `name[item]`.
pub(crate) fn unit(text: &str) -> UnitId {
    match text.trim_end_matches(']').split_once('[') {
        Some((name, item)) => UnitId::step(&name.parse().unwrap()).with_item(item.parse().unwrap()),
        None => UnitId::step(&text.parse().unwrap()),
    }
}

pub(crate) fn step(name: &str, depends_on: &[&str]) -> PlanStep {
    PlanStep {
        depends_on: depends_on.iter().map(|name| name.parse().unwrap()).collect(),
        ..PlanStep::new(name.parse().unwrap(), Digest::of(b"component"))
    }
}

pub(crate) fn plan(steps: Vec<PlanStep>) -> Plan {
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

pub(crate) fn gated() -> Plan {
    let approvers = vec![Approver::new("fraud"), Approver::new("compliance")];
    let rule = ApprovalRule {
        timeout: Some(Duration::from_secs(3600)),
        ..ApprovalRule::new(approvers, Quorum::EachListed)
    };
    plan(vec![step("look", &[]), PlanStep { approval: Some(rule), ..step("act", &["look"]) }])
}

pub(crate) fn names(attempts: Vec<(String, u32)>) -> Vec<String> {
    attempts.into_iter().map(|(unit, _)| unit).collect()
}

pub(crate) fn park(run: &mut Driver, unit_name: &str, reason: ParkReason) {
    let unit = unit(unit_name);
    let attempt = run.state.unit(&unit).attempt;
    run.append(Place::attempt(&unit, attempt).call(1), Event::Parked { reason });
}

/// The intent of a call in the middle of an attempt; its number.
pub(crate) fn intent(run: &mut Driver, unit_name: &str, class: CallClass, hold: &str) -> u64 {
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

pub(crate) fn cancel(run: &mut Driver) {
    let by = "rita".parse().unwrap();
    run.append(Place::RUN, Event::CancelRequested { by, reason: Some("enough".into()) });
}

/// Has a person say that nobody will ever know what became of a call, and the attempt ended with it.
pub(crate) fn give_up(run: &mut Driver, unit_name: &str, intent: u64, by: &str) {
    let (resolution, by) = (Resolution::Compensate, by.parse().unwrap());
    let place = Place::attempt(&unit(unit_name), run.state.unit(&unit(unit_name)).attempt);
    run.append(place.call(1), Event::Resolved { intent, resolution, by });
    run.fail(unit_name, FailureKind::Permanent);
}

/// Somebody asks for more money; the question.
pub(crate) fn asks_for_money(run: &mut Driver) -> ApprovalId {
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

pub(crate) fn decides(run: &mut Driver, id: ApprovalId, outcome: Outcome) {
    let place = run.state.approval(&id).unwrap().home();
    if outcome == Outcome::Approved {
        let (by, groups) = ("dave".parse().unwrap(), vec![]);
        let (verdict, comment, late) = (Verdict::Approve, None, false);
        run.append(place.clone(), Event::Voted { approval: id, by, groups, verdict, comment, late });
    }
    run.append(place, Event::ApprovalClosed { approval: id, outcome });
}

pub(crate) fn wants_money(run: &mut Driver, name: &str) {
    let usd = |text: &str| text.parse().unwrap();
    let (needed_usd, left_usd) = (usd("0.2"), usd("0.1"));
    park(run, name, ParkReason::Budget { needed_usd, left_usd, account: None, compute: false });
}
