//! The guest that is measured with, and plans for it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use wflo_manifest::{Deployment, Directory, Pinning, Plan, UnknownPrice, Workflow};
use wflo_model::{Content, DbAccess, StepName};

/// The guest `pacer`.
pub(crate) struct Guest {
    pub(crate) content: Content,
}

impl Guest {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let reading = || format!("the guest `{}`: `cargo xtask bench` builds it", path.display());
        let bytes = std::fs::read(path).with_context(reading)?;
        Ok(Self { content: Content::new(bytes) })
    }

    /// A plan that does these things one after another.
    pub(crate) fn plan(&self, functions: &[&str]) -> Result<Plan> {
        let mut text = "[workflow]\nname = \"pace\"\ncomponent = \"pacer.wasm\"\n".to_owned();
        for (n, function) in functions.iter().enumerate() {
            text += &format!("[[step]]\nname = \"{}\"\nfunction = \"{function}\"\n", step(n));
            if let Some(before) = n.checked_sub(1) {
                text += &format!("depends_on = [\"{}\"]\n", step(before));
            }
        }
        let workflow =
            Workflow::parse("workflow.toml", &text).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
        let components =
            workflow.components().into_iter().map(|it| (it.clone(), self.content.digest())).collect();
        let pinning = Pinning {
            components: &components,
            deployment: &Deployment::default(),
            known: &Directory::default(),
            prompts: &BTreeMap::new(),
        };
        let mut plan = Plan::new(&workflow, &pinning).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
        let price = "0.000001".parse()?;
        plan.on_unknown_price = UnknownPrice::Assume { input: price, output: price };
        for step in &mut plan.steps {
            step.grants.llm.insert("echo".parse()?);
            step.grants.db.insert("bank".parse()?, DbAccess::default());
        }
        Ok(plan)
    }
}

/// The name of a step of [`Guest::plan`].
pub(crate) fn step(n: usize) -> StepName {
    format!("s{n}").parse().expect("a letter and digits are a name")
}
