//! What an attempt has done so far, as its journal has it.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;
use wflo_engine::{AttemptEnd, CallClass, Event, Place, Recorded, Returned};
use wflo_model::{Call, CallError, CallResult, Digest, FailureKind, Label, PicoUsd, StepName, Timestamp};

/// The recorded calls of one attempt, in order, and what earlier attempts can lend it.
#[derive(Debug, Default)]
pub(crate) struct History {
    calls: VecDeque<RecordedCall>,
    /// Lines of log the journal has already.
    pub(crate) logged: u64,
    /// When the attempt began.
    pub(crate) started: Timestamp,
    /// Results of models in earlier attempts, by call key.
    pub(crate) reusable: HashMap<Digest, (u64, Value)>,
    /// Output and meters, once the attempt is past its commit point.
    pub(crate) committing: Option<Committing>,
}

/// A step past its commit point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Committing {
    pub(crate) output: Value,
    pub(crate) databases: Vec<Label>,
    pub(crate) fuel: u64,
    pub(crate) memory_peak: u64,
}

/// One recorded call.
#[derive(Clone, Debug)]
pub(crate) struct RecordedCall {
    pub(crate) ordinal: u32,
    pub(crate) call: Call,
    pub(crate) args: Digest,
    pub(crate) came_to: CameTo,
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
    /// A crash cut it off.
    Open(OpenIntent),
}

/// An intent without a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenIntent {
    pub(crate) seq: u64,
    pub(crate) class: CallClass,
    pub(crate) hold: PicoUsd,
    pub(crate) at: Timestamp,
}

impl History {
    /// Picks out of a run's events those of one attempt, and the model results of earlier ones.
    pub(crate) fn of(events: &[Recorded], step: &StepName, attempt: u32) -> Self {
        let mut history = Self::default();
        let mut intents: HashMap<u64, Digest> = HashMap::new();
        let of_step = |place: &Place| place.step.as_ref() == Some(step);
        for recorded in
            events.iter().filter(|recorded| of_step(&recorded.place) && recorded.place.attempt > 0)
        {
            if recorded.place.attempt < attempt {
                history.lend(recorded, &mut intents);
            } else if recorded.place.attempt == attempt {
                history.take(recorded);
            }
        }
        history
    }

    fn lend(&mut self, recorded: &Recorded, intents: &mut HashMap<u64, Digest>) {
        match &recorded.event {
            Event::Intent { class: CallClass::Repeatable, key, .. } => {
                intents.insert(recorded.seq, *key);
            }
            Event::Returned(Returned { intent: Some(intent), result: Ok(value), .. }) => {
                if let Some(key) = intents.get(intent) {
                    self.reusable.insert(*key, (recorded.seq, value.clone()));
                }
            }
            // The guest wants its models asked afresh.
            Event::AttemptEnded { end: AttemptEnd::Failed(failure), .. }
                if failure.kind == FailureKind::Redo =>
            {
                self.reusable.clear();
            }
            _ => {}
        }
    }

    fn take(&mut self, recorded: &Recorded) {
        let ordinal = recorded.place.ordinal;
        let at = recorded.time;
        match &recorded.event {
            Event::AttemptStarted { .. } => self.started = at,
            Event::Intent { asked, args, class, hold, .. } => {
                let came_to = CameTo::Open(OpenIntent { seq: recorded.seq, class: *class, hold: *hold, at });
                self.calls.push_back(RecordedCall { ordinal, call: asked.clone(), args: *args, came_to });
            }
            Event::Returned(returned) => {
                let came_to =
                    CameTo::Returned { result: returned.result.clone(), tentative: returned.tentative, at };
                match &returned.call {
                    Some(call) => {
                        let (call, args) = (call.clone(), returned.args);
                        self.calls.push_back(RecordedCall { ordinal, call, args, came_to });
                    }
                    None => {
                        if let Some(open) = self.calls.iter_mut().rfind(|call| call.ordinal == ordinal) {
                            open.came_to = came_to;
                        }
                    }
                }
            }
            Event::Denied { call, args, error } => {
                let came_to = CameTo::Denied { error: error.clone(), at };
                self.calls.push_back(RecordedCall { ordinal, call: call.clone(), args: *args, came_to });
            }
            Event::Abandoned { .. } => self.calls.retain(|call| call.ordinal != ordinal),
            Event::Logged { .. } => self.logged += 1,
            Event::Committing { output, databases, fuel, memory_peak } => {
                self.committing = Some(Committing {
                    output: output.clone(),
                    databases: databases.clone(),
                    fuel: *fuel,
                    memory_peak: *memory_peak,
                });
            }
            _ => {}
        }
    }

    /// The history of an attempt that has just begun.
    pub(crate) fn begun(started: Timestamp) -> Self {
        Self { started, ..Self::default() }
    }

    /// The next recorded call; none once the attempt is where it stood.
    pub(crate) fn next(&mut self) -> Option<RecordedCall> {
        self.calls.pop_front()
    }

    /// Whether the attempt is where it stood.
    pub(crate) fn is_over(&self) -> bool {
        self.calls.is_empty()
    }

    /// The recorded statements of the attempt's open transactions, in order, with their results.
    pub(crate) fn tentative(&self) -> Vec<(Call, CallResult)> {
        self.calls
            .iter()
            .filter_map(|call| match &call.came_to {
                CameTo::Returned { result, tentative: true, .. } => Some((call.call.clone(), result.clone())),
                _ => None,
            })
            .collect()
    }
}
