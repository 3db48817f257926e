//! A component, ready to run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wflo_host_api::{Gate, StepInfo, StepPre, Stop, Undo};
use wflo_model::{Capability, Digest, Fault, InterfaceName, Limits};

use crate::attempt::{self, Done, End, Ended, Usage, Work};
use crate::fault::Halt;
use crate::interfaces::{self, Missing};
use crate::metered::NoGate;
use crate::sandbox::Pool;
use crate::state::State;

/// A component of steps, compiled and linked.
pub struct Program {
    pool: Arc<Pool>,
    digest: Digest,
    imports: Vec<String>,
    pre: Result<StepPre<State>, LinkError>,
    from_cache: bool,
}

impl Program {
    pub(crate) fn new(
        pool: Arc<Pool>,
        linker: &Linker<State>,
        digest: Digest,
        component: &Component,
        from_cache: bool,
    ) -> Self {
        let ty = component.component_type();
        let imports = ty.imports(&pool.engine).map(|(name, _)| name.to_owned()).collect();
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| LinkError::Imports { message: format!("{error:#}") })
            .and_then(|pre| {
                StepPre::new(pre).map_err(|error| LinkError::Exports { message: format!("{error:#}") })
            });
        Self { pool, digest, imports, pre, from_cache }
    }

    /// The digest of the component's bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Everything the component imports, by name and version.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether its code came from the cache on disk.
    #[must_use]
    pub const fn from_cache(&self) -> bool {
        self.from_cache
    }

    /// Every import that neither the virtual set nor `granted` covers, in the component's order. It should not
    /// run unless this is empty; within it, the gate decides each call.
    #[must_use]
    pub fn missing(&self, granted: &BTreeSet<Capability>) -> Vec<Missing> {
        interfaces::missing(&self.imports, granted, &self.pool.own)
    }

    /// Those of its imports that the host brings itself: each needs a grant of its own kind.
    pub fn own_imports(&self) -> impl Iterator<Item = (&str, InterfaceName)> {
        let own = self.imports.iter().filter(|import| interfaces::is_own(import, &self.pool.own));
        own.filter_map(|import| Some((import.as_str(), InterfaceName::of_import(import)?)))
    }

    /// Whether it can run at all: its imports exist here and it exports `wflo:step/handler`.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn linked(&self) -> Result<(), LinkError> {
        self.pre.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// The steps the component says it holds. Nothing is granted meanwhile: a call to the host ends it.
    ///
    /// # Errors
    /// When it cannot be linked, or ends with a fault.
    pub async fn describe(&self) -> Result<Vec<StepInfo>, DescribeError> {
        self.linked()?;
        let (done, ..) = self.perform(Work::Describe, NoGate::boxed(), &describing()).await;
        match done {
            Ok(Done::Described(steps)) => Ok(steps),
            Ok(Done::Returned(_)) => unreachable!("only `describe` was called"),
            Err(Halt::Fault(fault)) => Err(DescribeError::Fault { fault }),
            Err(Halt::Stop(stop)) => Err(DescribeError::Stopped { stop }),
        }
    }

    /// Runs a step in an instance of its own and gives the gate back with how it ended.
    ///
    /// Waits for room first; that does not count against the time limit. Dropping the future abandons the
    /// attempt, and the gate with it.
    pub async fn run(&self, step: &str, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        self.end(Work::Run(step), gate, limits).await
    }

    /// Undoes a step, as [`run`](Self::run) runs one; the output is null.
    pub async fn compensate(&self, what: &Undo, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        self.end(Work::Compensate(what), gate, limits).await
    }

    async fn end(&self, work: Work<'_>, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        let (done, gate, usage) = self.perform(work, gate, limits).await;
        let end = match done {
            Ok(Done::Returned(result)) => attempt::end(result, limits),
            Ok(Done::Described(_)) => unreachable!("`describe` was not called"),
            Err(Halt::Fault(fault)) => End::Fault(fault),
            Err(Halt::Stop(stop)) => End::Stopped(stop),
        };
        Ended { gate, end, usage }
    }

    async fn perform(
        &self,
        work: Work<'_>,
        gate: Box<dyn Gate>,
        limits: &Limits,
    ) -> (Result<Done, Halt>, Box<dyn Gate>, Usage) {
        match &self.pre {
            Ok(pre) => Box::pin(attempt::perform(&self.pool, pre, work, gate, limits)).await,
            Err(error) => (Err(Halt::Stop(Stop::Host(error.to_string()))), gate, Usage::default()),
        }
    }
}

/// What a component may use to say what it holds. A list of names and schemas is no work, and nobody has been asked
/// about this code yet when it is first run to be checked: it gets some seconds, not minutes.
fn describing() -> Limits {
    Limits { fuel: 1_000_000_000, timeout: Duration::from_secs(30), ..Limits::default() }
}

/// Why a component cannot run on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It imports what is not linked, or with other types; [`Program::missing`] says it better.
    #[error("the component's imports cannot be linked: {message}")]
    Imports {
        /// wasmtime's words.
        message: String,
    },
    /// It is no component of steps.
    #[error("the component does not export `wflo:step/handler`: {message}")]
    Exports {
        /// wasmtime's words.
        message: String,
    },
}

/// Why a component did not say what it holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// It cannot be linked.
    #[error(transparent)]
    Link {
        /// Why.
        #[from]
        source: LinkError,
    },
    /// It trapped, called its host, or ran into the limits there are for this.
    #[error("the component failed to describe its steps: {fault}")]
    Fault {
        /// How.
        fault: Fault,
    },
    /// The host failed.
    #[error("the component could not be asked for its steps: {stop}")]
    Stopped {
        /// How.
        stop: Stop,
    },
}
