//! How attempts and approvals end, and what is waited for meanwhile.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{Failure, Fault, Label, PicoUsd, Timestamp};

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
    /// People decided that the step is left out; those that depend on it go on.
    Skipped {
        /// What they said.
        reason: String,
    },
    /// The run was cancelled, or failed elsewhere, before it ended.
    Cancelled,
    /// The money for its fuel and time was not there, and the workflow says that it fails then.
    Unpaid {
        /// What it needs, and what is left.
        message: String,
    },
}

/// What a parked attempt waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "for", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParkReason {
    /// Money.
    #[error("{} up to {needed_usd} USD and {left_usd} USD are left{}", what_needs(*.compute), of_account(.account.as_deref()))]
    Budget {
        /// What would be held.
        needed_usd: PicoUsd,
        /// What is left.
        left_usd: PicoUsd,
        /// The account that leaves no more, in words; the run's if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Whether it is for the fuel and time of the attempt, and not for a call.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        compute: bool,
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
    /// A time.
    #[error("it sleeps until {until}")]
    Timer {
        /// When it is due.
        until: Timestamp,
    },
    /// A call may or may not have been done, and nothing but a person can tell.
    #[error("nobody knows whether `{call}` was done: event {intent} has no outcome")]
    Unknown {
        /// The intent.
        intent: u64,
        /// The call, in words.
        call: String,
    },
    /// Some databases have committed what the step wrote and others cannot, so that it can neither go back nor forward:
    /// a person says what becomes of it, as of what is unknown.
    #[error("{}, and {} not: {why}", have(.committed, "committed what it wrote"), have(.missing, ""))]
    HalfCommitted {
        /// The event that has what was to commit.
        intent: u64,
        /// The databases that have it.
        committed: Vec<Label>,
        /// Those that have not.
        missing: Vec<Label>,
        /// What stands against it there.
        why: String,
    },
}

impl ParkReason {
    /// The event of which a person has to say what became, if that is what it waits for.
    #[must_use]
    pub const fn unknown(&self) -> Option<u64> {
        match self {
            Self::Unknown { intent, .. } | Self::HalfCommitted { intent, .. } => Some(*intent),
            _ => None,
        }
    }
}

/// That databases have done something.
fn have(databases: &[Label], done: &str) -> String {
    let names: Vec<_> = databases.iter().map(|db| format!("`{db}`")).collect();
    let have = if names.len() == 1 { "has" } else { "have" };
    format!("{} {have} {done}", names.join(", ")).trim_end().to_owned()
}

const fn what_needs(compute: bool) -> &'static str {
    if compute { "within its limits, fuel and time cost" } else { "the next call needs" }
}

fn of_account(account: Option<&str>) -> String {
    account.map(|account| format!(" to {account}")).unwrap_or_default()
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
    /// It was given too long ago, or by somebody who may no longer, nobody decided it in time, or what it was about
    /// was changed: another one stands in its place.
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
