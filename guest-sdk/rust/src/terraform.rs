//! Infrastructure, by terraform or OpenTofu.
//!
//! ```no_run
//! use wflo::prelude::*;
//! # fn step() -> wflo::Result<()> {
//! let prod = terraform("prod");
//! println!("{} resources", prod.state()?.resources.len());
//! let plan = prod.plan([("main.tf", "output \"size\" { value = \"m5.large\" }")])?;
//! if plan.destroys > 0 {
//!     wflo::bail!("nothing is to be destroyed:\n{}", plan.text);
//! }
//! let applied = prod.apply(&plan.digest)?;
//! println!("{:?}", applied.resources);
//! # Ok(()) }
//! ```

use std::fmt;

use serde_json::Value;

use crate::FailureKind;
use crate::bindings::wflo::infra::terraform as host;

/// Gives the terraform folder that the step was granted under `label`.
#[must_use]
pub fn terraform(label: impl Into<String>) -> Terraform {
    Terraform { label: label.into() }
}

/// A working copy of a configuration, and the infrastructure that it describes; see [`terraform`](fn@terraform).
#[derive(Clone, Debug)]
pub struct Terraform {
    label: String,
}

impl Terraform {
    /// What there is. Values that are sensitive, or named like a secret, are null.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn state(&self) -> Result<State, Error> {
        let state = host::state(&self.label)?;
        let resources = state.resources.into_iter().map(|it| {
            Ok(Resource { values: read("values", &it.values)?, address: it.address, kind: it.kind })
        });
        Ok(State {
            serial: state.serial,
            outputs: read("outputs", &state.outputs)?,
            resources: resources.collect::<Result<_, Error>>()?,
        })
    }

    /// Works out what these files, in the place of those of the same paths, would change. Nothing is changed; the plan is
    /// kept for whoever may [apply](Self::apply) it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn plan<P, C>(&self, files: impl IntoIterator<Item = (P, C)>) -> Result<Plan, Error>
    where
        P: Into<String>,
        C: Into<String>,
    {
        let files = files
            .into_iter()
            .map(|(path, content)| host::File { path: path.into(), content: content.into() });
        let plan = host::plan(&self.label, &files.collect::<Vec<_>>())?;
        let changes = |all: Vec<host::Change>| all.into_iter().map(Change::from).collect();
        Ok(Plan {
            digest: plan.digest,
            adds: plan.adds,
            changes: plan.changes,
            destroys: plan.destroys,
            resources: changes(plan.resources),
            outputs: changes(plan.outputs),
            text: plan.text,
            detail: read("detail", &plan.detail)?,
        })
    }

    /// Applies a plan, by its digest. Where that fails, the previous configuration is applied again before this returns.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Failed`] where it could not be applied and everything is as before.
    pub fn apply(&self, plan: &str) -> Result<Applied, Error> {
        let applied = host::apply(&self.label, plan)?;
        Ok(Applied {
            serial: applied.serial,
            outputs: read("outputs", &applied.outputs)?,
            resources: applied.resources,
        })
    }
}

fn read(what: &str, json: &str) -> Result<Value, Error> {
    serde_json::from_str(json).map_err(|error| Error::Other(format!("{what}: {error}")))
}

/// What there is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// Counts the changes; 0 where nothing was ever applied.
    pub serial: u64,
    /// The outputs of the root module, an object.
    pub outputs: Value,
    /// The resources.
    pub resources: Vec<Resource>,
}

/// Something that there is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resource {
    /// Where the configuration has it: `aws_instance.web[0]`.
    pub address: String,
    /// Its type.
    pub kind: String,
    /// Its attributes, an object.
    pub values: Value,
}

/// What a configuration would change.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// Names it: the digest of the bytes that would be applied.
    pub digest: String,
    /// Resources that would be created.
    pub adds: u32,
    /// Resources that would be changed in place.
    pub changes: u32,
    /// Resources that would be destroyed.
    pub destroys: u32,
    /// Which, and what would become of each.
    pub resources: Vec<Change>,
    /// Outputs that would change.
    pub outputs: Vec<Change>,
    /// As terraform shows it to people.
    pub text: String,
    /// Values before and after, by address: `detail["outputs"]["size"]["after"]`.
    pub detail: Value,
}

impl Plan {
    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.outputs.is_empty()
    }
}

/// What becomes of one resource or output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The address of a resource, or the name of an output.
    pub address: String,
    /// What becomes of it.
    pub action: Action,
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is created.
    Create,
    /// It is changed in place.
    Update,
    /// It is destroyed, and created anew.
    Replace,
    /// It is destroyed.
    Delete,
}

impl From<host::Change> for Change {
    fn from(change: host::Change) -> Self {
        let action = match change.action {
            host::Action::Create => Action::Create,
            host::Action::Update => Action::Update,
            host::Action::Replace => Action::Replace,
            host::Action::Delete => Action::Delete,
        };
        Self { address: change.address, action }
    }
}

/// What an apply came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Applied {
    /// The serial of the state afterwards.
    pub serial: u64,
    /// The outputs of the root module, an object.
    pub outputs: Value,
    /// The addresses of the resources there are.
    pub resources: Vec<String>,
}

/// Why terraform did not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The step was not granted it, or a file reaches past infrastructure.
    AccessDenied(String),
    /// Terraform cannot plan with the configuration, or no such plan is kept.
    Invalid(String),
    /// What the plan starts from has changed since it was made.
    Stale(String),
    /// It could not be applied, and everything is as before.
    Failed(String),
    /// A limit was reached.
    Limit(String),
    /// A policy denied it; its name.
    RefusedByPolicy(String),
    /// People decided against it, or nobody decided in time.
    Rejected(String),
    /// It cannot be used now.
    Unavailable(String),
    /// Anything else; also that what was there before could not be put back.
    Other(String),
}

impl Error {
    /// What another attempt could do: plan again, or find terraform free.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Stale(_) | Self::Unavailable(_) => FailureKind::Retryable,
            _ => FailureKind::Permanent,
        }
    }
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::AccessDenied(message) => Self::AccessDenied(message),
            host::Error::Invalid(message) => Self::Invalid(message),
            host::Error::Stale(message) => Self::Stale(message),
            host::Error::Failed(message) => Self::Failed(message),
            host::Error::Limit(message) => Self::Limit(message),
            host::Error::RefusedByPolicy(policy) => Self::RefusedByPolicy(policy),
            host::Error::Rejected(message) => Self::Rejected(message),
            host::Error::Unavailable(message) => Self::Unavailable(message),
            host::Error::Other(message) => Self::Other(message),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(message) => write!(f, "access denied: {message}"),
            Self::RefusedByPolicy(policy) => write!(f, "refused by policy `{policy}`"),
            Self::Invalid(message)
            | Self::Stale(message)
            | Self::Failed(message)
            | Self::Limit(message)
            | Self::Rejected(message)
            | Self::Unavailable(message)
            | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}
