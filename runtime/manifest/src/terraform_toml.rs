//! What both files say about terraform: the folders a step is granted, and what a deployment binds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wflo_model::{Label, TerraformVerb};

use crate::deployment_toml::text;
use crate::reach_toml::read_labels;
use crate::reader::{Node, Reader, Section, Spanned};
use crate::text::Text;

/// How long one command of terraform may take, unless the binding says otherwise.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// A terraform folder, as a deployment binds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerraformBinding {
    /// The working copy, relative to `wflo.toml`: the root module.
    pub dir: String,
    /// The program: terraform, OpenTofu, or what stands for them. A name is looked for in the usual folders, a path is
    /// relative to `wflo.toml`.
    pub binary: Text,
    /// The environment of the program, all of it.
    pub env: BTreeMap<String, Text>,
    /// The folder that providers are in, relative to `wflo.toml`; those of the working copy if absent. Providers that are
    /// in neither are not there: nothing is downloaded.
    pub plugins: Option<String>,
    /// How long one command may take.
    pub timeout: Duration,
    /// Labels of data that may become part of its configuration.
    pub accepts: BTreeSet<Label>,
}

/// A terraform folder, as a step is granted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TerraformGrantToml {
    pub(crate) label: Label,
    pub(crate) allow: BTreeSet<TerraformVerb>,
}

impl From<TerraformGrantToml> for (Label, BTreeSet<TerraformVerb>) {
    fn from(grant: TerraformGrantToml) -> Self {
        (grant.label, grant.allow)
    }
}

/// `["prod"]`, or `[{ label = "prod", allow = ["state", "plan"] }]`.
pub(crate) fn read_grants(reader: &mut Reader, node: &Node<'_>) -> Vec<Spanned<TerraformGrantToml>> {
    let mut all: Vec<Spanned<TerraformGrantToml>> = Vec::new();
    let list = if node.is_table() { vec![node.clone()] } else { node.list(reader).unwrap_or_default() };
    for node in list {
        let Some(grant) = read_grant(reader, &node) else { continue };
        if all.iter().any(|other| other.value.label == grant.value.label) {
            reader.error(grant.span, format!("terraform folder `{}` is granted twice", grant.value.label));
        } else {
            all.push(grant);
        }
    }
    all
}

fn read_grant(reader: &mut Reader, node: &Node<'_>) -> Option<Spanned<TerraformGrantToml>> {
    if node.is_text() {
        let label: Spanned<Label> = node.parse(reader)?;
        let allow = TerraformVerb::ALL.map(|(_, verb)| verb).into();
        return Some(node.at(TerraformGrantToml { label: label.value, allow }));
    }
    if !node.is_table() {
        node.expected(reader, "a label, or `{ label = \"..\", allow = [\"state\", \"plan\", \"apply\"] }`");
        return None;
    }
    let mut section = node.section(reader, "a terraform grant")?;
    let label: Option<Spanned<Label>> = section.need("label").and_then(|node| node.parse(reader));
    let before = reader.found.errors();
    let list = section.need("allow");
    let verbs = list.as_ref().and_then(|node| node.list(reader)).unwrap_or_default();
    let allow: BTreeSet<_> =
        verbs.iter().filter_map(|node| node.choice(reader, &TerraformVerb::ALL)).collect();
    if let Some(node) = list.filter(|_| allow.is_empty() && reader.found.errors() == before) {
        reader
            .error(node.span, "`allow` is empty")
            .hint("list `state`, `plan` or `apply`, or leave the grant out");
    }
    section.finish(reader);
    Some(node.at(TerraformGrantToml { label: label?.value, allow }))
}

/// Reads `[terraform]`.
pub(crate) fn read_bindings(reader: &mut Reader, section: &Section<'_>) -> BTreeMap<Label, TerraformBinding> {
    let mut all = BTreeMap::new();
    for (label, node) in section.named::<Label>(reader) {
        let Some(section) = node.section(reader, "[terraform]") else { continue };
        if let Some(binding) = read_binding(reader, section) {
            all.insert(label.value, binding);
        }
    }
    all
}

fn read_binding(reader: &mut Reader, mut section: Section<'_>) -> Option<TerraformBinding> {
    let dir = section.need("dir").and_then(|node| node.text(reader));
    if let Some(empty) = dir.as_ref().filter(|dir| dir.value.is_empty()) {
        reader
            .error(empty.span.clone(), "`dir` is empty")
            .hint("name the folder of the root module: `\"infra/\"`");
    }
    let binary = section.take("binary").and_then(|node| text(reader, &node));
    let mut env = BTreeMap::new();
    if let Some(variables) = section.take("env").and_then(|node| node.section(reader, "`env`")) {
        for node in variables.all() {
            if !is_variable(&node.name) {
                let message =
                    format!("`{}` cannot name a variable of the environment", node.name.escape_debug());
                reader.error(node.key, message);
                continue;
            }
            if let Some(value) = text(reader, &node) {
                env.insert(node.name.clone(), value);
            }
        }
    }
    let plugins = section.take("plugins").and_then(|node| node.text(reader)).map(|path| path.value);
    let timeout = section.take("timeout_seconds").and_then(|node| node.integer(reader, 1..=86_400));
    let accepts = read_labels(reader, section.take("accepts"));
    section.finish(reader);
    Some(TerraformBinding {
        dir: dir?.value,
        binary: binary.unwrap_or_else(|| Text::Plain("terraform".to_owned())),
        env,
        plugins,
        timeout: timeout.map_or(TIMEOUT, |seconds| Duration::from_secs(seconds.value)),
        accepts,
    })
}

fn is_variable(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
