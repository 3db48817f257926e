//! What happens next.

use wflo_manifest::{OnCancel, OnFailure, OnItemFailure, Plan, PlanStep};
use wflo_model::{ApprovalId, Label, RunId, Timestamp};

use crate::alert::budget_alert;
use crate::approval::overdue;
use crate::permit::{Permit, permit};
use crate::start::{Start, start};
use crate::top_up::topped_up;
use crate::{
    AttemptEnd, CallClass, Event, Items, Outcome, ParkReason, Place, RunState, RunStatus, StepStatus, Unit,
    UnitId,
};

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Append these events, in one piece.
    Append(Vec<(Place, Event)>),
    /// Run an attempt, unless this process runs it already: from its start, or from its journal where a crash cut
    /// it off or it was parked.
    Attempt {
        /// The step or item.
        unit: UnitId,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// Read the run's events, and append what there is to undo.
    PlanRollback,
    /// Undo what the run wrote to a database.
    Undo {
        /// The database.
        database: Label,
    },
    /// Apply the configuration again that the run found in a terraform folder.
    Reapply {
        /// The folder.
        terraform: Label,
    },
}

/// Most items of a step that run at the same time where the manifest does not say.
const MAX_ITEMS: u32 = 64;

/// Says what to do next: a pure function of the plan, the state and the time.
///
/// Due timers come before anything else. The events of an [`Append`](Command::Append) take effect before the
/// next call; attempts go on side by side. Nothing at all means: there is nothing to do until a vote, a timer
/// ([`next_due`]) or a person moves it, or until a running attempt ends.
///
/// Once somebody has [cancelled](RunState::cancel) the run, the attempts that are not past their commit point
/// have to be stopped before this is asked: what it says then ends them.
#[must_use]
pub fn decide(run: &RunId, plan: &Plan, state: &RunState, now: Timestamp) -> Vec<Command> {
    if state.created().is_none() || state.status().is_final() {
        return Vec::new();
    }
    let due = due(state, now);
    if !due.is_empty() {
        return vec![Command::Append(due)];
    }
    if let Some(alert) = budget_alert(plan, state) {
        return vec![Command::Append(vec![alert])];
    }
    if let Some(rollback) = state.rolling_back() {
        // A compensator may want for money as well.
        if let Some(events) = topped_up(state, now) {
            return vec![Command::Append(events)];
        }
        return crate::rollback::decide(run, plan, state, rollback, now);
    }
    if let Some(cancel) = state.cancel() {
        let why = match &cancel.reason {
            Some(reason) => format!("cancelled by `{}`: {reason}", cancel.by),
            None => format!("cancelled by `{}`", cancel.by),
        };
        let goes_on = |unit: &Unit| unit.committing && !unit.is_unknown();
        return wind_up(state, goes_on, RunStatus::Cancelled, why, plan.on_cancel == OnCancel::Rollback);
    }
    if let Some(events) = topped_up(state, now) {
        return vec![Command::Append(events)];
    }
    match start(run, plan, state, now) {
        Start::Goes => {}
        Start::Waits => return Vec::new(),
        Start::Append(events) => return vec![Command::Append(events)],
    }
    if let Some(failed) = plan.steps.iter().find(|step| state.step(&step.name).status() == StepStatus::Failed)
    {
        let why = state.step(&failed.name).unit.error.as_deref().unwrap_or("it failed");
        let why = format!("step `{}`: {why}", failed.name);
        // No new step starts; attempts under way come to their end first.
        let goes_on = |unit: &Unit| unit.status == StepStatus::Running && unit.in_attempt;
        return wind_up(state, goes_on, RunStatus::Failed, why, plan.on_failure == OnFailure::Rollback);
    }
    if plan.steps.iter().all(|step| state.step(&step.name).status().is_done()) {
        // Money that was asked for and is not needed any more.
        let mut events: Vec<_> = state.open().map(|approval| approval.close(Outcome::Cancelled)).collect();
        events.push((Place::RUN, Event::RunEnded { status: RunStatus::Succeeded, error: None }));
        events.extend(roll_back(state, false));
        return vec![Command::Append(events)];
    }
    let mut next = Next::new(run, plan, state, now);
    plan.steps.iter().for_each(|step| next.step(step));
    next.commands
}

/// When [`decide`] will have something to do although nothing happens: an approval expires, a retry or a timer is
/// due.
#[must_use]
pub fn next_due(state: &RunState) -> Option<Timestamp> {
    if state.status().is_final() {
        return None;
    }
    let expiries = state.open().filter_map(|approval| approval.expires_at);
    // What is not to begin any more is not waited for: it would be due for ever.
    let rolls_back = state.rolling_back().is_some();
    let winds_up = !rolls_back && (state.cancel().is_some() || state.has_failed());
    let units = state.timed().filter(|(step, ..)| !rolls_back || step.compensates().is_some());
    let units = units.filter_map(|(.., unit)| match unit.retry_at {
        Some(_) if winds_up => None,
        retry => retry.or_else(|| unit.timer()),
    });
    expiries.chain(units).min()
}

/// What the time alone brings about: approvals expire, timers fire.
fn due(state: &RunState, now: Timestamp) -> Vec<(Place, Event)> {
    let undecided = state.open().filter(|approval| approval.is_overdue(now)).flat_map(|it| overdue(it, now));
    let fired = state.timed().filter(|(.., unit)| unit.timer().is_some_and(|until| until <= now)).map(
        |(step, item, unit)| {
            let id = UnitId { step: step.clone(), item };
            (Place::attempt(&id, unit.attempt), Event::TimerFired)
        },
    );
    undecided.chain(fired).collect()
}

/// Brings a run to its end before all its steps have ended: attempts that go on come to their own end, the others
/// are ended, and then the run is. Where nobody knows whether a call was done, somebody has to say so first.
fn wind_up(
    state: &RunState,
    goes_on: impl Fn(&Unit) -> bool,
    status: RunStatus,
    why: String,
    rolls_back: bool,
) -> Vec<Command> {
    let mut attempts = Vec::new();
    let mut events: Vec<_> = state.open().map(|approval| approval.close(Outcome::Cancelled)).collect();
    let mut unknown = false;
    for (id, unit) in state.active() {
        if goes_on(unit) {
            attempts.push(Command::Attempt { unit: id, attempt: unit.attempt });
        } else if unit.in_attempt && unit.is_unknown() {
            unknown = true;
        } else if unit.in_attempt {
            events.extend(stop(state, &id, unit));
        }
    }
    if !events.is_empty() {
        return vec![Command::Append(events)];
    }
    if unknown || !attempts.is_empty() {
        return attempts;
    }
    let mut events = vec![(Place::RUN, Event::RunEnded { status, error: Some(why) })];
    events.extend(roll_back(state, rolls_back));
    vec![Command::Append(events)]
}

/// What is undone as soon as a run has ended: all it did, where the workflow says so, else what people want compensated.
fn roll_back(state: &RunState, all: bool) -> Option<(Place, Event)> {
    let compensations = state.compensations();
    let (by, only) = match all {
        true => (None, Vec::new()),
        false => (Some(compensations.values().next()?.clone()), compensations.keys().cloned().collect()),
    };
    Some((Place::RUN, Event::RollbackStarted { by, to: None, only }))
}

/// Ends an attempt that does not run and is not to go on. What it may have cost is charged; a call that may or may
/// not have been done has to be settled first.
fn stop(state: &RunState, id: &UnitId, unit: &Unit) -> Vec<(Place, Event)> {
    let place = Place::attempt(id, unit.attempt);
    let in_doubt = unit.open.iter().find(|(_, open)| open.class.is_in_doubt());
    if let Some((intent, open)) = in_doubt {
        let reason = ParkReason::Unknown { intent: *intent, call: open.call.clone() };
        return vec![(place, Event::Parked { reason })];
    }
    let charged = unit.open.iter().filter(|(_, open)| open.class == CallClass::Repeatable);
    let mut events: Vec<_> = charged
        .map(|(intent, _)| (*intent, state.ledger().held_by(*intent)))
        .map(|(intent, cost)| (place.clone(), Event::Abandoned { intent, cost }))
        .collect();
    let end = AttemptEnd::Cancelled;
    events.push((place, Event::AttemptEnded { end, fuel: 0, memory_peak: 0, ms: 0, retry_at: None }));
    events
}

/// The commands of a run that goes on, gathered step by step.
struct Next<'a> {
    run: &'a RunId,
    plan: &'a Plan,
    state: &'a RunState,
    now: Timestamp,
    /// Units that may still begin.
    room: u32,
    commands: Vec<Command>,
}

impl<'a> Next<'a> {
    fn new(run: &'a RunId, plan: &'a Plan, state: &'a RunState, now: Timestamp) -> Self {
        let going = state.running().count();
        let room =
            plan.max_parallel.unwrap_or(u32::MAX).saturating_sub(u32::try_from(going).unwrap_or(u32::MAX));
        Self { run, plan, state, now, room, commands: Vec::new() }
    }

    fn step(&mut self, step: &PlanStep) {
        let at = self.state.step(&step.name);
        match (&at.items, at.unit.status) {
            (Some(items), StepStatus::Running) => self.items(step, items),
            (None, StepStatus::Running) => self.go_on(step, UnitId::step(&step.name), &at.unit),
            (None, StepStatus::Pending) if self.room > 0 && self.is_ready(step) => self.begin(step),
            _ => {}
        }
    }

    fn is_ready(&self, step: &PlanStep) -> bool {
        step.depends_on.iter().all(|name| self.state.step(name).status().is_done())
    }

    /// Starts a step whose dependencies are done, asks for the approval it needs, or leaves it out.
    fn begin(&mut self, step: &PlanStep) {
        match permit(self.run, self.plan, self.state, step, self.now) {
            Permit::Not(None) => {}
            Permit::Not(Some(event)) => self.append(vec![(Place::step(&step.name), *event)]),
            Permit::Start { consumes } => {
                let id = UnitId::step(&step.name);
                let attempt = self.state.unit(&id).attempt + 1;
                self.start(step, &id, attempt, consumes);
            }
            Permit::FanOut { items, consumes } => {
                self.append(vec![(Place::step(&step.name), Event::FannedOut { items, consumes })]);
            }
        }
    }

    /// Goes on with the items of a step, begins more of them, or ends it.
    fn items(&mut self, step: &PlanStep, items: &Items) {
        let id = UnitId::step(&step.name);
        let failed = items.first_failed().filter(|_| step.on_item_failure == OnItemFailure::Fail);
        let mut running = 0;
        for (item, unit) in items.running().filter_map(|item| Some((item, items.unit(item)?))) {
            running += 1;
            self.go_on(step, id.with_item(item), unit);
        }
        if let Some(item) = failed {
            if items.active().next().is_none() {
                let why = self.state.unit(&id.with_item(item)).error.as_deref().unwrap_or("it failed");
                let event = Event::StepEnded { skipped: false, reason: format!("item {item}: {why}") };
                self.append(vec![(Place::step(&step.name), event)]);
            }
            return;
        }
        if items.is_over() {
            return self.append(vec![(Place::step(&step.name), Event::Joined)]);
        }
        let most = step.max_parallel.unwrap_or(MAX_ITEMS);
        let begin = most.saturating_sub(running).min(self.room);
        let first = items.next().unwrap_or(items.total());
        let events: Vec<_> = (first..items.total().min(first.saturating_add(begin)))
            .map(|item| (Place::attempt(&id.with_item(item), 1), started(self.state, step, None)))
            .collect();
        if !events.is_empty() {
            self.room -= u32::try_from(events.len()).unwrap_or(u32::MAX);
            self.append(events);
        }
    }

    /// Goes on with an attempt, or begins the next one when it is due.
    fn go_on(&mut self, step: &PlanStep, id: UnitId, unit: &Unit) {
        if unit.status != StepStatus::Running {
            return;
        }
        if unit.in_attempt {
            self.commands.push(Command::Attempt { unit: id, attempt: unit.attempt });
        } else if unit.retry_at.is_none_or(|due| due <= self.now) {
            self.start(step, &id, unit.attempt + 1, None);
        }
    }

    fn start(&mut self, step: &PlanStep, id: &UnitId, attempt: u32, consumes: Option<ApprovalId>) {
        self.room = self.room.saturating_sub(1);
        self.append(vec![(Place::attempt(id, attempt), started(self.state, step, consumes))]);
    }

    fn append(&mut self, events: Vec<(Place, Event)>) {
        self.commands.push(Command::Append(events));
    }
}

/// The beginning of an attempt.
pub(crate) fn started(state: &RunState, step: &PlanStep, consumes: Option<ApprovalId>) -> Event {
    let of_run = state.created().and_then(|created| created.component);
    let component = Some(step.component).filter(|component| of_run.as_ref() != Some(component));
    Event::AttemptStarted { component, consumes }
}
