//! What a function of a component's own types is called with: each parameter has a source, by its name.

use std::collections::BTreeSet;

use wflo_model::{InputName, Parameter, StepName};

use crate::near::did_you_mean;
use crate::plan::{Plan, PlanStep};

/// Where the value of a parameter comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// From the expression that `args` has for it, under this name.
    Written(String),
    /// It is the element, of a step that fans out.
    Item,
    /// It is an input of the run.
    Input(InputName),
    /// It is the output of a step.
    Output(StepName),
    /// It is left out, as it may be.
    Absent,
    /// It is a record, whose fields have sources of their own.
    Fields(Vec<(String, Self)>),
}

/// Why a function cannot be called as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// Nothing is called like a parameter.
    #[error("nothing gives `{parameter}`, which the function takes as `{wit}`")]
    Unbound {
        /// The parameter, or the field of the one parameter that there is.
        parameter: String,
        /// Its type.
        wit: String,
    },
    /// `args` has a name that is no parameter.
    #[error("`args.{name}` is no parameter of the function{}", hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}")))]
    Unknown {
        /// The name, as written.
        name: String,
        /// What may have been meant.
        hint: Option<String>,
    },
}

/// Everything that may give a parameter its value.
pub(crate) struct Sources<'a> {
    /// The names that `args` has.
    pub(crate) written: Vec<&'a str>,
    pub(crate) inputs: Vec<&'a InputName>,
    /// The steps whose output can be read.
    pub(crate) outputs: BTreeSet<&'a StepName>,
    pub(crate) fans_out: bool,
}

impl Plan {
    /// What a function with these parameters is called with when it is `step`, in their order.
    ///
    /// A parameter is what `args` says; else the element, if the step fans out and the parameter is the only one or is
    /// called `item`; else the input of its name; else the output of the step of its name, among those that this one
    /// depends on; else it is left out, if it is an option. A record that is the only parameter, and that none of these
    /// gives, has its fields given in the same way. In names, `-` and `_` are one.
    ///
    /// # Errors
    /// Every parameter that nothing gives, and every name of `args` that is none.
    pub fn arguments(
        &self,
        step: &PlanStep,
        parameters: &[Parameter],
    ) -> Result<Vec<(String, Argument)>, Vec<ArgumentError>> {
        let outputs = self.transitive(&step.name);
        let sources = Sources {
            written: step.args.keys().map(String::as_str).collect(),
            inputs: self.inputs.keys().collect(),
            outputs: outputs.iter().collect(),
            fans_out: step.for_each.is_some(),
        };
        sources.bind(parameters)
    }
}

impl Sources<'_> {
    pub(crate) fn bind(
        &self,
        parameters: &[Parameter],
    ) -> Result<Vec<(String, Argument)>, Vec<ArgumentError>> {
        let mut wrong = Vec::new();
        let mut names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let only = parameters.len() == 1;
        let mut all = Vec::new();
        for parameter in parameters {
            let argument = match self.named(&parameter.name) {
                Some(Argument::Written(name)) => Argument::Written(name),
                _ if self.fans_out
                    && (parameter.name == "item" || (only && !self.writes_field(parameter))) =>
                {
                    Argument::Item
                }
                Some(argument) => argument,
                None if only && !parameter.fields.is_empty() => {
                    names = parameter.fields.iter().map(|field| field.name.as_str()).collect();
                    let field = |field: &Parameter| {
                        let argument = self.named(&field.name);
                        (field.name.clone(), argument.unwrap_or_else(|| absent(field, &mut wrong)))
                    };
                    Argument::Fields(parameter.fields.iter().map(field).collect())
                }
                None => absent(parameter, &mut wrong),
            };
            all.push((parameter.name.clone(), argument));
        }
        for name in &self.written {
            if !names.iter().any(|known| same(known, name)) {
                let hint = did_you_mean(name, "it takes", names.iter().copied());
                wrong.push(ArgumentError::Unknown { name: (*name).to_owned(), hint });
            }
        }
        if wrong.is_empty() { Ok(all) } else { Err(wrong) }
    }

    /// What is called so.
    fn named(&self, name: &str) -> Option<Argument> {
        // The very name first, where there is another that only differs in its dashes.
        let written = best(name, self.written.iter().copied()).map(|it| Argument::Written(it.to_owned()));
        let input = || {
            let inputs = self.inputs.iter().map(|input| input.as_str());
            Some(Argument::Input(best(name, inputs)?.parse().expect("it was a name before")))
        };
        let output = || {
            let outputs = self.outputs.iter().map(|step| step.as_str());
            Some(Argument::Output(best(name, outputs)?.parse().expect("it was a name before")))
        };
        written.or_else(input).or_else(output)
    }

    /// Whether `args` has something for a field of it, so that it is not given as a whole.
    fn writes_field(&self, parameter: &Parameter) -> bool {
        parameter.fields.iter().any(|field| best(&field.name, self.written.iter().copied()).is_some())
    }
}

fn absent(parameter: &Parameter, wrong: &mut Vec<ArgumentError>) -> Argument {
    if !parameter.is_optional {
        let (parameter, wit) = (parameter.name.clone(), parameter.wit.clone());
        wrong.push(ArgumentError::Unbound { parameter, wit });
    }
    Argument::Absent
}

fn best<'a>(name: &str, all: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    all.clone().find(|other| *other == name).or_else(|| all.into_iter().find(|other| same(name, other)))
}

/// Whether two names are one but for their dashes.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.replace('-', "_") == other.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{InputName, Parameter, StepName};

    use super::{Argument, Sources};

    fn parameter(name: &str) -> Parameter {
        let (wit, schema) = ("u32".to_owned(), json!({}));
        Parameter { name: name.to_owned(), wit, schema, is_optional: false, fields: Vec::new() }
    }

    fn option(name: &str) -> Parameter {
        Parameter { is_optional: true, ..parameter(name) }
    }

    fn record(name: &str, fields: &[Parameter]) -> Parameter {
        Parameter { fields: fields.to_vec(), ..parameter(name) }
    }

    #[derive(Default)]
    struct Case<'a> {
        written: &'a [&'a str],
        inputs: &'a [&'a str],
        outputs: &'a [&'a str],
        fans_out: bool,
    }

    impl Case<'_> {
        /// Each parameter and its source, in short; or what is wrong.
        #[track_caller]
        fn check(&self, parameters: &[Parameter], expect: &str) {
            let inputs: Vec<InputName> = self.inputs.iter().map(|name| name.parse().unwrap()).collect();
            let outputs: Vec<StepName> = self.outputs.iter().map(|name| name.parse().unwrap()).collect();
            let sources = Sources {
                written: self.written.to_vec(),
                inputs: inputs.iter().collect(),
                outputs: outputs.iter().collect(),
                fans_out: self.fans_out,
            };
            let found = match sources.bind(parameters) {
                Ok(all) => all.iter().map(short).collect::<Vec<_>>().join(" "),
                Err(wrong) => wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            };
            assert_eq!(found, expect);
        }
    }

    fn short((name, argument): &(String, Argument)) -> String {
        match argument {
            Argument::Written(written) => format!("{name}=args.{written}"),
            Argument::Item => format!("{name}=item"),
            Argument::Input(input) => format!("{name}=inputs.{input}"),
            Argument::Output(step) => format!("{name}=steps.{step}"),
            Argument::Absent => format!("{name}=none"),
            Argument::Fields(fields) => {
                format!("{name}=({})", fields.iter().map(short).collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn a_parameter_is_what_is_called_so() {
        let case = Case { written: &["c"], inputs: &["a", "c"], outputs: &["b", "a"], ..Case::default() };
        let all = [parameter("a"), parameter("b"), parameter("c"), option("d")];
        case.check(&all, "a=inputs.a b=steps.b c=args.c d=none");
        case.check(&[parameter("c"), parameter("e")], "nothing gives `e`, which the function takes as `u32`");
    }

    #[test]
    fn dashes_do_not_matter_unless_both_are_there() {
        let case = Case { inputs: &["account-id", "a-b", "a_b"], ..Case::default() };
        case.check(
            &[parameter("account_id"), parameter("a_b")],
            "account_id=inputs.account-id a_b=inputs.a_b",
        );
    }

    #[test]
    fn the_element_goes_to_the_only_parameter_or_to_the_one_called_item() {
        let case = Case { inputs: &["t"], fans_out: true, ..Case::default() };
        case.check(&[parameter("t")], "t=item");
        case.check(&[parameter("t"), parameter("item")], "t=inputs.t item=item");
        let written = Case { written: &["t"], fans_out: true, ..Case::default() };
        written.check(&[parameter("t")], "t=args.t");
    }

    #[test]
    fn the_fields_of_the_only_record_are_like_parameters() {
        let transaction = record("t", &[parameter("amount"), option("note")]);
        let case = Case { inputs: &["amount"], ..Case::default() };
        case.check(std::slice::from_ref(&transaction), "t=(amount=inputs.amount note=none)");
        let whole = Case { inputs: &["amount", "t"], ..Case::default() };
        whole.check(std::slice::from_ref(&transaction), "t=inputs.t");
        let items = Case { written: &["amount"], fans_out: true, ..Case::default() };
        items.check(std::slice::from_ref(&transaction), "t=(amount=args.amount note=none)");
        Case::default().check(
            &[transaction.clone(), parameter("u")],
            "nothing gives `t`, which the function takes as `u32`; nothing gives `u`, which the function takes as `u32`",
        );
    }

    #[test]
    fn a_name_that_is_no_parameter_is_an_error() {
        let case = Case { written: &["amuont"], inputs: &["amount"], ..Case::default() };
        let wrong = "`args.amuont` is no parameter of the function: did you mean `amount`?";
        case.check(&[parameter("amount")], wrong);
        case.check(&[record("t", &[parameter("amount")])], wrong);
    }
}
