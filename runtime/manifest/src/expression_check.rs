//! What expressions of a workflow read must exist, and be of the kind that is done with it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wflo_model::{InputName, StepName};

use crate::expression::{Mismatch, Name, ValueKind, written};
use crate::expression_toml::ExpressionToml;
use crate::near::did_you_mean;
use crate::reader::Reader;
use crate::workflow_toml::{InputToml, StepToml, WorkflowToml};

/// What can be read of a run: `run.id` is its id, `run.requester` who asked for it.
pub(crate) const RUN: [(&str, ValueKind); 4] = [
    ("id", ValueKind::Text),
    ("requester", ValueKind::Text),
    ("version", ValueKind::Text),
    ("workflow", ValueKind::Text),
];

/// What can be read of the run's money, in USD. `limit_usd` and `left_usd` are missing where there is no limit.
pub(crate) const BUDGET: [(&str, ValueKind); 4] = [
    ("held_usd", ValueKind::Number),
    ("left_usd", ValueKind::Number),
    ("limit_usd", ValueKind::Number),
    ("settled_usd", ValueKind::Number),
];

/// What can be read of a call.
pub(crate) const CALL: [(&str, ValueKind); 3] =
    [("args", ValueKind::Object), ("function", ValueKind::Text), ("interface", ValueKind::Text)];

/// Why a name means nothing: the message, and a hint.
pub(crate) type Unknown = (String, Option<String>);

/// What there is to read in a workflow.
pub(crate) struct Known<'a> {
    inputs: &'a BTreeMap<InputName, InputToml>,
    steps: BTreeMap<&'a str, (&'a StepName, &'a StepToml)>,
}

impl<'a> Known<'a> {
    pub(crate) fn new(toml: &'a WorkflowToml) -> Self {
        let steps = toml.steps.iter().filter_map(|step| {
            let name = &step.name.as_ref()?.value;
            Some((name.as_str(), (name, step)))
        });
        Self { inputs: &toml.inputs, steps: steps.collect() }
    }

    /// Every step that `step` depends on, directly or through others.
    pub(crate) fn before(&self, step: &StepToml) -> BTreeSet<&'a StepName> {
        let mut all = BTreeSet::new();
        let mut open: Vec<_> = step.depends_on.iter().map(|name| &name.value).collect();
        while let Some(next) = open.pop() {
            if let Some((name, step)) = self.steps.get(next.as_str())
                && all.insert(*name)
            {
                open.extend(step.depends_on.iter().map(|name| &name.value));
            }
        }
        all
    }

    /// The kind of what a name that is not bare stands for. `readable` are the steps whose output can be read;
    /// `None` for all of them.
    pub(crate) fn kind(
        &self,
        path: &[String],
        readable: Option<&BTreeSet<&StepName>>,
    ) -> Result<ValueKind, Unknown> {
        let (root, rest) = path.split_first().map_or(("", path), |(root, rest)| (root.as_str(), rest));
        match root {
            "inputs" => self.input(rest),
            "steps" => self.output(rest, readable),
            "run" => fields("run", &RUN, rest),
            "budget" => fields("budget", &BUDGET, rest),
            _ => fields("call", &CALL, rest),
        }
    }

    fn input(&self, path: &[String]) -> Result<ValueKind, Unknown> {
        let Some((name, rest)) = path.split_first() else { return Ok(ValueKind::Object) };
        match self.inputs.get(name.as_str()) {
            Some(input) => within(&input.schema, rest, &format!("input `{name}`")),
            None => {
                let names = self.inputs.keys().map(InputName::as_str);
                let hint = did_you_mean(name, "the inputs are", names);
                let hint = hint.unwrap_or_else(|| format!("add `[inputs.{name}]` with its schema"));
                Err((format!("there is no input `{name}`"), Some(hint)))
            }
        }
    }

    fn output(&self, path: &[String], readable: Option<&BTreeSet<&StepName>>) -> Result<ValueKind, Unknown> {
        let Some((name, rest)) = path.split_first() else { return Ok(ValueKind::Object) };
        let Some((name, step)) = self.steps.get(name.as_str()) else {
            let names = self.steps.keys().copied();
            let dashed =
                names.clone().find(|step| step.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
            let hint = match dashed {
                // A dash is a minus: the name ends before it.
                Some(step) => Some(format!("write `{}`", written(&["steps", step]))),
                None => did_you_mean(name, "the steps are", names),
            };
            return Err((format!("there is no step `{name}`"), hint));
        };
        if readable.is_some_and(|readable| !readable.contains(*name)) {
            let message = format!("step `{name}` may not be done when this is read");
            return Err((message, Some(format!("add `{name}` to `depends_on`"))));
        }
        let Some((field, rest)) = rest.split_first() else { return Ok(ValueKind::Object) };
        if field != "output" {
            let hint = format!("write `{}`", written(&["steps", name.as_str(), "output"]));
            return Err((format!("a step has an `output`, and no `{field}`"), Some(hint)));
        }
        if step.items.for_each.is_some() {
            if let Some(field) = rest.first() {
                let message = format!("the output of step `{name}` is a list, an element for each item");
                let hint = {
                    let list = written(&["steps", name.as_str(), "output"]);
                    format!("write `{list}.map(item, item.{field})`")
                };
                return Err((message, Some(hint)));
            }
            return Ok(ValueKind::List);
        }
        match &step.output {
            Some(schema) => within(schema, rest, &format!("the output of step `{name}`")),
            None => Ok(ValueKind::Any),
        }
    }
}

/// Says what is wrong with an expression: names that `kind` does not know, parts that have no value, and a value
/// that is not `wanted`.
pub(crate) fn check(
    reader: &mut Reader,
    toml: &ExpressionToml,
    wanted: ValueKind,
    kind: &dyn Fn(&Name) -> Result<ValueKind, Unknown>,
) {
    let mut known: BTreeMap<&[String], ValueKind> = BTreeMap::new();
    let before = reader.found.errors();
    for name in toml.expression.names() {
        match kind(name) {
            Ok(kind) => _ = known.insert(name.path(), kind),
            Err((message, hint)) => {
                let found = reader.error(toml.place(name.at()), format!("in `{}`: {message}", toml.key));
                found.hint = hint;
            }
        }
    }
    if reader.found.errors() > before {
        return;
    }
    match toml.expression.kind(&|path| known.get(path).copied().unwrap_or(ValueKind::Any)) {
        Ok(kind) if kind.may_be(wanted) => {}
        Ok(kind) => {
            let message = format!("`{}` must be {}, and this is {}", toml.key, wanted.what(), kind.what());
            reader.error(toml.span.clone(), message);
        }
        Err(Mismatch { message, at }) => {
            let text = at.start < at.end && message.contains("a text");
            let found = reader.error(toml.place(at), format!("in `{}`: {message}", toml.key));
            if text && message.contains("a number") {
                found.hint("`decimal(x)` is the number that a text is");
            }
        }
    }
}

/// `when`, `for_each` and `args` of all steps.
pub(crate) fn check_steps(reader: &mut Reader, toml: &WorkflowToml) {
    let known = Known::new(toml);
    for step in &toml.steps {
        let readable = known.before(step);
        let kind = |name: &Name| {
            if name.is_bare() {
                return Err(bare(name, &known, &readable));
            }
            if name.root() == "call" {
                return Err(("there is no call when a step starts".to_owned(), None));
            }
            known.kind(name.path(), Some(&readable))
        };
        if let Some(when) = &step.when {
            check(reader, when, ValueKind::Boolean, &kind);
        }
        if let Some(list) = &step.items.for_each {
            check(reader, list, ValueKind::List, &kind);
        }
        // They are evaluated anew when an attempt goes on after a crash, and in `wflo replay`.
        let kind = |name: &Name| match name.root() {
            "item" if step.items.for_each.is_some() => Ok(ValueKind::Any),
            "budget" => {
                Err(("`budget` cannot be read here: it changes while the step runs".to_owned(), None))
            }
            _ => kind(name),
        };
        for (name, argument) in &step.args {
            let wanted = step.typed.as_ref().map_or(ValueKind::Any, |typed| typed.takes(name));
            check(reader, argument, wanted, &kind);
        }
    }
}

/// A bare name where only the run can be read.
fn bare(name: &Name, known: &Known<'_>, readable: &BTreeSet<&StepName>) -> Unknown {
    let root = name.root();
    let has = |step: &&&StepName| {
        let schema = known.steps.get(step.as_str()).and_then(|(_, step)| step.output.as_ref());
        schema.and_then(|schema| schema.get("properties")?.get(root)).is_some()
    };
    let hint = if known.inputs.contains_key(root) {
        format!("write `inputs.{name}`")
    } else if let Some(step) = readable.iter().find(has) {
        format!("write `{}`", written(&["steps", step.as_str(), "output", root]))
    } else {
        match did_you_mean(root, "", ["inputs", "steps", "run", "budget"]) {
            Some(hint) if hint.starts_with("did") => hint,
            _ => "what can be read begins with `inputs.`, `steps.`, `run.` or `budget.`".to_owned(),
        }
    };
    (format!("nothing is called `{root}` here"), Some(hint))
}

fn fields(of: &str, all: &[(&str, ValueKind)], path: &[String]) -> Result<ValueKind, Unknown> {
    let Some((name, rest)) = path.split_first() else { return Ok(ValueKind::Object) };
    let Some((_, kind)) = all.iter().find(|(field, _)| field == name) else {
        let hint = did_you_mean(name, &format!("`{of}` has"), all.iter().map(|(field, _)| *field));
        return Err((format!("`{of}` has no `{name}`"), hint));
    };
    match rest.first() {
        None => Ok(*kind),
        Some(_) if *kind == ValueKind::Object => Ok(ValueKind::Any),
        Some(field) => Err((format!("`{of}.{name}` is {}, which has no `{field}`", kind.what()), None)),
    }
}

/// The kind of what a path leads to in values of a schema.
pub(crate) fn within(schema: &Value, path: &[String], of: &str) -> Result<ValueKind, Unknown> {
    let Some((field, rest)) = path.split_first() else {
        return Ok(if is_wide(schema) { ValueKind::Wide } else { kind_of(schema) });
    };
    let kind = kind_of(schema);
    if !kind.may_be(ValueKind::Object) {
        let hint = (kind == ValueKind::List)
            .then(|| format!("`list[0].{field}`, or `list.all(item, item.{field} ..)`"));
        return Err((format!("{of} is {}, which has no `{field}`", kind.what()), hint));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    match properties.and_then(|properties| properties.get(field)) {
        Some(schema) => within(schema, rest, &format!("`{field}` of {of}")),
        // Other keywords may say more about it than is looked at here.
        None if properties.is_none() || is_open(schema) => Ok(ValueKind::Any),
        None => {
            let names = properties.into_iter().flatten().map(|(name, _)| name.as_str());
            let hint = did_you_mean(field, "its schema has", names);
            Err((format!("the schema of {of} has no `{field}`"), hint))
        }
    }
}

/// Whether a schema is that of an integer which may be a text, as components' own types have those of 64 bits.
fn is_wide(schema: &Value) -> bool {
    let types = schema.get("type").and_then(Value::as_array);
    let has = |name: &str| types.is_some_and(|types| types.iter().any(|it| it == name));
    has("integer") && has("string") && schema.get("format").is_some_and(|format| format == "decimal")
}

/// Whether values of a schema may have fields that its `properties` do not list.
fn is_open(schema: &Value) -> bool {
    let more =
        ["patternProperties", "allOf", "anyOf", "oneOf", "if", "$ref", "$dynamicRef", "dependentSchemas"];
    let additional = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    additional || more.iter().any(|key| schema.get(key).is_some())
}

/// The kind of all values of a schema.
pub(crate) fn kind_of(schema: &Value) -> ValueKind {
    let one = |name: &str| match name {
        "string" => ValueKind::Text,
        "number" | "integer" => ValueKind::Number,
        "boolean" => ValueKind::Boolean,
        "array" => ValueKind::List,
        "object" => ValueKind::Object,
        "null" => ValueKind::Null,
        _ => ValueKind::Any,
    };
    match schema.get("type") {
        Some(Value::String(name)) => one(name),
        // A list of types: known only if they are all of one kind.
        Some(Value::Array(names)) => {
            let mut kinds = names.iter().filter_map(Value::as_str).map(one);
            let first = kinds.next().unwrap_or(ValueKind::Any);
            if kinds.all(|kind| kind == first) { first } else { ValueKind::Any }
        }
        _ => ValueKind::Any,
    }
}
