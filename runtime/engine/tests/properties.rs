//! Random histories through `decide` and `apply`: whatever happens, in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use wflo_engine::{
    Account, Approval, ApprovalState, AttemptEnd, Ballot, CallClass, Command, Event, GateAt, Outcome,
    ParkReason, Place, Recorded, Returned, RunState, RunStatus, Spend, StepStatus, Sums, UnitId, Verdict,
    Voter, cast, decide, next_due, retry_at, standing,
};
use wflo_manifest::{
    ApprovalRule, Approver, OnCancel, OnExceeded, OnFailure, OnItemFailure, OnReject, OnTimeout, Plan,
    PlanStep, Quorum, Retry, UnknownPrice,
};
use wflo_model::{
    ApprovalId, Call, Digest, Failure, FailureKind, Fault, FaultKind, PicoUsd, RunId, Timestamp,
};

/// One thing that happens; numbers pick among what there is then.
#[derive(Clone, Debug)]
enum Move {
    End { of: usize, how: u8 },
    Park { of: usize, until: u64 },
    Unpark { of: usize },
    Hold { of: usize, pico: i128 },
    Return { of: usize, pico: i128 },
    Abandon { of: usize },
    Vote { on: usize, who: usize, approves: bool },
    Wait { seconds: u64 },
    Cancel,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let of = 0..8_usize;
    let one = prop_oneof![
        6 => (of.clone(), 0..8_u8).prop_map(|(of, how)| Move::End { of, how }),
        1 => (of.clone(), 1..5000_u64).prop_map(|(of, until)| Move::Park { of, until }),
        1 => of.clone().prop_map(|of| Move::Unpark { of }),
        3 => (of.clone(), 0..60_i128).prop_map(|(of, pico)| Move::Hold { of, pico }),
        3 => (of.clone(), 0..90_i128).prop_map(|(of, pico)| Move::Return { of, pico }),
        1 => of.clone().prop_map(|of| Move::Abandon { of }),
        3 => (of, 0..4_usize, prop::bool::weighted(0.8))
            .prop_map(|(on, who, approves)| Move::Vote { on, who, approves }),
        2 => (1..4000_u64).prop_map(|seconds| Move::Wait { seconds }),
        1 => Just(Move::Cancel),
    ];
    prop::collection::vec(one, 0..60)
}

#[derive(Clone, Debug)]
struct StepSpec {
    needs: u8,
    items: Option<u8>,
    collects: bool,
    gate: Option<(bool, u8)>,
    attempts: u32,
    when: u8,
    money: (Option<i128>, Option<i128>),
}

fn plans() -> impl Strategy<Value = Plan> {
    let gate = prop::option::weighted(0.4, any::<(bool, u8)>());
    let items = prop::option::weighted(0.3, 0..4_u8);
    let money = (prop::option::of(0..150_i128), prop::option::of(0..90_i128));
    let step = (any::<u8>(), items, any::<bool>(), gate, 1..4_u32, 0..6_u8, money).prop_map(
        |(needs, items, collects, gate, attempts, when, money)| StepSpec {
            needs,
            items,
            collects,
            gate,
            attempts,
            when,
            money,
        },
    );
    (prop::collection::vec(step, 1..5), prop::option::of(1..3_u32), prop::option::of(0..200_i128))
        .prop_map(|(steps, max_parallel, budget)| plan(&steps, max_parallel, budget.map(PicoUsd::from_pico)))
}

fn plan(steps: &[StepSpec], max_parallel: Option<u32>, budget: Option<PicoUsd>) -> Plan {
    let name = |index: usize| format!("s{index}").parse().unwrap();
    let steps = steps.iter().enumerate().map(|(index, spec)| {
        let approvers = vec![Approver::new("red"), Approver::new("blue")];
        let rule = |(all, ends): (bool, u8)| ApprovalRule {
            timeout: Some(Duration::from_secs(3600)),
            valid: Duration::from_secs(1000),
            on_reject: [OnReject::Skip, OnReject::Fail, OnReject::Continue][usize::from(ends % 3)],
            on_timeout: [OnTimeout::Reject, OnTimeout::Escalate, OnTimeout::Approve]
                [usize::from(ends / 3 % 3)],
            escalation: vec![Approver::new("blue")],
            ..ApprovalRule::new(approvers.clone(), if all { Quorum::EachListed } else { Quorum::Any(1) })
        };
        let list = |count: u8| format!("{:?}", (0..count).collect::<Vec<_>>()).parse().unwrap();
        PlanStep {
            depends_on: (0..index).filter(|other| spec.needs & (1 << other) != 0).map(name).collect(),
            for_each: spec.items.map(list),
            on_item_failure: if spec.collects { OnItemFailure::Collect } else { OnItemFailure::Fail },
            approval: spec.gate.map(rule),
            budget: spec.money.0.map(PicoUsd::from_pico),
            item_budget: spec.money.1.map(PicoUsd::from_pico),
            when: (spec.when == 0).then(|| "inputs.yes".parse().unwrap()),
            retry: Retry { max_attempts: spec.attempts, backoff: Duration::from_secs(10) },
            ..PlanStep::new(name(index), Digest::of(b"component"))
        }
    });
    Plan {
        workflow: "w".parse().unwrap(),
        version: "1".into(),
        steps: steps.collect(),
        inputs: BTreeMap::new(),
        budget,
        on_exceeded: OnExceeded::Park,
        budget_approvers: Vec::new(),
        rollback_reserve: None,
        rollback_approvers: Vec::new(),
        budget_alerts: Vec::new(),
        budget_notify: Vec::new(),
        on_failure: OnFailure::Keep,
        on_cancel: OnCancel::Keep,
        max_parallel,
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

/// A run to which things happen.
struct History {
    run: RunId,
    plan: Plan,
    state: RunState,
    now: Timestamp,
    ended: BTreeSet<UnitId>,
}

impl History {
    fn new(plan: Plan) -> Self {
        let now = Timestamp::from_micros(1_000_000);
        let run = RunId::new(now, [0; 10]);
        let mut history = Self { run, plan, state: RunState::default(), now, ended: BTreeSet::new() };
        let Value::Object(inputs) = json!({ "yes": false }) else { unreachable!() };
        let event = Event::RunCreated {
            workflow: "w".into(),
            version: "1".into(),
            plan: history.plan.digest(),
            component: None,
            inputs,
            requester: "rita".parse().unwrap(),
            budget: history.plan.budget,
            forked: None,
        };
        history.append(Place::RUN, event);
        history
    }

    /// Appends an event; what must be so after every event is so after this one.
    fn append(&mut self, place: Place, event: Event) {
        if let (Event::AttemptStarted { .. }, Some(id)) = (&event, place.unit_id()) {
            let unit = self.state.unit(&id);
            assert!(!self.ended.contains(&id), "{id} has ended and begins again");
            assert!(!unit.in_attempt && place.attempt == unit.attempt + 1, "{id} begins twice");
        }
        let recorded = Recorded { seq: self.state.seq() + 1, time: self.now, place, event };
        self.state.apply(&recorded).unwrap();
        let active: BTreeSet<_> = self.state.active().map(|(id, _)| id).collect();
        let id = recorded.place.unit_id().filter(|id| !active.contains(id));
        self.ended.extend(id.filter(|id| self.state.unit(id).ended_at.is_some()));
        self.items_are_counted();
        let ledger = self.state.ledger();
        for (account, limit) in self.limits() {
            let Sums { settled, held, overrun } = ledger.stands(&account);
            assert!(settled - overrun + held <= limit, "{account} after {recorded:?}");
        }
        // The days are the same money, counted by when it was spent.
        let days = ledger.days();
        let by_day = |of: fn(&Sums) -> PicoUsd| days.values().map(of).sum::<PicoUsd>();
        assert_eq!(by_day(|sums| sums.settled), ledger.settled());
        assert_eq!(by_day(|sums| sums.held), ledger.held());
        assert!(!ledger.held().is_negative() && !ledger.left().is_negative());
    }

    /// What is kept of all items of a step is what looking at each of them says.
    fn items_are_counted(&self) {
        for (name, step) in self.state.steps() {
            let Some(items) = &step.items else { continue };
            let of = |status| {
                let units = items.active().filter_map(move |item| Some((item, items.unit(item)?)));
                units.filter(move |(_, unit)| unit.status == status).map(|(item, _)| item).collect::<Vec<_>>()
            };
            let [running, waiting, parked] =
                [StepStatus::Running, StepStatus::Waiting, StepStatus::Parked].map(of);
            assert_eq!(items.running().collect::<Vec<_>>(), running, "{name}");
            assert_eq!(items.waiting(), waiting.len(), "{name}");
            assert_eq!(items.active().count(), running.len() + waiting.len() + parked.len(), "{name}");
        }
    }

    /// Performs what is decided until only attempts are left.
    fn settle(&mut self) -> Vec<UnitId> {
        for _ in 0..200 {
            let commands = decide(&self.run, &self.plan, &self.state, self.now);
            assert_eq!(commands, decide(&self.run, &self.plan, &self.state, self.now));
            let mut attempts = Vec::new();
            let mut appended = Vec::new();
            for command in commands {
                match command {
                    Command::Append(events) => {
                        assert!(!events.is_empty(), "nothing is appended");
                        for (place, event) in events {
                            self.append(place.clone(), event.clone());
                            appended.push((place, event));
                        }
                    }
                    Command::Attempt { unit, attempt } => {
                        let at = self.state.unit(&unit);
                        assert!(at.in_attempt && at.attempt == attempt, "{unit} has no attempt {attempt}");
                        assert!(!self.ended.contains(&unit), "{unit} has ended");
                        attempts.push(unit);
                    }
                    other => panic!("no plan of these wants its effects undone: {other:?}"),
                }
            }
            if appended.is_empty() {
                return attempts;
            }
            // What it said once is done, and not said again.
            for command in decide(&self.run, &self.plan, &self.state, self.now) {
                if let Command::Append(events) = command {
                    assert!(events.iter().all(|event| !appended.contains(event)), "{events:?} again");
                }
            }
        }
        panic!("it never settles: {:?}", decide(&self.run, &self.plan, &self.state, self.now));
    }

    /// Where nothing is to be done, the run is not said to be running, unless a step is to be tried again later.
    fn rests(&self, attempts: &[UnitId]) {
        let status = self.state.status();
        assert_eq!(status, standing(&self.run, &self.plan, &self.state, self.now));
        let runs = self.state.steps().any(|(_, step)| step.status() == StepStatus::Running);
        if attempts.is_empty() && !runs {
            assert_ne!(status, RunStatus::Running, "{:?}", self.state);
        }
    }

    fn perform(&mut self, attempts: &[UnitId], step: &Move) {
        let pick = |of: usize| attempts.get(of % attempts.len().max(1)).cloned();
        match *step {
            Move::End { of, how } => _ = pick(of).map(|id| self.end(&id, how)),
            Move::Park { of, until } => {
                let Some(id) = pick(of).filter(|id| self.state.unit(id).open.is_empty()) else { return };
                let reason = ParkReason::Timer { until: self.now.after(Duration::from_secs(until)) };
                self.append(Place::attempt(&id, self.state.unit(&id).attempt), Event::Parked { reason });
            }
            Move::Unpark { of } => {
                let parked: Vec<_> = self.state.active().filter(|(_, unit)| unit.parked.is_some()).collect();
                let Some((id, attempt)) =
                    parked.get(of % parked.len().max(1)).map(|(id, unit)| (id.clone(), unit.attempt))
                else {
                    return;
                };
                self.append(Place::attempt(&id, attempt), Event::Unparked { by: "rita".parse().unwrap() });
            }
            Move::Hold { of, pico } => _ = pick(of).map(|id| self.hold(&id, PicoUsd::from_pico(pico))),
            Move::Return { of, pico } => {
                let Some((place, intent)) = pick(of).and_then(|id| self.open(&id)) else { return };
                let cost_usd = PicoUsd::from_pico(pico);
                let spend = Spend {
                    model: "m".parse().unwrap(),
                    input_tokens: 1,
                    output_tokens: 1,
                    cost_usd,
                    estimated: false,
                };
                let returned = Returned {
                    intent: Some(intent),
                    call: None,
                    args: Digest::ZERO,
                    result: Ok(Value::Null),
                    spend: Some(spend),
                    tentative: false,
                    reused: None,
                    consumes: None,
                    filters: Vec::new(),
                    performed: None,
                    reported: None,
                    queued: None,
                    artifact: None,
                    beside: false,
                };
                self.append(place, Event::Returned(returned));
            }
            Move::Abandon { of } => {
                let Some((place, intent)) = pick(of).and_then(|id| self.open(&id)) else { return };
                let cost = self.state.ledger().held_by(intent);
                self.append(place, Event::Abandoned { intent, cost });
            }
            Move::Vote { on, who, approves } => {
                let all: Vec<Approval> = self.state.approvals().cloned().collect();
                let Some(approval) = all.get(on % all.len().max(1)) else { return };
                let verdict = if approves { Verdict::Approve } else { Verdict::Reject };
                let requester = "rita".parse().unwrap();
                if let Ok(events) = cast(approval, &requester, &voter(who), verdict, None, self.now) {
                    events.into_iter().for_each(|(place, event)| self.append(place, event));
                }
            }
            Move::Wait { seconds } => self.now = self.now.after(Duration::from_secs(seconds)),
            Move::Cancel => {
                if !self.state.status().is_final() {
                    let event = Event::CancelRequested { by: "rita".parse().unwrap(), reason: None };
                    self.append(Place::RUN, event);
                }
            }
        }
    }

    fn open(&self, id: &UnitId) -> Option<(Place, u64)> {
        let unit = self.state.unit(id);
        let (intent, open) = unit.open.iter().next()?;
        Some((Place::attempt(id, unit.attempt).call(open.ordinal), *intent))
    }

    /// Makes a call if the ledger admits it.
    fn hold(&mut self, id: &UnitId, hold: PicoUsd) {
        let step = self.plan.step(&id.step).unwrap();
        let (left, _) = self.state.ledger().tightest(&Place::unit(id), step, PicoUsd::ZERO);
        if hold > left || self.state.unit(id).parked.is_some() {
            return;
        }
        let asked = Call::new("wflo:llm/chat", "complete", Value::Null);
        let place = Place::attempt(id, self.state.unit(id).attempt).call(1);
        let (class, args, key) = (CallClass::Repeatable, Digest::ZERO, Digest::ZERO);
        let event = Event::Intent {
            asked,
            transcript: None,
            class,
            args,
            key,
            hold,
            max_tokens: None,
            good_until: None,
            consumes: None,
            performed: None,
        };
        self.append(place, event);
        // What holds nothing costs nothing, whatever has been spent too much before.
        let limits = if hold > PicoUsd::ZERO { self.limits() } else { Vec::new() };
        let around: Vec<_> = Account::of(&Place::unit(id)).collect();
        for (account, limit) in limits.into_iter().filter(|(account, _)| around.contains(account)) {
            let Sums { settled, held, .. } = self.state.ledger().stands(&account);
            assert!(settled + held <= limit, "{account} admitted too much");
        }
    }

    /// Every account that has a limit.
    fn limits(&self) -> Vec<(Account, PicoUsd)> {
        let run = self.state.ledger().limit().map(|limit| (Account::Run, limit));
        let steps = self.plan.steps.iter().flat_map(|step| {
            let own = step.budget.map(|limit| (Account::Step(step.name.clone()), limit));
            let items = self.state.step(&step.name).items.as_ref().map_or(0, |items| items.total());
            let items = (0..items)
                .filter_map(|item| Some((Account::Item(step.name.clone(), item), step.item_budget?)));
            own.into_iter().chain(items)
        });
        run.into_iter().chain(steps).collect()
    }

    fn end(&mut self, id: &UnitId, how: u8) {
        // As the gate does: nothing is open when an attempt ends by itself.
        while let Some((place, intent)) = self.open(id) {
            let cost = self.state.ledger().held_by(intent);
            self.append(place, Event::Abandoned { intent, cost });
        }
        let failed = |kind| AttemptEnd::Failed(Failure { kind, message: "no".into() });
        let end = match how {
            0 => failed(FailureKind::Permanent),
            1 => failed(FailureKind::Retryable),
            2 => failed(FailureKind::Redo),
            3 => AttemptEnd::Fault(Fault { kind: FaultKind::Trap, message: "no".into() }),
            4 => AttemptEnd::Interrupted { message: "differs".into() },
            _ => AttemptEnd::Succeeded { output: json!(1) },
        };
        let unit = self.state.unit(id);
        let place = Place::attempt(id, unit.attempt);
        let retry = self.plan.step(&id.step).unwrap().retry;
        let retry_at = retry_at(&retry, unit, &end, 17, self.now);
        self.append(place, Event::AttemptEnded { end, fuel: 1, memory_peak: 1, ms: 1, retry_at });
    }
}

fn voter(who: usize) -> Voter {
    let (name, groups): (_, &[&str]) =
        [("alice", &["red"][..]), ("bob", &["red", "blue"]), ("carol", &["blue"]), ("rita", &["red"])][who];
    Voter { name: name.parse().unwrap(), groups: groups.iter().map(|group| group.parse().unwrap()).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// What holds after every event is asserted where events are appended.
    #[test]
    fn any_history_keeps_the_ledger_and_comes_to_its_end(plan in plans(), moves in moves()) {
        let mut history = History::new(plan);
        for step in &moves {
            let attempts = history.settle();
            history.rests(&attempts);
            history.perform(&attempts, step);
        }
        // Everybody does what is theirs: then the run ends.
        for _ in 0..200 {
            let attempts = history.settle();
            if history.state.status().is_final() {
                break;
            }
            for id in &attempts {
                history.end(id, 7);
            }
            for (on, _) in history.state.approvals().cloned().enumerate().collect::<Vec<_>>() {
                for who in 0..3 {
                    history.perform(&[], &Move::Vote { on, who, approves: true });
                }
            }
            if attempts.is_empty() && let Some(due) = next_due(&history.state) {
                history.now = history.now.max(due);
            }
        }
        prop_assert!(history.state.status().is_final(), "{:?}", history.state);
        prop_assert_eq!(history.state.ledger().held(), PicoUsd::ZERO);
        prop_assert!(decide(&history.run, &history.plan, &history.state, history.now).is_empty());
        let open = history.state.approvals().filter(|approval| approval.state == ApprovalState::Open);
        prop_assert_eq!(open.count(), 0);
        let ran = history.state.steps().filter(|(_, step)| step.status() == StepStatus::Running);
        prop_assert_eq!(ran.count(), 0, "a step of an ended run is running");
    }

    /// In whatever order, twice or late: what is decided stays, and only votes in time count.
    #[test]
    fn votes_in_any_order(
        votes in prop::collection::vec((0..4_usize, any::<bool>(), 0..20_u64), 0..12),
        each: bool,
        on_timeout in prop::sample::select(vec![OnTimeout::Reject, OnTimeout::Escalate, OnTimeout::Approve]),
    ) {
        let quorum = if each { Quorum::EachListed } else { Quorum::Any(2) };
        let mut approval = opened(quorum);
        approval.rule.on_timeout = on_timeout;
        approval.rule.escalation = vec![Approver::new("green")];
        let mut decided = None;
        let mut at = 0;
        for (who, approves, wait) in votes {
            at += wait;
            let now = Timestamp::from_micros(at);
            let verdict = if approves { Verdict::Approve } else { Verdict::Reject };
            let Ok(events) = cast(&approval, &"rita".parse().unwrap(), &voter(who), verdict, None, now) else {
                prop_assert!(who == 3 || approval.votes.iter().any(|vote| vote.by == voter(who).name));
                continue;
            };
            for (_, event) in events {
                match event {
                    Event::Voted { by, groups, verdict, comment, late, .. } => {
                        prop_assert_eq!(late, decided.is_some() || at >= 100);
                        if !late {
                            approval.votes.push(Ballot { by, groups, verdict, comment, at: now });
                        }
                    }
                    Event::ApprovalClosed { outcome, .. } => {
                        prop_assert_eq!(decided, None, "it is decided once");
                        decided = Some(outcome);
                        approval.state = ApprovalState::Closed { outcome, at: now };
                    }
                    Event::ApprovalOpened { rule, follows, subject, .. } => {
                        prop_assert_eq!(decided, Some(Outcome::Superseded), "one takes the place of the other");
                        prop_assert_eq!((follows, subject), (Some(approval.id), approval.subject));
                        prop_assert_eq!(rule.approvers, vec![Approver::new("green")]);
                    }
                    other => prop_assert!(false, "{:?} is no vote", other),
                }
            }
        }
        let carried = approval.lacking().is_empty();
        let against = approval.votes.iter().any(|vote| vote.verdict == Verdict::Reject);
        match decided {
            Some(Outcome::Approved) if on_timeout == OnTimeout::Approve && !carried => prop_assert!(at >= 100),
            Some(Outcome::Approved) => prop_assert!(carried && !against),
            Some(Outcome::Superseded) => prop_assert!(on_timeout == OnTimeout::Escalate && at >= 100),
            Some(Outcome::Rejected) => prop_assert!(against),
            Some(Outcome::Expired) => prop_assert!(on_timeout == OnTimeout::Reject && at >= 100),
            Some(other) => prop_assert!(false, "nobody says {other}"),
            None => prop_assert!(!carried && !against),
        }
    }

    /// The order of votes in favour does not matter to whether they suffice.
    #[test]
    fn the_order_of_approvals_does_not_matter(
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
        count in 0..4_usize,
        each: bool,
    ) {
        let quorum = if each { Quorum::EachListed } else { Quorum::Any(2) };
        let carries = |order: &[usize]| {
            let mut approval = opened(quorum);
            for who in order {
                let Voter { name: by, groups } = voter(*who);
                let groups = groups.into_iter().collect();
                let at = Timestamp::from_micros(1);
                approval.votes.push(Ballot { by, groups, verdict: Verdict::Approve, comment: None, at });
            }
            approval.lacking().is_empty()
        };
        let mut sorted = order[..count].to_vec();
        sorted.sort_unstable();
        prop_assert_eq!(carries(&order[..count]), carries(&sorted));
    }
}

fn opened(quorum: Quorum) -> Approval {
    let subject = Digest::of(b"subject");
    Approval {
        id: ApprovalId::derive(&subject, 1),
        place: Place::step(&"act".parse().unwrap()),
        at: GateAt::Start,
        call: None,
        subject,
        shows: Value::Null,
        rule: ApprovalRule::new(vec![Approver::new("red"), Approver::new("blue")], quorum),
        expires_at: Some(Timestamp::from_micros(100)),
        votes: vec![],
        state: ApprovalState::Open,
        opened_at: Timestamp::from_micros(0),
        asks: Vec::new(),
        used_for: None,
        follows: None,
        authors: Vec::new(),
        amount: None,
        decided_at: None,
        by_silence: false,
    }
}
