//! Who decides, and when it is decided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wflo_manifest::{ApprovalRule, Approver};
use wflo_model::{ApprovalId, Digest, GroupName, PrincipalName, Timestamp};

use crate::{Event, GateAt, GatedCall, Outcome, UnitId, Verdict};

/// One approval, as a fold over its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The step or item it is about.
    pub unit: UnitId,
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

/// An authenticated person and the groups they are in now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Who.
    pub name: PrincipalName,
    /// Their groups.
    pub groups: BTreeSet<GroupName>,
}

/// Why a vote does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoteRefused {
    /// Neither they nor a group of theirs is asked.
    #[error("`{voter}` is not among the approvers: {}", .approvers.join(", "))]
    NotAnApprover {
        /// Who.
        voter: PrincipalName,
        /// Who is asked.
        approvers: Vec<String>,
    },
    /// They asked for the run themselves.
    #[error("`{voter}` asked for this run and may not decide about it")]
    Requester {
        /// Who.
        voter: PrincipalName,
    },
    /// They have voted already.
    #[error("`{voter}` has voted already")]
    VotedAlready {
        /// Who.
        voter: PrincipalName,
    },
}

impl Approval {
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
        self.rule.satisfied_by(&self.in_favour(|vote| groups_of(&vote.by)))
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
            ApprovalState::Closed { outcome, at } => (outcome == Outcome::Approved).then_some(at),
            ApprovalState::Consumed => self.votes.last().map(|vote| vote.at),
            ApprovalState::Open => None,
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

/// The events of a vote: the vote, and the decision if it is the last one needed.
///
/// A vote on what is decided or overdue is recorded as late and changes nothing. One eligible rejection
/// rejects. The commit point of a decision is the append of these events, in one piece.
///
/// # Errors
/// When the voter may not vote; nothing is to be recorded as a vote then.
pub fn cast(
    approval: &Approval,
    requester: &PrincipalName,
    voter: &Voter,
    verdict: Verdict,
    comment: Option<String>,
    now: Timestamp,
) -> Result<Vec<Event>, VoteRefused> {
    let rule = &approval.rule;
    if !rule.admits(&voter.name, &voter.groups) {
        let approvers = rule.approvers.iter().map(ToString::to_string).collect();
        return Err(VoteRefused::NotAnApprover { voter: voter.name.clone(), approvers });
    }
    if voter.name == *requester && !rule.allow_requester {
        return Err(VoteRefused::Requester { voter: voter.name.clone() });
    }
    if approval.votes.iter().any(|vote| vote.by == voter.name) {
        return Err(VoteRefused::VotedAlready { voter: voter.name.clone() });
    }
    let overdue = approval.is_overdue(now);
    let late = overdue || approval.state != ApprovalState::Open;
    let groups: Vec<GroupName> = voter.groups.iter().cloned().collect();
    let mut events = vec![Event::Voted {
        approval: approval.id,
        by: voter.name.clone(),
        groups: groups.clone(),
        verdict,
        comment: comment.clone(),
        late,
    }];
    let close = |outcome| Event::ApprovalClosed { approval: approval.id, outcome };
    if overdue {
        events.insert(0, close(Outcome::Expired));
    } else if !late {
        let mut after = approval.clone();
        after.votes.push(Ballot { by: voter.name.clone(), groups, verdict, comment, at: now });
        if verdict == Verdict::Reject {
            events.push(close(Outcome::Rejected));
        } else if after.lacking().is_empty() {
            events.push(close(Outcome::Approved));
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use wflo_manifest::Quorum;

    use super::*;

    fn approval(approvers: &[&str], quorum: Option<u32>) -> Approval {
        let subject = Digest::of(b"subject");
        let approvers = approvers.iter().map(|&name| Approver::new(name)).collect();
        Approval {
            id: ApprovalId::derive(&subject, 1),
            unit: UnitId::step(&"block".parse().unwrap()),
            at: GateAt::Start,
            call: None,
            subject,
            shows: Value::Null,
            rule: ApprovalRule::new(approvers, quorum.map_or(Quorum::EachListed, Quorum::Any)),
            expires_at: Some(Timestamp::from_micros(100)),
            votes: vec![],
            state: ApprovalState::Open,
            opened_at: Timestamp::from_micros(1),
            asks: Vec::new(),
            used_for: None,
        }
    }

    fn voter(name: &str, groups: &[&str]) -> Voter {
        Voter {
            name: name.parse().unwrap(),
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        }
    }

    /// Casts votes one after another and tells the outcome, or who was refused.
    fn outcome(
        mut approval: Approval,
        votes: &[(&str, &[&str], Verdict)],
        at: u64,
    ) -> Result<Option<Outcome>, VoteRefused> {
        let now = Timestamp::from_micros(at);
        for &(name, groups, verdict) in votes {
            for event in cast(&approval, &"rita".parse().unwrap(), &voter(name, groups), verdict, None, now)?
            {
                match event {
                    Event::Voted { by, groups, verdict, comment, late: false, .. } => {
                        approval.votes.push(Ballot { by, groups, verdict, comment, at: now });
                    }
                    Event::ApprovalClosed { outcome, .. } => {
                        approval.state = ApprovalState::Closed { outcome, at: now };
                    }
                    _ => {}
                }
            }
        }
        Ok(match approval.state {
            ApprovalState::Closed { outcome, .. } => Some(outcome),
            _ => None,
        })
    }

    const FOR: Verdict = Verdict::Approve;

    #[test]
    fn every_listed_group_needs_a_distinct_person() {
        let both = || approval(&["fraud", "compliance"], None);
        let check = |votes: &[(&str, &[&str], Verdict)], expect| {
            assert_eq!(outcome(both(), votes, 5), Ok(expect), "{votes:?}")
        };
        check(&[("alice", &["fraud"], FOR)], None);
        check(&[("alice", &["fraud"], FOR), ("bob", &["fraud"], FOR)], None);
        check(&[("alice", &["fraud"], FOR), ("carol", &["compliance"], FOR)], Some(Outcome::Approved));
        check(&[("alice", &["fraud", "compliance"], FOR)], None);
        // Whoever is in both groups makes room for whoever is in one, whatever the order.
        check(&[("alice", &["fraud", "compliance"], FOR), ("bob", &["fraud"], FOR)], Some(Outcome::Approved));
        check(&[("bob", &["fraud"], FOR), ("alice", &["fraud", "compliance"], FOR)], Some(Outcome::Approved));
        check(&[("alice", &["fraud"], Verdict::Reject)], Some(Outcome::Rejected));
    }

    #[test]
    fn outsiders_requesters_and_second_votes_are_refused() {
        let one = || approval(&["fraud", "rita"], None);
        assert!(matches!(
            outcome(one(), &[("mallory", &["sales"], FOR)], 5),
            Err(VoteRefused::NotAnApprover { .. })
        ));
        assert!(matches!(
            outcome(one(), &[("rita", &["fraud"], FOR)], 5),
            Err(VoteRefused::Requester { .. })
        ));
        assert!(matches!(
            outcome(one(), &[("alice", &["fraud"], FOR), ("alice", &["fraud"], FOR)], 5),
            Err(VoteRefused::VotedAlready { .. })
        ));
    }

    #[test]
    fn a_vote_after_the_deadline_is_late_whether_or_not_the_timer_fired() {
        let both = approval(&["fraud"], None);
        assert_eq!(outcome(both, &[("alice", &["fraud"], FOR)], 100), Ok(Some(Outcome::Expired)));
    }

    #[test]
    fn a_quorum_counts_distinct_persons() {
        let any_two = || approval(&["fraud", "compliance"], Some(2));
        assert_eq!(outcome(any_two(), &[("alice", &["fraud"], FOR)], 5), Ok(None));
        assert_eq!(
            outcome(any_two(), &[("alice", &["fraud"], FOR), ("bob", &["fraud"], FOR)], 5),
            Ok(Some(Outcome::Approved))
        );
    }

    #[test]
    fn leaving_a_group_takes_the_vote_along() {
        let mut given = approval(&["fraud"], None);
        given.votes.push(Ballot {
            by: "alice".parse().unwrap(),
            groups: vec!["fraud".parse().unwrap()],
            verdict: FOR,
            comment: None,
            at: Timestamp::from_micros(5),
        });
        assert!(given.still_carried(|_| Some(["fraud".parse().unwrap()].into())));
        assert!(!given.still_carried(|_| Some(BTreeSet::new())));
        assert!(!given.still_carried(|_| None));
    }
}
