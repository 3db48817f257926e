//! `workflow.toml`: every text has an answer, and every problem a place in it.

use std::collections::BTreeMap;

use wflo_manifest::{Deployment, Diagnostics, Directory, Pinning, Plan, Workflow};
use wflo_model::Digest;

pub(crate) fn read(bytes: &[u8]) {
    let text = crate::text(bytes);
    let workflow = match Workflow::parse("workflow.toml", text) {
        Ok(workflow) => workflow,
        Err(found) => return judged(&found, text),
    };
    let components = workflow.components().into_iter().map(|path| (path.clone(), Digest::of(b"its bytes")));
    let pinned = Plan::new(
        &workflow,
        &Pinning {
            components: &components.collect(),
            deployment: &Deployment::default(),
            known: &Directory::default(),
            prompts: &BTreeMap::new(),
        },
    );
    match pinned {
        Ok(plan) => {
            for step in &plan.steps {
                assert!(plan.explain(&step.name).is_some(), "a step that is there can be explained");
            }
            let bytes = plan.bytes();
            assert_eq!(Digest::of(&bytes), plan.digest());
        }
        Err(found) => judged(&found, text),
    }
}

/// Problems are said in words, and lie within the text.
pub(crate) fn judged(found: &Diagnostics, text: &str) {
    assert!(found.has_errors(), "what is refused has an error");
    for one in found {
        let (line, column) = one.position();
        assert!(line >= 1 && column >= 1, "{line}:{column}");
        assert!(line <= text.lines().count() + 1, "line {line} of {}", text.lines().count());
    }
    let shown = found.render(false);
    let bad = shown.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t');
    assert!(bad.is_none(), "{bad:?} would be printed");
}
