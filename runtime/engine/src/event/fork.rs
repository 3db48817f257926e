//! What a run has from the one it is forked from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{Artifact, Call, Digest, PicoUsd, RunId};

use super::CallClass;
use crate::Account;

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
    /// How far single calls of the parent cost more than was held for them; part of what is spent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overrun: PicoUsd,
    /// What the parent had spent on undoing steps; part of what is spent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undoing: PicoUsd,
    /// The accounts that such calls had frozen, and that nobody had raised since: they admit nothing here either.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub frozen: BTreeSet<Account>,
}

fn is_zero(amount: &PicoUsd) -> bool {
    *amount == PicoUsd::ZERO
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A fork as earlier versions have written it, and as one of a parent that kept within its quotes is written still.
    const PLAIN: &str = r#"{"run":"01M8C6ECVCPC88050XJ0P37MM5","seq":3,"hash":"HASH","spent":"0.5"}"#;

    #[test]
    fn what_earlier_versions_have_written_is_read() {
        let plain = PLAIN.replace("HASH", &Digest::ZERO.to_string());
        let forked: Forked = serde_json::from_str(&plain).unwrap();
        let Forked { overrun, undoing, frozen, .. } = &forked;
        assert_eq!((*overrun, *undoing, frozen.len()), (PicoUsd::ZERO, PicoUsd::ZERO, 0));
        assert_eq!(serde_json::to_string(&forked).unwrap(), plain);
    }

    #[test]
    fn a_fork_says_which_accounts_are_frozen() {
        let plain = PLAIN.replace("HASH", &Digest::ZERO.to_string());
        let step = || "a".parse().unwrap();
        let frozen = [Account::Run, Account::Step(step()), Account::Item(step(), 3)].into();
        let overrun = "0.1".parse().unwrap();
        let forked = Forked { overrun, frozen, ..serde_json::from_str(&plain).unwrap() };
        let json = serde_json::to_string(&forked).unwrap();
        let more = r#","overrun":"0.1","frozen":["run",{"step":"a"},{"item":["a",3]}]}"#;
        assert_eq!(json, plain.replace('}', more));
        assert_eq!(serde_json::from_str::<Forked>(&json).unwrap(), forked);
    }
}
