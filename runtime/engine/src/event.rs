//! What happened, as the journal keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo_manifest::ApprovalRule;
use wflo_model::{
    ApprovalId, Call, CallError, CallResult, Digest, Failure, Fault, GroupName, Label, PicoUsd,
    PrincipalName, StepName, Timestamp,
};

use crate::Spend;

/// An event with its place in the log of its run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// When; never before the event it follows.
    pub time: Timestamp,
    /// What it is about.
    pub place: Place,
    /// What happened.
    pub event: Event,
}

/// What an event is about: the run (all empty), a step, one attempt, one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The step.
    pub step: Option<StepName>,
    /// The item of a step that fans out.
    pub item: Option<u32>,
    /// The attempt, from 1; 0 where there is none.
    pub attempt: u32,
    /// The call within the attempt, from 1; 0 where there is none.
    pub ordinal: u32,
}

impl Place {
    /// The run as a whole.
    pub const RUN: Self = Self { step: None, item: None, attempt: 0, ordinal: 0 };

    /// A step, outside of any attempt.
    #[must_use]
    pub fn step(step: &StepName) -> Self {
        Self { step: Some(step.clone()), ..Self::RUN }
    }

    /// An attempt of a step.
    #[must_use]
    pub fn attempt(step: &StepName, attempt: u32) -> Self {
        Self { step: Some(step.clone()), attempt, ..Self::RUN }
    }

    /// A call of this attempt.
    #[must_use]
    pub fn call(&self, ordinal: u32) -> Self {
        Self { ordinal, ..self.clone() }
    }
}

/// What happened. The JSON of this type is the body of a journal record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run was accepted. Always the first event.
    RunCreated {
        /// Name of the workflow.
        workflow: String,
        /// Its version.
        version: String,
        /// The pinned plan.
        plan: Digest,
        /// Inputs, defaults filled in.
        inputs: Map<String, Value>,
        /// Who asked.
        requester: PrincipalName,
        /// The budget of the run.
        budget: Option<PicoUsd>,
    },
    /// People are asked whether a step may start. Written before anybody is told.
    ApprovalOpened {
        /// Its id.
        id: ApprovalId,
        /// The digest of exactly what would be done.
        subject: Digest,
        /// What is decided on, for people; part of the subject.
        shows: Value,
        /// Who is asked, how many of them, and how long it is good for.
        rule: ApprovalRule,
        /// When it expires.
        expires_at: Option<Timestamp>,
    },
    /// A person voted.
    Voted {
        /// On what.
        approval: ApprovalId,
        /// Who.
        by: PrincipalName,
        /// The groups they were in.
        groups: Vec<GroupName>,
        /// How.
        verdict: Verdict,
        /// What they wrote.
        comment: Option<String>,
        /// True when it was decided already, or expired: kept for the record, without effect.
        late: bool,
    },
    /// An approval was decided.
    ApprovalClosed {
        /// Which.
        approval: ApprovalId,
        /// How.
        outcome: Outcome,
    },
    /// An attempt of a step began. What it was approved for is consumed by this same append.
    AttemptStarted {
        /// The component that runs.
        component: Digest,
        /// The approval that permits it.
        consumes: Option<ApprovalId>,
    },
    /// A call is about to be made. Durable before it is.
    Intent {
        /// The call as the guest asked for it.
        asked: Call,
        /// What a crash between this and its result means.
        class: CallClass,
        /// Keyed digest of the arguments.
        args: Digest,
        /// Names the call across crashes and attempts.
        key: Digest,
        /// Money held until it returns.
        hold: PicoUsd,
        /// The most tokens the model may answer with, where the budget or the price list sets it.
        max_tokens: Option<u32>,
    },
    /// A call returned.
    Returned(Returned),
    /// A call was cut off by a crash; it is made again under a new intent.
    Abandoned {
        /// The intent.
        intent: u64,
        /// Charged for it: the provider may have done the work.
        cost: PicoUsd,
    },
    /// A call was refused; nothing was done.
    Denied {
        /// The call.
        call: Call,
        /// Keyed digest of the arguments.
        args: Digest,
        /// Why, as the guest was told.
        error: CallError,
    },
    /// A guest logged a line.
    Logged {
        /// How bad.
        level: String,
        /// `stdout`, `stderr`, or what the guest groups by.
        context: String,
        /// The line.
        message: String,
    },
    /// The guest has returned; its transactions are about to commit. From here the step goes forward only.
    Committing {
        /// What it returned.
        output: Value,
        /// The databases that commit, in order.
        databases: Vec<Label>,
        /// Fuel used, as the attempt's end will say.
        fuel: u64,
        /// Peak of its memory, in bytes.
        memory_peak: u64,
    },
    /// An attempt ended.
    AttemptEnded {
        /// How.
        end: AttemptEnd,
        /// Fuel used.
        fuel: u64,
        /// Peak of its memory, in bytes.
        memory_peak: u64,
        /// Wall-clock time of the last stretch, in milliseconds.
        ms: u64,
        /// When the next attempt may start, if there is to be one.
        retry_at: Option<Timestamp>,
    },
    /// An attempt waits; its instance is gone and will be replayed.
    Parked {
        /// For what.
        reason: ParkReason,
    },
    /// Somebody asked a parked attempt to go on.
    Unparked {
        /// Who.
        by: PrincipalName,
    },
    /// A step ended without an attempt: left out, or not permitted.
    StepEnded {
        /// True when it was left out and those that depend on it go on.
        skipped: bool,
        /// Why.
        reason: String,
    },
    /// The run ended.
    RunEnded {
        /// How: one of the final states.
        status: crate::RunStatus,
        /// Why it failed.
        error: Option<String>,
    },
}

/// A call's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// The intent it answers; none for reads, which have none.
    pub intent: Option<u64>,
    /// The call, where no intent has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// Keyed digest of the arguments.
    pub args: Digest,
    /// What came of it.
    #[serde(with = "result_json")]
    pub result: CallResult,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Spend>,
    /// True inside an open transaction: it counts only if that commits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tentative: bool,
    /// The event whose result this repeats, where an earlier attempt had made the same call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<u64>,
}

/// What a crash between intent and result means for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallClass {
    /// It only reads: it has no intent and is simply done again.
    Read,
    /// It may be made again; the first may have cost something.
    Repeatable,
    /// It is undone with its transaction, and redone.
    Transactional,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptEnd {
    /// With an output.
    Succeeded {
        /// The output.
        output: Value,
    },
    /// The guest said it failed.
    Failed(Failure),
    /// The sandbox or the host stopped it.
    Fault(Fault),
    /// What was redone differs from what was recorded, or the database asked for another try; counts as no
    /// attempt.
    Interrupted {
        /// Why.
        message: String,
    },
}

/// What a parked attempt waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "for", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParkReason {
    /// Money.
    #[error("the next call needs up to {needed_usd} USD and {left_usd} USD are left")]
    Budget {
        /// What the call would hold.
        needed_usd: PicoUsd,
        /// What is left.
        left_usd: PicoUsd,
    },
    /// Its journal has another call at this place; nothing was executed.
    #[error("call {ordinal} is not the recorded one: expected {expected}, got {got}")]
    Diverged {
        /// The call's number.
        ordinal: u32,
        /// What the journal has.
        expected: String,
        /// What the guest asked for.
        got: String,
    },
}

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// For.
    Approve,
    /// Against.
    Reject,
}

/// How an approval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Everybody who had to has approved.
    Approved,
    /// One who may has rejected.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// The run was cancelled.
    Cancelled,
    /// It was given too long ago, or by somebody who may no longer; it is asked again.
    Superseded,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        })
    }
}

/// What an approval is bound to; its canonical JSON is what the subject's digest is taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The step.
    pub step: StepName,
    /// Inputs of the run.
    pub inputs: Map<String, Value>,
    /// Outputs of the steps it depends on directly.
    pub depends_on: std::collections::BTreeMap<StepName, Value>,
    /// The component that would run.
    pub component: Digest,
    /// What it may touch.
    pub grants: wflo_model::Grants,
    /// The most the run may still cost.
    pub budget: Option<PicoUsd>,
}

/// The kinds of event, with the numbers they have on disk for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is documented at the event of the same name")]
pub enum EventKind {
    RunCreated = 1,
    ApprovalOpened = 2,
    Voted = 3,
    ApprovalClosed = 4,
    AttemptStarted = 5,
    Intent = 6,
    Returned = 7,
    Abandoned = 8,
    Denied = 9,
    Logged = 10,
    Committing = 11,
    AttemptEnded = 12,
    Parked = 13,
    Unparked = 14,
    StepEnded = 15,
    RunEnded = 16,
}

impl Event {
    /// The kind of this event.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::RunCreated { .. } => EventKind::RunCreated,
            Self::ApprovalOpened { .. } => EventKind::ApprovalOpened,
            Self::Voted { .. } => EventKind::Voted,
            Self::ApprovalClosed { .. } => EventKind::ApprovalClosed,
            Self::AttemptStarted { .. } => EventKind::AttemptStarted,
            Self::Intent { .. } => EventKind::Intent,
            Self::Returned(_) => EventKind::Returned,
            Self::Abandoned { .. } => EventKind::Abandoned,
            Self::Denied { .. } => EventKind::Denied,
            Self::Logged { .. } => EventKind::Logged,
            Self::Committing { .. } => EventKind::Committing,
            Self::AttemptEnded { .. } => EventKind::AttemptEnded,
            Self::Parked { .. } => EventKind::Parked,
            Self::Unparked { .. } => EventKind::Unparked,
            Self::StepEnded { .. } => EventKind::StepEnded,
            Self::RunEnded { .. } => EventKind::RunEnded,
        }
    }

    /// The bytes of a journal record's body.
    ///
    /// # Panics
    /// Never: an event is JSON by construction.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("events have text keys and finite numbers only")
    }

    /// Reads a body back.
    ///
    /// # Errors
    /// When the bytes are not an event this version knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnknownKind> {
        serde_json::from_slice(bytes).map_err(|source| UnknownKind { source })
    }
}

/// A body that is no event this version knows: a newer wflo wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the journal has an event this version cannot read: {source}")]
pub struct UnknownKind {
    source: serde_json::Error,
}

mod result_json {
    //! `Ok` and `Err` as `{"ok": ..}` and `{"err": ..}`.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;
    use wflo_model::{CallError, CallResult};

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Out<'a> {
        Ok(&'a Value),
        Err(&'a CallError),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum In {
        Ok(Value),
        Err(CallError),
    }

    pub(super) fn serialize<S: Serializer>(result: &CallResult, to: S) -> Result<S::Ok, S::Error> {
        match result {
            Ok(value) => Out::Ok(value).serialize(to),
            Err(error) => Out::Err(error).serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<CallResult, D::Error> {
        Ok(match In::deserialize(from)? {
            In::Ok(value) => Ok(value),
            In::Err(error) => Err(error),
        })
    }
}
