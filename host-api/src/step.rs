//! `wflo:step/handler`: what a component of steps exports.

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wflo_model::{Failure, FailureKind};

use crate::bindings::exports::wflo::step::handler;
use crate::bindings::wflo::step::types;
use crate::bindings::{All, AllPre};

/// A linked component that exports `wflo:step/handler`, ready to be instantiated.
pub struct StepPre<T: 'static>(AllPre<T>);

impl<T: Send + 'static> StepPre<T> {
    /// Looks up the exports.
    ///
    /// # Errors
    /// When the component does not export `wflo:step/handler`, or with other types.
    pub fn new(pre: InstancePre<T>) -> wasmtime::Result<Self> {
        AllPre::new(pre).map(Self)
    }

    /// Makes an instance in `store`.
    ///
    /// # Errors
    /// When a limit of the store does not allow it, or the component's start traps.
    pub async fn instantiate(&self, store: &mut Store<T>) -> wasmtime::Result<StepInstance> {
        self.0.instantiate_async(store).await.map(StepInstance)
    }
}

/// An instance of a component of steps.
pub struct StepInstance(All);

impl StepInstance {
    /// The steps the component holds. Schemas that are not JSON stay text, for the caller to complain about.
    ///
    /// # Errors
    /// A trap of the guest.
    pub async fn describe<T: Send>(&self, store: &mut Store<T>) -> wasmtime::Result<Vec<StepInfo>> {
        let steps = self.0.wflo_step_handler().call_describe(store).await?;
        Ok(steps.into_iter().map(StepInfo::from_guest).collect())
    }

    /// Runs a step: its output as JSON text, or the guest's failure.
    ///
    /// # Errors
    /// A trap of the guest.
    pub async fn run<T: Send>(
        &self,
        store: &mut Store<T>,
        step: &str,
    ) -> wasmtime::Result<Result<String, Failure>> {
        let result = self.0.wflo_step_handler().call_run(store, step).await?;
        Ok(result.map_err(failure))
    }

    /// Undoes a step.
    ///
    /// # Errors
    /// A trap of the guest.
    pub async fn compensate<T: Send>(
        &self,
        store: &mut Store<T>,
        what: &Undo,
    ) -> wasmtime::Result<Result<(), Failure>> {
        let what = handler::Undo {
            step: what.step.clone(),
            item: what.item.as_ref().map(ToString::to_string),
            output: what.output.as_ref().map(ToString::to_string),
            certain: what.certain,
        };
        let result = self.0.wflo_step_handler().call_compensate(store, &what).await?;
        Ok(result.map_err(failure))
    }
}

/// What a component says about one of its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInfo {
    /// The name by which `workflow.toml` (`function`, or else the step's own name), `run` and `compensate` refer to it.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Whether it can be undone.
    pub compensates: bool,
    /// JSON Schema of its output, as the component wrote it.
    pub output_schema: Option<String>,
    /// Facts it may state: name and JSON Schema.
    pub facts: Vec<(String, String)>,
}

impl StepInfo {
    fn from_guest(info: handler::StepInfo) -> Self {
        Self {
            name: info.name,
            summary: info.summary,
            compensates: info.compensates,
            output_schema: info.output_schema,
            facts: info.facts,
        }
    }
}

/// A step to undo.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    /// The function that it was run by: what its component knows it by, which is not its name in the workflow.
    pub step: String,
    /// The item it worked on.
    pub item: Option<Value>,
    /// Its output, if it got that far.
    pub output: Option<Value>,
    /// False when it is unknown whether its effects happened.
    pub certain: bool,
}

fn failure(failure: types::Failure) -> Failure {
    let (kind, message) = match failure {
        types::Failure::Permanent(message) => (FailureKind::Permanent, message),
        types::Failure::Retryable(message) => (FailureKind::Retryable, message),
        types::Failure::Redo(message) => (FailureKind::Redo, message),
    };
    Failure { kind, message }
}
