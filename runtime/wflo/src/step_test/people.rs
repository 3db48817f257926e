//! The people of a test: they vote as it says.

use wflo_engine::{Verdict, VoteRefused, Voter};
use wflo_host_api::DecisionStatus;
use wflo_model::{GroupName, PrincipalName};

use super::{TestApproval, TestVote};
use crate::{ApprovalView, Host, Runtime, RuntimeError};

/// Has people decide what they are asked, and lets the host know them from then on. Gives the votes that do not count,
/// and why not.
pub(super) async fn decide(
    runtime: &Runtime,
    host: &mut Host,
    asked: &ApprovalView,
    says: &TestApproval,
) -> Result<Vec<(PrincipalName, VoteRefused)>, RuntimeError> {
    let mut refused = Vec::new();
    for TestVote { by, groups, approved, comment } in votes(asked, says) {
        let known = host.principals.0.entry(by.clone()).or_default();
        known.groups.extend(groups);
        let voter = Voter { name: by.clone(), groups: known.groups.clone() };
        let verdict = if approved { Verdict::Approve } else { Verdict::Reject };
        match runtime.vote(asked.id, &voter, verdict, comment).await {
            Ok(now) if now.status == "open" => {}
            Ok(_) => break,
            Err(RuntimeError::Vote(why)) => refused.push((by, why)),
            Err(error) => return Err(error),
        }
    }
    // Nobody in particular was meant.
    if says.votes.is_empty() {
        refused.clear();
    }
    Ok(refused)
}

/// The votes of an approval: those that the test names, or somebody's for each who is asked.
fn votes(asked: &ApprovalView, says: &TestApproval) -> Vec<TestVote> {
    if !says.votes.is_empty() {
        return says.votes.clone();
    }
    let approved = match says.decision {
        DecisionStatus::Approved => true,
        DecisionStatus::Rejected => false,
        DecisionStatus::Expired => return Vec::new(),
    };
    let mut votes = Vec::new();
    // A quorum may be more than are listed: then several are in one group.
    for round in 1..=asked.quorum.max(1) {
        for approver in &asked.approvers {
            let name = match round {
                1 => approver.clone(),
                _ => format!("{approver}-{round}"),
            };
            let Ok(by) = name.parse::<PrincipalName>() else { continue };
            let groups = approver.parse::<GroupName>().into_iter().collect();
            votes.push(TestVote { by, groups, approved, comment: says.comment.clone() });
        }
    }
    votes
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_host_api::DecisionStatus;

    use super::votes;
    use crate::step_test::TestApproval;

    #[test]
    fn somebody_votes_for_each_who_is_asked() {
        let view = json!({
            "id": wflo_model::ApprovalId::derive(&wflo_model::Digest::ZERO, 1),
            "run": wflo_model::RunId::from_bytes([1; 16]), "workflow": "w", "step": "s",
            "subject_digest": wflo_model::Digest::ZERO, "approvers": ["red", "blue"], "quorum": 2, "votes": [],
            "status": "open", "at": "start", "expires_at": null, "shows": {}, "lacking": [],
        });
        let view = serde_json::from_value(view).unwrap();
        let named = |says: &TestApproval| -> Vec<String> {
            votes(&view, says).iter().map(|vote| vote.by.to_string()).collect()
        };
        let approves = TestApproval::new(DecisionStatus::Approved);
        assert_eq!(named(&approves)[..2], ["red", "blue"]);
        assert!(named(&TestApproval::new(DecisionStatus::Expired)).is_empty());
    }
}
