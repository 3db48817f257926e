//! `wflo:approval/gate`: what people decided.

use crate::bindings::wflo::approval::gate::{self, Outcome, Status, Vote};
use crate::link::Host;
use crate::{Decision, DecisionStatus};

impl gate::Host for Host<'_> {
    async fn decision(&mut self) -> wasmtime::Result<Option<Outcome>> {
        Ok(self.gate()?.context().decision.as_ref().map(outcome))
    }
}

fn outcome(decision: &Decision) -> Outcome {
    let status = match decision.status {
        DecisionStatus::Approved => Status::Approved,
        DecisionStatus::Rejected => Status::Rejected,
        DecisionStatus::Expired => Status::Expired,
    };
    let vote = |vote: &crate::DecisionVote| Vote {
        by: vote.by.clone(),
        approved: vote.approved,
        comment: vote.comment.clone(),
    };
    Outcome { status, votes: decision.votes.iter().map(vote).collect() }
}
