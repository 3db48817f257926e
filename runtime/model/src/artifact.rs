//! Artifacts: what a step makes or fetches and hands on by reference.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ArtifactName, Digest, RunId, StepName};

/// An artifact at rest. Its bytes are kept in sealed pieces; this names them.
///
/// ```
/// use wflo_model::{Artifact, Digest};
/// let digest = Digest::of(b"a,b\n1,2\n");
/// let artifact = Artifact { artifact: "rows".parse().unwrap(), bytes: 8, digest, index: Digest::ZERO, run: None };
/// assert!(serde_json::to_string(&artifact).unwrap().starts_with(r#"{"artifact":"rows","bytes":8,"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name, unique among those of the step or item that made it.
    pub artifact: ArtifactName,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// The blob that lists its pieces, by the name it has in the run.
    pub index: Digest,
    /// The run that keeps it, where that is another one: the parent of a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// Which artifact a step means.
///
/// ```
/// use wflo_model::ArtifactAddress;
/// let which: ArtifactAddress = serde_json::from_str(r#"{"artifact":"rows","step":"extract"}"#).unwrap();
/// assert_eq!(which.to_string(), "`rows` of step `extract`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactAddress {
    /// Its name.
    pub artifact: ArtifactName,
    /// The step that made it, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// The item that made it, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
}

impl std::fmt::Display for ArtifactAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.artifact)?;
        match (&self.step, self.item) {
            (Some(step), None) => write!(f, " of step `{step}`"),
            (Some(step), Some(item)) => write!(f, " of item {item} of step `{step}`"),
            (None, _) => Ok(()),
        }
    }
}

/// An artifact with the step or item that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundArtifact {
    /// The step.
    pub step: StepName,
    /// The item, where it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What it is.
    #[serde(flatten)]
    pub artifact: Artifact,
}

impl FoundArtifact {
    /// The reference by which it is handed on: everything that says which it is, and nothing of where it is kept. Equal
    /// bytes of the same step have equal references in every run.
    #[must_use]
    pub fn reference(&self) -> Value {
        let Self { step, item, artifact } = self;
        let mut reference = json!({ "artifact": artifact.artifact, "step": step });
        if let Some(item) = item {
            reference["item"] = json!(item);
        }
        reference["bytes"] = json!(artifact.bytes);
        reference["digest"] = json!(artifact.digest);
        reference
    }
}

/// How rows stand in an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowFormat {
    /// One JSON value a line.
    JsonLines,
    /// RFC 4180, with the names of the columns in its first line.
    Csv,
}

/// A bulk insert, as the journal keeps it: the arguments of `wflo:db/sql.bulk-insert`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRows<D = String> {
    /// The database, by its label.
    pub db: D,
    /// The table.
    pub table: String,
    /// The columns that get values; none: those of the first row.
    pub columns: Vec<String>,
    /// How rows stand in the artifact.
    pub format: RowFormat,
    /// The artifact.
    pub rows: FoundArtifact,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Artifact, ArtifactAddress, FoundArtifact};
    use crate::Digest;

    #[test]
    fn a_reference_is_an_address() {
        let digest = Digest::of(b"x");
        let artifact =
            Artifact { artifact: "rows".parse().unwrap(), bytes: 1, digest, index: Digest::ZERO, run: None };
        let found = FoundArtifact { step: "extract".parse().unwrap(), item: Some(3), artifact };
        let reference = found.reference();
        assert_eq!(
            reference,
            json!({"artifact": "rows", "step": "extract", "item": 3, "bytes": 1, "digest": digest})
        );
        let address: ArtifactAddress = serde_json::from_value(reference).unwrap();
        assert_eq!(address.to_string(), "`rows` of item 3 of step `extract`");
        let back: FoundArtifact = serde_json::from_value(json!(found)).unwrap();
        assert_eq!(back, found);
    }
}
