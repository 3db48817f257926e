//! The exports of a component of steps, made from the functions that `#[wflo::step]` marks.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;

use crate::__rt::{Failure, StepInfo};
use crate::bindings::exports::wflo::step::handler;
use crate::{Error, FailureKind, Undo, schema};

/// Makes the steps of a component known to wflo. Once in a component, with all its steps.
///
/// A step that is not named here is no part of the component, and the compiler says so.
///
/// ```
/// /// Says hello
/// #[wflo::step]
/// fn hello() -> wflo::Result<&'static str> {
///     Ok("hello")
/// }
///
/// wflo::export!(hello);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($($step:path),+ $(,)?) => {
        const _: () = {
            const STEPS: &[$crate::__rt::Entry] = &[$(<$step as $crate::__rt::Step>::ENTRY),+];
            ::core::assert!($crate::__rt::unique(STEPS), "two steps of this component have the same name");

            struct Component;

            impl $crate::__rt::Guest for Component {
                fn describe() -> ::std::vec::Vec<$crate::__rt::StepInfo> {
                    $crate::__rt::describe(STEPS)
                }

                fn run(step: ::std::string::String) -> ::core::result::Result<::std::string::String, $crate::__rt::Failure> {
                    $crate::__rt::run(STEPS, &step)
                }

                fn compensate(what: $crate::__rt::Undo) -> ::core::result::Result<(), $crate::__rt::Failure> {
                    $crate::__rt::compensate(STEPS, what)
                }
            }

            $crate::__rt::export_component!(Component with_types_in $crate::__rt::bindings);
        };
    };
    () => {
        ::core::compile_error!("`wflo::export!` takes the names of the component's steps: `wflo::export!(analyze, block);`");
    };
}

/// What a function with `#[wflo::step]` is to [`export!`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step",
    label = "not a step",
    note = "put `#[wflo::step]` on the function"
)]
pub trait Step {
    /// What it is.
    const ENTRY: Entry;
}

/// One step of a component.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The JSON Schema of its output.
    pub output_schema: fn() -> Option<String>,
    /// Runs it.
    pub run: fn() -> Result<String, Failure>,
    /// Undoes it.
    pub compensate: Option<fn(Undo) -> Result<(), Failure>>,
}

/// Whether no two steps have the same name.
#[must_use]
pub const fn unique(steps: &[Entry]) -> bool {
    let mut i = 0;
    while i < steps.len() {
        let mut j = i + 1;
        while j < steps.len() {
            if same(steps[i].name.as_bytes(), steps[j].name.as_bytes()) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// `handler.describe`.
#[must_use]
pub fn describe(steps: &[Entry]) -> Vec<StepInfo> {
    let info = |step: &Entry| handler::StepInfo {
        name: step.name.to_owned(),
        summary: step.summary.to_owned(),
        compensates: step.compensate.is_some(),
        output_schema: (step.output_schema)(),
        facts: Vec::new(),
    };
    steps.iter().map(info).collect()
}

/// `handler.run`.
///
/// # Errors
/// What the step failed with.
pub fn run(steps: &[Entry], name: &str) -> Result<String, Failure> {
    (find(steps, name)?.run)()
}

/// `handler.compensate`.
///
/// # Errors
/// What the compensation failed with.
pub fn compensate(steps: &[Entry], what: crate::__rt::Undo) -> Result<(), Failure> {
    let step = find(steps, &what.step)?;
    let Some(compensate) = step.compensate else {
        let message = format!("step `{}` has no compensation", step.name);
        return Err(Failure::Permanent(message));
    };
    compensate(what.into())
}

fn find<'a>(steps: &'a [Entry], name: &str) -> Result<&'a Entry, Failure> {
    steps.iter().find(|step| step.name == name).ok_or_else(|| {
        let names: Vec<_> = steps.iter().map(|step| format!("`{}`", step.name)).collect();
        Failure::Permanent(format!("the component has no step `{name}`, only {}", names.join(", ")))
    })
}

/// A step's result as wflo takes it.
///
/// # Errors
/// What the step failed with, or that its output is no JSON.
pub fn output<T: Serialize>(result: crate::Result<T>) -> Result<String, Failure> {
    let value = result.map_err(Failure::from)?;
    serde_json::to_string(&value)
        .map_err(|error| Failure::Permanent(format!("the output is no JSON: {error}")))
}

/// A compensation's result as wflo takes it.
///
/// # Errors
/// What it failed with.
pub fn done(result: crate::Result<()>) -> Result<(), Failure> {
    result.map_err(Failure::from)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            FailureKind::Permanent => Self::Permanent(error.to_string()),
            FailureKind::Retryable => Self::Retryable(error.to_string()),
            FailureKind::Redo => Self::Redo(error.to_string()),
        }
    }
}

/// Finds the schema of a step's output if its type has one. Method resolution takes [`HasSchema`], which is
/// implemented for the type itself, before [`NoSchema`], which is implemented for a reference to it.
pub struct Output<R>(PhantomData<fn() -> R>);

impl<R> Output<R> {
    /// Makes the question.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// The answer of a type with a schema.
pub trait HasSchema {
    /// The schema.
    fn schema(&self) -> Option<String>;
}

/// The answer of every other type.
pub trait NoSchema {
    /// None.
    fn schema(&self) -> Option<String>;
}

impl<T: JsonSchema> HasSchema for Output<crate::Result<T>> {
    fn schema(&self) -> Option<String> {
        schema::output::<T>()
    }
}

impl<R> NoSchema for &Output<R> {
    fn schema(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;

    #[derive(Serialize)]
    #[serde(crate = "crate::serde")]
    struct Opaque {
        n: u32,
    }

    /// Counts.
    /// Not part of the summary.
    #[crate::step(compensate = uncount)]
    fn count(_ctx: Context) -> crate::Result<Vec<u32>> {
        Ok(vec![1, 2])
    }

    fn uncount(_ctx: Context, undo: Undo) -> crate::Result<()> {
        let counted: Vec<u32> = undo.output()?;
        Err(crate::retryable(counted.len()))
    }

    #[crate::step(name = "no-schema")]
    fn opaque() -> crate::Result<Opaque> {
        if false { crate::bail!("never") } else { Ok(Opaque { n: 1 }) }
    }

    #[crate::step]
    fn again() -> crate::Result<()> {
        Err(crate::redo("the answer was no use"))
    }

    const STEPS: &[Entry] = &[count::ENTRY, opaque::ENTRY, again::ENTRY];

    #[test]
    fn describes_its_steps() {
        let [count, opaque, again] = <[StepInfo; 3]>::try_from(describe(STEPS)).unwrap();
        assert_eq!(
            (count.name.as_str(), count.summary.as_str(), count.compensates),
            ("count", "Counts", true)
        );
        assert!(count.output_schema.unwrap().starts_with(r#"{"type":"array""#));
        assert_eq!((opaque.name.as_str(), opaque.output_schema), ("no-schema", None));
        assert_eq!(again.output_schema.as_deref(), Some(r#"{"type":"null"}"#));
    }

    #[test]
    fn runs_the_step_that_is_asked_for() {
        assert_eq!(run(STEPS, "count"), Ok("[1,2]".into()));
        assert_eq!(run(STEPS, "no-schema"), Ok(r#"{"n":1}"#.into()));
        assert_eq!(run(STEPS, "again"), Err(Failure::Redo("the answer was no use".into())));
        let message = "the component has no step `x`, only `count`, `no-schema`, `again`";
        assert_eq!(run(STEPS, "x"), Err(Failure::Permanent(message.into())));
    }

    #[test]
    fn undoes_the_step_that_is_asked_for() {
        let undo = |step: &str| handler::Undo {
            step: step.into(),
            item: None,
            output: Some("[1,2]".into()),
            certain: true,
        };
        assert_eq!(compensate(STEPS, undo("count")), Err(Failure::Retryable("2".into())));
        let message = "step `again` has no compensation";
        assert_eq!(compensate(STEPS, undo("again")), Err(Failure::Permanent(message.into())));
    }

    #[test]
    fn names_are_unique() {
        assert!(unique(STEPS));
        assert!(!unique(&[count::ENTRY, opaque::ENTRY, count::ENTRY]));
    }
}
