//! Operations on the people kept in the store, each with why it does no harm to ask for it twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wflo::{Act, Host, Principal, Role};
use wflo_model::{GroupName, PrincipalName, Timestamp};

use super::deploy::Deploy;
use super::operation::{Operation, Sink};
use super::operations::Who;
use super::service::{Refusal, Service};

/// Who the store knows, without anything of their tokens. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Known {}

impl Operation for Known {
    type Answer = BTreeMap<PrincipalName, BTreeSet<GroupName>>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let known = service.runtime().principals(&Host::default()).await?;
        let deciding = known.0.into_iter().filter(|(_, principal)| principal.role.may(Act::Work));
        Ok(deciding.map(|(name, principal)| (name, principal.groups)).collect())
    }
}

/// Keeps a principal. The command that asks has drawn the token, and only its hash travels: asked twice, it is the
/// same hash, and the store keeps it once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keep {
    pub(crate) name: PrincipalName,
    pub(crate) principal: Principal,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Keep {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Manage).await?;
        Ok(service.runtime().keep_identity(&self.name, self.principal, &by).await?)
    }
}

/// Gives somebody another token; asked twice, it is the same one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Rotate {
    pub(crate) name: PrincipalName,
    pub(crate) token_hash: String,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Rotate {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Manage).await?;
        Ok(service.runtime().rotate_identity(&self.name, self.token_hash, &by).await?)
    }
}

/// Lets somebody expire; asked twice, they have.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Expire {
    pub(crate) name: PrincipalName,
    pub(crate) at: Option<Timestamp>,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Expire {
    type Answer = Timestamp;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Manage).await?;
        let host = Host { principals: self.deploy.principals()?, ..Host::default() };
        Ok(service.runtime().expire_identity(&host, &self.name, self.at, &by).await?)
    }
}

/// Revokes somebody; asked twice, they are revoked.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Revoke {
    pub(crate) name: PrincipalName,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Revoke {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Manage).await?;
        let host = Host { principals: self.deploy.principals()?, ..Host::default() };
        Ok(service.runtime().revoke_identity(&host, &self.name, &by).await?)
    }
}

/// Somebody, without anything of their token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IdentityView {
    pub(crate) name: PrincipalName,
    pub(crate) role: Role,
    pub(crate) groups: BTreeSet<GroupName>,
    /// `active`, `expired` or `revoked`.
    pub(crate) status: String,
    pub(crate) expires_at: Option<String>,
}

/// Everybody there is or was. Reads.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identities {
    pub(crate) deploy: Deploy,
}

impl Operation for Identities {
    type Answer = Vec<IdentityView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let host = Host { principals: self.deploy.principals()?, ..Host::default() };
        let active = service.runtime().principals(&host).await?;
        let view = |(name, principal): (PrincipalName, Principal)| {
            let status = match (principal.revoked, active.0.contains_key(&name)) {
                (true, _) => "revoked",
                (false, true) => "active",
                (false, false) => "expired",
            };
            let expires_at = principal.expires_at.map(|at| at.to_string());
            IdentityView {
                name,
                role: principal.role,
                groups: principal.groups,
                status: status.into(),
                expires_at,
            }
        };
        Ok(service.runtime().identities(&host).await?.0.into_iter().map(view).collect())
    }
}
