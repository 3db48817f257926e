//! What a step can do, in plain words.

use std::fmt::Write as _;
use std::time::Duration;

use wflo_model::{
    Comparison, FileGrant, FilterOperand, FilterValue, Grants, RowCondition, RowFilter, RowTest, StepName,
    TerraformVerb,
};

use crate::approval::{ApprovalRule, OnReject, Quorum};
use crate::plan::{OnExceeded, OnItemFailure, Plan, PlanStep};
use crate::policy::{Policy, PolicyAction, PolicyEvent, TERRAFORM_COUNTS};
use crate::size::show;

impl Plan {
    /// What a step can do, and what it cannot, in plain words; `None` if there is no such step.
    #[must_use]
    pub fn explain(&self, step: &StepName) -> Option<String> {
        let step = self.step(step)?;
        let mut out = String::new();
        let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string does not fail");
        line(format!("step `{}` of workflow `{}` {}", step.name, self.workflow, self.version));
        line(format!("  runs `{}` of component {}", step.function, step.component));
        match names(step.depends_on.iter()) {
            Some(others) => line(format!("  starts when {others} succeeded, and sees what was returned")),
            None => line("  starts at once".to_owned()),
        }
        if let Some(when) = &step.when {
            line(format!("  is skipped unless `{when}`"));
        }
        if let Some(list) = &step.for_each {
            let most = match step.max_parallel {
                Some(1) => "one after the other".to_owned(),
                Some(n) => format!("at most {n} at the same time"),
                None => "side by side".to_owned(),
            };
            let failure = match step.on_item_failure {
                OnItemFailure::Fail => "one that fails fails the step",
                OnItemFailure::Collect => "one that fails stands as failed in the output",
            };
            line(format!("  runs for each element of `{list}`, {most}; {failure}"));
        }
        if let Some(rule) = &step.approval {
            approval(rule).into_iter().for_each(|text| line(format!("  {text}")));
        }
        self.policies_of(step).into_iter().for_each(|text| line(format!("  {text}")));
        self.reach(step).into_iter().for_each(|text| line(format!("  {text}")));
        line(format!(
            "  an attempt may use {} of memory, {} units of fuel and {}, and return {}",
            show(step.limits.memory),
            step.limits.fuel,
            duration(step.limits.timeout),
            show(step.limits.output)
        ));
        line(format!(
            "  it may make {} calls of {}, {} in all, log {}, and write {} to artifacts",
            step.limits.calls,
            show(step.limits.call_bytes),
            show(step.limits.traffic),
            show(step.limits.log),
            show(step.limits.artifacts)
        ));
        match step.retry.max_attempts {
            1 => line("  it is tried once".to_owned()),
            n => line(format!("  it is tried {n} times, at first {} apart", duration(step.retry.backoff))),
        }
        if step.output.is_some() {
            line("  its output is checked against a schema".to_owned());
        }
        Some(out)
    }

    /// The policies that hear something of a step, and what each of them does.
    fn policies_of(&self, step: &PlanStep) -> Vec<String> {
        let called = |name: &str| {
            let granted = step
                .grants
                .db
                .iter()
                .flat_map(|(label, access)| access.call.iter().map(move |call| (label, call)));
            let mut statements = granted.filter_map(|(label, call)| self.statements.get(label)?.get(call));
            statements.any(|statement| statement.params.contains_key(name))
        };
        let applies = step.grants.terraform.values().any(|verbs| verbs.contains(&TerraformVerb::Apply));
        let counted = |name: &str| applies && TERRAFORM_COUNTS.contains(&name);
        let outputs = step.output_types();
        let hears = |policy: &Policy, on: PolicyEvent| {
            let mut bare = policy.when.bare_names().peekable();
            let binds = |name: &str| match on {
                PolicyEvent::Fact => step.facts.contains_key(name),
                PolicyEvent::StepOutput => outputs.contains_key(name),
                PolicyEvent::HostCall => called(name) || counted(name),
                PolicyEvent::TerraformApply => counted(name),
                PolicyEvent::RunStart => false,
            };
            let happens = match on {
                PolicyEvent::RunStart => false,
                PolicyEvent::TerraformApply => applies,
                _ => true,
            };
            happens && (bare.peek().is_none() || bare.any(binds))
        };
        let mut lines = Vec::new();
        for policy in self.policies.iter().filter(|policy| policy.on.iter().any(|on| hears(policy, *on))) {
            let heard = policy.on.iter().filter(|on| hears(policy, **on)).map(|on| match on {
                PolicyEvent::RunStart => "its run",
                PolicyEvent::HostCall => "a call",
                PolicyEvent::TerraformApply => "what it applies",
                PolicyEvent::Fact => "a fact",
                PolicyEvent::StepOutput => "its output",
            });
            let does = policy.actions.iter().map(|action| match action {
                PolicyAction::RequireApproval(rule) => {
                    format!("asks {}", names(rule.approvers.iter()).unwrap_or_default())
                }
                PolicyAction::AutoApprove => "approves what is not mandatory".to_owned(),
                PolicyAction::Deny => "denies".to_owned(),
                PolicyAction::Notify(channel) => format!("tells `{channel}`"),
            });
            let (heard, does) =
                (heard.collect::<Vec<_>>().join(" or "), does.collect::<Vec<_>>().join(" and "));
            let unknown = if policy.is_protective() { ", or cannot be told" } else { "" };
            lines.push(format!(
                "policy `{}` {does} where `{}` holds of {heard}{unknown}",
                policy.name, policy.when
            ));
        }
        lines
    }

    fn reach(&self, step: &PlanStep) -> Vec<String> {
        let mut lines = Vec::new();
        for (label, access) in &step.grants.db {
            for statement in &access.call {
                lines.push(format!("may call statement `{statement}` of database `{label}`"));
            }
            for (verb, tables) in [("read", &access.read), ("write", &access.write)] {
                for (table, granted) in tables {
                    let columns = granted.columns().map(|columns| names(columns.iter()));
                    let what = match columns {
                        None => format!("table `{table}`"),
                        Some(columns) => {
                            format!(
                                "{} of table `{table}`",
                                columns.unwrap_or_else(|| "no column".to_owned())
                            )
                        }
                    };
                    let rows =
                        granted.filter().map(|filter| format!(", only rows where {}", in_words(filter)));
                    let rows = rows.unwrap_or_default();
                    lines.push(format!("may {verb} {what} of database `{label}`{rows}"));
                }
            }
        }
        for model in &step.grants.llm {
            let price = self.prices.get(model).map(|price| {
                let million = |price: wflo_model::PicoUsd| price * 1_000_000;
                let (input, output) = (million(price.input), million(price.output));
                format!(" at {input} USD a million tokens asked and {output} answered ({})", price.source)
            });
            lines.push(format!("may ask model `{model}`{}", price.unwrap_or_default()));
        }
        for grant in &step.grants.http {
            let key = grant
                .idempotency
                .as_ref()
                .map(|key| format!(", with a key of the host's in `{}`", key.header));
            lines.push(format!("may request `{}`{}", grant.allow, key.unwrap_or_default()));
        }
        for (name, grants) in &step.grants.interfaces {
            lines.extend(grants.iter().map(|grant| format!("may use `{name}` of this host: {grant}")));
        }
        lines.extend(other_reach(&step.grants));
        if let Some(labels) = names(step.labels.iter()) {
            lines.push(format!(
                "handles data labelled {labels}: models, hosts, channels and addresses that do not accept it are not given anything"
            ));
        }
        if !step.grants.llm.is_empty() {
            lines.push(match (self.budget, self.on_exceeded) {
                (None, _) => "spends without a limit: `budget_usd` is not set".to_owned(),
                (Some(usd), OnExceeded::Park) => format!("the run may spend {usd} USD, and then waits"),
                (Some(usd), OnExceeded::Fail) => format!("the run may spend {usd} USD, and then fails"),
            });
        }
        lines.push(if lines.is_empty() {
            "reaches nothing outside its sandbox: no network, files, environment, databases or models"
                .to_owned()
        } else {
            let network = if step.grants.http.is_empty() { "network" } else { "other network" };
            let files = if step.grants.files.is_empty() { "files" } else { "other files" };
            format!("reaches nothing else: no {network}, no {files}, no environment")
        });
        lines
    }
}

/// Which rows a filter lets through.
fn in_words(filter: &RowFilter) -> String {
    let operand = |operand: &FilterOperand| match operand {
        FilterOperand::Input(name) => format!("input `{name}` of the run"),
        FilterOperand::Item => "the element it works on".to_owned(),
        FilterOperand::ItemField(name) => format!("`{name}` of the element it works on"),
        FilterOperand::Value(FilterValue::Text(text)) => format!("\"{text}\""),
        FilterOperand::Value(value) => value.to_string(),
        FilterOperand::Nothing => "what nothing is".to_owned(),
    };
    let condition = |RowCondition { column, test }: &RowCondition| match test {
        RowTest::Null => format!("`{column}` is empty"),
        RowTest::NotNull => format!("`{column}` is not empty"),
        RowTest::In(operands) => {
            let any: Vec<_> = operands.iter().map(operand).collect();
            format!("`{column}` is one of {}", any.join(", "))
        }
        RowTest::Is(comparison, with) => {
            let is = match comparison {
                Comparison::Equal => "is",
                Comparison::NotEqual => "is not",
                Comparison::Less => "is less than",
                Comparison::AtMost => "is at most",
                Comparison::More => "is more than",
                Comparison::AtLeast => "is at least",
            };
            format!("`{column}` {is} {}", operand(with))
        }
    };
    filter.conditions().map(condition).collect::<Vec<_>>().join(" and ")
}

/// What leads to neither databases, models nor requests.
fn other_reach(grants: &Grants) -> Vec<String> {
    let mut lines = Vec::new();
    for FileGrant { host, guest } in &grants.files {
        let folder = match host.is_absolute() {
            true => format!("folder `{host}` of the host"),
            false => format!("folder `{host}` beside wflo.toml"),
        };
        lines.push(format!("may read files in {folder}, which it finds at `{guest}`"));
    }
    lines.extend(grants.secrets.iter().map(|label| {
        format!("may use secret `{label}` without seeing it, in requests to where the deployment binds it")
    }));
    let later = "which leave when the step has succeeded";
    lines.extend(grants.notify.iter().map(|channel| format!("may send messages to `{channel}`, {later}")));
    lines.extend(grants.mail.iter().map(|pattern| format!("may write mails to `{pattern}`, {later}")));
    lines.extend(grants.knowledge.iter().map(|label| format!("may search knowledge base `{label}`")));
    for (label, verbs) in &grants.terraform {
        lines.extend(verbs.iter().map(|verb| {
            let may = match verb {
                TerraformVerb::State => "read the state of",
                TerraformVerb::Plan => "plan changes of",
                TerraformVerb::Apply => "apply planned changes of",
            };
            format!("may {may} terraform folder `{label}`")
        }));
    }
    lines
}

fn approval(rule: &ApprovalRule) -> Vec<String> {
    let who = names(rule.approvers.iter()).unwrap_or_default();
    let need = match rule.quorum {
        Quorum::EachListed if rule.approvers.len() == 1 => format!("needs the approval of {who}"),
        Quorum::EachListed => format!("needs the approval of {who}, a distinct person each"),
        Quorum::Any(1) => format!("needs the approval of 1 person of {who}"),
        Quorum::Any(n) => format!("needs the approval of {n} distinct persons of {who}"),
    };
    let requester = if rule.allow_requester { "may" } else { "may not" };
    let open = rule.timeout.map_or_else(
        || "it stays open until it is decided".to_owned(),
        |timeout| format!("undecided after {} it counts as rejected", duration(timeout)),
    );
    let rejected = match rule.on_reject {
        OnReject::Fail => "a rejection fails the step",
        OnReject::Skip => "a rejection skips the step",
        OnReject::Continue => "a rejection is told to the step, which goes on",
    };
    vec![format!("{need}; whoever asked for the run {requester} approve"), format!("{open}; {rejected}")]
}

fn names<T: std::fmt::Display>(all: impl Iterator<Item = T>) -> Option<String> {
    let all: Vec<_> = all.map(|name| format!("`{name}`")).collect();
    let (last, rest) = all.split_last()?;
    Some(if rest.is_empty() { last.clone() } else { format!("{} and {last}", rest.join(", ")) })
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, length) in [("day", 86_400), ("hour", 3_600), ("minute", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            let n = seconds / length;
            return format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
        }
    }
    format!("{seconds} second{}", if seconds == 1 { "" } else { "s" })
}
