//! Holds a workflow against what its components say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use toml_edit::{Document, Item};
use wflo_model::{Capability, Grants};

use crate::component::ComponentRef;
use crate::diagnostic::{Diagnostics, Span};
use crate::near::did_you_mean;
use crate::reader::Reader;
use crate::schema::compile;
use crate::workflow::{Step, Workflow};

/// What a component says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// What its imports lead to.
    pub capabilities: BTreeSet<Capability>,
    /// The steps it holds, each with the JSON Schema of its output, if it promises one.
    pub steps: BTreeMap<String, Option<String>>,
}

impl Workflow {
    /// Holds the workflow against its components: steps they do not have are errors; grants that nothing uses and
    /// components that could do more than their steps may are notes.
    ///
    /// A component that is not in `components` is not judged.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use wflo_manifest::{ComponentRef, Described, Workflow};
    ///
    /// let text = "[workflow]\nname = \"hello\"\ncomponent = \"hello.wasm\"\n[[step]]\nname = \"great\"\n";
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let described = Described { steps: [("greet".to_owned(), None)].into(), ..Described::default() };
    /// let components = BTreeMap::from([("hello.wasm".parse::<ComponentRef>().unwrap(), described)]);
    /// let found = workflow.review(&components).render(false);
    /// assert!(found.contains("component `hello.wasm` has no step `great`"), "{found}");
    /// assert!(found.contains("did you mean `greet`?"), "{found}");
    /// ```
    #[must_use]
    pub fn review(&self, components: &BTreeMap<ComponentRef, Described>) -> Diagnostics {
        let mut review = Review {
            reader: Reader::new(&self.source),
            document: Document::parse(self.source.text().to_owned()).ok(),
        };
        for (number, step) in self.steps.iter().enumerate() {
            if let Some(described) = components.get(&step.component.value) {
                review.step(number, step, described);
            }
        }
        for (component, described) in components {
            review.width(component, described, &self.steps);
        }
        review.reader.finish()
    }
}

struct Review {
    reader: Reader,
    /// It was parsed before; only the default workflow of a test has none.
    document: Option<Document<String>>,
}

impl Review {
    fn step(&mut self, number: usize, step: &Step, described: &Described) {
        let (component, function) = (&step.component.value, &step.function);
        // Functions of the component's own types were held against them when the file was read.
        if step.typed.is_some() || function.interface().is_some() {
            self.grants(number, step, described);
            return;
        }
        if let Some(first) = step.args.values().next() {
            let message = format!("step `{function}` of component `{component}` takes no `args`");
            let hint = "it asks for what it needs; only a function of the component's own types is called with values";
            self.reader.error(first.span.clone(), message).hint(hint);
        }
        let Some(promised) = described.steps.get(function.as_str()) else {
            let names = described.steps.keys().map(String::as_str);
            let hint = did_you_mean(function.as_str(), "it has", names)
                .unwrap_or_else(|| "it has no step at all".to_owned());
            let span = self.place(number, &["function"]).or_else(|| self.place(number, &["name"]));
            let span = span.unwrap_or_else(|| step.component.span.clone());
            self.reader.error(span, format!("component `{component}` has no step `{function}`")).hint(hint);
            return;
        };
        if let Some(promised) = promised {
            self.output(number, step, promised);
        }
        self.grants(number, step, described);
    }

    /// What was granted has a use.
    fn grants(&mut self, number: usize, step: &Step, described: &Described) {
        let component = &step.component.value;
        // Models answer from a knowledge base without an import of its own: `wflo:llm/tasks`.
        let answers = described.capabilities.contains(&Capability::Llm);
        let used = |it: &&Capability| **it == Capability::Knowledge && answers;
        for capability in granted(step).difference(&described.capabilities).filter(|it| !used(it)) {
            let name = capability.to_string();
            let Some(span) = self.place(number, &["grants", &name]) else { continue };
            let message = format!("component `{component}` has no use for `grants.{name}`");
            self.reader.note(span, message).hint("take it away: a step should have no more than it needs");
        }
    }

    /// The schema that the component promises is one, and has what the manifest requires.
    fn output(&mut self, number: usize, step: &Step, promised: &str) {
        let (component, function) = (&step.component.value, &step.function);
        let parsed = serde_json::from_str::<Json>(promised).map_err(|error| error.to_string());
        let promised = match parsed.and_then(|schema| compile(&schema).map(|_| schema)) {
            Ok(promised) => promised,
            Err(why) => {
                let message =
                    format!("component `{component}` promises of `{function}` what is no JSON Schema: {why}");
                self.reader.error(step.component.span.clone(), message);
                return;
            }
        };
        let (Some(required), Some(properties)) = (
            step.output.as_ref().and_then(|schema| schema["required"].as_array()),
            promised["properties"].as_object(),
        ) else {
            return;
        };
        let lacking: Vec<_> =
            required.iter().filter_map(Json::as_str).filter(|&name| !properties.contains_key(name)).collect();
        if let [first, ..] = lacking[..]
            && let Some(span) = self.place(number, &["output"])
        {
            let hint = did_you_mean(first, "it promises", properties.keys().map(String::as_str));
            let message =
                format!("component `{component}` does not promise `{first}`, which is required here");
            self.reader.note(span, message).hint = hint;
        }
    }

    /// A component whose steps have different grants imports for each of them what only some may use.
    fn width(&mut self, component: &ComponentRef, described: &Described, steps: &[Step]) {
        let mut wide = Vec::new();
        let mut span = None;
        for step in steps.iter().filter(|step| step.component.value == *component) {
            span.get_or_insert_with(|| step.component.span.clone());
            let given = granted(step);
            // Files are imported by whole languages, and without a grant there are none.
            let more =
                described.capabilities.iter().filter(|it| !given.contains(it) && **it != Capability::Files);
            wide.extend(more.map(|capability| format!("`{}` to {capability}", step.name)));
        }
        if let Some(span) = span.filter(|_| !wide.is_empty()) {
            let message = format!(
                "component `{component}` imports what not all of its steps were granted: {}",
                wide.join(", ")
            );
            self.reader.note(span, message).hint(
                "the gate denies such a call when it is made; in a component of its own, the step could not be \
                 linked to it",
            );
        }
    }

    /// Where a key of a step stands.
    fn place(&self, step: usize, path: &[&str]) -> Option<Span> {
        let mut item: &Item = self.document.as_ref()?.as_table().get("step")?;
        let mut table = item.as_array_of_tables()?.get(step)? as &dyn toml_edit::TableLike;
        let (last, way) = path.split_last()?;
        for name in way {
            item = table.get(name)?;
            table = item.as_table_like()?;
        }
        let (key, _) = table.get_key_value(last)?;
        key.span()
    }
}

/// What a step's grants open.
fn granted(step: &Step) -> BTreeSet<Capability> {
    let mut grants = Grants::default();
    grants.db.extend(step.db.iter().map(|(label, access)| (label.clone(), access.value.clone())));
    grants.llm.extend(step.llm.iter().map(|model| model.value.clone()));
    grants.http.extend(step.http.iter().map(|grant| grant.value.clone()));
    grants.files.extend(step.reach.files.iter().map(|grant| grant.value.clone()));
    grants.terraform = step.reach.terraform.iter().map(|it| it.value.clone().into()).collect();
    grants.secrets.extend(step.reach.secrets.iter().map(|label| label.value.clone()));
    step.reach.messages.grant(&mut grants);
    grants.capabilities()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[workflow]
name = "w"
component = "c.wasm"

[[step]]
name = "first"
grants.llm = ["m"]

[step.output]
type = "object"
required = ["sum"]

[[step]]
name = "second"
function = "secnd"
grants.db.bank = { read = ["t"] }
approval = { approvers = ["g"] }
"#;

    fn review(capabilities: &[Capability], steps: &[(&str, Option<&str>)]) -> String {
        let workflow = Workflow::parse("workflow.toml", TEXT).unwrap();
        let steps = steps.iter().map(|(name, schema)| ((*name).to_owned(), schema.map(ToOwned::to_owned)));
        let described =
            Described { capabilities: capabilities.iter().copied().collect(), steps: steps.collect() };
        workflow.review(&[("c.wasm".parse().unwrap(), described)].into()).render(false)
    }

    #[test]
    fn what_does_not_fit_has_its_place() {
        let found =
            review(&[Capability::Db], &[("first", Some(r#"{"properties":{"summ":{}}}"#)), ("second", None)]);
        for expect in [
            "error: component `c.wasm` has no step `secnd`\n  --> workflow.toml:16:1",
            "hint: did you mean `second`?",
            "note: component `c.wasm` has no use for `grants.llm`\n --> workflow.toml:8:8",
            "note: component `c.wasm` does not promise `sum`, which is required here",
            "hint: did you mean `summ`?",
            "imports what not all of its steps were granted: `first` to db",
        ] {
            assert!(found.contains(expect), "no `{expect}` in\n{found}");
        }
    }

    #[test]
    fn what_fits_needs_no_word() {
        let text = TEXT
            .replace("secnd", "second")
            .replace("grants.db.bank = { read = [\"t\"] }", "grants.llm = [\"m\"]");
        let workflow = Workflow::parse("workflow.toml", &text).unwrap();
        let described = Described {
            capabilities: [Capability::Llm].into(),
            steps: [("first".to_owned(), None), ("second".to_owned(), None)].into(),
        };
        let found = workflow.review(&[("c.wasm".parse().unwrap(), described)].into());
        assert!(found.is_empty(), "{found}");
    }

    #[test]
    fn what_a_component_says_of_itself_does_not_steer_the_terminal() {
        let found = review(
            &[],
            &[("\u{1b}[2J\u{202e}x\nnote: all is well", None), ("first", Some("{\"type\":\"\u{9b}2Jx\"}"))],
        );
        assert!(found.contains("no JSON Schema") && found.contains("\u{fffd}2Jx"), "{found}");
        assert!(found.contains("`\u{fffd}[2J\u{fffd}x note: all is well`"), "{found}");
        assert!(!found.contains(|sign| wflo_model::steers(sign) && sign != '\n'), "{found:?}");
    }

    #[test]
    fn a_promise_that_is_no_schema_is_an_error() {
        let found = review(&[], &[("first", Some("{\"type\": 7}")), ("secnd", Some("{"))]);
        assert_eq!(found.matches("what is no JSON Schema").count(), 2, "{found}");
    }
}
