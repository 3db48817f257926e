//! What components say of themselves, asked before a run of them is accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wflo_manifest::Plan;
use wflo_model::{Content, Digest};

use crate::guest::StepProgram;
use crate::{Runtime, RuntimeError};

/// What a component says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ComponentView {
    /// Everything it imports, by name and version.
    pub imports: Vec<String>,
    /// The steps it holds, each with the JSON Schema of its output, if it promises one.
    pub steps: BTreeMap<String, Option<String>>,
}

impl Runtime {
    /// What the components of a plan say of themselves: what a workflow is [reviewed] with before it starts. One that
    /// imports what the plan does not grant it is not asked; [`start`](Self::start) refuses it.
    ///
    /// It costs an instance of each component, once in the life of a process.
    ///
    /// [reviewed]: wflo_manifest::Workflow::review
    ///
    /// # Errors
    /// When a component cannot be compiled, or fails while it is asked.
    pub async fn describe(
        &self,
        plan: &Plan,
        components: &[Content],
    ) -> Result<BTreeMap<Digest, ComponentView>, RuntimeError> {
        let mut described = BTreeMap::new();
        for digest in plan.components() {
            let program = self.load(&digest, components).await?;
            if !program.missing(&plan.component_grants(&digest).capabilities()).is_empty() {
                continue;
            }
            let view = program.describe().await;
            if let Some(view) = view.map_err(|source| RuntimeError::Mute { component: digest, source })? {
                described.insert(digest, view);
            }
        }
        Ok(described)
    }

    /// Whether a component is compiled here and kept in the store: then nobody need bring it.
    #[must_use]
    pub fn has_component(&self, digest: &Digest) -> bool {
        self.components().loaded(digest).is_some() && self.journal().holds_public(digest)
    }

    /// A program of those that are given, or that was loaded before.
    pub(crate) async fn load(
        &self,
        digest: &Digest,
        components: &[Content],
    ) -> Result<Arc<dyn StepProgram>, RuntimeError> {
        if let Some(program) = self.components().loaded(digest) {
            return Ok(program);
        }
        Ok(Arc::clone(self.components()).load(given(components, digest)?).await?)
    }
}

/// The component of that digest, of those that are given.
pub(crate) fn given<'c>(components: &'c [Content], digest: &Digest) -> Result<&'c Content, RuntimeError> {
    let found = components.iter().find(|content| content.digest() == *digest);
    found.ok_or(RuntimeError::NoComponent { component: *digest })
}
