//! A guest that asks people, in the middle of its step.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_engine::{Approval, ApprovalState, Event, GateAt, GatedCall, Outcome, Returned, Verdict};
use wflo_host_api::{Decision, DecisionStatus, DecisionVote, Stop};
use wflo_manifest::{ApprovalRule, Approver, Quorum};
use wflo_model::{ApprovalId, CallError, CallResult, GroupName, PrincipalName};

use crate::gate::{AttemptGate, returned};
use crate::player::Asked;
use crate::policy_gate::Passage;
use crate::question::Question;

/// What a guest asks people: `wflo:approval/gate.request`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Ask {
    /// One line for people.
    pub(crate) summary: String,
    /// What is decided on.
    #[serde(default)]
    pub(crate) details: Value,
    /// Groups and principals.
    pub(crate) approvers: Vec<String>,
    /// Any so many of them, instead of one of each.
    #[serde(default)]
    pub(crate) quorum: Option<u32>,
    /// How long they have.
    #[serde(default)]
    pub(crate) timeout_seconds: Option<u64>,
}

impl Ask {
    /// Who decides, and how long they have.
    ///
    /// # Errors
    /// `Invalid` where nobody could.
    pub(crate) fn rule(&self) -> Result<ApprovalRule, CallError> {
        let invalid = |message: &str| CallError::Invalid { message: message.to_owned() };
        if self.approvers.is_empty() {
            return Err(invalid("a request needs at least one approver"));
        }
        if self.quorum == Some(0) {
            return Err(invalid("a quorum is at least 1"));
        }
        // Whoever decides reads them.
        let is_name =
            |name: &String| name.parse::<PrincipalName>().is_ok() || name.parse::<GroupName>().is_ok();
        if let Some(other) = self.approvers.iter().find(|name| !is_name(name)) {
            return Err(invalid(&format!("{other:?} is no name of a group or of a principal")));
        }
        let approvers = self.approvers.iter().map(Approver::new).collect();
        let rule = ApprovalRule::new(approvers, self.quorum.map_or(Quorum::EachListed, Quorum::Any));
        Ok(ApprovalRule { timeout: self.timeout_seconds.map(Duration::from_secs), ..rule })
    }
}

impl AttemptGate {
    /// Asks people, and has the attempt wait for them. The commit point is the append of the approval.
    pub(crate) async fn ask_people(&mut self, call: Asked, ask: Ask) -> Result<CallResult, Stop> {
        let rule = match ask.rule() {
            Ok(rule) => rule,
            Err(error) => return self.deny(call, error),
        };
        let shows = json!({ "summary": ask.summary, "details": ask.details });
        let subject = self.asking().subject(&call.key, &call.call);
        let Asked { call: asked, args, key } = call;
        let gated = GatedCall::new(asked, args, key);
        let question = Question {
            at: GateAt::Call,
            gated,
            subject,
            shows,
            rule,
            asks: Vec::new(),
            follows: None,
            authors: Vec::new(),
        };
        match self.open(Vec::new(), question).await? {
            Passage::Refused(error) => Ok(Err(error)),
            Passage::Free { .. } => Err(Stop::Parked),
        }
    }

    /// Answers in the place of people, as a policy says.
    pub(crate) fn answered(&mut self, call: Asked) -> Result<CallResult, Stop> {
        let decision = Decision { status: DecisionStatus::Approved, votes: Vec::new() };
        let result = Ok(serde_json::to_value(&decision).expect("a decision has text keys"));
        self.context.decision = Some(decision);
        self.append(Event::Returned(returned(None, call, &result)))?;
        Ok(result)
    }

    /// Tells the guest what was decided; parks it again where nothing is. What was given too long ago, or by people
    /// who may no longer, is asked again.
    pub(crate) async fn decided(&mut self, call: Asked, id: &ApprovalId) -> Result<CallResult, Stop> {
        let Some(approval) = self.log.read(|state| state.approval(id).cloned()) else {
            return Err(Stop::Host(format!("there is no approval `{id}`")));
        };
        if matches!(approval.state, ApprovalState::Closed { outcome: Outcome::Approved, .. })
            && !self.may_use(&approval).await?
        {
            return self.ask_again(approval).await;
        }
        let Some(decision) = decision(&approval) else { return Err(Stop::Parked) };
        let result = Ok(serde_json::to_value(&decision).expect("a decision has text keys"));
        self.context.decision = Some(decision);
        let returned = Returned { consumes: Some(*id), ..returned(None, call, &result) };
        self.append(Event::Returned(returned))?;
        Ok(result)
    }
}

/// The decision that a result tells the guest of; none for one of another function.
pub(crate) fn told(call: &str, result: &CallResult) -> Option<Decision> {
    let value = result.as_ref().ok().filter(|_| call == "wflo:approval/gate.request")?;
    Decision::deserialize(value).ok()
}

/// What was decided, as a guest may know it; none while nothing is.
pub(crate) fn decision(approval: &Approval) -> Option<Decision> {
    let status = match approval.state {
        ApprovalState::Consumed | ApprovalState::Closed { outcome: Outcome::Approved, .. } => {
            DecisionStatus::Approved
        }
        ApprovalState::Closed { outcome: Outcome::Rejected, .. } => DecisionStatus::Rejected,
        ApprovalState::Closed { outcome: Outcome::Expired, .. } => DecisionStatus::Expired,
        _ => return None,
    };
    let votes = approval.votes.iter().map(|vote| DecisionVote {
        by: vote.by.to_string(),
        approved: vote.verdict == Verdict::Approve,
        comment: vote.comment.clone(),
    });
    Some(Decision { status, votes: votes.collect() })
}
