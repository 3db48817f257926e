//! Who decides, and when it is decided.

mod edit;
mod timeout;
mod vote;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wflo_manifest::{ApprovalRule, Approver};
use wflo_model::{ApprovalId, Digest, GroupName, PicoUsd, PrincipalName, Timestamp};

pub use edit::{Edit, edit};
pub(crate) use timeout::overdue;
pub use vote::{VoteRefused, Voter, cast};

use crate::{Event, GateAt, GatedCall, Outcome, Place, UnitId, Verdict};

/// One approval, as a fold over its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Where it was opened.
    pub place: Place,
    /// What of it this permits.
    pub at: GateAt,
    /// The call it stands before, for one at a call.
    pub call: Option<GatedCall>,
    /// Digest of exactly what would be done.
    pub subject: Digest,
    /// What is decided on, for people.
    pub shows: Value,
    /// Who is asked, how many of them, and how long it is good for.
    pub rule: ApprovalRule,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Votes that counted, in the order they were cast.
    pub votes: Vec<Ballot>,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The questions of policies that it answers, for one that policies ask for.
    pub asks: Vec<Digest>,
    /// The key of the effect that it has permitted: it permits no other.
    pub used_for: Option<Digest>,
    /// The approval in whose place it stands.
    pub follows: Option<ApprovalId>,
    /// Those who may not decide it, since they have changed or asked for what it is about.
    pub authors: Vec<PrincipalName>,
    /// The money that it is about.
    pub amount: Option<PicoUsd>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Whether it was approved by nobody's saying anything in time.
    pub by_silence: bool,
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// It can be voted on.
    Open,
    /// It is decided.
    Closed {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
    /// What it permitted has begun.
    Consumed,
}

/// A vote that counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Who.
    pub by: PrincipalName,
    /// The groups they were in.
    pub groups: Vec<GroupName>,
    /// How.
    pub verdict: Verdict,
    /// What they wrote.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What an approval is to permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permitted<'a> {
    /// A claim of a guest: a fact, an output.
    Claim,
    /// A call that only reads.
    Read {
        /// [`GatedCall::args`].
        args: &'a Digest,
    },
    /// A call that has an effect.
    Effect {
        /// [`GatedCall::key`].
        key: &'a Digest,
    },
}

type People = BTreeMap<PrincipalName, BTreeSet<GroupName>>;

impl Approval {
    /// The step or item it is about; none for the run as a whole.
    #[must_use]
    pub fn unit(&self) -> Option<UnitId> {
        self.place.unit_id()
    }

    /// Where what becomes of it is written.
    #[must_use]
    pub fn home(&self) -> Place {
        self.unit().map_or(Place::RUN, |unit| Place::unit(&unit))
    }

    /// The event that closes it.
    #[must_use]
    pub fn close(&self, outcome: Outcome) -> (Place, Event) {
        (self.home(), Event::ApprovalClosed { approval: self.id, outcome })
    }

    /// Takes in its end.
    pub(crate) fn closed(&mut self, outcome: Outcome, at: Timestamp) {
        self.state = ApprovalState::Closed { outcome, at };
        self.decided_at = Some(at);
        self.by_silence = outcome == Outcome::Approved && !self.lacking().is_empty();
    }

    /// Those asked for whom nobody has voted yet. Empty when the votes suffice.
    ///
    /// Each listed approver needs a distinct person: a person who is in two groups counts for one of them.
    #[must_use]
    pub fn lacking(&self) -> Vec<&Approver> {
        self.rule.unmet(&self.in_favour(|vote| Some(vote.groups.iter().cloned().collect())))
    }

    fn in_favour(&self, groups_of: impl Fn(&Ballot) -> Option<BTreeSet<GroupName>>) -> People {
        let votes = self.votes.iter().filter(|vote| vote.verdict == Verdict::Approve);
        votes.filter_map(|vote| Some((vote.by.clone(), groups_of(vote)?))).collect()
    }

    /// Whether the votes still suffice when every voter has only the groups that `groups_of` says they have now.
    /// Asked again at consumption, since people change groups.
    #[must_use]
    pub fn still_carried(&self, groups_of: impl Fn(&PrincipalName) -> Option<BTreeSet<GroupName>>) -> bool {
        self.by_silence || self.rule.satisfied_by(&self.in_favour(|vote| groups_of(&vote.by)))
    }

    /// Whether it was given and is still good at `now`.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        matches!(self.state, ApprovalState::Closed { outcome: Outcome::Approved, at }
            if now.since(at) < self.rule.valid)
    }

    /// Whether it permits something, for all that policies ask about it: it answers all of `asks`, and it was given and
    /// has not lapsed.
    ///
    /// What was approved as a claim permits one effect with the same values, so that nobody is asked twice; what was
    /// approved as a call permits that call alone, however often it has to be made until it holds.
    #[must_use]
    pub fn permits(&self, asks: &[Digest], what: Permitted<'_>, now: Timestamp) -> bool {
        let given = match self.state {
            ApprovalState::Closed { outcome, .. } if outcome != Outcome::Approved => None,
            _ => self.decided_at,
        };
        let call = self.call.as_ref().filter(|call| !call.is_claim());
        let is_for = match (what, call) {
            (Permitted::Claim, _) | (Permitted::Read { .. }, None) => true,
            (Permitted::Read { args }, Some(call)) => call.args == *args,
            (Permitted::Effect { key }, None) => self.used_for.is_none_or(|other| other == *key),
            (Permitted::Effect { key }, Some(call)) => call.key == *key,
        };
        let answers = !asks.is_empty() && asks.iter().all(|ask| self.asks.contains(ask));
        is_for && answers && given.is_some_and(|at| now.since(at) < self.rule.valid)
    }

    /// Whether it was given, or used, for exactly this and has not lapsed: it permits that again, until it holds.
    #[must_use]
    pub fn stands_for(&self, at: GateAt, subject: &Digest, now: Timestamp) -> bool {
        let is_given = match self.state {
            ApprovalState::Closed { outcome, .. } => outcome == Outcome::Approved,
            ApprovalState::Consumed => true,
            ApprovalState::Open => false,
        };
        let lasts = self.decided_at.is_some_and(|at| now.since(at) < self.rule.valid);
        self.at == at && self.subject == *subject && is_given && lasts
    }

    /// Whether it was decided against these questions of policies, or not in time.
    #[must_use]
    pub fn refuses(&self, asks: &[Digest]) -> bool {
        let refused =
            matches!(self.state, ApprovalState::Closed { outcome: Outcome::Rejected | Outcome::Expired, .. });
        refused && asks.iter().any(|ask| self.asks.contains(ask))
    }

    /// How one that was not given reads: who voted against it, and what they wrote.
    #[must_use]
    pub fn refusal(&self) -> String {
        match self.state {
            ApprovalState::Closed { outcome, .. } => crate::permit::verdict(self, outcome),
            _ => format!("approval `{}` is not given", self.id),
        }
    }

    /// Whether nobody may decide it any more because it took too long.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == ApprovalState::Open && self.expires_at.is_some_and(|at| now >= at)
    }
}
