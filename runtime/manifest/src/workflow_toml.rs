//! `workflow.toml` as it is written: every value of the right shape, with its place; nothing compared yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use wflo_model::{
    DbAccess, FunctionName, GroupName, HttpGrant, InputName, Label, ModelName, PicoUsd, RowFilter,
    StatementName, StepName, TableAccess, WorkflowName,
};

use crate::approval_toml::{ApprovalToml, read_approval};
use crate::component::ComponentRef;
use crate::diagnostic::Span;
use crate::expression_toml::ExpressionToml;
use crate::http;
use crate::interface::{self, InterfaceGrants};
use crate::limits;
use crate::plan::{OnCancel, OnExceeded, OnFailure, OnItemFailure};
use crate::policy_toml::{Declared, PolicyToml, read_facts, read_policy};
use crate::reach_toml::{self, ReachToml};
use crate::reader::{Node, Reader, Section, Spanned};
use crate::retry::Retry;
use crate::row_filter::read_filter;
use crate::schema::{schema, schema_with};
use crate::statement::{Statements, read_statements};
use crate::typed::Typed;

/// Ten years: what is longer is a slip of the pen.
pub(crate) const LONGEST: u64 = 315_360_000;
/// What a double counts exactly, and so canonical JSON.
pub(crate) const MOST: u64 = 1 << 53;

pub(crate) struct WorkflowToml {
    pub(crate) name: Option<Spanned<WorkflowName>>,
    pub(crate) version: Option<String>,
    pub(crate) component: Option<Spanned<ComponentRef>>,
    pub(crate) budget: Option<PicoUsd>,
    pub(crate) on_failure: OnFailure,
    pub(crate) on_exceeded: OnExceeded,
    pub(crate) budget_approvers: Vec<Spanned<GroupName>>,
    pub(crate) rollback_reserve: Option<PicoUsd>,
    pub(crate) rollback_approvers: Vec<Spanned<GroupName>>,
    pub(crate) budget_alerts: Vec<u32>,
    pub(crate) budget_notify: Vec<Spanned<String>>,
    pub(crate) on_cancel: OnCancel,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) inputs: BTreeMap<InputName, InputToml>,
    pub(crate) steps: Vec<StepToml>,
    pub(crate) statements: Statements,
    pub(crate) policies: Vec<PolicyToml>,
}

pub(crate) struct InputToml {
    pub(crate) schema: Value,
    pub(crate) default: Option<Spanned<Value>>,
    pub(crate) labels: BTreeSet<Label>,
}

pub(crate) struct StepToml {
    /// Where the table begins.
    pub(crate) span: Span,
    pub(crate) name: Option<Spanned<StepName>>,
    pub(crate) function: Option<Spanned<FunctionName>>,
    /// What it is called with, by parameter, where it is a function of the component's own types.
    pub(crate) args: BTreeMap<String, ExpressionToml>,
    /// That function, where it is known.
    pub(crate) typed: Option<Typed>,
    pub(crate) component: Option<Spanned<ComponentRef>>,
    pub(crate) depends_on: Vec<Spanned<StepName>>,
    pub(crate) db: BTreeMap<Label, Spanned<DbAccess>>,
    /// The named statements in `db`, each with the database.
    pub(crate) calls: Vec<(Label, Spanned<StatementName>)>,
    /// The row filters in `db`.
    pub(crate) filters: Vec<Spanned<RowFilter>>,
    pub(crate) llm: Vec<Spanned<ModelName>>,
    pub(crate) interfaces: InterfaceGrants,
    pub(crate) http: Vec<Spanned<HttpGrant>>,
    pub(crate) output: Option<Value>,
    pub(crate) limits: limits::Written,
    pub(crate) retry: Retry,
    pub(crate) rollback: bool,
    pub(crate) approval: Option<ApprovalToml>,
    pub(crate) when: Option<ExpressionToml>,
    pub(crate) items: ItemsToml,
    pub(crate) budget: Option<PicoUsd>,
    pub(crate) facts: Declared,
    pub(crate) reach: ReachToml,
    pub(crate) labels: BTreeSet<Label>,
}

/// The keys of a step that say how it fans out.
#[derive(Clone, Debug, Default)]
pub(crate) struct ItemsToml {
    pub(crate) for_each: Option<ExpressionToml>,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) on_item_failure: OnItemFailure,
    pub(crate) budget: Option<PicoUsd>,
}

impl WorkflowToml {
    /// Reads the file; `None` if it is not TOML at all.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let document = reader.document()?;
        let mut root = Section::root(&document, "workflow.toml");
        let mut this = Self {
            name: None,
            version: None,
            component: None,
            budget: None,
            on_failure: OnFailure::Keep,
            on_exceeded: OnExceeded::Park,
            budget_approvers: Vec::new(),
            rollback_reserve: None,
            rollback_approvers: Vec::new(),
            budget_alerts: Vec::new(),
            budget_notify: Vec::new(),
            on_cancel: OnCancel::Keep,
            max_parallel: None,
            inputs: BTreeMap::new(),
            steps: Vec::new(),
            statements: Statements::new(),
            policies: Vec::new(),
        };
        if let Some(head) = root.need("workflow").and_then(|node| node.section(reader, "[workflow]")) {
            this.read_head(reader, head);
        }
        if let Some(inputs) = root.take("inputs").and_then(|node| node.section(reader, "[inputs]")) {
            for (name, node) in inputs.named::<InputName>(reader) {
                if let Some(input) = read_input(reader, &node) {
                    this.inputs.insert(name.value, input);
                }
            }
        }
        if let Some(node) = root.take("step") {
            for section in node.sections(reader, "[[step]]") {
                this.steps.push(read_step(reader, section));
            }
        } else {
            let end = reader.source.text().trim_end().len();
            reader.error(end..end, "there is no step").hint("add `[[step]]` with a `name`");
        }
        if let Some(db) = root.take_early(reader, "db").and_then(|node| node.section(reader, "[db]")) {
            this.statements = read_statements(reader, &db);
        }
        if let Some(node) = root.take_early(reader, "policy") {
            for section in node.sections(reader, "[[policy]]") {
                this.policies.push(read_policy(reader, section));
            }
        }
        root.finish(reader);
        Some(this)
    }

    fn read_head(&mut self, reader: &mut Reader, mut head: Section<'_>) {
        self.name = head.need("name").and_then(|node| node.parse(reader));
        if let Some(version) = head.take("version").and_then(|node| node.text(reader)) {
            if version.value.len() > 64
                || version.value.contains(|c: char| c.is_whitespace() || c.is_control())
            {
                let message = format!("`{}` is not a version", version.value.escape_debug());
                reader.error(version.span, message).hint("write it such as `\"1.0.0\"`, without spaces");
            } else {
                self.version = Some(version.value);
            }
        }
        self.component = head.take("component").and_then(|node| node.parse(reader));
        self.budget = head.take("budget_usd").and_then(|node| node.money(reader)).map(|money| money.value);
        if let Some(node) = head.take("on_failure") {
            self.on_failure = node
                .choice(reader, &[("keep", OnFailure::Keep), ("rollback", OnFailure::Rollback)])
                .unwrap_or_default();
        }
        if let Some(node) = head.take("on_exceeded") {
            let choices = [("park", OnExceeded::Park), ("fail", OnExceeded::Fail)];
            self.on_exceeded = node.choice(reader, &choices).unwrap_or_default();
        }
        if let Some(node) = head.take("budget_approvers") {
            self.budget_approvers = node.names(reader);
            if self.budget.is_none() {
                let found = reader.error(node.key, "`budget_approvers` without `budget_usd` never applies");
                found.hint("add `budget_usd`");
            }
        }
        if let Some(node) = head.take("budget_alerts") {
            let parts = node.list(reader).unwrap_or_default();
            let parts: Vec<_> = parts.iter().filter_map(|part| part.integer(reader, 1..=100)).collect();
            self.budget_alerts =
                parts.iter().map(|part| u32::try_from(part.value).expect("at most 100")).collect();
            if self.budget.is_none() {
                let found = reader.error(node.key, "`budget_alerts` without `budget_usd` never applies");
                found.hint("add `budget_usd`");
            }
        }
        if let Some(node) = head.take("budget_notify") {
            self.budget_notify = node.names(reader);
            if self.budget.is_none() {
                let found = reader.error(node.key, "`budget_notify` without `budget_usd` never applies");
                found.hint("add `budget_usd`");
            }
        }
        self.read_rollback(reader, &mut head);
        if let Some(node) = head.take("on_cancel") {
            self.on_cancel = node
                .choice(reader, &[("keep", OnCancel::Keep), ("rollback", OnCancel::Rollback)])
                .unwrap_or_default();
        }
        self.max_parallel = head.take("max_parallel").and_then(|node| small(reader, &node, 1));
        head.finish(reader);
    }

    /// What of the money is kept for undoing, and who must agree to it.
    fn read_rollback(&mut self, reader: &mut Reader, head: &mut Section<'_>) {
        if let Some(node) = head.take("rollback_reserve_usd") {
            let reserve = node.money(reader).map(|money| money.value);
            match (reserve, self.budget) {
                (Some(_), None) => {
                    let found =
                        reader.error(node.key, "`rollback_reserve_usd` without `budget_usd` never applies");
                    found.hint("add `budget_usd`");
                }
                (Some(reserve), Some(budget)) if reserve >= budget => {
                    let message = format!(
                        "{reserve} USD of {budget} are kept for undoing, so that no step may spend any"
                    );
                    reader.error(node.span, message).hint("keep less than `budget_usd`");
                }
                (reserve, _) => self.rollback_reserve = reserve,
            }
        }
        if let Some(node) = head.take("rollback_approvers") {
            self.rollback_approvers = node.names(reader);
        }
    }
}

fn read_input(reader: &mut Reader, node: &Node<'_>) -> Option<InputToml> {
    let required = node.is_table().then(|| node.section(reader, "an input")).flatten();
    if let Some(node) = required.and_then(|mut section| section.take("required")).filter(Node::is_boolean) {
        // In JSON Schema it lists the keys of an object.
        let found = reader.error(node.key, "`required` does not make an input required");
        found.hint("remove it: an input without a `default` is required");
        return None;
    }
    let schema = schema_with(reader, node, &["labels"])?;
    let labels = node.section(reader, "an input").and_then(|mut section| section.take("labels"));
    let labels = reach_toml::read_labels(reader, labels);
    let default = schema.get("default").cloned().map(|value| {
        let section = node.section(reader, "an input");
        let span = section.and_then(|mut section| section.take("default")).map(|node| node.span);
        Spanned { value, span: span.unwrap_or_else(|| node.span.clone()) }
    });
    Some(InputToml { schema, default, labels })
}

fn read_step(reader: &mut Reader, mut step: Section<'_>) -> StepToml {
    let name: Option<Spanned<StepName>> = step.need("name").and_then(|node| node.parse(reader));
    if let Some(name) = name.as_ref().filter(|name| name.value.compensates().is_some()) {
        let message = format!("`{}` is a name that wflo gives to what undoes a step", name.value);
        reader.error(name.span.clone(), message);
    }
    let mut this = StepToml {
        span: step.span.clone(),
        name,
        function: None,
        args: BTreeMap::new(),
        typed: None,
        component: None,
        depends_on: Vec::new(),
        db: BTreeMap::new(),
        calls: Vec::new(),
        filters: Vec::new(),
        llm: Vec::new(),
        interfaces: InterfaceGrants::new(),
        http: Vec::new(),
        output: None,
        limits: limits::Written::new(),
        retry: Retry::default(),
        rollback: false,
        approval: None,
        when: None,
        items: ItemsToml::default(),
        budget: None,
        facts: Declared::new(),
        reach: ReachToml::default(),
        labels: BTreeSet::new(),
    };
    this.function = step.take("function").and_then(|node| node.parse(reader));
    if let Some(args) = step.take("args").and_then(|node| node.section(reader, "`args`")) {
        let read = |node: Node<'_>| Some((node.name.clone(), ExpressionToml::read(reader, &node)?));
        this.args = args.all().into_iter().filter_map(read).collect();
    }
    this.component = step.take("component").and_then(|node| node.parse(reader));
    this.depends_on = step.take("depends_on").map(|node| node.names(reader)).unwrap_or_default();
    if let Some(mut grants) = step.take("grants").and_then(|node| node.section(reader, "`grants`")) {
        if let Some(labels) = grants.take("db").and_then(|node| node.section(reader, "`grants.db`")) {
            for (label, node) in labels.named::<Label>(reader) {
                if let Some((access, calls)) = read_db_grant(reader, &node, &mut this.filters) {
                    this.calls.extend(calls.into_iter().map(|name| (label.value.clone(), name)));
                    this.db.insert(label.value, Spanned { value: access, span: label.span });
                }
            }
        }
        this.llm = grants.take("llm").map(|node| node.names(reader)).unwrap_or_default();
        this.interfaces =
            grants.take("interface").map(|node| interface::read_grants(reader, &node)).unwrap_or_default();
        this.http = grants.take("http").map(|node| http::read_grants(reader, &node)).unwrap_or_default();
        this.reach = reach_toml::read_grants(reader, &mut grants);
        grants.finish(reader);
    }
    this.labels = reach_toml::read_labels(reader, step.take("labels"));
    this.output = step.take("output").and_then(|node| schema(reader, &node));
    limits::read_timeout(reader, &mut step, &mut this.limits);
    if let Some(section) = step.take("limits").and_then(|node| node.section(reader, "`limits`")) {
        limits::read(reader, section, &mut this.limits);
    }
    if let Some(retry) = step.take("retry").and_then(|node| node.section(reader, "`retry`")) {
        this.retry = read_retry(reader, retry);
    }
    if let Some(node) = step.take("rollback") {
        this.rollback = node.boolean(reader).unwrap_or_default();
    }
    this.when = step.take("when").and_then(|node| ExpressionToml::read(reader, &node));
    this.items = read_items(reader, &mut step);
    let budget = step.take("budget_usd").and_then(|node| node.money(reader));
    this.budget = budget.map(|money| money.value);
    if let Some(facts) = step.take_early(reader, "facts").and_then(|node| node.section(reader, "`facts`")) {
        this.facts = read_facts(reader, &facts);
    }
    let approval = step.take("approval").and_then(|node| node.section(reader, "[step.approval]"));
    this.approval = approval.map(|section| read_approval(reader, section));
    step.finish(reader);
    this
}

fn read_items(reader: &mut Reader, step: &mut Section<'_>) -> ItemsToml {
    let mut this = ItemsToml::default();
    let for_each = step.take("for_each");
    let fans_out = for_each.is_some();
    this.for_each = for_each.and_then(|node| ExpressionToml::read(reader, &node));
    let only_items = |reader: &mut Reader, node: &Node<'_>| {
        if !fans_out {
            let message = format!("`{}` of a step without `for_each` never applies", node.name);
            reader.error(node.key.clone(), message).hint("add `for_each = \"<a list>\"`, or remove it");
        }
    };
    if let Some(node) = step.take("max_parallel") {
        only_items(reader, &node);
        this.max_parallel = small(reader, &node, 1);
    }
    if let Some(node) = step.take("on_item_failure") {
        only_items(reader, &node);
        let choices = [("fail", OnItemFailure::Fail), ("collect", OnItemFailure::Collect)];
        this.on_item_failure = node.choice(reader, &choices).unwrap_or_default();
    }
    if let Some(node) = step.take("item_budget_usd") {
        only_items(reader, &node);
        this.budget = node.money(reader).map(|money| money.value);
    }
    this
}

fn read_retry(reader: &mut Reader, mut retry: Section<'_>) -> Retry {
    let mut this = Retry::default();
    let attempts = retry.need("max_attempts").and_then(|node| node.integer(reader, 1..=1000));
    if let Some(attempts) = attempts {
        this.max_attempts = u32::try_from(attempts.value).expect("at most 1000");
    }
    if let Some(seconds) = retry.take("backoff_seconds").and_then(|node| node.integer(reader, 0..=LONGEST)) {
        this.backoff = Duration::from_secs(seconds.value);
    }
    retry.finish(reader);
    this
}

fn read_db_grant(
    reader: &mut Reader,
    node: &Node<'_>,
    filters: &mut Vec<Spanned<RowFilter>>,
) -> Option<(DbAccess, Vec<Spanned<StatementName>>)> {
    let mut section = node.section(reader, "`grants.db`")?;
    let before = reader.found.errors();
    let mut access = DbAccess::default();
    if let Some(node) = section.take("read") {
        access.read = read_tables(reader, &node, filters);
    }
    if let Some(node) = section.take("write") {
        access.write = read_tables(reader, &node, filters);
    }
    let calls: Vec<Spanned<StatementName>> =
        section.take_early(reader, "call").map(|node| node.names(reader)).unwrap_or_default();
    access.call = calls.iter().map(|name| name.value.clone()).collect();
    section.finish(reader);
    if access == DbAccess::default() && reader.found.errors() == before {
        let found = reader.error(node.key.clone(), format!("`grants.db.{}` grants nothing", node.name));
        found.hint("write `{ read = [\"<table>\"] }`, or leave it out");
    }
    Some((access, calls))
}

fn read_tables(
    reader: &mut Reader,
    node: &Node<'_>,
    filters: &mut Vec<Spanned<RowFilter>>,
) -> BTreeMap<String, TableAccess> {
    let mut tables = BTreeMap::new();
    for node in node.list(reader).unwrap_or_default() {
        let Some((table, access)) = read_table(reader, &node, filters) else { continue };
        let alike = tables.keys().find(|it: &&String| it.eq_ignore_ascii_case(&table)).cloned();
        match alike {
            Some(first) if first == table => {
                reader.error(node.span, format!("table `{table}` is listed twice"));
            }
            Some(first) => {
                let message = format!("tables `{first}` and `{table}` differ in case alone");
                reader.error(node.span, message).hint("grant them to two steps: SQLite takes them for one");
            }
            None => _ = tables.insert(table, access),
        }
    }
    tables
}

/// `"t"`, or `{ table = "t", columns = ["c"], where = "c = :inputs.c" }`.
fn read_table(
    reader: &mut Reader,
    node: &Node<'_>,
    filters: &mut Vec<Spanned<RowFilter>>,
) -> Option<(String, TableAccess)> {
    if node.is_text() {
        return Some((identifier(reader, node)?, TableAccess::All));
    }
    if !node.is_table() {
        node.expected(reader, "a table's name, or `{ table = \"..\", columns = [..], where = \"..\" }`");
        return None;
    }
    let mut section = node.section(reader, "a table grant")?;
    let table = section.need("table").and_then(|node| identifier(reader, &node));
    let columns = match section.take("columns") {
        None => None,
        Some(columns) => {
            let list = columns.list(reader)?;
            if list.is_empty() {
                reader.error(columns.span, "`columns` is empty").hint("leave it out to grant all columns");
            }
            Some(list.iter().filter_map(|node| identifier(reader, node)).collect::<BTreeSet<_>>())
        }
    };
    let filter = section.take("where").and_then(|node| read_filter(reader, &node));
    filters.extend(filter.clone());
    let access = TableAccess::new(columns, filter.map(|filter| filter.value));
    section.finish(reader);
    Some((table?, access))
}

/// The name of a table or column, as it is written: PostgreSQL tells `User` from `user`, SQLite does not.
fn identifier(reader: &mut Reader, node: &Node<'_>) -> Option<String> {
    let name = node.text(reader)?;
    if name.value.contains('*') {
        reader
            .error(name.span, "a grant names tables and columns one by one")
            .hint("list them; `*` is a name like any other");
        return None;
    }
    if name.value.contains(char::is_control) {
        reader.error(name.span, "a name cannot have control characters");
        return None;
    }
    Some(name.value)
}

fn small(reader: &mut Reader, node: &Node<'_>, least: u64) -> Option<u32> {
    let n = node.integer(reader, least..=100_000)?;
    Some(u32::try_from(n.value).expect("at most 100,000"))
}
