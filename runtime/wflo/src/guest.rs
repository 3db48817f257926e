//! The seam between the runtime and whatever runs the code of steps.
//!
//! The sandbox is one implementation, and the only one that runs components. A simulation brings another, whose steps
//! are scripts: gate, executor and recovery cannot tell.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use wflo_host_api::{Gate, Stop, Undo};
use wflo_model::{Capability, Content, Digest, InterfaceName, Limits, Signature};
use wflo_sandbox::{DescribeError, End, Ended, LoadError, Missing, Program, Sandbox, Usage};

use crate::describe::ComponentView;

/// Makes programs of components.
#[async_trait]
pub trait Components: Send + Sync {
    /// Makes a program of a component. Its digest names it from then on.
    ///
    /// # Errors
    /// When the bytes are no component.
    async fn load(self: Arc<Self>, component: &Content) -> Result<Arc<dyn StepProgram>, LoadError>;

    /// The program of a component that was [loaded](Self::load) before, if it is still there.
    fn loaded(&self, component: &Digest) -> Option<Arc<dyn StepProgram>>;
}

/// A component, ready to run its steps.
///
/// What a step does must follow from its gate alone: the same answers, the same clock and the same seed give the same
/// calls and the same end. Everything that resumes and replays attempts builds on it.
#[async_trait]
pub trait StepProgram: Send + Sync {
    /// Every import that neither the virtual set nor `granted` covers. It should not run unless this is empty.
    fn missing(&self, granted: &BTreeSet<Capability>) -> Vec<Missing>;

    /// What it says of itself; none where there is nobody to ask. It is the same each time.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn describe(&self) -> Result<Option<ComponentView>, DescribeError> {
        Ok(None)
    }

    /// Those of its imports that the host brings itself, each with the name it is granted under.
    fn own_imports(&self) -> Vec<(String, InterfaceName)> {
        Vec::new()
    }

    /// What the function of that name takes and gives, or why it cannot be a step; none where it is a step that asks for
    /// what it needs. It is the same each time.
    fn signature(&self, function: &str) -> Option<Result<Arc<Signature>, String>> {
        let _ = function;
        None
    }

    /// Runs a step from its beginning and gives the gate back with how it ended.
    ///
    /// Once a call of the gate has said [`Stop`](wflo_host_api::Stop), no code of the step runs. Dropping the future
    /// abandons the attempt, and the gate with it.
    async fn run(&self, step: &str, gate: Box<dyn Gate>, limits: &Limits) -> Ended;

    /// The steps that [`compensate`](Self::compensate) can undo; none, unless it says otherwise.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn compensates(&self) -> Result<BTreeSet<String>, DescribeError> {
        Ok(BTreeSet::new())
    }

    /// Undoes a step, as [`run`](Self::run) runs one; the output is null.
    async fn compensate(&self, what: &Undo, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        let _ = limits;
        let end = End::Stopped(Stop::Host(format!("`{}` has nothing that undoes it", what.step)));
        Ended { gate, end, usage: Usage::default() }
    }
}

#[async_trait]
impl Components for Sandbox {
    async fn load(self: Arc<Self>, component: &Content) -> Result<Arc<dyn StepProgram>, LoadError> {
        Ok(Self::load(&self, component).await?)
    }

    fn loaded(&self, component: &Digest) -> Option<Arc<dyn StepProgram>> {
        Some(Self::loaded(self, component)?)
    }
}

#[async_trait]
impl StepProgram for Program {
    fn missing(&self, granted: &BTreeSet<Capability>) -> Vec<Missing> {
        Self::missing(self, granted)
    }

    async fn describe(&self) -> Result<Option<ComponentView>, DescribeError> {
        let steps = Self::describe(self).await?.into_iter();
        let steps = steps.map(|step| (step.name, step.output_schema)).collect();
        Ok(Some(ComponentView { imports: self.imports().to_vec(), steps }))
    }

    fn own_imports(&self) -> Vec<(String, InterfaceName)> {
        Self::own_imports(self).map(|(import, name)| (import.to_owned(), name)).collect()
    }

    fn signature(&self, function: &str) -> Option<Result<Arc<Signature>, String>> {
        Some(Self::signature(self, function)?.map_err(|error| error.to_string()))
    }

    async fn run(&self, step: &str, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        Self::run(self, step, gate, limits).await
    }

    async fn compensates(&self) -> Result<BTreeSet<String>, DescribeError> {
        let steps = Self::describe(self).await?.into_iter();
        Ok(steps.filter(|step| step.compensates).map(|step| step.name).collect())
    }

    async fn compensate(&self, what: &Undo, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        Self::compensate(self, what, gate, limits).await
    }
}
