//! A component, ready to run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wflo_host_api::{Gate, StepInfo, StepPre, Stop, Undo};
use wflo_model::{
    Capability, Digest, Failure, FailureKind, Fault, FunctionName, InterfaceName, Limits, Signature,
};

use crate::attempt::{self, Done, End, Ended, Usage, Work};
use crate::fault::Halt;
use crate::interfaces::{self, Missing};
use crate::metered::NoGate;
use crate::sandbox::Pool;
use crate::state::State;
use crate::typed::{Exports, FunctionError, TypedFunction};

/// A component, compiled and linked: the steps that it holds, or functions of its own that can be steps.
pub struct Program {
    pool: Arc<Pool>,
    digest: Digest,
    imports: Vec<String>,
    component: Component,
    exports: Exports,
    pre: Result<Pre, LinkError>,
    from_cache: bool,
    /// The functions that were asked for: those of steps.
    functions: Mutex<BTreeMap<FunctionName, Found>>,
    /// The steps it says it holds, once it was asked.
    described: OnceCell<Vec<StepInfo>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest).finish_non_exhaustive()
    }
}

type Found = Result<Arc<TypedFunction>, FunctionError>;

/// A component that is linked.
struct Pre {
    instance: InstancePre<State>,
    /// What it exports as steps; functions of its own are looked up when they are asked for.
    steps: Option<StepPre<State>>,
}

impl Pre {
    fn new(instance: InstancePre<State>, exports: Exports) -> Result<Self, LinkError> {
        let steps = match exports {
            Exports { steps: true, .. } => Some(
                StepPre::new(instance.clone())
                    .map_err(|error| LinkError::Exports { message: format!("{error:#}") })?,
            ),
            Exports { functions: true, .. } => None,
            Exports { .. } => {
                let message = "neither `wflo:step/handler` nor any other function is exported".to_owned();
                return Err(LinkError::Exports { message });
            }
        };
        Ok(Self { instance, steps })
    }
}

/// Whether an import is names of types alone: nobody has to bring it.
fn is_types_only(import: &ComponentItem, engine: &Engine) -> bool {
    let ComponentItem::ComponentInstance(instance) = import else { return false };
    instance.exports(engine).all(|(_, it)| matches!(it.ty, ComponentItem::Type(_)))
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
        let imports = ty.imports(&pool.engine).filter(|(_, it)| !is_types_only(&it.ty, &pool.engine));
        let imports = imports.map(|(name, _)| name.to_owned()).collect();
        let exports = Exports::of(component, &pool.engine);
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| LinkError::Imports { message: format!("{error:#}") })
            .and_then(|pre| Pre::new(pre, exports));
        let component = component.clone();
        let (functions, described) = Default::default();
        Self { pool, digest, imports, component, exports, pre, from_cache, functions, described }
    }

    /// The digest of the component's bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Everything the component imports, by name and version, but for interfaces of types alone.
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

    /// Whether it can run at all: its imports exist here, and it exports `wflo:step/handler` or functions of its own.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn linked(&self) -> Result<(), LinkError> {
        self.pre.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// What the function of that name takes and gives; none where it is one of the steps that the component holds, which
    /// ask for what they need.
    ///
    /// A name with an interface is a function. One without is a step, or of a component that holds no steps a function
    /// that it exports beside its interfaces; `_` stands for `-` there.
    #[must_use]
    pub fn signature(&self, name: &str) -> Option<Result<Arc<Signature>, FunctionError>> {
        Some(self.function(name)?.map(|function| Arc::clone(function.signature())))
    }

    /// The steps the component says it holds; none of one that exports functions of its own instead. Nothing is granted
    /// meanwhile: a call to the host ends it.
    ///
    /// # Errors
    /// When it cannot be linked, or ends with a fault.
    pub async fn describe(&self) -> Result<Vec<StepInfo>, DescribeError> {
        // Nothing it could ask for is another the next time.
        self.described.get_or_try_init(|| self.ask()).await.cloned()
    }

    async fn ask(&self) -> Result<Vec<StepInfo>, DescribeError> {
        self.linked()?;
        let Some(steps) = self.steps() else { return Ok(Vec::new()) };
        let (done, ..) = self.perform(Work::Describe(steps), NoGate::boxed(), &describing()).await;
        match done {
            Ok(Done::Described(steps)) => Ok(steps),
            Ok(Done::Returned(_)) => unreachable!("only `describe` was called"),
            Err(Halt::Fault(fault)) => Err(DescribeError::Fault { fault }),
            Err(Halt::Stop(stop)) => Err(DescribeError::Stopped { stop }),
        }
    }

    /// Runs a step in an instance of its own and gives the gate back with how it ended.
    ///
    /// A function of the component's own types is given the [arguments](wflo_host_api::StepContext::arguments) that its
    /// context has. If they do not fit its types the step has failed, before there is an instance; so it has if its
    /// result is an error.
    ///
    /// Waits for room first; that does not count against the time limit. Dropping the future abandons the
    /// attempt, and the gate with it.
    pub async fn run(&self, step: &str, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        let pre = match &self.pre {
            Ok(pre) => pre,
            Err(error) => return stopped(gate, error.to_string()),
        };
        let arguments = gate.context().arguments.as_ref();
        if let Some(Err(why)) = arguments {
            let why = why.clone();
            return failed(gate, why);
        }
        let function = match (self.function(step), &pre.steps) {
            (None, Some(steps)) => return self.end(Work::Run(steps, step), gate, limits).await,
            (None, None) => return stopped(gate, format!("`{step}` is no step of the component")),
            (Some(Err(error)), _) => return failed(gate, error.to_string()),
            (Some(Ok(function)), _) => function,
        };
        let given = arguments.and_then(|arguments| arguments.as_ref().ok());
        match function.arguments(given.unwrap_or(&serde_json::Map::new())) {
            Ok(arguments) => self.end(Work::Call(&pre.instance, &function, arguments), gate, limits).await,
            Err(why) => failed(gate, why),
        }
    }

    /// Undoes a step, as [`run`](Self::run) runs one; the output is null.
    pub async fn compensate(&self, what: &Undo, gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        match (&self.pre, self.steps()) {
            (Err(error), _) => stopped(gate, error.to_string()),
            (Ok(_), Some(steps)) => self.end(Work::Compensate(steps, what), gate, limits).await,
            (Ok(_), None) => stopped(gate, format!("`{}` has nothing that undoes it", what.step)),
        }
    }

    fn steps(&self) -> Option<&StepPre<State>> {
        self.pre.as_ref().ok()?.steps.as_ref()
    }

    /// The function of its own that a step is.
    fn function(&self, name: &str) -> Option<Found> {
        let is_step = self.exports.steps && !name.contains('.');
        let name: FunctionName = if is_step { None } else { name.parse().ok() }?;
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        let find = || TypedFunction::find(&self.component, &self.pool.engine, &name).map(Arc::new);
        Some(functions.entry(name.clone()).or_insert_with(find).clone())
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
        Box::pin(attempt::perform(&self.pool, work, gate, limits)).await
    }
}

/// How a step ends that did not begin: what it is given is wrong, and another attempt would be given the same.
fn failed(gate: Box<dyn Gate>, message: String) -> Ended {
    let failure = Failure { kind: FailureKind::Permanent, message };
    Ended { gate, end: End::Failed(failure), usage: Usage::default() }
}

/// How a step ends that the host cannot run.
fn stopped(gate: Box<dyn Gate>, why: String) -> Ended {
    Ended { gate, end: End::Stopped(Stop::Host(why)), usage: Usage::default() }
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
    /// It is no component of steps, and exports no function that could be one.
    #[error("the component has no steps: {message}")]
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
