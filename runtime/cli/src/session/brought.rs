//! The components of a run that is started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wflo_model::{Content, Digest};

use super::Service;
use crate::failure::Failure;
use crate::project::Pinned;

/// The components that a workflow is started with. Whoever performs that has them from memory if it is the process that
/// checked them, and else reads them again: they may be large.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Brought(Vec<One>);

#[derive(Clone, Serialize, Deserialize)]
struct One {
    digest: Digest,
    path: PathBuf,
    #[serde(skip)]
    content: Option<Content>,
}

impl Brought {
    /// Those of a workflow.
    pub(crate) fn of(pinned: &Pinned) -> Self {
        let one = |it: &crate::project::Component| One {
            digest: it.content.digest(),
            path: it.path.clone(),
            content: Some(it.content.clone()),
        };
        Self(pinned.components.values().map(one).collect())
    }

    /// The components, without those that are there. They must still be those that were checked.
    pub(super) fn read(self, service: &Service) -> Result<Vec<Content>, Failure> {
        let mut components = Vec::new();
        for One { digest, path, content } in self.0 {
            if service.runtime().has_component(&digest) {
                continue;
            }
            let content = match content {
                Some(content) => content,
                None => Content::new(
                    std::fs::read(&path)
                        .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?,
                ),
            };
            if content.digest() != digest {
                let message = format!("`{}` has changed since it was checked", path.display());
                return Err(Failure::usage(message).hint("run it again"));
            }
            components.push(content);
        }
        Ok(components)
    }
}
