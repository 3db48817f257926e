//! What must always be so, checked event by event over everything that is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use wflo::Principals;
use wflo_engine::{
    Approval, ApprovalState, AttemptEnd, CallClass, Day, Event, GateAt, Outcome, Place, Recorded, Returned,
    RunState, RunStatus, StepStatus, UnitId, next_due, standing,
};
use wflo_journal::{Entry, Journal};
use wflo_manifest::{ApprovalAt, Plan, PolicyAction, PolicyEvent};
use wflo_model::{Call, CallResult, Digest, FailureKind, PicoUsd, RunId, SqlValue};
use wflo_ports::{Marker, MarkerPurpose, Statement};

use crate::plan::{plan, spending};
use crate::scenario::Scenario;
use crate::site::requests;
use crate::told;
use crate::undone::{Marks, undone};
use crate::world::{Promise, World};

/// Holds everything durable against the properties; what does not fit is told to the world.
pub(crate) async fn check(world: &World, scenario: &Scenario, journal: &Journal, is_over: bool) {
    let plan = plan(scenario);
    let heads = match journal.runs().await {
        Ok(heads) => heads,
        Err(error) => return world.violated("the journal is whole", error.to_string()),
    };
    let unfinished = journal.unfinished(None, usize::MAX).await.unwrap_or_default();
    let mut told: BTreeMap<RunId, Vec<Recorded>> = BTreeMap::new();
    let mut days: BTreeMap<Day, PicoUsd> = BTreeMap::new();
    for head in heads {
        let run = head.run;
        let events = match journal.read(run, 1).await {
            Ok(entries) => entries.iter().map(recorded).collect::<Vec<_>>(),
            Err(error) => return world.violated("the journal is whole", error.to_string()),
        };
        let mut checker = Checker::new(world, run, &plan);
        for event in &events {
            checker.take(event);
        }
        checker.at_rest(&events, journal.store_id());
        let state = checker.state;
        for (day, sums) in state.ledger().days() {
            *days.entry(day).or_default() += sums.settled - sums.overrun + sums.held;
        }
        undone(world, &Marks { store: journal.store_id(), run }, &events, &state);
        let summary: Option<wflo::Summary> = serde_json::from_slice(&head.summary).ok();
        // A step that can begin is begun by whoever finds the run by its summary.
        let stands = standing(&run, &plan, &state, state.time());
        if summary.map(|summary| summary.status) != Some(stands) {
            let what = format!("{run} is {stands} and its summary says otherwise");
            world.violated("indexes follow the log", what);
        }
        if head.due != next_due(&state) && events.len() > 1 {
            let what = format!("{run} is due at {:?} and listed at {:?}", next_due(&state), head.due);
            world.violated("indexes follow the log", what);
        }
        if unfinished.contains(&run) == state.status().is_final() && events.len() > 1 {
            world.violated("indexes follow the log", format!("{run} is {}: unfinished?", state.status()));
        }
        told.insert(run, events);
    }
    if let Some(limit) = spending(scenario).all.day
        && let Some((day, sum)) = days.iter().find(|(_, sum)| **sum > limit)
    {
        world.violated("money", format!("{sum} are spent and held on {day:?}, of {limit}"));
    }
    promises(world, &told);
    models(world, &told);
    requests(world, &told);
    told::heard(world, &told, is_over);
}

fn recorded(entry: &Entry) -> Recorded {
    let header = &entry.header;
    let place = Place {
        step: header.step.clone(),
        item: header.item,
        attempt: header.attempt,
        ordinal: header.ordinal,
    };
    let event = Event::decode(&entry.body).expect("the version that wrote it reads it");
    Recorded { seq: header.seq, time: header.time, place, event }
}

/// Follows one run.
struct Checker<'a> {
    world: &'a World,
    run: RunId,
    plan: &'a Plan,
    state: RunState,
    /// Answers of models by call key: the unit, and whether it may be asked again.
    answered: BTreeMap<Digest, UnitId>,
    intents: BTreeMap<u64, Digest>,
    consumed: BTreeSet<String>,
    /// Those of whose commit a person said what became of it.
    settled: BTreeSet<UnitId>,
}

impl<'a> Checker<'a> {
    fn new(world: &'a World, run: RunId, plan: &'a Plan) -> Self {
        let (answered, intents) = (BTreeMap::new(), BTreeMap::new());
        let (consumed, settled) = (BTreeSet::new(), BTreeSet::new());
        Self { world, run, plan, state: RunState::default(), answered, intents, consumed, settled }
    }

    fn bad(&self, property: &'static str, recorded: &Recorded, what: &str) {
        let unit = recorded.place.unit_id().map_or_else(|| "the run".to_owned(), |unit| unit.to_string());
        let kind = recorded.event.kind();
        let text = format!("event {} of {}, {kind:?} of {unit}: {what}", recorded.seq, self.run);
        self.world.violated(property, text);
    }

    /// Takes in the next event, after a look at what it follows.
    fn take(&mut self, recorded: &Recorded) {
        self.before(recorded);
        if recorded.time < self.state.time() {
            self.bad("the journal is whole", recorded, "time goes backwards");
        }
        if let Err(error) = self.state.apply(recorded) {
            return self.world.violated("the journal is whole", error.to_string());
        }
        let ledger = self.state.ledger();
        let counted = ledger.settled() - ledger.overrun() + ledger.held();
        if ledger.limit().is_some_and(|limit| counted > limit) {
            self.bad("money", recorded, "more is settled and held than there is");
        }
        if self.state.status().is_final() && ledger.held() != PicoUsd::ZERO {
            self.bad("money", recorded, "the run has ended and money is held");
        }
    }

    fn before(&mut self, recorded: &Recorded) {
        let Recorded { seq, time, place, event } = recorded;
        let late = matches!(event, Event::Voted { late: true, .. } | Event::RollbackStarted { .. });
        if self.state.status().is_final() && !late {
            self.bad("nothing finished runs again", recorded, "the run has ended");
        }
        if place.attempt > 0 {
            self.attempt(recorded);
        }
        match event {
            Event::Resolved { .. } => self.settled.extend(place.unit_id()),
            Event::Intent { hold, key, class, consumes, .. } => {
                let ledger = self.state.ledger();
                let after = ledger.settled() + ledger.held() + *hold;
                if *hold > PicoUsd::ZERO && ledger.limit().is_some_and(|limit| after > limit) {
                    self.bad("money", recorded, "it is admitted over the limit");
                }
                if class.is_reused() && self.answered.contains_key(key) {
                    self.bad("no outcome twice", recorded, "this call has an answer already");
                }
                self.intents.insert(*seq, *key);
                if consumes.is_some() {
                    self.bad("approvals", recorded, "no call is gated here");
                }
            }
            Event::ComputeHeld { amount } => {
                let ledger = self.state.ledger();
                let after = ledger.settled() + ledger.held() + *amount;
                if ledger.limit().is_some_and(|limit| after > limit) {
                    self.bad("money", recorded, "a stretch is begun that there is no money for");
                }
            }
            Event::ComputeCharged { hold, fuel, usd, .. } => {
                if *usd > self.state.ledger().held_by(*hold) {
                    self.bad("money", recorded, "a stretch costs more than was held for it");
                }
                // A script uses one unit of fuel, however often it is replayed.
                let before = place.unit_id().map_or(0, |unit| self.state.unit(&unit).compute.fuel);
                if before + fuel > 1 {
                    self.bad("money", recorded, "fuel is charged twice");
                }
            }
            Event::Returned(Returned { intent: Some(intent), result, consumes, .. }) => {
                let key = self.intents.get(intent).copied();
                if let (Some(key), Ok(_), Some(unit)) = (key, result, place.unit_id()) {
                    self.answered.insert(key, unit);
                }
                if consumes.is_some() {
                    self.bad("approvals", recorded, "an answer to an intent consumes nothing");
                }
            }
            Event::Returned(Returned { consumes: Some(id), result: Ok(value), .. }) => {
                let Some(approval) = self.state.approval(id) else {
                    return self.bad("approvals", recorded, "there is no such approval");
                };
                let approved = match approval.state {
                    ApprovalState::Closed { outcome, .. } => outcome == Outcome::Approved,
                    // What a policy asks, and what commits, is asked once: another attempt comes to the same.
                    ApprovalState::Consumed if approval.at == GateAt::Commit || !approval.asks.is_empty() => {
                        return self.again(recorded, approval);
                    }
                    _ => return self.bad("approvals", recorded, "what it tells was not decided"),
                };
                let is_asked = value.get("status").is_some();
                if is_asked && (value["status"] == "approved") != approved {
                    self.bad("approvals", recorded, "it tells another decision");
                }
                if approved {
                    self.consumes(recorded, &id.to_string(), Some(*id));
                }
            }
            Event::AttemptStarted { consumes: Some(id), .. }
            | Event::FannedOut { consumes: Some(id), .. } => {
                self.consumes(recorded, &id.to_string(), Some(*id));
            }
            Event::AttemptEnded { end: AttemptEnd::Succeeded { output }, .. } => {
                self.passed(recorded, output)
            }
            Event::AttemptEnded { end: AttemptEnd::Failed(failure), .. }
                if failure.kind == FailureKind::Redo =>
            {
                let unit = place.unit_id();
                self.answered.retain(|_, of| Some(&*of) != unit.as_ref());
            }
            Event::Voted { approval, by, groups, late: false, .. } => {
                let Some(approval) = self.state.approval(approval) else { return };
                if approval.state != ApprovalState::Open {
                    self.bad("approvals", recorded, "it counts, and was cast on what is decided");
                }
                if approval.expires_at.is_some_and(|at| *time >= at) {
                    self.bad("approvals", recorded, "it counts, and came after the time to vote");
                }
                let people = people_at(self.world, self.run, *seq);
                let now = people.as_ref().and_then(|people| people.groups_of(by)).unwrap_or_default();
                if !approval.rule.admits(by, &now) || now != groups.iter().cloned().collect() {
                    self.bad("approvals", recorded, "the voter may not decide about it");
                }
                if by.as_str() == "rita" || approval.votes.iter().any(|vote| vote.by == *by) {
                    self.bad("approvals", recorded, "they asked for it, or have voted");
                }
            }
            Event::ApprovalClosed { approval, outcome } => {
                let approval = self.state.approval(approval);
                let legal = match approval.map(|approval| approval.state) {
                    Some(ApprovalState::Open) => *outcome != Outcome::Superseded,
                    Some(ApprovalState::Closed { outcome: Outcome::Approved, .. }) => {
                        *outcome == Outcome::Superseded
                    }
                    _ => false,
                };
                if !legal {
                    self.bad("approvals", recorded, "it is decided already");
                }
                if *outcome == Outcome::Approved
                    && approval.is_some_and(|approval| !approval.lacking().is_empty())
                {
                    self.bad("approvals", recorded, "somebody is lacking");
                }
            }
            _ => {}
        }
    }

    /// What an attempt's event follows.
    fn attempt(&self, recorded: &Recorded) {
        let Some(id) = recorded.place.unit_id() else { return };
        let property = "nothing finished runs again";
        let unit = self.state.unit(&id);
        let attempt = recorded.place.attempt;
        if matches!(
            unit.status,
            StepStatus::Succeeded | StepStatus::Failed | StepStatus::Skipped | StepStatus::Cancelled
        ) {
            return self.bad(property, recorded, "it has ended");
        }
        let Event::AttemptStarted { .. } = &recorded.event else {
            if !unit.in_attempt || unit.attempt != attempt {
                self.bad(property, recorded, "no such attempt is under way");
            }
            let settles = matches!(
                recorded.event,
                Event::Parked { .. } | Event::Resolved { .. } | Event::ComputeCharged { .. }
            );
            // A transaction that was refused is done again, and may change other rows then: that is durable first.
            let again = matches!(&recorded.event, Event::Committing { changes, .. } if !changes.is_empty());
            if unit.committing && !again && !settles && !matches!(recorded.event, Event::AttemptEnded { .. })
            {
                self.bad(property, recorded, "it is past its commit point");
            }
            return;
        };
        if unit.in_attempt || attempt != unit.attempt + 1 {
            self.bad(property, recorded, "the attempt before it is under way");
        }
        let Some(step) = self.plan.step(&id.step) else {
            return self.bad(property, recorded, "there is no such step");
        };
        if unit.counted >= step.retry.max_attempts || unit.interrupted > 10 {
            self.bad(property, recorded, "there are too many attempts");
        }
        if unit.retry_at.is_some_and(|at| recorded.time < at) {
            self.bad(property, recorded, "it is not due");
        }
        if step.depends_on.iter().any(|name| !self.state.step(name).status().is_done()) {
            self.bad(property, recorded, "it depends on what is not done");
        }
        if self.state.cancel().is_some() {
            self.bad(property, recorded, "the run is cancelled");
        }
        if attempt == 1 {
            let going = || self.state.active().filter(|(_, unit)| unit.status == StepStatus::Running);
            let all = going().count();
            let items = going().filter(|(of, _)| of.step == id.step).count();
            let over = |most: Option<u32>, count: usize| most.is_some_and(|most| count >= most as usize);
            if over(self.plan.max_parallel, all) || (id.item.is_some() && over(step.max_parallel, items)) {
                self.bad(property, recorded, "too much runs at the same time");
            }
        }
        let before = step.approval.as_ref().is_some_and(|rule| rule.at == ApprovalAt::Start);
        let needs = before && id.item.is_none() && attempt == 1;
        if needs && !matches!(recorded.event, Event::AttemptStarted { consumes: Some(_), .. }) {
            self.bad("approvals", recorded, "nobody approved it");
        }
    }

    /// An output that policies refuse does not pass, and none passes without those who have to be asked about it.
    fn passed(&self, recorded: &Recorded, output: &Value) {
        let Some(id) = recorded.place.unit_id() else { return };
        let Some(step) = self.plan.step(&id.step) else { return };
        let sum = output["sum"].as_u64().unwrap_or_default();
        let fires = |wanted: fn(&PolicyAction) -> bool| {
            self.plan.policies.iter().any(|policy| {
                // As `plan.rs` writes them.
                let over =
                    policy.when.to_string().rsplit(' ').next().and_then(|over| over.parse::<u64>().ok());
                policy.on.contains(&PolicyEvent::StepOutput)
                    && over.is_some_and(|over| sum > over)
                    && policy.actions.iter().any(wanted)
            })
        };
        if fires(|action| matches!(action, PolicyAction::Deny)) {
            self.bad("policies", recorded, "its output is refused by a policy");
        }
        let asks = fires(|action| matches!(action, PolicyAction::RequireApproval(_)));
        let waived = !asks && fires(|action| matches!(action, PolicyAction::AutoApprove));
        let gated = step.approval.as_ref().is_some_and(|rule| rule.at == ApprovalAt::Commit);
        let approved = |only_here: bool| {
            self.state.approvals().any(|approval| {
                let here = approval.place.unit_id().as_ref() == Some(&id);
                approval.at == GateAt::Commit
                    && matches!(approval.state, ApprovalState::Consumed)
                    && (here || !only_here)
            })
        };
        if gated && !waived && !approved(true) {
            self.bad("policies", recorded, "nobody approved what it commits");
        }
        // What a policy asks it asks once in a run.
        if asks && !approved(false) {
            self.bad("policies", recorded, "nobody was asked about its output");
        }
    }

    /// An approval that was used before permits the same again.
    fn again(&self, recorded: &Recorded, approval: &Approval) {
        if approval.decided_at.is_none_or(|at| recorded.time.since(at) >= approval.rule.valid) {
            self.bad("approvals", recorded, "it has lapsed");
        }
        self.carried(recorded, approval);
    }

    fn carried(&self, recorded: &Recorded, approval: &Approval) {
        let people = people_at(self.world, self.run, recorded.seq);
        if !people.is_some_and(|people| approval.still_carried(|name| people.groups_of(name))) {
            self.bad("approvals", recorded, "those who gave it may no longer");
        }
    }

    fn consumes(&mut self, recorded: &Recorded, text: &str, id: Option<wflo_model::ApprovalId>) {
        if !self.consumed.insert(text.to_owned()) {
            self.bad("approvals", recorded, "it is consumed twice");
        }
        let Some(approval) = id.and_then(|id| self.state.approval(&id)) else {
            return self.bad("approvals", recorded, "there is no such approval");
        };
        if !approval.is_good(recorded.time) {
            self.bad("approvals", recorded, "it was not given, or has lapsed");
        }
        self.carried(recorded, approval);
    }

    /// What must be so where the run stands.
    fn at_rest(&self, events: &[Recorded], store: wflo_model::StoreId) {
        let state = &self.state;
        if state.status() == RunStatus::Succeeded
            && self.plan.steps.iter().any(|step| !state.step(&step.name).status().is_done())
        {
            self.world.violated("nothing finished runs again", format!("{} succeeded too early", self.run));
        }
        let mut units: Vec<UnitId> = self.plan.steps.iter().map(|step| UnitId::step(&step.name)).collect();
        for (name, step) in state.steps() {
            let items = step.items.as_ref().map_or(0, wflo_engine::Items::total);
            units.extend((0..items).map(|item| UnitId::step(name).with_item(item)));
        }
        for id in units {
            let unit = state.unit(&id);
            for db in ["left", "right"] {
                let marker = Marker {
                    store,
                    run: self.run,
                    step: id.step.clone(),
                    item: id.item,
                    purpose: MarkerPurpose::Step,
                }
                .digest();
                let wrote = self.world.lock().databases[db].effects.get(&marker).cloned();
                let said = wrote_by(events, &id, unit.attempt, db);
                let fits = match unit.status {
                    // A person said so.
                    _ if self.settled.contains(&id) => true,
                    StepStatus::Succeeded => wrote.clone().unwrap_or_default() == said,
                    _ if unit.committing => wrote.as_ref().is_none_or(|wrote| *wrote == said),
                    _ => wrote.is_none(),
                };
                if !fits {
                    let what = format!(
                        "{id} of {} is {}: `{db}` has {wrote:?}, the journal {said:?}",
                        self.run, unit.status
                    );
                    self.world.violated("writes exactly once", what);
                }
            }
        }
    }
}

/// What an attempt wrote in a database, as the journal has it.
fn wrote_by(events: &[Recorded], id: &UnitId, attempt: u32, db: &str) -> Vec<(String, i64)> {
    let mut intents: BTreeMap<u64, &Call> = BTreeMap::new();
    let mut wrote = Vec::new();
    let of = |recorded: &&Recorded| {
        recorded.place.unit_id().as_ref() == Some(id) && recorded.place.attempt == attempt
    };
    for recorded in events.iter().filter(of) {
        match &recorded.event {
            Event::Intent { asked, class: CallClass::Transactional, .. } => {
                intents.insert(recorded.seq, asked);
            }
            Event::Returned(Returned { intent: Some(intent), result, tentative: true, .. }) => {
                wrote.extend(intents.get(intent).and_then(|call| statement(call, result, db)));
            }
            _ => {}
        }
    }
    wrote
}

fn statement(call: &Call, result: &CallResult, db: &str) -> Option<(String, i64)> {
    result.as_ref().ok()?;
    if call.args["db"] != db {
        return None;
    }
    let Statement { sql, params } = serde_json::from_value(call.args.clone()).ok()?;
    let [SqlValue::Integer(row), SqlValue::Integer(by)] = params[..] else { return None };
    Some((format!("{sql} {row}"), by))
}

/// Who was in which group when an event was written.
fn people_at(world: &World, run: RunId, seq: u64) -> Option<Arc<Principals>> {
    let inner = world.lock();
    // Of appends from the same event on, the last one landed: those before it died with their process.
    let written = inner.written.iter().filter(|(of, first, _)| *of == run && *first <= seq);
    written.max_by_key(|(_, first, _)| *first).map(|(_, _, people)| Arc::clone(people))
}

/// What anybody was told is durable.
fn promises(world: &World, told: &BTreeMap<RunId, Vec<Recorded>>) {
    let promised = world.lock().promises.clone();
    for promise in promised {
        let of = |run: &RunId| told.get(run).map(Vec::as_slice).unwrap_or_default();
        let kept = match &promise {
            Promise::Voted { approval, run, by } => of(run).iter().any(|recorded| {
                matches!(&recorded.event, Event::Voted { approval: on, by: who, .. } if on == approval && who == by)
            }),
            Promise::Cancelled { run } => {
                of(run).iter().any(|recorded| matches!(recorded.event, Event::CancelRequested { .. }))
            }
            Promise::RolledBack { run } => {
                of(run).iter().any(|recorded| matches!(recorded.event, Event::RollbackStarted { .. }))
            }
            Promise::Stands { run, events } => of(run).len() as u64 >= *events,
        };
        if !kept {
            world.violated("promises are kept", format!("{promise:?}"));
        }
    }
    let started = world.lock().runs.clone();
    if let Some(run) = started.values().find(|run| !told.contains_key(run)) {
        world.violated("promises are kept", format!("{run} was started and is not there"));
    }
}

/// No request reached a model without an intent of its own that was durable.
fn models(world: &World, told: &BTreeMap<RunId, Vec<Recorded>>) {
    let asked = world.lock().asked.clone();
    let mut count: BTreeMap<Digest, usize> = BTreeMap::new();
    for performed in asked {
        let count = count.entry(performed.key).or_default();
        *count += 1;
        let intents = told.iter().flat_map(|(run, events)| {
            let durable = performed.durable.get(run).copied().unwrap_or_default();
            events.iter().filter(move |recorded| {
                let Event::Intent { key, .. } = &recorded.event else { return false };
                *key == performed.key && recorded.seq <= durable
            })
        });
        let intents = intents.count();
        if *count > intents {
            let what = format!("a model was asked {count} times with {intents} durable intents");
            world.violated("no outcome twice", what);
        }
    }
}
