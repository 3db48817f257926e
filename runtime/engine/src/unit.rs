//! What a step has come to: its attempts, or those of its items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use wflo_model::{ApprovalId, Artifact, Timestamp};

use crate::{AttemptEnd, CallClass, Event, GatedCall, InheritedArtifact, ParkReason, Recorded, StepStatus};

/// What the attempts of a step, or of one item of it, have come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Where it stands.
    pub status: StepStatus,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// Attempts that count against `max_attempts`.
    pub counted: u32,
    /// Attempts that were interrupted through no fault of their own.
    pub interrupted: u32,
    /// Whether the newest attempt is under way: begun, not ended.
    pub in_attempt: bool,
    /// What it waits for, while parked.
    pub parked: Option<ParkReason>,
    /// Its output. It is shared: what fans out has large ones, and each of its dependents' attempts is given them.
    pub output: Option<Arc<Value>>,
    /// Why it failed or was left out.
    pub error: Option<String>,
    /// The last approval that was opened for it.
    pub approval: Option<ApprovalId>,
    /// Set once its output is durable and its transactions are to commit.
    pub committing: bool,
    /// When the next attempt may begin.
    pub retry_at: Option<Timestamp>,
    /// Fuel used by all attempts.
    pub fuel: u64,
    /// Largest memory of any attempt, in bytes.
    pub memory_peak: u64,
    /// Wall-clock time of all attempts, in milliseconds.
    pub ms: u64,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Calls of the newest attempt whose outcome is not journaled, by the number of their intent.
    pub open: BTreeMap<u64, OpenCall>,
    /// The messages that the newest attempt has queued, by the event, with where each goes. They leave when it has
    /// succeeded.
    pub queued: Vec<(u64, String)>,
    /// The artifacts of the newest attempt, in the order in which it made them; none of one that did not succeed.
    pub artifacts: Vec<Artifact>,
    /// What the newest attempt was charged for its fuel and time, where those are priced.
    pub compute: Compute,
}

/// What an attempt holds, and was charged for, where the deployment prices fuel and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// The event that holds money for the stretch under way.
    pub held: Option<u64>,
    /// Fuel that stretches before it were charged for. A replay uses it up again.
    pub fuel: u64,
}

/// A call whose outcome is not journaled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// What a crash now would mean for it.
    pub class: CallClass,
    /// The function, as `interface.function`.
    pub call: String,
    /// Its number within the attempt, from 1.
    pub ordinal: u32,
}

/// A step: its own attempts, or those of its items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// Its attempts; of a step that fans out, the sum of those of its items.
    pub unit: Unit,
    /// Its items, once it has fanned out.
    pub items: Option<Items>,
    /// Artifacts that it has from the parent of a fork.
    pub inherited: Vec<InheritedArtifact>,
}

/// The items of a step that has fanned out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items {
    values: Vec<Value>,
    units: Vec<Unit>,
    /// Those that have begun and not ended.
    active: BTreeSet<u32>,
    /// Of those, the ones that run. Thousands may wait for people meanwhile: what goes on is not looked for among them.
    running: BTreeSet<u32>,
    /// Of those, the ones that something becomes due for.
    timed: BTreeSet<u32>,
    /// Of those, how many wait for an approval.
    waiting: usize,
    succeeded: u32,
    failed: u32,
    first_failed: Option<u32>,
}

impl Unit {
    /// One that nothing has happened to.
    pub const NEW: Self = Self::new(StepStatus::Pending);

    pub(crate) const fn new(status: StepStatus) -> Self {
        Self {
            status,
            attempt: 0,
            counted: 0,
            interrupted: 0,
            in_attempt: false,
            parked: None,
            output: None,
            error: None,
            approval: None,
            committing: false,
            retry_at: None,
            fuel: 0,
            memory_peak: 0,
            ms: 0,
            started_at: None,
            ended_at: None,
            open: BTreeMap::new(),
            queued: Vec::new(),
            artifacts: Vec::new(),
            compute: Compute { held: None, fuel: 0 },
        }
    }

    /// Whether a call of its attempt may or may not have happened, and nothing but a person can tell.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(&self.parked, Some(reason) if reason.unknown().is_some())
    }

    /// The time it waits for, while parked for one.
    #[must_use]
    pub const fn timer(&self) -> Option<Timestamp> {
        match self.parked {
            Some(ParkReason::Timer { until }) => Some(until),
            _ => None,
        }
    }

    /// Takes in an event of its attempts.
    pub(crate) fn apply(&mut self, recorded: &Recorded) {
        let Recorded { seq, time, place, event } = recorded;
        match event {
            Event::AttemptStarted { .. } => {
                self.attempt = place.attempt;
                self.counted += 1;
                (self.status, self.in_attempt, self.committing) = (StepStatus::Running, true, false);
                // A compensator begins again in the next rollback.
                (self.retry_at, self.parked, self.ended_at) = (None, None, None);
                self.open.clear();
                self.queued.clear();
                self.artifacts.clear();
                self.compute = Compute::default();
                self.started_at.get_or_insert(*time);
            }
            Event::ComputeHeld { .. } => self.compute.held = Some(*seq),
            Event::ComputeCharged { fuel, .. } => {
                self.compute = Compute { held: None, fuel: self.compute.fuel + fuel };
            }
            Event::Intent { class, asked, .. } => {
                let (class, call, ordinal) = (*class, asked.to_string(), place.ordinal);
                self.open.insert(*seq, OpenCall { class, call, ordinal });
            }
            Event::Returned(returned) => {
                if let Some(intent) = returned.intent {
                    self.open.remove(&intent);
                }
                self.queued.extend(returned.queued.clone().map(|channel| (*seq, channel)));
                self.artifacts.extend(returned.artifact.clone());
            }
            // People are against what the step would commit: what it has to say goes with what it has written.
            Event::Denied { call, .. } if GatedCall::is_output(call) => self.queued.clear(),
            Event::Abandoned { intent, .. } => _ = self.open.remove(intent),
            Event::Resolved { intent, .. } => {
                self.open.remove(intent);
                (self.status, self.parked) = (StepStatus::Running, None);
            }
            Event::Committing { output, .. } => {
                self.committing = true;
                self.output = Some(Arc::new(output.clone()));
            }
            Event::AttemptEnded { end, fuel, memory_peak, ms, retry_at } => {
                self.meter(*fuel, *memory_peak, *ms);
                (self.in_attempt, self.committing, self.compute.held) = (false, false, None);
                (self.retry_at, self.parked) = (*retry_at, None);
                // What was not settled with the attempt was undone with it.
                self.open.clear();
                if !matches!(end, AttemptEnd::Succeeded { .. }) {
                    self.queued.clear();
                    self.artifacts.clear();
                }
                (self.output, self.error) = match end {
                    AttemptEnd::Succeeded { output } => (Some(Arc::new(output.clone())), None),
                    AttemptEnd::Failed(failure) => (None, Some(failure.to_string())),
                    AttemptEnd::Fault(fault) => (None, Some(fault.to_string())),
                    AttemptEnd::Interrupted { message } => {
                        self.counted -= 1;
                        self.interrupted += 1;
                        (None, Some(message.clone()))
                    }
                    AttemptEnd::Skipped { reason } => (None, Some(reason.clone())),
                    AttemptEnd::Unpaid { message } => (None, Some(message.clone())),
                    AttemptEnd::Cancelled => (None, None),
                };
                self.status = match (end, retry_at) {
                    (AttemptEnd::Succeeded { .. }, _) => StepStatus::Succeeded,
                    (AttemptEnd::Skipped { .. }, _) => StepStatus::Skipped,
                    (AttemptEnd::Cancelled, _) => StepStatus::Cancelled,
                    (_, Some(_)) => StepStatus::Running,
                    (_, None) => StepStatus::Failed,
                };
                self.ended_at = retry_at.is_none().then_some(*time);
            }
            Event::Parked { reason } => {
                (self.status, self.parked) = (StepStatus::Parked, Some(reason.clone()));
            }
            Event::Unparked { .. } | Event::TimerFired => {
                (self.status, self.parked) = (StepStatus::Running, None);
            }
            Event::StepEnded { skipped, reason } => {
                self.status = if *skipped { StepStatus::Skipped } else { StepStatus::Failed };
                (self.error, self.ended_at) = (Some(reason.clone()), Some(*time));
            }
            _ => {}
        }
    }

    fn meter(&mut self, fuel: u64, memory_peak: u64, ms: u64) {
        self.fuel += fuel;
        self.memory_peak = self.memory_peak.max(memory_peak);
        self.ms += ms;
    }
}

impl Default for Unit {
    fn default() -> Self {
        Self::NEW
    }
}

impl StepState {
    /// One that nothing has happened to.
    pub(crate) const NEW: Self = Self { unit: Unit::NEW, items: None, inherited: Vec::new() };

    /// Where the step stands. One that has fanned out is `running` as long as an item runs or can begin, else
    /// `waiting` or `parked` for what its items wait for.
    #[must_use]
    pub fn status(&self) -> StepStatus {
        let own = self.unit.status;
        let Some(items) = self.items.as_ref().filter(|_| own == StepStatus::Running) else { return own };
        // What has begun and neither runs nor waits is parked; where nothing has, something can begin.
        match (items.active.len(), items.running.len(), items.waiting) {
            (0, ..) => StepStatus::Running,
            (_, 0, 0) => StepStatus::Parked,
            (_, 0, _) => StepStatus::Waiting,
            _ => StepStatus::Running,
        }
    }

    /// The artifacts that it has made and others may see, each with its item.
    #[must_use]
    pub fn artifacts(&self) -> Vec<(Option<u32>, &Artifact)> {
        let items = self.items.iter().flat_map(|items| (0..).map(Some).zip(&items.units));
        let units = std::iter::once((None, &self.unit)).chain(items);
        let made = units.filter(|(_, unit)| unit.status == StepStatus::Succeeded);
        let made = made.flat_map(|(item, unit)| unit.artifacts.iter().map(move |it| (item, it)));
        made.chain(self.inherited.iter().map(|it| (it.item, &it.artifact))).collect()
    }

    /// The units that have begun and not ended, with their item.
    pub(crate) fn active(&self) -> impl Iterator<Item = (Option<u32>, &Unit)> {
        self.units(|items| &items.active)
    }

    /// The units that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (Option<u32>, &Unit)> {
        self.units(|items| &items.running).filter(|(_, unit)| unit.status == StepStatus::Running)
    }

    /// The units that something may become due for.
    pub(crate) fn timed(&self) -> impl Iterator<Item = (Option<u32>, &Unit)> {
        self.units(|items| &items.timed)
    }

    /// Some of the items, or the step itself where it does not fan out and is under way.
    fn units(&self, of: impl Fn(&Items) -> &BTreeSet<u32>) -> impl Iterator<Item = (Option<u32>, &Unit)> {
        let itself = self.items.is_none() && self.unit.attempt > 0 && self.unit.ended_at.is_none();
        let items = self
            .items
            .iter()
            .flat_map(move |items| of(items).iter().map(|item| (Some(*item), &items.units[*item as usize])));
        itself.then_some((None, &self.unit)).into_iter().chain(items)
    }

    /// Takes in an event of an item.
    pub(crate) fn apply_item(&mut self, item: u32, recorded: &Recorded) {
        let event = &recorded.event;
        if let Event::AttemptEnded { fuel, memory_peak, ms, .. } = event {
            self.unit.meter(*fuel, *memory_peak, *ms);
        }
        if let Event::AttemptStarted { .. } = event {
            self.unit.attempt += 1;
        }
        let Some(items) = &mut self.items else { return };
        items.change(item, |unit| unit.apply(recorded));
    }

    /// Gathers the outputs of the items, in their order.
    pub(crate) fn join(&mut self, time: Timestamp) {
        let Some(items) = &mut self.items else { return };
        let collects = items.failed > 0;
        let outputs = items.units.iter_mut().map(|unit| {
            let output = unit.output.take().map(Arc::unwrap_or_clone);
            match (collects, unit.error.take()) {
                (false, _) => output.unwrap_or_default(),
                (true, Some(error)) => serde_json::json!({ "err": error }),
                (true, None) => serde_json::json!({ "ok": output }),
            }
        });
        self.unit.output = Some(Arc::new(outputs.collect()));
        (self.unit.status, self.unit.ended_at) = (StepStatus::Succeeded, Some(time));
    }
}

impl Items {
    pub(crate) fn new(values: &[Value]) -> Self {
        Self { values: values.to_vec(), units: Vec::new(), ..Self::default() }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    /// How many have an output.
    #[must_use]
    pub const fn succeeded(&self) -> u32 {
        self.succeeded
    }

    /// How many have none and will have none.
    #[must_use]
    pub const fn failed(&self) -> u32 {
        self.failed
    }

    /// How many wait for an approval.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The element that an item works on.
    #[must_use]
    pub fn value(&self, item: u32) -> Option<&Value> {
        self.values.get(item as usize)
    }

    /// What an item has come to; none for one that has not begun.
    #[must_use]
    pub fn unit(&self, item: u32) -> Option<&Unit> {
        self.units.get(item as usize)
    }

    /// The items that have begun and not ended.
    pub fn active(&self) -> impl Iterator<Item = u32> {
        self.active.iter().copied()
    }

    /// The items that run.
    pub fn running(&self) -> impl Iterator<Item = u32> {
        self.running.iter().copied()
    }

    /// The first item that failed.
    #[must_use]
    pub const fn first_failed(&self) -> Option<u32> {
        self.first_failed
    }

    /// The next item to begin: they begin in order.
    #[must_use]
    pub fn next(&self) -> Option<u32> {
        (self.units.len() < self.values.len()).then(|| u32::try_from(self.units.len()).unwrap_or(u32::MAX))
    }

    /// Whether every item has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.active.is_empty() && self.units.len() == self.values.len()
    }

    /// Makes room for an item that begins; false for one out of order.
    pub(crate) fn begin(&mut self, item: u32) -> bool {
        match (item as usize).cmp(&self.units.len()) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => {
                self.units.push(Unit::NEW);
                self.units.len() <= self.values.len()
            }
            std::cmp::Ordering::Greater => false,
        }
    }

    /// Changes what an item has come to, and what is known of all of them with it.
    pub(crate) fn change(&mut self, item: u32, change: impl FnOnce(&mut Unit)) -> Option<()> {
        let unit = self.units.get_mut(item as usize)?;
        let waited = unit.status == StepStatus::Waiting;
        change(unit);
        let is_over = unit.ended_at.is_some();
        let keep = |set: &mut BTreeSet<u32>, holds: bool| {
            if holds && !is_over { set.insert(item) } else { set.remove(&item) }
        };
        keep(&mut self.running, unit.status == StepStatus::Running);
        keep(&mut self.timed, unit.retry_at.is_some() || unit.timer().is_some());
        match (waited, unit.status == StepStatus::Waiting) {
            (false, true) => self.waiting += 1,
            (true, false) => self.waiting -= 1,
            _ => {}
        }
        if !is_over {
            self.active.insert(item);
        } else if self.active.remove(&item) {
            match unit.status {
                StepStatus::Succeeded => self.succeeded += 1,
                StepStatus::Failed => {
                    self.failed += 1;
                    self.first_failed.get_or_insert(item);
                }
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wflo_model::{Artifact, Digest, Failure, FailureKind, Timestamp};

    use super::StepState;
    use crate::{AttemptEnd, Event, Place, Recorded, Returned, UnitId};

    fn artifact(name: &str) -> Artifact {
        let (digest, index) = (Digest::ZERO, Digest::ZERO);
        Artifact { artifact: name.parse().unwrap(), bytes: 1, digest, index, run: None }
    }

    fn apply(step: &mut StepState, attempt: u32, event: Event) {
        let place = Place::attempt(&UnitId::step(&"make".parse().unwrap()), attempt);
        step.unit.apply(&Recorded { seq: 1, time: Timestamp::default(), place, event });
    }

    fn makes(step: &mut StepState, attempt: u32, name: &str) {
        apply(step, attempt, Event::AttemptStarted { component: None, consumes: None });
        let returned = Returned {
            intent: None,
            call: None,
            args: Digest::ZERO,
            result: Ok(Value::Null),
            spend: None,
            tentative: false,
            reused: None,
            consumes: None,
            filters: Vec::new(),
            performed: None,
            reported: None,
            queued: None,
            artifact: Some(artifact(name)),
            beside: false,
        };
        apply(step, attempt, Event::Returned(returned));
    }

    fn ends(step: &mut StepState, attempt: u32, end: AttemptEnd) {
        let retry_at = matches!(end, AttemptEnd::Failed(_)).then(Timestamp::default);
        apply(step, attempt, Event::AttemptEnded { end, fuel: 0, memory_peak: 0, ms: 0, retry_at });
    }

    #[test]
    fn artifacts_are_those_of_the_attempt_that_succeeded() {
        let mut step = StepState::default();
        makes(&mut step, 1, "first");
        let message = "no".to_owned();
        ends(&mut step, 1, AttemptEnd::Failed(Failure { kind: FailureKind::Retryable, message }));
        assert!(step.artifacts().is_empty() && step.unit.artifacts.is_empty());
        makes(&mut step, 2, "second");
        assert_eq!(step.unit.artifacts, [artifact("second")], "the attempt itself sees it");
        assert!(step.artifacts().is_empty(), "others do not yet");
        ends(&mut step, 2, AttemptEnd::Succeeded { output: Value::Null });
        assert_eq!(step.artifacts(), [(None, &artifact("second"))]);
    }
}
