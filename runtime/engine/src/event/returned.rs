//! What a call came to.

use serde::{Deserialize, Serialize};
use wflo_model::{ApprovalId, Artifact, Call, CallResult, Digest, PicoUsd};

use crate::Spend;

/// A call's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// The intent it answers; none for reads, which have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// The approval whose decision this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumes: Option<ApprovalId>,
    /// The row filters that the grant put on what was seen or changed: columns, and digests of the values they had to
    /// have, under the audit key of the store. They say whether it was patient 17 after the run was erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// The call as it was made, where no intent has it and people have changed it. Replay matches `call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performed: Option<Call>,
    /// A cost that the step reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// Where the message goes that this call has queued, once the step or item has succeeded: the address of a channel,
    /// or [`MAIL`](crate::MAIL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<String>,
    /// The artifact that the call has made: seen by others from the end of the attempt on, if that succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// True for a call that was under way beside its guest: the guest is told what it came to where it next waits, in
    /// the order of these events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// A column and the digest of the value it had to have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Filter {
    /// The column, or the parameter of a named statement.
    pub column: String,
    /// Of column and value, under the audit key of the store.
    pub digest: Digest,
}

/// A cost that a step says it has caused: in a cloud, at an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Of what kind, in the step's words.
    pub kind: String,
    /// How much.
    pub usd: PicoUsd,
    /// For what, in the step's words.
    pub note: String,
    /// How much of it was not there any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overrun: PicoUsd,
}

fn is_zero(amount: &PicoUsd) -> bool {
    *amount == PicoUsd::ZERO
}

/// The messages of a chat request, told by an earlier request of the same step and item: a conversation of n turns
/// costs n messages in the journal, not n squared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Keyed digest of all messages of this request.
    pub digest: Digest,
    /// The intent of the request whose messages these begin with, and how many they are; the event has those after
    /// them. None: it has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<(u64, u32)>,
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
