//! Steps that are functions of their component's own types, held against these types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use wflo_model::{FunctionName, Signature, StepName};

use crate::arguments::{Argument, ArgumentError, Sources};
use crate::component::ComponentRef;
use crate::diagnostic::{Source, Span};
use crate::expression::ValueKind;
use crate::expression_check::{Known, kind_of};
use crate::reader::Reader;
use crate::workflow::Workflow;
use crate::workflow_toml::{StepToml, WorkflowToml};

/// What functions take and give, by component and name; or why one cannot be a step. Functions that are steps of wflo's
/// own kind are not in it.
pub type Signatures = BTreeMap<(ComponentRef, FunctionName), Result<Arc<Signature>, String>>;

/// A function that a step is, and what it is called with.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    signature: Arc<Signature>,
    arguments: Vec<(String, Argument)>,
}

impl Workflow {
    /// What the steps of a file run, and in which component: what [`parse_with`](Self::parse_with) wants to know the
    /// signatures of, as far as they are functions of the component's own types. Mistakes of the file are not said here.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n\
    ///             [[step]]\nname = \"score\"\nfunction = \"acme:fraud/scoring.score\"\n";
    /// let all = Workflow::functions(text);
    /// assert_eq!(all.first().unwrap().1.interface(), Some("acme:fraud/scoring"));
    /// ```
    #[must_use]
    pub fn functions(text: &str) -> BTreeSet<(ComponentRef, FunctionName)> {
        let Some(toml) = WorkflowToml::read(&mut Reader::new(&Source::new("", text))) else {
            return BTreeSet::new();
        };
        toml.steps.iter().filter_map(|step| run(&toml, step)).collect()
    }

    /// As [`parse`](Self::parse), knowing what functions of components' own types take and give: what they are called with
    /// is checked, and the schema of what they return is that of the step, unless it has one written out, so that
    /// expressions and policies can read its fields.
    ///
    /// ```
    /// use serde_json::json;
    /// use std::sync::Arc;
    /// use wflo_manifest::{Signatures, Workflow};
    /// use wflo_model::Signature;
    ///
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n\
    ///             [[step]]\nname = \"roll\"\nfunction = \"acme:dice/dice.roll\"\n\
    ///             [[policy]]\nname = \"high\"\nwhen = \"eyes > 5\"\nactions = [\"deny\"]\n";
    /// assert!(Workflow::parse("workflow.toml", text).unwrap_err().render(false).contains("`eyes`"));
    ///
    /// let output = json!({ "type": "object", "properties": { "eyes": { "type": "integer" } } });
    /// let roll = Signature { wit: "func() -> record { eyes: u8 }".to_owned(), parameters: Vec::new(), output };
    /// let name = ("w.wasm".parse().unwrap(), "acme:dice/dice.roll".parse().unwrap());
    /// let known = Signatures::from([(name, Ok(Arc::new(roll)))]);
    /// assert!(Workflow::parse_with("workflow.toml", text, &known).is_ok());
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse); and where a function cannot be a step, or is not given what it takes.
    pub fn parse_with(
        file: &str,
        text: &str,
        known: &Signatures,
    ) -> Result<Self, crate::diagnostic::Diagnostics> {
        Self::read_with(Reader::new(&Source::new(file, text)), known)
    }

    /// The steps that are known to be functions of their components' own types.
    pub fn typed(&self) -> impl Iterator<Item = (&StepName, &Signature)> {
        self.steps.iter().filter_map(|step| Some((&step.name, &*step.typed.as_ref()?.signature)))
    }

    /// What a step that is a function of its component's own types takes, from where, and what it gives, in plain words;
    /// none for another.
    #[must_use]
    pub fn explain_function(&self, step: &StepName) -> Option<String> {
        let step = self.steps.iter().find(|it| it.name == *step)?;
        let typed = step.typed.as_ref()?;
        let mut out = format!("  `{}` is {}\n", step.function, typed.signature.wit);
        let parameters = &typed.signature.parameters;
        for ((name, argument), parameter) in typed.arguments.iter().zip(parameters) {
            let mut line = |name: &str, wit: &str, argument: &Argument| {
                let from = match argument {
                    Argument::Written(written) => match step.args.get(written) {
                        Some(expression) => format!("`{}`", expression.expression),
                        None => return,
                    },
                    Argument::Item => "the element".to_owned(),
                    Argument::Input(input) => format!("input `{input}`"),
                    Argument::Output(step) => format!("the output of step `{step}`"),
                    Argument::Absent => "left out".to_owned(),
                    Argument::Fields(_) => return,
                };
                writeln!(out, "    `{name}`, `{wit}`, is {from}").expect("writing to a string does not fail");
            };
            match argument {
                Argument::Fields(fields) => {
                    for ((field, argument), of) in fields.iter().zip(&parameter.fields) {
                        line(&format!("{name}.{field}"), &of.wit, argument);
                    }
                }
                argument => line(name, &parameter.wit, argument),
            }
        }
        writeln!(out, "  its output is {}", typed.signature.output)
            .expect("writing to a string does not fail");
        Some(out)
    }
}

/// What a step runs, if that can be said.
fn run(toml: &WorkflowToml, step: &StepToml) -> Option<(ComponentRef, FunctionName)> {
    let component = step.component.as_ref().or(toml.component.as_ref())?.value.clone();
    let named = || Some(FunctionName::from(step.name.as_ref()?.value.clone()));
    Some((component, step.function.as_ref().map(|name| name.value.clone()).or_else(named)?))
}

/// Holds the steps against what is known of their functions.
pub(crate) fn apply(reader: &mut Reader, toml: &mut WorkflowToml, known: &Signatures) {
    let mut all = Vec::new();
    for step in &toml.steps {
        let signature = run(toml, step).and_then(|run| known.get(&run));
        let typed = signature.and_then(|signature| check(reader, toml, step, signature));
        all.push(typed);
    }
    for (step, typed) in toml.steps.iter_mut().zip(all) {
        if let Some(typed) = typed {
            step.output.get_or_insert_with(|| typed.signature.output.clone());
            step.typed = Some(typed);
        }
    }
}

fn check(
    reader: &mut Reader,
    toml: &WorkflowToml,
    step: &StepToml,
    signature: &Result<Arc<Signature>, String>,
) -> Option<Typed> {
    let place = step.function.as_ref().map(|name| name.span.clone());
    let place = place.or_else(|| Some(step.name.as_ref()?.span.clone())).unwrap_or_else(|| step.span.clone());
    let signature = match signature {
        Ok(signature) => signature,
        Err(why) => {
            reader.error(place, why.clone());
            return None;
        }
    };
    let known = Known::new(toml);
    let sources = Sources {
        written: step.args.keys().map(String::as_str).collect(),
        inputs: toml.inputs.keys().collect(),
        outputs: known.before(step),
        fans_out: step.items.for_each.is_some(),
    };
    let arguments = match sources.bind(&signature.parameters) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            wrong.iter().for_each(|wrong| say(reader, step, &place, wrong));
            Vec::new()
        }
    };
    for ((name, argument), parameter) in arguments.iter().zip(&signature.parameters) {
        kinds(reader, &known, (name, argument), parameter, &place);
    }
    Some(Typed { signature: Arc::clone(signature), arguments })
}

fn say(reader: &mut Reader, step: &StepToml, place: &Span, wrong: &ArgumentError) {
    match wrong {
        ArgumentError::Unbound { parameter, .. } => {
            let hint = format!(
                "add `args = {{ {parameter} = \"..\" }}` with an expression, an input `{parameter}`, or a dependency on a step of that name"
            );
            reader.error(place.clone(), wrong.to_string()).hint(hint);
        }
        ArgumentError::Unknown { name, hint } => {
            let place = step.args.get(name).map_or_else(|| place.clone(), |it| it.span.clone());
            reader.error(place, format!("`{name}` is no parameter of the function")).hint = hint.clone();
        }
    }
}

/// Says where what is given can never be what is taken.
fn kinds(
    reader: &mut Reader,
    known: &Known<'_>,
    (name, argument): (&str, &Argument),
    parameter: &wflo_model::Parameter,
    place: &Span,
) {
    let path = match argument {
        Argument::Input(input) => vec!["inputs".to_owned(), input.to_string()],
        Argument::Output(step) => vec!["steps".to_owned(), step.to_string(), "output".to_owned()],
        Argument::Fields(fields) => {
            for ((name, argument), field) in fields.iter().zip(&parameter.fields) {
                kinds(reader, known, (name, argument), field, place);
            }
            return;
        }
        Argument::Written(_) | Argument::Item | Argument::Absent => return,
    };
    let given = known.kind(&path, None).unwrap_or(ValueKind::Any);
    if !given.may_be(kind_of(&parameter.schema)) {
        let given = given.what();
        let message = format!("`{name}` is {given} here, and the function takes `{}`", parameter.wit);
        reader.error(place.clone(), message);
    }
}

impl Typed {
    /// What the value of an expression of `args` has to be.
    pub(crate) fn takes(&self, written: &str) -> ValueKind {
        let is = |(_, argument): &&(String, Argument)| matches!(argument, Argument::Written(name) if name == written);
        let kind = |all: &[(String, Argument)], of: &[wflo_model::Parameter]| {
            let (name, _) = all.iter().find(is)?;
            Some(kind_of(&of.iter().find(|parameter| parameter.name == *name)?.schema))
        };
        let within = || match (self.arguments.as_slice(), self.signature.parameters.as_slice()) {
            ([(_, Argument::Fields(fields))], [parameter]) => kind(fields, &parameter.fields),
            _ => None,
        };
        kind(&self.arguments, &self.signature.parameters).or_else(within).unwrap_or(ValueKind::Any)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use wflo_model::{Parameter, Signature};

    use super::Signatures;
    use crate::Workflow;

    fn parameter(name: &str, wit: &str, schema: Value) -> Parameter {
        let (name, wit) = (name.to_owned(), wit.to_owned());
        Parameter { name, wit, schema, is_optional: false, fields: Vec::new() }
    }

    fn known() -> Signatures {
        let output = json!({ "type": "object", "properties": { "risk": { "type": "number" } } });
        let parameters = vec![
            parameter("amount", "u32", json!({ "type": "integer" })),
            parameter("kind", "string", json!({ "type": "string" })),
        ];
        let wit = "func(amount: u32, kind: string) -> record { risk: f64 }".to_owned();
        let score = Signature { wit, parameters, output };
        let name = |function: &str| ("c.wasm".parse().unwrap(), function.parse().unwrap());
        Signatures::from([
            (name("acme:fraud/scoring.score"), Ok(Arc::new(score))),
            (name("acme:fraud/scoring.open"), Err("it has a resource".to_owned())),
        ])
    }

    const HEAD: &str = "[workflow]\nname = \"w\"\ncomponent = \"c.wasm\"\n[inputs.amount]\ntype = \"integer\"\n\
                        [[step]]\nname = \"score\"\nfunction = \"acme:fraud/scoring.score\"\n";

    #[track_caller]
    fn wrong(text: &str, expect: &[&str]) {
        let found = Workflow::parse_with("workflow.toml", text, &known()).unwrap_err().render(false);
        assert_eq!(found.matches("error: ").count(), expect.len(), "{found}");
        for expect in expect {
            assert!(found.contains(expect), "no `{expect}` in\n{found}");
        }
    }

    #[test]
    fn what_a_function_is_not_given_has_its_place() {
        wrong(HEAD, &["nothing gives `kind`, which the function takes as `string`\n --> workflow.toml:8:12"]);
        wrong(
            &format!("{HEAD}args = {{ kind = \"'a'\", knid = \"1\" }}\n"),
            &["`knid` is no parameter of the function\n --> workflow.toml:9:31"],
        );
        wrong(&format!("{HEAD}args = {{ kind = \"inputs.amount\" }}\n"), &["`kind` must be a text"]);
        wrong(&format!("{HEAD}args = {{ kind = \"budget.left_usd\" }}\n"), &["`budget` cannot be read here"]);
        wrong(&format!("{HEAD}args = {{ kind = \"item\" }}\n"), &["nothing is called `item` here"]);
        let text = format!("{HEAD}args = {{ kind = \"'a'\" }}\n");
        wrong(
            &text.replace("\"integer\"", "\"string\""),
            &["`amount` is a text here, and the function takes `u32`"],
        );
        wrong(&text.replace(".score", ".open"), &["it has a resource"]);
    }

    #[test]
    fn its_output_can_be_read_by_name() {
        let next = "[[step]]\nname = \"act\"\ndepends_on = [\"score\"]\nwhen = \"steps.score.output.risk > 0.5\"\n\
                    [[policy]]\nname = \"p\"\nwhen = \"risk > 0.9\"\nactions = [\"deny\"]\n";
        let text = format!("{HEAD}args = {{ kind = \"'a'\" }}\n{next}");
        let workflow = Workflow::parse_with("workflow.toml", &text, &known()).unwrap();
        let explained = workflow.explain_function(&"score".parse().unwrap()).unwrap();
        for expect in [
            "func(amount: u32",
            "`amount`, `u32`, is input `amount`",
            "`kind`, `string`, is `'a'`",
            "its output is {",
        ] {
            assert!(explained.contains(expect), "no `{expect}` in\n{explained}");
        }
        assert_eq!(workflow.explain_function(&"act".parse().unwrap()), None);
        assert_eq!(workflow.typed().count(), 1);
        wrong(&text.replace("output.risk", "output.rsik"), &["has no `rsik`"]);
    }

    #[test]
    fn each_element_is_an_argument_of_its_own() {
        let text =
            format!("{HEAD}for_each = \"[1, 2]\"\nargs = {{ amount = \"item\", kind = \"item.kind\" }}\n");
        let workflow = Workflow::parse_with("workflow.toml", &text, &known()).unwrap();
        assert!(
            workflow
                .explain_function(&"score".parse().unwrap())
                .unwrap()
                .contains("`amount`, `u32`, is `item`")
        );
    }
}
