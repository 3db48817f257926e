//! What both files say about messages to people, and about knowledge bases; and whether they fit each other.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::{ChannelName, Grants, Label, MailPattern};

use crate::channel::ChannelKind;
use crate::deployment::{Deployment, KnowledgeBinding, MailAccepts};
use crate::near::did_you_mean;
use crate::plan::PlanStep;
use crate::reach_toml::read_labels;
use crate::reader::{Node, Reader, Section, Spanned};

/// The grants of a step that lead to people, and to what they have written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageToml {
    pub(crate) mail: Vec<Spanned<MailPattern>>,
    pub(crate) notify: Vec<Spanned<ChannelName>>,
    pub(crate) knowledge: Vec<Spanned<Label>>,
}

impl MessageToml {
    /// Reads `mail`, `notify` and `knowledge` of `grants`.
    pub(crate) fn read(reader: &mut Reader, grants: &mut Section<'_>) -> Self {
        Self {
            mail: grants.take("mail").map(|node| node.names(reader)).unwrap_or_default(),
            notify: grants.take("notify").map(|node| node.names(reader)).unwrap_or_default(),
            knowledge: grants.take("knowledge").map(|node| node.names(reader)).unwrap_or_default(),
        }
    }

    /// Adds what is granted to `grants`.
    pub(crate) fn grant(&self, grants: &mut Grants) {
        grants.mail.extend(self.mail.iter().map(|pattern| pattern.value.clone()));
        grants.notify.extend(self.notify.iter().map(|channel| channel.value.clone()));
        grants.knowledge.extend(self.knowledge.iter().map(|label| label.value.clone()));
    }

    /// What is granted is bound, and within the ceilings.
    pub(crate) fn check(&self, reader: &mut Reader, deployment: &Deployment) {
        let file = deployment.source.name();
        if let (Some(first), None) = (self.mail.first(), &deployment.mail) {
            let found = reader.error(first.span.clone(), format!("{file} binds no mail"));
            found.hint("add `[mail]` with the server that mail leaves by, `smtp`");
        }
        for pattern in &self.mail {
            let Some(ceiling) = &deployment.ceilings.mail else { break };
            if ceiling.iter().any(|most| most.covers(&pattern.value)) {
                continue;
            }
            let hint = match ceiling.iter().map(|most| format!("`{most}`")).collect::<Vec<_>>() {
                most if most.is_empty() => {
                    format!("{file} allows no mail at all: `mail` in `[limits]` is empty")
                }
                most => {
                    format!("it allows {}; ask for less, or add to `mail` in `[limits]`", most.join(", "))
                }
            };
            let message = format!("mail to `{}` is above the ceiling of {file}", pattern.value);
            reader.error(pattern.span.clone(), message).hint(hint);
        }
        for channel in &self.notify {
            if deployment.channels.contains_key(channel.value.as_str()) {
                continue;
            }
            let bound = deployment.channels.keys().map(String::as_str);
            let hint = did_you_mean(channel.value.as_str(), "it binds", bound)
                .unwrap_or_else(|| format!("add `[channel.\"{}\"]`", channel.value));
            let message = format!("{file} binds no channel `{}`", channel.value);
            reader.error(channel.span.clone(), message).hint(hint);
        }
        for label in &self.knowledge {
            if deployment.knowledge.contains_key(&label.value) {
                continue;
            }
            let bound = deployment.knowledge.keys().map(Label::as_str);
            let hint = did_you_mean(label.value.as_str(), "it binds", bound).unwrap_or_else(|| {
                format!("add `[knowledge.{}]` with the `path` of a folder of documents", label.value)
            });
            let message = format!("{file} binds no knowledge base `{}`", label.value);
            reader.error(label.span.clone(), message).hint(hint);
        }
    }

    /// What the step handles may go where these lead.
    pub(crate) fn sinks(&self, reader: &mut Reader, deployment: &Deployment, step: &PlanStep) {
        let file = deployment.source.name();
        let refused = |accepts: &BTreeSet<Label>| {
            let refused = step.labels.difference(accepts).map(|label| format!("`{label}`"));
            Some(refused.collect::<Vec<_>>().join(", ")).filter(|labels| !labels.is_empty())
        };
        for pattern in &self.mail {
            // Which address it will be is told when it is written to.
            let within = deployment
                .mail_accepts
                .iter()
                .filter(|it| it.to.covers(&pattern.value) || pattern.value.covers(&it.to));
            let accepts = within.flat_map(|it| it.labels.iter().cloned()).collect();
            if let Some(labels) = refused(&accepts) {
                let message = format!(
                    "step `{}` handles data labelled {labels}, which `{}` does not accept",
                    step.name, pattern.value
                );
                let hint = format!("add to `accepts` of `[mail]` in {file}, or write in another step");
                reader.error(pattern.span.clone(), message).hint(hint);
            }
        }
        for channel in &self.notify {
            let Some(bound) = deployment.channels.get(channel.value.as_str()) else { continue };
            let bound = match &bound.kind {
                ChannelKind::Alias { to } => deployment.channels.get(to).unwrap_or(bound),
                _ => bound,
            };
            if let Some(labels) = refused(&bound.accepts) {
                let message = format!(
                    "step `{}` handles data labelled {labels}, which `{}` does not accept",
                    step.name, channel.value
                );
                let hint = format!(
                    "add `accepts` to `[channel.\"{}\"]` in {file}, or tell it in another step",
                    channel.value
                );
                reader.error(channel.span.clone(), message).hint(hint);
            }
        }
    }

    /// The labels of what it may find.
    pub(crate) fn labels(&self, deployment: &Deployment) -> BTreeSet<Label> {
        let bound = self.knowledge.iter().filter_map(|label| deployment.knowledge.get(&label.value));
        bound.flat_map(|binding| binding.labels.iter().cloned()).collect()
    }
}

/// `accepts` of `[mail]`: labels that every address may be told, or a table of them by address.
pub(crate) fn read_accepts(reader: &mut Reader, node: &Node<'_>) -> Vec<MailAccepts> {
    let everyone = || "*@*".parse().expect("it is the pattern of every address");
    if !node.is_table() {
        return vec![MailAccepts { to: everyone(), labels: read_labels(reader, Some(node.clone())) }];
    }
    let Some(section) = node.section(reader, "`accepts`") else { return Vec::new() };
    let by_address = section.named::<MailPattern>(reader).into_iter();
    by_address
        .map(|(to, node)| MailAccepts { to: to.value, labels: read_labels(reader, Some(node)) })
        .collect()
}

/// Reads `mail` of `[limits]`.
pub(crate) fn read_ceiling(reader: &mut Reader, node: &Node<'_>) -> Vec<MailPattern> {
    let patterns: Vec<Spanned<MailPattern>> = node.names(reader);
    patterns.into_iter().map(|pattern| pattern.value).collect()
}

/// Reads `[knowledge]`.
pub(crate) fn read_knowledge(
    reader: &mut Reader,
    section: &Section<'_>,
) -> BTreeMap<Label, KnowledgeBinding> {
    let mut all = BTreeMap::new();
    for (label, node) in section.named::<Label>(reader) {
        let Some(mut section) = node.section(reader, "[knowledge]") else { continue };
        let path = section.need("path");
        let place = path.as_ref().map(|node| node.span.clone());
        let path = path.and_then(|node| node.text(reader)).map(|text| text.value);
        let labels = read_labels(reader, section.take("labels"));
        section.finish(reader);
        if let (Some(path), Some(place)) = (path, place) {
            all.insert(label.value, KnowledgeBinding { path, labels, place });
        }
    }
    all
}
