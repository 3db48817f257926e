//! Infrastructure as terraform and OpenTofu keep it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::Digest;

/// One working copy of a terraform configuration, with what it stands for.
///
/// An implementation keeps every plan that it makes, by the digest of its bytes, and applies none but by that digest.
/// It writes what a step brings to copies of the working copy alone; the working copy itself has what was last applied.
/// No two commands that write run at once, whatever processes they are asked by.
#[async_trait]
pub trait Terraform: Send + Sync {
    /// What there is. Values that are marked as sensitive, or named like a secret, are not told.
    ///
    /// # Errors
    /// See [`TerraformError`].
    async fn state(&self) -> Result<TerraformState, TerraformError>;

    /// Works out what the working copy, with these files in the place of its own, would change; and keeps the plan.
    ///
    /// # Errors
    /// [`TerraformError::Prohibited`] for files that reach for more than infrastructure, [`TerraformError::Invalid`]
    /// for those that terraform cannot plan with.
    async fn plan(&self, files: &[TerraformFile]) -> Result<TerraformPlan, TerraformError>;

    /// Reads a kept plan again, from the bytes that its digest names, and takes down what it starts from: what brings
    /// it back is in the answer, and a copy of the state is kept. Of a plan that was applied it gives what it gave
    /// before that.
    ///
    /// # Errors
    /// [`TerraformError::Unknown`] for one that is not kept, [`TerraformError::Stale`] where what it started from has
    /// changed.
    async fn prepare(&self, plan: &Digest) -> Result<TerraformSnapshot, TerraformError>;

    /// Applies a kept plan, if what it starts from is as it was prepared. Where that fails, the previous configuration
    /// is applied again before this returns.
    ///
    /// It goes on to its end although nobody waits for it any more.
    ///
    /// # Errors
    /// [`TerraformError::Failed`] where it failed and everything is as before; [`TerraformError::Unrestored`] where it
    /// is not; [`TerraformError::Lost`] where it is done, and what it came to cannot be told. With any other error
    /// nothing was changed.
    async fn apply(&self, plan: &Digest, base: &TerraformBase) -> Result<TerraformApplied, TerraformError>;

    /// Says what became of an apply whose caller died: waits until it is over, and looks.
    ///
    /// # Errors
    /// When it cannot look.
    async fn verify(&self, plan: &Digest) -> Result<Verified, TerraformError>;

    /// Applies an earlier configuration again, unless somebody else has changed something since.
    ///
    /// # Errors
    /// See [`TerraformError`].
    async fn restore(&self, request: &RestoreRequest) -> Result<Restored, TerraformError>;
}

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerraformFile {
    /// Where it lies in the working copy.
    pub path: ConfigurationPath,
    /// What is in it.
    pub content: String,
}

/// The path of a file that a step may bring: below the working copy, visible, `.tf` or `.tfvars`.
///
/// ```
/// use wflo_ports::ConfigurationPath;
/// assert!("modules/web/main.tf".parse::<ConfigurationPath>().is_ok());
/// for bad in ["../main.tf", "/etc/main.tf", ".terraform/main.tf", "main.sh", "a//b.tf", "wflo_override.tf"] {
///     assert!(bad.parse::<ConfigurationPath>().is_err(), "{bad}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigurationPath(String);

impl ConfigurationPath {
    /// The file by which the host says where the state is.
    pub const KEPT: &'static str = "wflo_override.tf";

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConfigurationPath {
    type Err = BadConfigurationPath;

    fn from_str(text: &str) -> Result<Self, BadConfigurationPath> {
        let bad = |why| Err(BadConfigurationPath { path: text.chars().take(128).collect(), why });
        if text.len() > 255 || text.split('/').count() > 8 {
            return bad("is too long");
        }
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return bad("leads out of the working copy, or to what is hidden in it");
        }
        if text.chars().any(|c| c.is_control() || c == '\\' || c == ':') {
            return bad("has characters that no such name has");
        }
        let name = text.rsplit('/').next().unwrap_or_default();
        if !name.ends_with(".tf") && !name.ends_with(".tfvars") {
            return bad("ends in neither `.tf` nor `.tfvars`");
        }
        if name == Self::KEPT {
            return bad("is the host's own");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ConfigurationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for ConfigurationPath {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ConfigurationPath {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A path that no file of a step can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {why}")]
pub struct BadConfigurationPath {
    path: String,
    why: &'static str,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TerraformState {
    /// Counts the changes; 0 where nothing was ever applied.
    pub serial: u64,
    /// Names the history that `serial` counts in; empty where nothing was ever applied.
    pub lineage: String,
    /// The outputs of the root module; null for those that are sensitive.
    pub outputs: BTreeMap<String, Value>,
    /// The resources.
    pub resources: Vec<TerraformResource>,
}

/// Something that there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerraformResource {
    /// Where the configuration has it: `aws_instance.web[0]`.
    pub address: String,
    /// Its type.
    pub kind: String,
    /// Its attributes; null for those that are sensitive.
    pub values: Value,
}

/// What a configuration would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerraformPlan {
    /// Names the plan: the digest of the file that it is kept in.
    pub digest: Digest,
    /// Resources that would be created.
    pub adds: u32,
    /// Resources that would be changed in place.
    pub changes: u32,
    /// Resources that would be destroyed.
    pub destroys: u32,
    /// Which, and what would become of each.
    pub resources: Vec<PlannedChange>,
    /// Outputs that would change.
    pub outputs: Vec<PlannedChange>,
    /// As terraform shows it to people.
    pub text: String,
    /// Values before and after, by address; null for those that are sensitive.
    pub detail: Value,
}

/// What would become of one resource or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The address of a resource, or the name of an output.
    pub address: String,
    /// What would become of it.
    pub action: TerraformAction,
}

/// What would become of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TerraformAction {
    /// It is created.
    Create,
    /// It is changed in place.
    Update,
    /// It is destroyed, and created anew.
    Replace,
    /// It is destroyed.
    Delete,
}

impl TerraformPlan {
    /// Whether it would change nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.outputs.is_empty()
    }
}

/// What a plan starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerraformBase {
    /// The serial of the state.
    pub serial: u64,
    /// Its lineage.
    pub lineage: String,
}

/// A plan, and all that brings back what was there before it was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerraformSnapshot {
    /// The plan.
    pub plan: TerraformPlan,
    /// What it starts from.
    pub base: TerraformBase,
    /// The files that it brings.
    pub files: BTreeMap<ConfigurationPath, ReplacedFile>,
    /// The digest of the state. Its bytes are kept with the plan: they have secrets in them.
    pub state: Digest,
}

/// A file that a plan brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedFile {
    /// What was in it before; none where there was no such file.
    pub before: Option<String>,
    /// The digest of what is in it afterwards.
    pub after: Digest,
}

/// What an apply came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerraformApplied {
    /// The serial of the state afterwards.
    pub serial: u64,
    /// The outputs of the root module; null for those that are sensitive.
    pub outputs: BTreeMap<String, Value>,
    /// The addresses of the resources there are.
    pub resources: Vec<String>,
}

/// What became of an apply whose caller died.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verified {
    /// It was never begun.
    NotBegun,
    /// It is done: a fresh plan is empty.
    Done(TerraformApplied),
    /// It failed, and everything is as before.
    Restored {
        /// Why it failed.
        message: String,
    },
    /// It is neither, or cannot be told.
    Unknown {
        /// What was found.
        message: String,
    },
}

/// An earlier configuration that is to be applied again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The plan that took its place.
    pub plan: Digest,
    /// The files of the plan, and what was in their place.
    pub files: BTreeMap<ConfigurationPath, ReplacedFile>,
    /// The serial that the last apply left; none where that is not known, and then it is not looked at.
    pub serial: Option<u64>,
}

/// What became of applying an earlier configuration again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restored {
    /// It is applied.
    Done {
        /// The serial of the state afterwards.
        serial: u64,
    },
    /// It is left as it is: somebody else has changed something since.
    Left {
        /// What was found.
        message: String,
    },
}

/// Why terraform did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TerraformError {
    /// A file reaches for more than infrastructure: for files, programs or credentials of the host.
    #[error("{message}")]
    Prohibited {
        /// Which, and for what.
        message: String,
    },
    /// Terraform cannot plan with the configuration.
    #[error("{message}")]
    Invalid {
        /// Its words.
        message: String,
    },
    /// No plan of that digest is kept.
    #[error("no plan `{plan}` is kept")]
    Unknown {
        /// The digest.
        plan: Digest,
    },
    /// What a plan starts from has changed since it was made.
    #[error("{message}")]
    Stale {
        /// What has changed.
        message: String,
    },
    /// More than is taken.
    #[error("{message}")]
    Limit {
        /// What, and how much there may be.
        message: String,
    },
    /// It cannot be used now: the program is not there, or somebody else is at it.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// It failed, and everything is as before.
    #[error("{message}")]
    Failed {
        /// Terraform's words, and what was done about it.
        message: String,
    },
    /// It failed, and what was there before could not be put back.
    #[error("{message}")]
    Unrestored {
        /// Terraform's words, and why.
        message: String,
    },
    /// It is done, and what it came to cannot be told.
    #[error("{message}")]
    Lost {
        /// What happened.
        message: String,
    },
}
