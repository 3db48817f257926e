//! Makes a [`Plan`] of a workflow and a deployment.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::{Digest, Grants, GroupName, HttpGrant, Label, ModelName, StatementName, TerraformVerb};

use crate::approval::{ApprovalRule, Approver, Quorum};
use crate::approval_toml::ApprovalToml;
use crate::component::ComponentRef;
use crate::deployment::Deployment;
use crate::diagnostic::{Diagnostics, Span};
use crate::directory::Directory;
use crate::labels::{self, may_be};
use crate::limits;
use crate::near::did_you_mean;
use crate::plan::{Plan, PlanStep};
use crate::policy::{Policy, PolicyAction};
use crate::policy_check::listens_to;
use crate::policy_toml::{ActionToml, PolicyToml};
use crate::price::{Price, UnknownPrice};
use crate::reach_toml::above;
use crate::reader::{Reader, Spanned};
use crate::statement::{Statement, StatementToml};
use crate::workflow::{Step, Workflow};

/// What a workflow is pinned to.
#[derive(Clone, Debug)]
pub struct Pinning<'a> {
    /// The digest of each component that [`Workflow::components`] names.
    pub components: &'a BTreeMap<ComponentRef, Digest>,
    /// The deployment.
    pub deployment: &'a Deployment,
    /// Who there is: the principals of the deployment, and those that the store keeps.
    pub known: &'a Directory,
    /// Versions of the prompts of the host's own task verbs, by task.
    pub prompts: &'a BTreeMap<String, Digest>,
}

impl Plan {
    /// Pins a workflow, if the deployment allows what it asks for.
    ///
    /// # Errors
    /// Everything that the deployment lacks or forbids, at the place in `workflow.toml` that asks for it.
    pub fn new(workflow: &Workflow, to: &Pinning<'_>) -> Result<Self, Diagnostics> {
        let mut pin = Pin { reader: Reader::new(&workflow.source), to, prices: BTreeMap::new() };
        let mut steps: Vec<_> =
            workflow.steps.iter().filter_map(|step| pin.step(step, &workflow.input_labels)).collect();
        labels::flow(&mut steps);
        workflow.steps.iter().for_each(|step| pin.sinks(step, &steps));
        let policies: Vec<_> = workflow.policies.iter().filter_map(|policy| pin.policy(policy)).collect();
        let budget_approvers = pin.each_of("budget_approvers", &workflow.budget_approvers);
        let rollback_approvers = pin.each_of("rollback_approvers", &workflow.rollback_approvers);
        pin.channels(&workflow.budget_notify);
        let prices = std::mem::take(&mut pin.prices);
        let found = pin.reader.finish();
        if found.has_errors() {
            return Err(found);
        }
        Ok(Self {
            workflow: workflow.name.clone(),
            version: workflow.version.clone(),
            steps,
            inputs: workflow.inputs.clone(),
            budget: workflow.budget,
            on_exceeded: workflow.on_exceeded,
            budget_approvers,
            rollback_reserve: workflow.rollback_reserve,
            rollback_approvers,
            budget_alerts: workflow.budget_alerts.clone(),
            budget_notify: workflow.budget_notify.iter().map(|channel| channel.value.clone()).collect(),
            on_failure: workflow.on_failure,
            on_cancel: workflow.on_cancel,
            max_parallel: workflow.max_parallel,
            prices,
            price_table: to.deployment.prices.digest(),
            on_unknown_price: to.deployment.budget.on_unknown_price,
            min_output_tokens: to.deployment.budget.min_output_tokens,
            compute: to.deployment.compute,
            prompts: to.prompts.clone(),
            statements: workflow
                .statements
                .iter()
                .map(|(label, named)| (label.clone(), pinned(named)))
                .collect(),
            policies,
        })
    }
}

fn pinned(named: &BTreeMap<StatementName, StatementToml>) -> BTreeMap<StatementName, Statement> {
    named.iter().map(|(name, toml)| (name.clone(), toml.statement.clone())).collect()
}

struct Pin<'a> {
    reader: Reader,
    to: &'a Pinning<'a>,
    prices: BTreeMap<ModelName, Price>,
}

impl Pin<'_> {
    fn step(&mut self, step: &Step, inputs: &BTreeSet<Label>) -> Option<PlanStep> {
        let grants = self.grants(step);
        let data = &self.to.deployment.data;
        let read = grants.db.iter().filter_map(|(label, access)| Some(data.get(label)?.of(access)));
        let found = step.reach.messages.labels(self.to.deployment);
        let labels = read.flatten().chain(found).chain(inputs.iter().cloned());
        let labels = labels.chain(step.labels.iter().cloned()).collect();
        let deployment = self.to.deployment;
        let ceilings = &deployment.ceilings.limits;
        let limits = limits::pin(&mut self.reader, &step.limits, ceilings, deployment.source.name());
        let approval = step.approval.as_ref().map(|approval| self.approval(approval));
        let component = self.component(&step.component);
        Some(PlanStep {
            name: step.name.clone(),
            function: step.function.clone(),
            args: step.args.iter().map(|(name, it)| (name.clone(), it.expression.clone())).collect(),
            component: component?,
            depends_on: step.depends_on.clone(),
            grants,
            limits,
            approval,
            output: step.output.clone(),
            retry: step.retry,
            rollback: step.rollback,
            when: step.when.as_ref().map(|when| when.expression.clone()),
            for_each: step.items.for_each.as_ref().map(|list| list.expression.clone()),
            max_parallel: step.items.max_parallel,
            on_item_failure: step.items.on_item_failure,
            budget: step.budget,
            item_budget: step.items.budget,
            facts: step.facts.iter().map(|(name, (declared, _))| (name.clone(), *declared)).collect(),
            labels,
        })
    }

    fn policy(&mut self, policy: &PolicyToml) -> Option<Policy> {
        let mut actions = Vec::new();
        for action in &policy.actions {
            match &action.value {
                ActionToml::RequireApproval(approval) => {
                    actions.push(PolicyAction::RequireApproval(self.approval(approval)));
                }
                ActionToml::AutoApprove => actions.push(PolicyAction::AutoApprove),
                ActionToml::Deny => actions.push(PolicyAction::Deny),
                ActionToml::Notify(channels) => {
                    self.channels(channels);
                    actions
                        .extend(channels.iter().map(|channel| PolicyAction::Notify(channel.value.clone())));
                }
            }
        }
        Some(Policy {
            name: policy.name.as_ref()?.value.clone(),
            when: policy.when.as_ref()?.expression.clone(),
            on: listens_to(policy),
            actions,
        })
    }

    fn component(&mut self, component: &Spanned<ComponentRef>) -> Option<Digest> {
        let digest = self.to.components.get(&component.value).copied();
        // Steps that share a component share its place, and need one message.
        if digest.is_none() && !self.reader.found.iter().any(|found| found.span == component.span) {
            let (message, hint) = match &component.value {
                ComponentRef::Path(path) => {
                    (format!("there is no component `{path}`"), "`wflo build` makes it")
                }
                ComponentRef::Stored(digest) => {
                    (format!("the store has no component `{digest}`"), "name a file instead")
                }
            };
            self.reader.error(component.span.clone(), message).hint(hint);
        }
        digest
    }

    fn grants(&mut self, step: &Step) -> Grants {
        let mut grants = Grants::default();
        let deployment = self.to.deployment;
        let file = deployment.source.name();
        for (label, access) in &step.db {
            if !deployment.db.contains_key(label) {
                let bound = deployment.db.keys().map(Label::as_str);
                let hint = did_you_mean(label.as_str(), "it binds", bound)
                    .unwrap_or_else(|| format!("add `[db.{label}]` with a `url`"));
                let message = format!("{file} binds no database `{label}`");
                self.reader.error(access.span.clone(), message).hint(hint);
            }
            let audit = deployment.db_audit.get(label).into_iter().flatten();
            for table in audit.filter(|table| access.value.write.keys().any(|name| may_be(name, table))) {
                let message =
                    format!("table `{table}` of database `{label}` is an audit table, which no step writes");
                let hint = format!(
                    "its records are those of the database's own triggers, and no rollback takes them back; take it away \
                     from `write`, or from `audit` of `[db.{label}]` in {file}"
                );
                self.reader.error(access.span.clone(), message).hint(hint);
            }
            grants.db.insert(label.clone(), access.value.clone());
        }
        for model in &step.llm {
            self.model(model);
            grants.llm.insert(model.value.clone());
        }
        for grant in &step.http {
            self.http(grant);
            grants.http.insert(grant.value.clone());
        }
        grants.interfaces = deployment.offered(&mut self.reader, &step.interfaces);
        for grant in &step.reach.files {
            if let Some(hint) = above(&grant.value.host, deployment.ceilings.files.as_deref()) {
                let message = format!("folder `{}` is above the ceiling of {file}", grant.value.host);
                self.reader.error(grant.span.clone(), message).hint(hint);
            }
            grants.files.insert(grant.value.clone());
        }
        for label in &step.reach.secrets {
            if !deployment.secrets.contains_key(&label.value) {
                let bound = deployment.secrets.keys().map(Label::as_str);
                let hint = did_you_mean(label.value.as_str(), "it binds", bound).unwrap_or_else(|| {
                    format!("add `[secret.{}]` with a `value` and its `hosts`", label.value)
                });
                let message = format!("{file} binds no secret `{}`", label.value);
                self.reader.error(label.span.clone(), message).hint(hint);
            } else if step.http.is_empty() {
                let message =
                    format!("secret `{}` is of no use to a step that makes no requests", label.value);
                self.reader
                    .error(label.span.clone(), message)
                    .hint("grant the requests it goes into, `http`");
            }
            grants.secrets.insert(label.value.clone());
        }
        step.reach.messages.check(&mut self.reader, deployment);
        step.reach.messages.grant(&mut grants);
        for grant in &step.reach.terraform {
            let label = &grant.value.label;
            if !deployment.terraform.contains_key(label) {
                let bound = deployment.terraform.keys().map(Label::as_str);
                let hint = did_you_mean(label.as_str(), "it binds", bound)
                    .unwrap_or_else(|| format!("add `[terraform.{label}]` with a `dir`"));
                let message = format!("{file} binds no terraform folder `{label}`");
                self.reader.error(grant.span.clone(), message).hint(hint);
            }
            grants.terraform.insert(label.clone(), grant.value.allow.clone());
        }
        grants
    }

    /// What a step handles may go where its grants lead: a model that does not accept it could never be asked.
    fn sinks(&mut self, step: &Step, steps: &[PlanStep]) {
        let Some(pinned) = steps.iter().find(|pinned| pinned.name == step.name) else { return };
        let deployment = self.to.deployment;
        let file = deployment.source.name();
        let refused = |accepts: &BTreeSet<Label>| {
            let refused = pinned.labels.difference(accepts).map(|label| format!("`{label}`"));
            Some(refused.collect::<Vec<_>>().join(", ")).filter(|labels| !labels.is_empty())
        };
        for model in &step.llm {
            let Some((label, binding)) = deployment.model(&model.value) else { continue };
            if let Some(labels) = refused(&binding.accepts) {
                let message = format!(
                    "step `{}` handles data labelled {labels}, which `{}` does not accept",
                    step.name, model.value
                );
                let hint = format!("ask a model that does, or add to `accepts` of `[llm.{label}]` in {file}");
                self.reader.error(model.span.clone(), message).hint(hint);
            }
        }
        for grant in &step.reach.terraform {
            let Some(binding) = deployment.terraform.get(&grant.value.label) else { continue };
            // What is only read goes nowhere.
            let writes = grant.value.allow.iter().any(|verb| *verb != TerraformVerb::State);
            if let (Some(labels), true) = (refused(&binding.accepts), writes) {
                let label = &grant.value.label;
                let message = format!(
                    "step `{}` handles data labelled {labels}, which terraform folder `{label}` does not accept",
                    step.name
                );
                let hint =
                    format!("add to `accepts` of `[terraform.{label}]` in {file}, or plan in another step");
                self.reader.error(grant.span.clone(), message).hint(hint);
            }
        }
        let all = deployment.hosts.iter().flat_map(|host| host.accepts.iter().cloned()).collect();
        if let (Some(labels), Some(grant)) = (refused(&all), step.http.first()) {
            let message =
                format!("step `{}` handles data labelled {labels}, which no host accepts", step.name);
            let hint = format!(
                "add `[host.\"https://..\"]` with `accepts` to {file}, or make requests in another step"
            );
            self.reader.error(grant.span.clone(), message).hint(hint);
        }
        step.reach.messages.sinks(&mut self.reader, deployment, pinned);
    }

    /// A granted model is bound, and priced.
    fn model(&mut self, model: &Spanned<ModelName>) {
        let deployment = self.to.deployment;
        let file = deployment.source.name();
        let name = &model.value;
        if deployment.model(name).is_none() {
            let bound = deployment.llm.values().flat_map(|binding| &binding.models).map(ModelName::as_str);
            let hint = did_you_mean(name.as_str(), "the models there are", bound)
                .unwrap_or_else(|| "add it to the `models` of an `[llm.<label>]`".to_owned());
            let message = format!("{file} has no `[llm]` that answers for model `{name}`");
            self.reader.error(model.span.clone(), message).hint(hint);
            return;
        }
        let price = match (deployment.prices.lookup(name), deployment.budget.on_unknown_price) {
            (Some(price), _) => price.clone(),
            (None, UnknownPrice::Assume { input, output }) => {
                Price::flat(input, output, format!("assumed by `on_unknown_price` in {file}"))
            }
            (None, UnknownPrice::Deny) => {
                let message = format!("no price is known for model `{name}`");
                let row = "{ input_per_million = \"..\", output_per_million = \"..\" }";
                let hint = format!("add `\"{name}\" = {row}` to `[prices]` in {file}");
                self.reader.error(model.span.clone(), message).hint(hint);
                return;
            }
        };
        self.prices.insert(name.clone(), price);
    }

    /// A granted kind of request is within the ceiling, where there is one.
    fn http(&mut self, grant: &Spanned<HttpGrant>) {
        let deployment = self.to.deployment;
        let Some(ceiling) = &deployment.ceilings.http else { return };
        let allow = &grant.value.allow;
        if ceiling.iter().any(|most| most.covers(allow)) {
            return;
        }
        let file = deployment.source.name();
        let hint = match ceiling.iter().map(|most| format!("`{most}`")).collect::<Vec<_>>() {
            most if most.is_empty() => format!("{file} allows no HTTP at all: `http` in `[limits]` is empty"),
            most => format!("it allows {}; ask for less, or add to `http` in `[limits]`", most.join(", ")),
        };
        let message = format!("`{allow}` is above the ceiling of {file}");
        self.reader.error(grant.span.clone(), message).hint(hint);
    }

    fn approval(&mut self, approval: &ApprovalToml) -> ApprovalRule {
        let rule = &approval.rule;
        let known = self.to.known;
        let all_known = self.approvers(&rule.approvers, &approval.approvers);
        if all_known && !rule.satisfied_by(known.principals()) {
            self.unreachable(approval);
        }
        if let Some(escalated) = rule.escalated()
            && self.approvers(&escalated.approvers, &approval.escalation)
            && !escalated.satisfied_by(known.principals())
        {
            let names: Vec<_> = escalated.approvers.iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "`escalation` needs {} distinct persons, one for each of {}, and there are not as many",
                names.len(),
                names.join(", "),
            );
            let span = approval.escalation.first().cloned().unwrap_or_else(|| approval.span.clone());
            self.reader.error(span, message).hint("add people to these groups, or name fewer");
        }
        self.channels(&approval.notify);
        rule.clone()
    }

    /// Those of a list, each a person of their own: who may raise a budget, who must agree to a rollback.
    fn each_of(&mut self, key: &str, written: &[Spanned<GroupName>]) -> Vec<Approver> {
        let all: Vec<_> = written.iter().map(|name| Approver::new(name.value.as_str())).collect();
        let spans: Vec<_> = written.iter().map(|name| name.span.clone()).collect();
        let rule = ApprovalRule::new(all.clone(), Quorum::EachListed);
        if self.approvers(&all, &spans)
            && !rule.satisfied_by(self.to.known.principals())
            && let Some(span) = spans.first()
        {
            let message = format!("`{key}` needs a distinct person for each, and there are not as many");
            self.reader.error(span.clone(), message).hint("add people to these groups, or name fewer");
        }
        all
    }

    /// Approvers exist.
    fn approvers(&mut self, approvers: &[Approver], spans: &[Span]) -> bool {
        let known = self.to.known;
        let mut all_known = true;
        for (approver, span) in approvers.iter().zip(spans) {
            if !known.knows(approver.as_str()) {
                all_known = false;
                let hint = did_you_mean(approver.as_str(), "there are", known.names()).unwrap_or_else(|| {
                    format!("add somebody with `wflo identity add <name> --group {approver}`")
                });
                let message = format!("there is no group or principal `{approver}`");
                self.reader.error(span.clone(), message).hint(hint);
            }
        }
        all_known
    }

    /// Channels are bound.
    fn channels(&mut self, channels: &[Spanned<String>]) {
        let deployment = self.to.deployment;
        for channel in channels {
            if !deployment.channels.contains_key(&channel.value) {
                let file = deployment.source.name();
                let bound = deployment.channels.keys().map(String::as_str);
                let hint = did_you_mean(&channel.value, "it binds", bound)
                    .unwrap_or_else(|| format!("add `[channel.\"{}\"]`", channel.value));
                let message = format!("{file} binds no channel `{}`", channel.value);
                self.reader.error(channel.span.clone(), message).hint(hint);
            }
        }
    }

    /// Says why everybody together is not enough.
    fn unreachable(&mut self, approval: &ApprovalToml) {
        let rule = &approval.rule;
        let people = self.to.known.principals();
        let eligible = people.iter().filter(|(name, groups)| rule.admits(name, groups)).count();
        let persons = |n: usize| if n == 1 { "1 person".to_owned() } else { format!("{n} persons") };
        let (message, hint) = match rule.quorum {
            Quorum::Any(n) => (
                format!("a quorum of {n} cannot be met: {} may approve", persons(eligible)),
                "lower `quorum`, or add people to these groups",
            ),
            Quorum::EachListed => (
                format!(
                    "{} distinct persons are needed, one for each of {}, and there are not as many",
                    rule.approvers.len(),
                    rule.approvers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
                ),
                "one person stands for one approver only: add people to these groups, or set `quorum`",
            ),
        };
        let span = approval.quorum.clone().unwrap_or_else(|| approval.span.clone());
        self.reader.error(span, message).hint(hint);
    }
}
