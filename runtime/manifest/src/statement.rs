//! Named statements: SQL that a workflow writes out, and steps call by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wflo_model::{Label, StatementName};

use crate::diagnostic::Span;
use crate::near::did_you_mean;
use crate::policy_value::{BareName, ValueType};
use crate::reader::{Node, Reader, Section, Spanned};
use crate::workflow_toml::WorkflowToml;

/// A statement of the workflow's own. A step that is granted it gives values for its parameters and nothing else, so
/// that a policy on them stands on what is executed.
///
/// ```
/// use wflo_manifest::{Statement, ValueType};
/// let statement = Statement {
///     sql: "INSERT INTO refunds (order_id, amount) VALUES (:order_id, :refund_amount)".into(),
///     params: [
///         ("order_id".parse().unwrap(), ValueType::Integer),
///         ("refund_amount".parse().unwrap(), ValueType::Decimal),
///     ]
///     .into(),
/// };
/// assert_eq!(statement.placeholders().collect::<Vec<_>>(), ["order_id", "refund_amount"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The SQL. A parameter stands in it as `:name`.
    pub sql: String,
    /// What its parameters are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<BareName, ValueType>,
}

impl Statement {
    /// The parameters that the SQL names, in its order, each as often as it stands there. Texts, quoted names,
    /// comments and casts (`::integer`) have none.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.sql.as_str();
        std::iter::from_fn(move || {
            while let Some(first) = rest.chars().next() {
                let skip = match first {
                    _ if quoted(rest) > 0 => quoted(rest),
                    ':' if rest.starts_with("::") => 2,
                    ':' => {
                        let name = &rest[1..];
                        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                        let (name, after) = name.split_at(end.unwrap_or(name.len()));
                        rest = after;
                        if name.is_empty() {
                            continue;
                        }
                        return Some(name);
                    }
                    other => other.len_utf8(),
                };
                rest = &rest[skip..];
            }
            None
        })
    }

    /// The SQL without texts, quoted names and comments: a blank stands for each.
    pub(crate) fn code(&self) -> String {
        let mut code = String::new();
        let mut rest = self.sql.as_str();
        while let Some(first) = rest.chars().next() {
            let skip = quoted(rest);
            code.push(if skip > 0 { ' ' } else { first });
            rest = &rest[if skip > 0 { skip } else { first.len_utf8() }..];
        }
        code
    }
}

/// The length of the text, quoted name or comment that begins here; 0 for none.
fn quoted(rest: &str) -> usize {
    match rest.chars().next() {
        Some(mark @ ('\'' | '"' | '`')) => closing(rest, &mark.to_string()),
        Some('-') if rest.starts_with("--") => closing(rest, "\n"),
        Some('/') if rest.starts_with("/*") => closing(rest, "*/"),
        _ => 0,
    }
}

/// The length of what `end` closes, from its opening sign on.
fn closing(text: &str, end: &str) -> usize {
    let opening = if end == "*/" { 2 } else { 1 };
    text[opening..].find(end).map_or(text.len(), |at| opening + at + end.len())
}

/// The statements of `[db.<label>.statement.<name>]`.
pub(crate) type Statements = BTreeMap<Label, BTreeMap<StatementName, StatementToml>>;

#[derive(Clone, Debug)]
pub(crate) struct StatementToml {
    pub(crate) statement: Statement,
    /// Where its name stands.
    pub(crate) span: Span,
}

/// Reads `[db]` of `workflow.toml`.
pub(crate) fn read_statements(reader: &mut Reader, db: &Section<'_>) -> Statements {
    let mut all = Statements::new();
    for (label, node) in db.named::<Label>(reader) {
        let Some(mut section) = node.section(reader, "[db.<label>]") else { continue };
        let statements =
            section.take("statement").and_then(|node| node.section(reader, "[db.<label>.statement]"));
        for (name, node) in
            statements.iter().flat_map(|section| section.named::<StatementName>(reader)).collect::<Vec<_>>()
        {
            if let Some(statement) = read_statement(reader, &node) {
                let statement = StatementToml { statement, span: name.span };
                all.entry(label.value.clone()).or_default().insert(name.value, statement);
            }
        }
        section.finish(reader);
    }
    all
}

fn read_statement(reader: &mut Reader, node: &Node<'_>) -> Option<Statement> {
    let mut section = node.section(reader, "a statement")?;
    let sql = section.need("sql").and_then(|node| node.text(reader));
    let mut params: BTreeMap<BareName, (ValueType, Span)> = BTreeMap::new();
    let mut all_read = true;
    if let Some(section) = section.take("params").and_then(|node| node.section(reader, "`params`")) {
        for (name, node) in section.named::<BareName>(reader) {
            match node.choice(reader, &ValueType::PARAMS) {
                Some(declared) => _ = params.insert(name.value, (declared, name.span)),
                None => all_read = false,
            }
        }
    }
    section.finish(reader);
    let Spanned { value: sql, span } = sql?;
    let statement = Statement {
        sql,
        params: params.iter().map(|(name, (declared, _))| (name.clone(), *declared)).collect(),
    };
    if all_read {
        check_placeholders(reader, &statement, &span, &params);
    }
    Some(statement)
}

/// The parameters of the SQL are those that are declared.
fn check_placeholders(
    reader: &mut Reader,
    statement: &Statement,
    sql: &Span,
    params: &BTreeMap<BareName, (ValueType, Span)>,
) {
    let used: BTreeSet<_> = statement.placeholders().collect();
    for name in used.iter().filter(|name| !params.contains_key(**name)) {
        let hint = did_you_mean(name, "the parameters are", params.keys().map(BareName::as_str));
        let found = reader.error(sql.clone(), format!("`:{name}` is no parameter of the statement"));
        found.hint =
            hint.or_else(|| Some(format!("add `params = {{ {name} = \"integer\" }}`, with what it is")));
    }
    for (name, (_, span)) in params.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        // A policy on it would stand on nothing.
        let found = reader.error(span.clone(), format!("the statement does not use parameter `{name}`"));
        found.hint(format!("write `:{name}` in its `sql`, or remove it"));
    }
}

/// Granted statements exist, and those that exist are granted.
pub(crate) fn check_calls(reader: &mut Reader, toml: &WorkflowToml) {
    for (label, call) in toml.steps.iter().flat_map(|step| &step.calls) {
        let named = toml.statements.get(label);
        if named.is_some_and(|named| named.contains_key(&call.value)) {
            continue;
        }
        let names = named.into_iter().flatten().map(|(name, _)| name.as_str());
        let hint = did_you_mean(call.value.as_str(), "there are", names.collect::<Vec<_>>());
        let found =
            reader.error(call.span.clone(), format!("database `{label}` has no statement `{}`", call.value));
        found.hint =
            hint.or_else(|| Some(format!("add `[db.{label}.statement.{}]` with its `sql`", call.value)));
    }
    for (label, named) in &toml.statements {
        for (name, statement) in named {
            let granted = |(to, call): &(Label, Spanned<StatementName>)| to == label && call.value == *name;
            if !toml.steps.iter().flat_map(|step| &step.calls).any(granted) {
                let found =
                    reader.note(statement.span.clone(), format!("no step may call statement `{name}`"));
                found.hint(format!("grant it: `grants.db.{label} = {{ call = [\"{name}\"] }}`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Statement;

    #[test]
    fn finds_the_placeholders_and_nothing_else() {
        let check = |sql: &str, expect: &[&str]| {
            let statement = Statement { sql: sql.to_owned(), params: [].into() };
            assert_eq!(statement.placeholders().collect::<Vec<_>>(), expect, "{sql}");
        };
        check("UPDATE t SET a = :a WHERE b=:b AND a<>:a", &["a", "b", "a"]);
        check("SELECT ':x', \"a:y\", `:q`, 'it''s :z' -- :c\n/* :d */ , :e", &["e"]);
        check("SELECT :a::integer, '::', x :: text", &["a"]);
        check("SELECT ':a", &[]);
        check("SELECT 'é' /* :a", &[]);
        check("SELECT : a", &[]);
        check("", &[]);
        check("--", &[]);
        check("/*/ :a */ :b", &["b"]);
    }
}
