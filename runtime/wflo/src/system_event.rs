//! What happens to a store as a whole, as its own log keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wflo_journal::Entry;
use wflo_model::{ArtifactName, Digest, PolicyName, PrincipalName, RunId, StepName, Timestamp};

use crate::RuntimeError;
use crate::principal::Principal;
use crate::seen::Seen;

/// What happened to a store. The JSON of this type is the body of a record of [`wflo_journal::SYSTEM_LOG`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SystemEvent {
    /// Somebody was added.
    IdentityAdded {
        /// Who.
        name: PrincipalName,
        /// As what.
        principal: Principal,
        /// By whom.
        by: PrincipalName,
    },
    /// Somebody has a new token; the old one opens nothing any more.
    TokenRotated {
        /// Who.
        name: PrincipalName,
        /// The hash of the new one.
        token_hash: String,
        /// By whom.
        by: PrincipalName,
    },
    /// Somebody is nobody from then on.
    IdentityExpires {
        /// Who.
        name: PrincipalName,
        /// From when on.
        at: Timestamp,
        /// By whom.
        by: PrincipalName,
    },
    /// Somebody is nobody from now on, and never again anybody.
    IdentityRevoked {
        /// Who.
        name: PrincipalName,
        /// By whom.
        by: PrincipalName,
    },
    /// Somebody has proven who they are.
    LoggedIn {
        /// Who.
        name: PrincipalName,
        /// Where: `command` or `page`.
        through: String,
        /// Attempts in their name since the last such event that were turned away unlooked at.
        #[serde(default, skip_serializing_if = "is_zero")]
        turned_away: u32,
    },
    /// Somebody has not proven who they say they are.
    LoginFailed {
        /// The name given.
        name: PrincipalName,
        /// Where: `command` or `page`.
        through: String,
        /// Attempts in that name since the last such event that were turned away unlooked at.
        #[serde(default, skip_serializing_if = "is_zero")]
        turned_away: u32,
    },
    /// An audit file was written: of a run, or of the log of the store.
    Exported {
        /// Of what.
        run: RunId,
        /// By whom.
        by: PrincipalName,
    },
    /// An artifact of a run was taken out of the store.
    ArtifactTaken {
        /// The run.
        run: RunId,
        /// The step that made it.
        step: StepName,
        /// The item, where it fans out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Its name.
        artifact: ArtifactName,
        /// By whom.
        by: PrincipalName,
    },
    /// A report over many runs was made.
    Reported {
        /// By whom.
        by: PrincipalName,
        /// What was asked for.
        asked: BTreeMap<String, String>,
    },
    /// What a run said was forgotten, or is about to be: this is written before.
    RunErased {
        /// The run.
        run: RunId,
        /// By whom.
        by: PrincipalName,
        /// What outlives it: who saw what, without what it was.
        seen: Vec<Seen>,
    },
    /// Runs were dropped, or are about to be: this is written before.
    RunsDropped {
        /// Which.
        runs: Vec<RunId>,
        /// Those that had ended for longer than so many seconds.
        ended_for: u64,
        /// By whom.
        by: PrincipalName,
    },
    /// The deployment's file is another than the last time.
    DeploymentChanged {
        /// SHA-256 of the file.
        digest: Digest,
        /// The file.
        file: String,
    },
    /// A workflow was started with another plan than the last time.
    WorkflowChanged {
        /// Its name.
        workflow: String,
        /// Its version.
        version: String,
        /// The plan; public content of the store.
        plan: Digest,
        /// Its policies, each with its digest.
        policies: BTreeMap<PolicyName, Digest>,
        /// By whom it was started.
        by: PrincipalName,
    },
    /// A key is another one from now on.
    KeyRotated {
        /// `signing` or `master`.
        key: String,
        /// The new public key, of a key that has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public: Option<String>,
        /// By whom.
        by: PrincipalName,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A record of the store's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemRecorded {
    /// Its number.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// What happened.
    pub event: SystemEvent,
}

impl SystemRecorded {
    pub(crate) fn of(entry: &Entry) -> Result<Self, RuntimeError> {
        let event = serde_json::from_slice(&entry.body).map_err(|error| RuntimeError::Bug {
            message: format!("record {} of the store's own log: {error}", entry.header.seq),
        })?;
        Ok(Self { seq: entry.header.seq, time: entry.header.time, event })
    }
}

impl SystemEvent {
    /// The number of its kind in the record's header; never another.
    #[must_use]
    pub const fn kind(&self) -> u16 {
        match self {
            Self::IdentityAdded { .. } => 1,
            Self::TokenRotated { .. } => 2,
            Self::IdentityExpires { .. } => 3,
            Self::IdentityRevoked { .. } => 4,
            Self::LoggedIn { .. } => 5,
            Self::LoginFailed { .. } => 6,
            Self::Exported { .. } => 7,
            Self::Reported { .. } => 8,
            Self::RunErased { .. } => 9,
            Self::RunsDropped { .. } => 10,
            Self::DeploymentChanged { .. } => 11,
            Self::WorkflowChanged { .. } => 12,
            Self::KeyRotated { .. } => 13,
            Self::ArtifactTaken { .. } => 14,
        }
    }

    /// Who did it; none where nobody is known to have.
    #[must_use]
    pub const fn by(&self) -> Option<&PrincipalName> {
        match self {
            Self::IdentityAdded { by, .. }
            | Self::TokenRotated { by, .. }
            | Self::IdentityExpires { by, .. }
            | Self::IdentityRevoked { by, .. }
            | Self::Exported { by, .. }
            | Self::ArtifactTaken { by, .. }
            | Self::Reported { by, .. }
            | Self::RunErased { by, .. }
            | Self::RunsDropped { by, .. }
            | Self::WorkflowChanged { by, .. }
            | Self::KeyRotated { by, .. } => Some(by),
            Self::LoggedIn { name, .. } | Self::LoginFailed { name, .. } => Some(name),
            Self::DeploymentChanged { .. } => None,
        }
    }
}

impl std::fmt::Display for SystemEvent {
    /// One line, without anything of a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let away = |turned_away: u32| match turned_away {
            0 => String::new(),
            n => format!(", after {n} attempts that were turned away"),
        };
        match self {
            Self::IdentityAdded { name, principal, by } => {
                let groups: Vec<_> = principal.groups.iter().map(ToString::to_string).collect();
                let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
                write!(f, "{by} adds {name}: {}, {groups}", principal.role)?;
                match principal.expires_at {
                    Some(at) => write!(f, ", until {at}"),
                    None => Ok(()),
                }
            }
            Self::TokenRotated { name, by, .. } => write!(f, "{by} gives {name} another token"),
            Self::IdentityExpires { name, at, by } => write!(f, "{by} lets {name} expire at {at}"),
            Self::IdentityRevoked { name, by } => write!(f, "{by} revokes {name}"),
            Self::LoggedIn { name, through, turned_away } => {
                write!(f, "{name} logs in by {through}{}", away(*turned_away))
            }
            Self::LoginFailed { name, through, turned_away } => {
                write!(f, "an attempt to log in as {name} by {through} fails{}", away(*turned_away))
            }
            Self::Exported { run, by } if *run == wflo_journal::SYSTEM_LOG => {
                write!(f, "{by} exports the log of the store")
            }
            Self::Exported { run, by } => write!(f, "{by} exports run {run}"),
            Self::ArtifactTaken { run, step, item, artifact, by } => {
                let item = item.map(|item| format!(", item {item}")).unwrap_or_default();
                write!(f, "{by} takes artifact {artifact} of step {step}{item} out of run {run}")
            }
            Self::Reported { by, asked } => {
                let asked: Vec<_> = asked.iter().map(|(name, value)| format!("{name} {value}")).collect();
                let of = if asked.is_empty() { "everything".to_owned() } else { asked.join(", ") };
                write!(f, "{by} makes a report of {of}")
            }
            Self::RunErased { run, by, .. } => write!(f, "{by} erases run {run}"),
            Self::RunsDropped { runs, ended_for, by } => {
                write!(
                    f,
                    "{by} drops {} runs that ended more than {} days ago",
                    runs.len(),
                    ended_for / 86_400
                )
            }
            Self::DeploymentChanged { digest, file } => {
                write!(f, "the deployment file `{file}` is now {digest}")
            }
            Self::WorkflowChanged { workflow, version, plan, policies, by } => {
                write!(f, "{by} starts {workflow} {version} with a plan that is new here, {plan}")?;
                let names: Vec<_> = policies.keys().map(ToString::to_string).collect();
                if names.is_empty() { Ok(()) } else { write!(f, ", with policies {}", names.join(", ")) }
            }
            Self::KeyRotated { key, public, by } => {
                write!(f, "{by} rotates the {key} key")?;
                match public {
                    Some(public) => write!(f, ": it is now {public}"),
                    None => Ok(()),
                }
            }
        }
    }
}
