//! `wflo:approval/gate`: what people decide.

use serde::Serialize;
use serde_json::Value;
use wflo_model::CallError;

use crate::bindings::wflo::approval::gate::{self, Error, Outcome, Status, Vote};
use crate::link::Host;
use crate::{Decision, DecisionStatus};

/// The arguments of `request`, as the journal keeps them.
#[derive(Serialize)]
struct Args {
    summary: String,
    details: Value,
    approvers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quorum: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
}

impl gate::Host for Host<'_> {
    async fn request(&mut self, what: gate::Ask) -> wasmtime::Result<Result<Outcome, Error>> {
        let gate::Ask { summary, details, approvers, quorum, timeout_seconds } = what;
        let details = match details.as_deref().map(serde_json::from_str).transpose() {
            Ok(details) => details.unwrap_or_default(),
            Err(error) => return Ok(Err(Error::Invalid(format!("the details are not JSON: {error}")))),
        };
        let args = Args { summary, details, approvers, quorum, timeout_seconds };
        let answer = self.call::<_, Decision>("wflo:approval/gate", "request", &args).await?;
        Ok(answer.map(|decision| outcome(&decision)).map_err(|error| match error {
            CallError::AccessDenied { message } => Error::AccessDenied(message),
            CallError::Invalid { message } => Error::Invalid(message),
            other => Error::Other(other.to_string()),
        }))
    }

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
