//! `wflo:approval`: what people decide, and what policies are told.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::CallError;

use crate::bindings::wflo::approval::gate::{self, Error, Outcome, Status, Vote};
use crate::bindings::wflo::approval::policy;
use crate::link::{Host, parse_json};
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

/// What the policies said to a fact: the value of `wflo:approval/policy.fact`.
///
/// ```
/// use wflo_host_api::FactVerdict;
/// assert_eq!(serde_json::to_string(&FactVerdict::AutoApproved).unwrap(), "\"auto_approved\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactVerdict {
    /// None objects.
    Unopposed,
    /// One permits it outright.
    AutoApproved,
    /// People have approved.
    Approved,
    /// People have rejected it, or did not decide in time.
    Rejected,
}

/// The arguments of `fact`, as the journal keeps them.
#[derive(Serialize)]
struct FactArgs {
    name: String,
    value: Value,
}

impl policy::Host for Host<'_> {
    async fn fact(
        &mut self,
        name: String,
        value: String,
    ) -> wasmtime::Result<Result<policy::Verdict, policy::Error>> {
        let value = match parse_json("value", &value) {
            Ok(value) => value,
            Err(error) => return Ok(Err(policy::Error::Invalid(error.to_string()))),
        };
        let answer =
            self.call::<_, FactVerdict>("wflo:approval/policy", "fact", &FactArgs { name, value }).await?;
        Ok(match answer {
            Ok(verdict) => Ok(match verdict {
                FactVerdict::Unopposed => policy::Verdict::Unopposed,
                FactVerdict::AutoApproved => policy::Verdict::AutoApproved,
                FactVerdict::Approved => policy::Verdict::Approved,
                FactVerdict::Rejected => policy::Verdict::Rejected,
            }),
            Err(CallError::AccessDenied { message }) => Err(policy::Error::AccessDenied(message)),
            Err(CallError::Invalid { message }) => Err(policy::Error::Invalid(message)),
            Err(CallError::RefusedByPolicy { policy }) => Err(policy::Error::RefusedByPolicy(policy)),
            Err(other) => Err(policy::Error::Other(other.to_string())),
        })
    }
}
