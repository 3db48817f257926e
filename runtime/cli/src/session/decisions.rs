//! Operations about what people decide beside votes, changing it and asking for more money, and what money there is. Each says why it does no
//! harm to ask for it twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo::{AccountView, ApprovalView};
use wflo_engine::Event;
use wflo_model::{ApprovalId, PicoUsd, PrincipalName, RunId};

use super::deploy::Deploy;
use super::operation::{Operation, Sink};
use super::operations::Who;
use super::service::{Refusal, Service};

/// Changes what an approval is about. Asked again after its answer was lost, it finds the approval that took the
/// place of the one that was changed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) id: ApprovalId,
    pub(crate) name: PrincipalName,
    pub(crate) token: String,
    pub(crate) value: Value,
    pub(crate) comment: Option<String>,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for Edit {
    type Answer = ApprovalView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        let editor = service.voter(&self.deploy, &self.name, &self.token).await?;
        if self.again {
            let is_this = |event: &Event| match event {
                Event::Edited { approval, by, .. } => *approval == self.id && *by == self.name,
                _ => false,
            };
            let run = runtime.approval(self.id).await?.run;
            let events = runtime.events(run).await?;
            if events.iter().any(|recorded| is_this(&recorded.event)) {
                let new = events.iter().find_map(|recorded| match &recorded.event {
                    Event::ApprovalOpened { id, follows: Some(before), .. } if *before == self.id => {
                        Some(*id)
                    }
                    _ => None,
                });
                return Ok(runtime.approval(new.unwrap_or(self.id)).await?);
            }
        }
        let host = service.host(&self.deploy).await?;
        Ok(runtime.edit(self.id, &editor, self.value, self.comment, &host).await?)
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// Asks for more money for a run. Asked again after its answer was lost, it finds the same question open.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TopUp {
    pub(crate) run: RunId,
    pub(crate) amount: PicoUsd,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
    pub(crate) again: bool,
}

impl Operation for TopUp {
    type Answer = ApprovalView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        let by = service.requester(&self.deploy, self.who).await?;
        if self.again {
            let is_this = |view: &ApprovalView| {
                view.run == self.run
                    && view.at == wflo::GateAt::TopUp
                    && view.authors.contains(&by)
                    && view.shows["top_up_usd"] == serde_json::json!(self.amount)
            };
            if let Some(open) = runtime.approvals(false).await?.into_iter().find(is_this) {
                return Ok(open);
            }
        }
        Ok(runtime.top_up(self.run, self.amount, &by).await?)
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// What the accounts above the runs stand at. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Accounts {
    pub(crate) deploy: Deploy,
}

impl Operation for Accounts {
    type Answer = Vec<AccountView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let limits = self.deploy.deployment()?.spending;
        Ok(service.runtime().accounts(&limits).await?)
    }
}
