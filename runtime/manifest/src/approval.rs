//! Who has to approve a step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wflo_model::{GroupName, PrincipalName};

/// Who has to approve, how many, and until when.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
/// use wflo_manifest::{ApprovalRule, Approver, Quorum};
///
/// let rule = ApprovalRule::new(vec![Approver::new("fraud-team"), Approver::new("compliance")], Quorum::EachListed);
/// let mut votes = BTreeMap::from([("alice".parse().unwrap(), BTreeSet::from(["fraud-team".parse().unwrap()]))]);
/// assert!(!rule.satisfied_by(&votes));
/// votes.insert("carol".parse().unwrap(), BTreeSet::from(["compliance".parse().unwrap()]));
/// assert!(rule.satisfied_by(&votes));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Where the gate of a step stands. That of a policy stands where its event does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at: ApprovalAt,
    /// Groups or principals.
    pub approvers: Vec<Approver>,
    /// How many of them.
    pub quorum: Quorum,
    /// Whether the one who asked for the run may approve.
    pub allow_requester: bool,
    /// Whether no policy may waive it.
    pub mandatory: bool,
    /// How long it stays open; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How long an approval can be consumed.
    pub valid: Duration,
    /// What happens when it is not decided in time.
    pub on_timeout: OnTimeout,
    /// Who is asked then, a distinct person of each, under [`OnTimeout::Escalate`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<Approver>,
    /// Whether an approver may change what is decided on; others then decide about that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_edit: bool,
    /// What a rejection does to the step.
    pub on_reject: OnReject,
    /// Channels that are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where the gate of a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalAt {
    /// Before its first attempt: people see what it is given and what it may touch.
    #[default]
    Start,
    /// After it has returned and before what it wrote commits: people see the output and the rows that change.
    Commit,
}

/// The name of a group or of a principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approver(String);

/// How many of the listed approvers it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quorum {
    /// A distinct person for each listed group or principal.
    #[default]
    EachListed,
    /// So many distinct persons of all that are listed.
    Any(u32),
}

/// What happens to an approval that is not decided in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnTimeout {
    /// It counts as rejected.
    #[default]
    Reject,
    /// Others are asked: [`ApprovalRule::escalation`].
    Escalate,
    /// It counts as approved. Never of a mandatory gate.
    Approve,
}

/// What a rejection does to the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnReject {
    /// The step fails, and with it the run.
    #[default]
    Fail,
    /// The step is skipped; those that depend on it run.
    Skip,
    /// The step goes on, and is told. At a commit what it wrote is discarded, and its output kept.
    Continue,
}

impl ApprovalRule {
    /// How long an approval can be consumed, unless the rule says otherwise: a day.
    pub const VALID: Duration = Duration::from_secs(86_400);

    /// Makes a rule with the defaults of `workflow.toml`.
    #[must_use]
    pub const fn new(approvers: Vec<Approver>, quorum: Quorum) -> Self {
        Self {
            at: ApprovalAt::Start,
            approvers,
            quorum,
            allow_requester: false,
            mandatory: false,
            timeout: None,
            valid: Self::VALID,
            on_timeout: OnTimeout::Reject,
            escalation: Vec::new(),
            allow_edit: false,
            on_reject: OnReject::Fail,
            notify: Vec::new(),
        }
    }

    /// The rule by which others decide what was not decided in time; none unless that is what [`OnTimeout`] says. They
    /// have as long again, and after them nobody is asked.
    #[must_use]
    pub fn escalated(&self) -> Option<Self> {
        (self.on_timeout == OnTimeout::Escalate).then(|| Self {
            approvers: self.escalation.clone(),
            quorum: Quorum::EachListed,
            on_timeout: OnTimeout::Reject,
            escalation: Vec::new(),
            ..self.clone()
        })
    }

    /// Whether silence counts as consent.
    #[must_use]
    pub fn consents_by_silence(&self) -> bool {
        self.on_timeout == OnTimeout::Approve && !self.mandatory
    }

    /// Whether `principal`, a member of `groups`, may vote at all; the requester is for the caller to exclude.
    #[must_use]
    pub fn admits(&self, principal: &PrincipalName, groups: &BTreeSet<GroupName>) -> bool {
        self.approvers.iter().any(|approver| approver.admits(principal, groups))
    }

    /// How many distinct persons it takes.
    #[must_use]
    pub fn needed(&self) -> usize {
        match self.quorum {
            Quorum::EachListed => self.approvers.len(),
            Quorum::Any(n) => n as usize,
        }
    }

    /// Whether these persons, who all approved, are enough.
    #[must_use]
    pub fn satisfied_by(&self, approvals: &BTreeMap<PrincipalName, BTreeSet<GroupName>>) -> bool {
        match self.quorum {
            Quorum::EachListed => self.unmet(approvals).is_empty(),
            Quorum::Any(n) => {
                let eligible = approvals.iter().filter(|(who, groups)| self.admits(who, groups)).count();
                eligible >= n as usize
            }
        }
    }

    /// The listed approvers that nobody of `approvals` can stand for, when each person stands for one and as
    /// many as possible are covered. Under [`Quorum::Any`] it is all of them until there are enough.
    #[must_use]
    pub fn unmet(&self, approvals: &BTreeMap<PrincipalName, BTreeSet<GroupName>>) -> Vec<&Approver> {
        if let Quorum::Any(_) = self.quorum {
            let met = self.satisfied_by(approvals);
            return self.approvers.iter().filter(|_| !met).collect();
        }
        // A maximum matching by augmenting paths (Kuhn): greedy assignment would let somebody who is in two
        // groups use up the one that only they could not be replaced in.
        let people: Vec<_> = approvals.iter().collect();
        let mut stands_for: Vec<Option<usize>> = vec![None; people.len()];
        let mut unmet = Vec::new();
        for (index, approver) in self.approvers.iter().enumerate() {
            if !self.assign(index, &people, &mut stands_for, &mut vec![false; people.len()]) {
                unmet.push(approver);
            }
        }
        unmet
    }

    fn assign(
        &self,
        index: usize,
        people: &[(&PrincipalName, &BTreeSet<GroupName>)],
        stands_for: &mut [Option<usize>],
        seen: &mut [bool],
    ) -> bool {
        for (person, (who, groups)) in people.iter().enumerate() {
            if seen[person] || !self.approvers[index].admits(who, groups) {
                continue;
            }
            seen[person] = true;
            let free = match stands_for[person] {
                None => true,
                Some(other) => self.assign(other, people, stands_for, seen),
            };
            if free {
                stands_for[person] = Some(index);
                return true;
            }
        }
        false
    }
}

impl Approver {
    /// Names a group or a principal.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `principal`, a member of `groups`, is meant.
    #[must_use]
    pub fn admits(&self, principal: &PrincipalName, groups: &BTreeSet<GroupName>) -> bool {
        principal.as_str() == self.0 || groups.contains(self.0.as_str())
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use wflo_model::{GroupName, PrincipalName};

    use super::{ApprovalRule, Approver, Quorum};

    fn people(all: &[(&str, &[&str])]) -> BTreeMap<PrincipalName, BTreeSet<GroupName>> {
        let groups = |groups: &[&str]| groups.iter().map(|group| group.parse().unwrap()).collect();
        all.iter().map(|(name, of)| (name.parse().unwrap(), groups(of))).collect()
    }

    fn rule(approvers: &[&str], quorum: Quorum) -> ApprovalRule {
        ApprovalRule::new(approvers.iter().map(|name| Approver::new(*name)).collect(), quorum)
    }

    #[test]
    fn each_listed_approver_takes_a_person_of_its_own() {
        let check = |approvers: &[&str], all: &[(&str, &[&str])], unmet: &[&str]| {
            let rule = rule(approvers, Quorum::EachListed);
            let people = people(all);
            let found: Vec<_> = rule.unmet(&people).into_iter().map(Approver::as_str).collect();
            assert_eq!(found, unmet, "{approvers:?} by {all:?}");
            assert_eq!(rule.satisfied_by(&people), unmet.is_empty());
        };
        check(&["a", "b"], &[], &["a", "b"]);
        check(&["a", "b"], &[("p", &["a"]), ("q", &["b"])], &[]);
        check(&["a", "b"], &[("p", &["a", "b"])], &["b"]);
        // `p` could stand for either, `q` for `a` only: whoever is asked first must not block.
        check(&["a", "b"], &[("p", &["a", "b"]), ("q", &["a"])], &[]);
        check(&["b", "a"], &[("p", &["a", "b"]), ("q", &["a"])], &[]);
        check(&["a", "b", "c"], &[("p", &["a", "b"]), ("q", &["b", "c"]), ("r", &["a"])], &[]);
        check(&["a"], &[("x", &["z"])], &["a"]);
        check(&["alice", "a"], &[("alice", &["a"])], &["a"]);
        check(&["alice", "a"], &[("alice", &["a"]), ("q", &["a"])], &[]);
    }

    #[test]
    fn a_quorum_counts_distinct_eligible_persons() {
        let rule = rule(&["a", "b"], Quorum::Any(2));
        assert!(!rule.satisfied_by(&people(&[("p", &["a", "b"])])));
        assert!(!rule.satisfied_by(&people(&[("p", &["a"]), ("x", &["z"])])));
        assert!(rule.satisfied_by(&people(&[("p", &["a"]), ("q", &["a"])])));
        assert_eq!((rule.needed(), rule.unmet(&people(&[])).len()), (2, 2));
    }
}
