//! What an attempt has done so far, as its journal has it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;

use serde::Deserialize as _;
use serde_json::Value;
use wflo_engine::policy::Firing;
use wflo_engine::{
    AttemptEnd, CallClass, Event, GateAt, GatedCall, ParkReason, Place, Recorded, Resolution, Returned, Unit,
    UnitId,
};
use wflo_model::{
    ApprovalId, Call, CallError, CallResult, Digest, FailureKind, Inserted, Label, PicoUsd, Timestamp,
};

use crate::output_gate::is_output;
use crate::packed::Packed;
use crate::rollback::Changes;
use crate::transcript::Transcripts;

/// The recorded calls of one attempt, in order, and what earlier attempts can lend it.
#[derive(Debug, Default)]
pub(crate) struct History {
    calls: VecDeque<RecordedCall>,
    /// Timers that made it wait and have fired, in order.
    timers: VecDeque<FiredTimer>,
    /// What it was told where it waited for the calls that it had begun, in order.
    arrivals: VecDeque<Arrived>,
    /// How far the attempt had come before the events that are yet to be taken in.
    reached: Reached,
    /// The policies that have fired at calls, by their number.
    fired: Vec<(u32, Firing)>,
    /// Lines of log the journal has already.
    pub(crate) logged: u64,
    /// When the attempt began.
    pub(crate) started: Timestamp,
    /// The last approval that was opened for the step or item before the attempt began.
    pub(crate) approval: Option<ApprovalId>,
    /// What earlier attempts were answered, by call key.
    pub(crate) reusable: HashMap<Digest, Reusable>,
    /// What the parent of a fork was answered.
    pub(crate) lent: Vec<LentCall>,
    /// Output and meters, once the attempt is past its commit point.
    pub(crate) committing: Option<Committing>,
    /// The conversations of all attempts.
    pub(crate) transcripts: Transcripts,
}

/// A step past its commit point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Committing {
    pub(crate) output: Value,
    pub(crate) databases: Vec<Label>,
    pub(crate) changes: Changes,
    pub(crate) inserted: BTreeMap<Label, Inserted>,
    pub(crate) fuel: u64,
    pub(crate) memory_peak: u64,
    /// The event.
    pub(crate) seq: u64,
    /// Whether a person has said that what was to commit is done.
    pub(crate) is_settled: bool,
}

/// A result of an earlier attempt.
#[derive(Clone, Debug)]
pub(crate) struct Reusable {
    /// The event that has it.
    pub(crate) seq: u64,
    pub(crate) value: Value,
    is_model: bool,
}

#[cfg(test)]
impl Reusable {
    /// An empty answer of a model.
    pub(crate) const fn model(seq: u64) -> Self {
        Self { seq, value: Value::Null, is_model: true }
    }
}

/// A call that the parent of a fork has made, and what it came to.
#[derive(Clone, Debug)]
pub(crate) struct LentCall {
    pub(crate) call: Call,
    /// Its number among the equal calls of its attempt.
    pub(crate) n: u64,
    pub(crate) class: CallClass,
    pub(crate) reusable: Reusable,
}

/// One recorded call.
#[derive(Clone, Debug)]
pub(crate) struct RecordedCall {
    pub(crate) ordinal: u32,
    pub(crate) call: Call,
    pub(crate) args: Digest,
    pub(crate) came_to: CameTo,
    /// The approval that was asked for it, or that permitted it.
    pub(crate) approval: Option<ApprovalId>,
    /// The call as it was or is to be made, where people have changed it.
    pub(crate) performed: Option<Call>,
    /// The time of the last event that was written when it was begun, for the step's clock; none where there is none, or
    /// where it was begun again behind what had happened since.
    pub(crate) began: Option<Timestamp>,
    /// Whether the guest went on while it was under way, and is told what it came to by [`History::arrivals`].
    pub(crate) arrives: bool,
    /// Whether it was given up: it is made anew, and of what was, only the time it was begun is left.
    pub(crate) is_given_up: bool,
    /// What it came to, in the place of that, until its turn has come.
    packed: Option<Packed>,
}

/// What a guest was told where it waited for the calls that it had begun.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrived {
    /// What a call came to.
    Call { ordinal: u32, at: Timestamp },
    /// That a timer of its own was due before any of them.
    Woke { until: Timestamp, at: Timestamp },
}

/// How far an attempt had come.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// The highest number of a call.
    call: u32,
    /// The calls that were made when a timer last fired.
    timer: u32,
    /// The number of the call that policies last judged, and when.
    judged: (u32, Timestamp),
}

/// What a recorded call came to.
#[derive(Clone, Debug)]
pub(crate) enum CameTo {
    Returned {
        result: CallResult,
        tentative: bool,
        at: Timestamp,
    },
    Denied {
        error: CallError,
        at: Timestamp,
    },
    /// People were asked about it, and what they decided is not acted upon yet.
    Asked {
        approval: ApprovalId,
        at: Timestamp,
    },
    /// A crash cut it off.
    Open(OpenIntent),
}

impl CameTo {
    /// What the guest is told; none where that is not known yet.
    pub(crate) fn result(&self) -> Option<CallResult> {
        match self {
            Self::Returned { result, .. } => Some(result.clone()),
            Self::Denied { error, .. } => Some(Err(error.clone())),
            Self::Asked { .. } | Self::Open(_) => None,
        }
    }
}

/// An intent without a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenIntent {
    pub(crate) seq: u64,
    pub(crate) class: CallClass,
    pub(crate) hold: PicoUsd,
    pub(crate) good_until: Option<Timestamp>,
}

/// A timer that made the attempt wait and has fired.
#[derive(Clone, Copy, Debug)]
struct FiredTimer {
    /// The calls made before it.
    ordinal: u32,
    at: Timestamp,
}

impl RecordedCall {
    const fn new(ordinal: u32, call: Call, args: Digest, came_to: CameTo) -> Self {
        let (approval, performed, began) = (None, None, None);
        let (arrives, is_given_up, packed) = (false, false, None);
        Self { ordinal, call, args, came_to, approval, performed, began, arrives, is_given_up, packed }
    }
}

impl History {
    /// Picks out of a run's events those of one attempt, and what earlier ones were answered.
    pub(crate) fn of(events: impl IntoIterator<Item = Recorded>, unit: &UnitId, attempt: u32) -> Self {
        let events = events.into_iter().map(Ok::<_, Infallible>);
        Self::read(events, unit, attempt).unwrap_or_else(|never| match never {})
    }

    /// The same of events that are yet to be read, one after another.
    pub(crate) fn read<E>(
        events: impl Iterator<Item = Result<Recorded, E>>,
        unit: &UnitId,
        attempt: u32,
    ) -> Result<Self, E> {
        let mut history = Self::default();
        let mut intents: HashMap<u64, (Digest, CallClass, bool)> = HashMap::new();
        let mut parked_for = None;
        let of_unit = |place: &Place| place.step.as_ref() == Some(&unit.step) && place.item == unit.item;
        for recorded in events {
            let recorded = recorded?;
            if !of_unit(&recorded.place) {
                continue;
            }
            if let Event::Intent { transcript: Some(transcript), .. } = &recorded.event {
                history.transcripts.remember(transcript, recorded.seq);
            }
            if recorded.place.attempt < attempt {
                if let Event::ApprovalOpened { id, .. } = &recorded.event {
                    history.approval = Some(*id);
                }
                history.lend(&recorded, &mut intents);
            } else if recorded.place.attempt == attempt {
                history.take(recorded, &mut parked_for);
            }
        }
        Ok(history)
    }

    fn lend(&mut self, recorded: &Recorded, intents: &mut HashMap<u64, (Digest, CallClass, bool)>) {
        let mut keep = |intent: &u64, value: &Value| {
            if let Some((key, class, is_http)) = intents.get(intent)
                && (!is_http || crate::http::is_settled(value))
            {
                let is_model = *class == CallClass::Repeatable;
                let reusable = Reusable { seq: recorded.seq, value: value.clone(), is_model };
                self.reusable.insert(*key, reusable);
            }
        };
        match &recorded.event {
            Event::Intent { asked, class, key, .. } if class.is_reused() => {
                intents.insert(recorded.seq, (*key, *class, crate::http::is_http(asked)));
            }
            Event::Returned(Returned { intent: Some(intent), result: Ok(value), .. }) => keep(intent, value),
            Event::Resolved { intent, resolution: Resolution::Done { value }, .. } => keep(intent, value),
            // The guest wants its models asked afresh.
            Event::AttemptEnded { end: AttemptEnd::Failed(failure), .. }
                if failure.kind == FailureKind::Redo =>
            {
                self.reusable.retain(|_, reusable| !reusable.is_model);
                self.lent.retain(|lent| !lent.reusable.is_model);
            }
            Event::Lent(lent) => {
                let is_model = lent.class == CallClass::Repeatable;
                let reusable = Reusable { seq: recorded.seq, value: lent.value.clone(), is_model };
                let call = crate::lend::whole(lent, &self.lent);
                self.lent.push(LentCall { call, n: lent.n, class: lent.class, reusable });
            }
            _ => {}
        }
    }

    fn take(&mut self, recorded: Recorded, parked_for: &mut Option<u32>) {
        let Recorded { seq, time: at, place, event } = recorded;
        let ordinal = place.ordinal;
        match event {
            Event::AttemptStarted { .. } => self.started = at,
            Event::ApprovalOpened { at: GateAt::Call | GateAt::Commit, id, call: Some(gated), .. } => {
                let came_to = CameTo::Asked { approval: id, at };
                let GatedCall { asked: call, args, performed, .. } = gated;
                let recorded = RecordedCall::new(ordinal, call, args, came_to);
                self.record(RecordedCall { approval: Some(id), performed, began: Some(at), ..recorded });
            }
            Event::PolicyFired(firing) => {
                self.reached.judged = (ordinal, at);
                self.fired.push((ordinal, *firing));
            }
            Event::Intent {
                asked: call,
                args,
                class,
                hold,
                good_until,
                consumes: approval,
                performed,
                ..
            } => {
                let came_to = CameTo::Open(OpenIntent { seq, class, hold, good_until });
                let recorded = RecordedCall::new(ordinal, call, args, came_to);
                self.record(RecordedCall { approval, performed, began: Some(at), ..recorded });
            }
            Event::Returned(Returned {
                call,
                args,
                result,
                tentative,
                consumes: approval,
                performed,
                beside,
                ..
            }) => {
                let came_to = CameTo::Returned { result, tentative, at };
                match call {
                    Some(call) => {
                        let recorded = RecordedCall::new(ordinal, call, args, came_to);
                        self.record(RecordedCall { approval, performed, ..recorded });
                    }
                    None => self.came_to(ordinal, came_to),
                }
                self.arrives(ordinal, at, beside);
            }
            Event::Resolved { intent, resolution, .. }
                if self.committing.as_ref().is_some_and(|committing| committing.seq == intent) =>
            {
                if let Some(committing) = &mut self.committing {
                    committing.is_settled = matches!(resolution, Resolution::Done { .. });
                }
            }
            Event::Resolved { resolution: Resolution::Done { value }, .. } => {
                self.came_to(ordinal, CameTo::Returned { result: Ok(value), tentative: false, at });
                self.arrives(ordinal, at, false);
            }
            Event::Denied { call, args, error } => {
                self.record(RecordedCall::new(ordinal, call, args, CameTo::Denied { error, at }));
                self.arrives(ordinal, at, false);
            }
            // Nobody will know what it came to, and its attempt ends in the middle of it.
            Event::Resolved { resolution: Resolution::Compensate, .. } => {}
            // It is made anew, under an intent of its own.
            Event::Abandoned { .. } | Event::Resolved { .. } => {
                if let Some(call) = self.calls.iter_mut().rfind(|call| call.ordinal == ordinal) {
                    (call.approval, call.performed, call.is_given_up) = (None, None, true);
                }
            }
            Event::Parked { reason: ParkReason::Timer { .. } } => *parked_for = Some(ordinal),
            Event::TimerFired => {
                if let Some(ordinal) = parked_for.take() {
                    self.timers.push_back(FiredTimer { ordinal, at });
                    self.reached.timer = self.reached.timer.max(ordinal);
                }
            }
            Event::Woke { at: until } => {
                self.arrivals.push_back(Arrived::Woke { until, at });
                self.reached.timer = self.reached.timer.max(ordinal);
            }
            Event::Logged { .. } => self.logged += 1,
            Event::Committing { output, databases, changes, inserted, fuel, memory_peak } => {
                self.committing = Some(Committing {
                    output,
                    databases,
                    changes,
                    inserted,
                    fuel,
                    memory_peak,
                    seq,
                    is_settled: false,
                });
            }
            _ => {}
        }
    }

    /// Keeps what a call came to; a later word about the same call replaces the earlier.
    fn record(&mut self, mut call: RecordedCall) {
        call.packed = Packed::out_of(&mut call.came_to);
        let (judged, at) = self.reached.judged;
        call.began =
            call.began.or((judged == call.ordinal).then_some(at)).filter(|_| !self.is_behind(call.ordinal));
        self.reached.call = self.reached.call.max(call.ordinal);
        // Nearly always the last; what was begun beside others comes in any order.
        let after = self.calls.iter().rposition(|other| other.ordinal <= call.ordinal).map_or(0, |at| at + 1);
        match after.checked_sub(1).and_then(|at| self.calls.get_mut(at)) {
            Some(last) if last.ordinal == call.ordinal => {
                let (approval, began) = (call.approval.or(last.approval), call.began.or(last.began));
                *last = RecordedCall { approval, began, ..call };
            }
            _ => self.calls.insert(after, call),
        }
    }

    /// Whether the attempt had gone on past the call of this number.
    const fn is_behind(&self, ordinal: u32) -> bool {
        self.reached.call > ordinal || self.reached.timer >= ordinal
    }

    /// Has the guest be told what a call came to where it waits, if it went on while that was under way: `beside` says
    /// so, and what was written behind what it had gone on to.
    fn arrives(&mut self, ordinal: u32, at: Timestamp, beside: bool) {
        let is_behind = self.is_behind(ordinal);
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.ordinal == ordinal)
            && (beside || (is_behind && crate::http::can_be_beside(&call.call)))
        {
            call.arrives = true;
            self.arrivals.push_back(Arrived::Call { ordinal, at });
        }
    }

    fn came_to(&mut self, ordinal: u32, came_to: CameTo) {
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.ordinal == ordinal) {
            call.came_to = came_to;
            call.packed = Packed::out_of(&mut call.came_to);
        }
    }

    /// Whether the journal has it that a policy fired at the call of this number.
    pub(crate) fn has_fired(&self, ordinal: u32, firing: &Firing) -> bool {
        self.fired.iter().any(|(at, fired)| *at == ordinal && fired == firing)
    }

    /// The history of the first attempt of a step or item, which has just begun.
    pub(crate) fn begun(unit: &Unit) -> Self {
        Self { started: unit.started_at.unwrap_or_default(), approval: unit.approval, ..Self::default() }
    }

    /// The recorded call of this number; none where the next one has another, or the attempt is where it stood.
    pub(crate) fn take_call(&mut self, ordinal: u32) -> Option<RecordedCall> {
        let mut call = self.calls.pop_front_if(|next| next.ordinal == ordinal)?;
        if let (Some(packed), CameTo::Returned { result, .. }) = (call.packed.take(), &mut call.came_to) {
            *result = Ok(packed.value());
        }
        Some(call)
    }

    /// What the guest is told next where it waits for the calls that it has begun; it stays there.
    pub(crate) fn arrival(&self) -> Option<Arrived> {
        self.arrivals.front().copied()
    }

    /// Goes on to what the guest is told after that.
    pub(crate) fn next_arrival(&mut self) {
        self.arrivals.pop_front();
    }

    /// Whether the attempt had gone on from here: a call that the journal does not have was cut off when it did.
    pub(crate) fn goes_on(&self) -> bool {
        let woke = |arrived: &Arrived| matches!(arrived, Arrived::Woke { .. });
        !self.calls.is_empty() || !self.timers.is_empty() || self.arrivals.iter().any(woke)
    }

    /// The next recorded call, which stays there.
    pub(crate) fn peek(&self) -> Option<&RecordedCall> {
        self.calls.front()
    }

    /// When the timer fired that made the attempt wait after this many calls; none if none has.
    pub(crate) fn fired(&mut self, ordinal: u32) -> Option<Timestamp> {
        let timer = self.timers.front().filter(|timer| timer.ordinal == ordinal)?;
        let at = timer.at;
        self.timers.pop_front();
        Some(at)
    }

    /// When the timers fired, in order.
    pub(crate) fn timers(&self) -> Vec<Timestamp> {
        self.timers.iter().map(|timer| timer.at).collect()
    }

    /// What people were asked about its calls, in order, each once.
    pub(crate) fn approvals(&self) -> Vec<ApprovalId> {
        let mut asked: Vec<_> = self.calls.iter().filter_map(|call| call.approval).collect();
        asked.dedup();
        asked
    }

    /// Whether people have decided on what the attempt returned, and so on the rows that it would change.
    pub(crate) fn is_decided_on(&self) -> bool {
        self.calls.iter().any(|call| call.approval.is_some() && is_output(&call.call))
    }

    /// Whether the attempt is where it stood.
    pub(crate) fn is_over(&self) -> bool {
        self.calls.is_empty() && self.timers.is_empty() && self.arrivals.is_empty()
    }

    /// The recorded statements of the attempt's open transactions, in order, with their results.
    pub(crate) fn tentative(&self) -> Vec<(Call, CallResult)> {
        self.calls
            .iter()
            .filter_map(|call| match &call.came_to {
                CameTo::Returned { result, tentative: true, .. } => {
                    let result = call.packed.as_ref().map_or_else(|| result.clone(), |it| Ok(it.value()));
                    Some((call.performed.as_ref().unwrap_or(&call.call).clone(), result))
                }
                _ => None,
            })
            .collect()
    }

    /// The messages that the attempt has queued, in order, with what each call came to.
    pub(crate) fn queued(&self) -> Vec<(Call, CallResult)> {
        let messages = self.calls.iter().filter(|call| call.call.interface.starts_with("wflo:notify/"));
        messages
            .filter_map(|call| match &call.came_to {
                CameTo::Returned { result: result @ Ok(_), .. } => {
                    Some((call.performed.as_ref().unwrap_or(&call.call).clone(), result.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// The facts that the attempt has claimed, with their last values.
    pub(crate) fn facts(&self) -> BTreeMap<String, Value> {
        let taken = self.calls.iter().filter(|call| {
            let is_fact = call.call.interface == "wflo:approval/policy" && call.call.function == "fact";
            is_fact && matches!(call.came_to, CameTo::Returned { result: Ok(_), .. })
        });
        let claims = taken.filter_map(|call| crate::fact::Fact::deserialize(&call.call.args).ok());
        claims.map(|fact| (fact.name, fact.value)).collect()
    }
}
