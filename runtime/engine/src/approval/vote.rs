//! Votes.

use std::collections::BTreeSet;

use wflo_model::{GroupName, PrincipalName, Timestamp};

use super::{Approval, ApprovalState, Ballot, overdue};
use crate::{Event, Outcome, Place, Verdict};

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
    /// They have changed what is decided on, or asked for it.
    #[error("`{voter}` is an author of what is decided on and may not decide about it")]
    Author {
        /// Who.
        voter: PrincipalName,
    },
    /// What is decided on cannot be changed.
    #[error("what is decided on cannot be changed: {why}")]
    NotEditable {
        /// Why.
        why: String,
    },
    /// They have voted already.
    #[error("`{voter}` has voted already")]
    VotedAlready {
        /// Who.
        voter: PrincipalName,
    },
}

/// The events of a vote: the vote, and the decision if it is the last one needed.
///
/// A vote on what is decided or overdue is recorded as late and changes nothing. One eligible rejection
/// rejects. Each event comes with its place. The commit point of a decision is the append of these events, in one piece.
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
) -> Result<Vec<(Place, Event)>, VoteRefused> {
    may_decide(approval, requester, voter)?;
    if approval.votes.iter().any(|vote| vote.by == voter.name) {
        return Err(VoteRefused::VotedAlready { voter: voter.name.clone() });
    }
    let is_overdue = approval.is_overdue(now);
    let late = is_overdue || approval.state != ApprovalState::Open;
    let groups: Vec<GroupName> = voter.groups.iter().cloned().collect();
    let vote = Event::Voted {
        approval: approval.id,
        by: voter.name.clone(),
        groups: groups.clone(),
        verdict,
        comment: comment.clone(),
        late,
    };
    // What the time has brought about comes first, whether or not a timer was there to say so.
    let mut events = if is_overdue { overdue(approval, now) } else { Vec::new() };
    events.push((approval.home(), vote));
    if !late {
        let mut after = approval.clone();
        after.votes.push(Ballot { by: voter.name.clone(), groups, verdict, comment, at: now });
        if verdict == Verdict::Reject {
            events.push(approval.close(Outcome::Rejected));
        } else if after.lacking().is_empty() {
            events.push(approval.close(Outcome::Approved));
        }
    }
    Ok(events)
}

/// Whether somebody is among those who decide.
pub(super) fn may_decide(
    approval: &Approval,
    requester: &PrincipalName,
    voter: &Voter,
) -> Result<(), VoteRefused> {
    let rule = &approval.rule;
    if !rule.admits(&voter.name, &voter.groups) {
        let approvers = rule.approvers.iter().map(ToString::to_string).collect();
        return Err(VoteRefused::NotAnApprover { voter: voter.name.clone(), approvers });
    }
    if voter.name == *requester && !rule.allow_requester {
        return Err(VoteRefused::Requester { voter: voter.name.clone() });
    }
    if approval.authors.contains(&voter.name) {
        return Err(VoteRefused::Author { voter: voter.name.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wflo_manifest::{ApprovalRule, Approver, Quorum};
    use wflo_model::{ApprovalId, Digest};

    use super::*;
    use crate::GateAt;

    fn approval(approvers: &[&str], quorum: Option<u32>) -> Approval {
        let subject = Digest::of(b"subject");
        let approvers = approvers.iter().map(|&name| Approver::new(name)).collect();
        Approval {
            id: ApprovalId::derive(&subject, 1),
            place: Place::step(&"block".parse().unwrap()),
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
            follows: None,
            authors: Vec::new(),
            amount: None,
            decided_at: None,
            by_silence: false,
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
            let requester = "rita".parse().unwrap();
            for (_, event) in cast(&approval, &requester, &voter(name, groups), verdict, None, now)? {
                match event {
                    Event::Voted { by, groups, verdict, comment, late: false, .. } => {
                        approval.votes.push(Ballot { by, groups, verdict, comment, at: now });
                    }
                    Event::ApprovalClosed { outcome, .. } => {
                        approval.closed(outcome, now);
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
