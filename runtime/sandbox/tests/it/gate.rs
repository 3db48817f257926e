//! A gate that records what reaches it and answers from a list.

use std::any::Any;
use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use wflo_host_api::{Gate, LogLine, StepContext, Stop};
use wflo_model::{Call, CallError, CallResult, Timestamp};

/// What the recorder does with a call.
pub(crate) enum Answer {
    Result(CallResult),
    Stop(Stop),
    /// Never comes back.
    Hang,
}

pub(crate) struct Recorder {
    pub(crate) context: StepContext,
    pub(crate) seed: [u8; 32],
    pub(crate) now: Timestamp,
    /// Answers to the next calls; one row of one number when there are none left.
    pub(crate) answers: VecDeque<Answer>,
    /// The longest sleep it allows; a longer one parks.
    pub(crate) longest_sleep: Duration,
    /// What it says to a call that is not complete.
    pub(crate) refusal: Option<CallError>,
    pub(crate) calls: Vec<Call>,
    /// Log lines, and between them `-> call` for each call.
    pub(crate) log: Vec<String>,
    pub(crate) sleeps: Vec<Timestamp>,
}

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

impl Default for Recorder {
    fn default() -> Self {
        Self {
            context: StepContext::default(),
            seed: [7; 32],
            now: START,
            answers: VecDeque::new(),
            longest_sleep: Duration::from_secs(60),
            refusal: None,
            calls: Vec::new(),
            log: Vec::new(),
            sleeps: Vec::new(),
        }
    }
}

impl Recorder {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn back(gate: Box<dyn Gate>) -> Self {
        let gate: Box<dyn Any> = gate;
        *gate.downcast().expect("the sandbox gives back the gate it was given")
    }
}

#[async_trait]
impl Gate for Recorder {
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop> {
        self.log.push(format!("-> {call}"));
        self.calls.push(call);
        match self.answers.pop_front() {
            Some(Answer::Result(result)) => Ok(result),
            Some(Answer::Stop(stop)) => Err(stop),
            Some(Answer::Hang) => std::future::pending().await,
            None => Ok(Ok(json!({"columns": ["n"], "rows": [[{"integer": "1"}]]}))),
        }
    }

    async fn refuse(&mut self, call: &Call) -> Result<Option<CallError>, Stop> {
        if self.refusal.is_some() {
            self.log.push(format!("-> {call}, refused"));
            self.calls.push(call.clone());
        }
        Ok(self.refusal.clone())
    }

    fn context(&self) -> &StepContext {
        &self.context
    }

    fn log(&mut self, line: LogLine) {
        self.log.push(format!("{:?} {}: {}", line.level, line.context, line.message));
    }

    fn now(&mut self) -> Timestamp {
        self.now = self.now.after(Duration::from_micros(1));
        self.now
    }

    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop> {
        self.sleeps.push(until);
        if until.since(self.now) > self.longest_sleep {
            return Err(Stop::Parked);
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn seed(&self) -> [u8; 32] {
        self.seed
    }
}
