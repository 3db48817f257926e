//! The seam between a guest's calls and whoever decides about them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo_model::{Call, CallError, CallResult, Fault, GuestPath, StepName, Timestamp};

use crate::Artifacts;

/// What every call of a guest goes through. The runtime has one implementation, live and in replay; nothing in
/// this crate or in the sandbox reaches outside but through it.
#[async_trait]
pub trait Gate: Any + Send {
    /// Makes a call that reaches outside: authorised, priced, approved, journaled, performed; or replayed.
    ///
    /// # Errors
    /// [`Stop`] ends the attempt by a trap: no code of the guest runs after it.
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop>;

    /// Makes a call as [`call`](Self::call) does, and does not wait for what it comes to where the guest need not: that
    /// is an [`arrival`](Self::arrival) then. A call that is authorised, and whose intent is durable where it has one,
    /// counts as made.
    ///
    /// A gate for which calls are made one after another makes it here and now, which is what this does unless it is
    /// written anew.
    ///
    /// # Errors
    /// [`Stop`] as for [`call`](Self::call).
    async fn begin(&mut self, call: Call) -> Result<Begun, Stop> {
        Ok(Begun::Done(self.call(call).await?))
    }

    /// Waits for the first of the calls under way to come to something, and no longer than until the step's clock
    /// shows `until`: none, where that comes first. Which of them it is, live, is what it is in every replay.
    ///
    /// It is asked only while there are calls under way.
    ///
    /// # Errors
    /// [`Stop`] as for [`call`](Self::call).
    async fn arrival(&mut self, until: Option<Timestamp>) -> Result<Option<Arrival>, Stop> {
        let _ = until;
        Err(Stop::Host("no call is under way".to_owned()))
    }

    /// Refuses a call whose arguments are not complete yet, if no grant of the step allows it whatever they will
    /// be: journaled like any denial. Otherwise nothing is decided, and [`call`](Self::call) follows.
    ///
    /// It depends on the step's pinned grants alone, so that it comes out the same in replay.
    ///
    /// # Errors
    /// [`Stop`] as for [`call`](Self::call).
    async fn refuse(&mut self, call: &Call) -> Result<Option<CallError>, Stop> {
        let _ = call;
        Ok(None)
    }

    /// What a step may always know; it is in the journal already.
    fn context(&self) -> &StepContext;

    /// Takes a line of log. Lines of a replay repeat what the journal has and are dropped by the gate.
    fn log(&mut self, line: LogLine);

    /// Stops a guest that does nothing but log. It is asked after each line that is not printed.
    ///
    /// # Errors
    /// [`Stop::Fault`], which names the limit.
    fn logged(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    /// The step's clock: the time of the last event it has seen, plus 1 us a reading.
    fn now(&mut self) -> Timestamp;

    /// Waits until the step's clock shows `until`: really, when live; at once, in replay.
    ///
    /// # Errors
    /// [`Stop`] as for [`call`](Self::call).
    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop>;

    /// Where the bytes of artifacts are kept; none where there are no artifacts.
    fn artifacts(&mut self) -> Option<&mut dyn Artifacts> {
        None
    }

    /// The seed of the step's randomness: the same for every replay of this attempt.
    fn seed(&self) -> [u8; 32];
}

/// What beginning a call comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// It is over, and this is what it came to.
    Done(CallResult),
    /// It is under way, and this is its number among those of the attempt.
    UnderWay(u32),
}

/// What a call that was under way came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Its number among those of the attempt.
    pub call: u32,
    /// What it came to.
    pub result: CallResult,
}

/// What a step may know about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepContext {
    /// The run, as text.
    pub run: String,
    /// The step's name.
    pub step: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Inputs of the run.
    pub inputs: Map<String, Value>,
    /// Outputs of the steps it depends on, directly or through others.
    pub outputs: BTreeMap<StepName, Arc<Value>>,
    /// The element it works on, where it fans out.
    pub item: Option<Value>,
    /// The last decision about it.
    pub decision: Option<Decision>,
    /// The folders it was granted, by its own names for them.
    pub folders: Vec<GuestPath>,
    /// What it is called with, where it is a function of a component's own types: values by parameter, or why there are
    /// none.
    pub arguments: Option<Result<Map<String, Value>, String>>,
}

/// How an approval ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// How.
    pub status: DecisionStatus,
    /// The votes that counted.
    pub votes: Vec<DecisionVote>,
}

/// The ends of an approval that a step can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionStatus {
    /// Everybody who had to has approved.
    Approved,
    /// Somebody rejected.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

/// One vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionVote {
    /// Who.
    pub by: String,
    /// In favour.
    pub approved: bool,
    /// What they wrote.
    pub comment: Option<String>,
}

/// A line of log of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How bad it is.
    pub level: LogLevel,
    /// What it groups under: wasi:logging's context, `stdout` or `stderr`.
    pub context: String,
    /// Text, or one JSON object whose fields are kept.
    pub message: String,
}

/// How bad a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Flow within a program.
    Trace,
    /// For someone debugging.
    Debug,
    /// For someone watching.
    Info,
    /// Hazardous.
    Warn,
    /// Serious.
    Error,
    /// Fatal.
    Critical,
}

/// Why an attempt stops in the middle of a call. It becomes a trap and is taken out of it again by the sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// It waits for something that may take long; the instance is dropped and replayed later.
    #[error("parked")]
    Parked,
    /// The process stops driving runs; the attempt goes on elsewhere, from its journal.
    #[error("suspended")]
    Suspended,
    /// Its journal has another call at this place.
    #[error("diverged from its journal")]
    Diverged,
    /// What was redone is not what was recorded; another attempt starts.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// It ran into a limit that the gate keeps.
    #[error("{0}")]
    Fault(Fault),
    /// People decided that the step fails or is left out.
    #[error("{reason}")]
    Rejected {
        /// What they said.
        reason: String,
        /// Whether the step is left out, and what depends on it goes on.
        skips: bool,
    },
    /// What it has to do again is outside, and that does not answer; the attempt goes on later, from its journal.
    #[error("{0}")]
    Away(String),
    /// The host failed: the journal cannot be written, a recorded value cannot be read.
    #[error("{0}")]
    Host(String),
}
