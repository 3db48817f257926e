//! What a run has from the one it is forked from.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{Artifact, Call, Digest, PicoUsd, RunId};

use super::CallClass;

/// Where a fork comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forked {
    /// The parent.
    pub run: RunId,
    /// The parent's event up to which it is as the parent was.
    pub seq: u64,
    /// The hash of that event: with it, the parent's chain is part of this one.
    pub hash: Digest,
    /// What the parent had spent in all. It counts in the budget of this run.
    pub spent: PicoUsd,
}

/// A call that the parent of a fork has made, and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lent {
    /// The call; of a chat request, only the messages behind those that `goes_on` names.
    pub call: Call,
    /// The lent chat request of the same step or item whose messages this one's begin with, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<u64>,
    /// Its number among the equal calls of its attempt, from 1.
    pub n: u64,
    /// What a crash would have meant for it.
    pub class: CallClass,
    /// What it returned.
    pub value: Value,
}

/// An artifact that a fork has from its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InheritedArtifact {
    /// The item that made it, where its step fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What it is.
    #[serde(flatten)]
    pub artifact: Artifact,
}
