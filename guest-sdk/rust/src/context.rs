//! What a step may always ask about the run it is part of.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::Decision;
use crate::bindings::wflo::approval::gate;
use crate::bindings::wflo::step::context as host;

/// The run that a step is part of, as the step sees it.
///
/// ```no_run
/// # use wflo::Context;
/// # fn step(ctx: Context) -> wflo::Result<()> {
/// let since: String = ctx.input("since")?;
/// let limit: Option<u32> = ctx.input("limit")?;
/// let flagged: Vec<String> = ctx.output_of("analyze_transactions")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Context(());

impl Context {
    #[doc(hidden)]
    #[must_use]
    pub const fn current() -> Self {
        Self(())
    }

    /// The id of the run.
    #[must_use]
    pub fn run_id(&self) -> String {
        host::run_id()
    }

    /// The name of this step, as `workflow.toml` writes it.
    #[must_use]
    pub fn step(&self) -> String {
        host::step()
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        host::attempt()
    }

    /// Reports a cost that wflo does not see: in a cloud, at an API. It is charged to the budgets of the item, the step
    /// and the run, and beyond.
    ///
    /// ```no_run
    /// # fn step(ctx: wflo::Context) -> wflo::Result<()> {
    /// ctx.report_cost("cloud", "0.0125", "one hour of a small machine")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When `usd` is no exact decimal of zero or more.
    pub fn report_cost(&self, kind: &str, usd: &str, note: &str) -> Result<(), BadCost> {
        host::report_cost(kind, usd, note).map_err(BadCost)
    }

    /// One input of the run, or its default. Read an input that may be missing as `Option`.
    ///
    /// # Errors
    /// When there is no such input, or it has another type.
    pub fn input<T: DeserializeOwned>(&self, name: &str) -> Result<T, ContextError> {
        decode(host::input(name), || format!("input `{name}`"))
    }

    /// All inputs of the run, as one object.
    ///
    /// # Errors
    /// When they do not fit `T`.
    pub fn inputs<T: DeserializeOwned>(&self) -> Result<T, ContextError> {
        decode(Some(host::inputs()), || "inputs".to_owned())
    }

    /// The output of a step that this one depends on, directly or through others. Read the output of one that
    /// may be skipped as `Option`.
    ///
    /// # Errors
    /// When there is none, or it has another type.
    pub fn output_of<T: DeserializeOwned>(&self, step: &str) -> Result<T, ContextError> {
        decode(host::output_of(step), || format!("output of step `{step}`"))
    }

    /// The element this attempt works on, where the step fans out with `for_each`.
    ///
    /// # Errors
    /// When the step does not fan out, or the element has another type.
    pub fn item<T: DeserializeOwned>(&self) -> Result<T, ContextError> {
        decode(host::item(), || "item".to_owned())
    }

    /// The last decision about this step, else about the steps it depends on; none if nobody was asked.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        gate::decision().map(Decision::from)
    }
}

/// A step to undo, given to its compensation.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    /// The function that it was run by. Where steps of `workflow.toml` share it, [`Context::step`] says which this is.
    pub step: String,
    /// False when it is unknown whether the step's effects happened.
    pub certain: bool,
    item: Option<String>,
    output: Option<String>,
}

impl Undo {
    /// The output of the step to undo. Read it as `Option`: the step may not have got that far.
    ///
    /// # Errors
    /// When there is none, or it has another type.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, ContextError> {
        decode(self.output.clone(), || format!("output of step `{}`", self.step))
    }

    /// The element the step worked on, where it fans out.
    ///
    /// # Errors
    /// When there is none, or it has another type.
    pub fn item<T: DeserializeOwned>(&self) -> Result<T, ContextError> {
        decode(self.item.clone(), || format!("item of step `{}`", self.step))
    }
}

impl From<crate::__rt::Undo> for Undo {
    fn from(undo: crate::__rt::Undo) -> Self {
        Self { step: undo.step, certain: undo.certain, item: undo.item, output: undo.output }
    }
}

/// Why something about the run could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContextError {
    /// There is none.
    Missing {
        /// What.
        what: String,
    },
    /// It is not what the step takes it for.
    Decode {
        /// What.
        what: String,
        /// Where it does not fit.
        source: serde_json::Error,
    },
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what } => write!(f, "there is no {what}"),
            Self::Decode { what, .. } => write!(f, "{what} has another type"),
        }
    }
}

impl std::error::Error for ContextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing { .. } => None,
            Self::Decode { source, .. } => Some(source),
        }
    }
}

/// An amount that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCost(String);

impl fmt::Display for BadCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadCost {}

/// What is not there reads as null, so that `Option` takes it; anything else that refuses null is missing it.
fn decode<T: DeserializeOwned>(json: Option<String>, what: impl Fn() -> String) -> Result<T, ContextError> {
    match json {
        Some(json) => {
            serde_json::from_str(&json).map_err(|source| ContextError::Decode { what: what(), source })
        }
        None => serde_json::from_str("null").map_err(|_| ContextError::Missing { what: what() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_none_or_an_error() {
        let what = || "input `limit`".to_owned();
        assert_eq!(decode::<Option<u32>>(None, what).unwrap(), None);
        assert_eq!(decode::<Option<u32>>(Some("3".into()), what).unwrap(), Some(3));
        assert_eq!(decode::<u32>(None, what).unwrap_err().to_string(), "there is no input `limit`");
        let wrong = decode::<u32>(Some("\"3\"".into()), what).unwrap_err();
        assert_eq!(wrong.to_string(), "input `limit` has another type");
    }

    #[test]
    fn an_undo_gives_its_output() {
        let undo =
            Undo { step: "publish".into(), certain: false, item: None, output: Some("{\"id\":7}".into()) };
        assert_eq!(undo.output::<serde_json::Value>().unwrap()["id"], 7);
        assert_eq!(undo.item::<Option<u32>>().unwrap(), None);
        assert_eq!(undo.item::<u32>().unwrap_err().to_string(), "there is no item of step `publish`");
    }
}
