//! A function that a component exports, as a step.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, Instance, Val};
use wasmtime::{Engine, Store};
use wflo_host_api::Stop;
use wflo_model::{Failure, FailureKind, Fault, FaultKind, FunctionName, Parameter, Signature};

use super::lift::{Unwritable, lift};
use super::lower::{Misfit, record};
use super::schema::schema;
use super::shape::{Name, Shape, Shapes};
use super::text::wit;
use crate::fault::LimitHit;
use crate::state::State;

/// What wflo's own steps are exported as.
const HANDLER: &str = "wflo:step/handler@";

/// Why a function cannot be a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The component does not export its interface.
    #[error("the component exports no interface `{interface}`: {}", listed(has))]
    NoInterface {
        /// The interface that was asked for.
        interface: String,
        /// Those that it exports.
        has: Vec<String>,
    },
    /// The component exports several versions of its interface.
    #[error(
        "the component exports several interfaces `{interface}`: {}; write one with its version",
        listed(has)
    )]
    Ambiguous {
        /// The interface that was asked for.
        interface: String,
        /// Those that it exports.
        has: Vec<String>,
    },
    /// There is no such function.
    #[error("the component exports no function `{function}`{}: {}", there(interface.as_deref()), listed(has))]
    NoFunction {
        /// The interface, where one was named.
        interface: Option<String>,
        /// The function that was asked for.
        function: String,
        /// Those that there are.
        has: Vec<String>,
    },
    /// Its types have what no JSON can be.
    #[error("function `{function}` of the component cannot be a step: {part} has {what}")]
    Unsupported {
        /// The function.
        function: String,
        /// The parameter, or the result.
        part: String,
        /// What that is.
        what: &'static str,
    },
}

/// What a component exports, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exports {
    /// Steps, as wflo knows them.
    pub(crate) steps: bool,
    /// Functions of its own.
    pub(crate) functions: bool,
}

impl Exports {
    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        let mut this = Self { steps: false, functions: false };
        for (name, export) in component.component_type().exports(engine) {
            match export.ty {
                _ if name.starts_with(HANDLER) => this.steps = true,
                ComponentItem::ComponentFunc(_) => this.functions = true,
                ComponentItem::ComponentInstance(instance) => {
                    let mut all = instance.exports(engine);
                    this.functions |= all.any(|(_, it)| matches!(it.ty, ComponentItem::ComponentFunc(_)));
                }
                _ => {}
            }
        }
        this
    }
}

/// A function that a component exports.
pub(crate) struct TypedFunction {
    name: FunctionName,
    index: ComponentExportIndex,
    parameters: Vec<(Name, Shape)>,
    returns: Returns,
    signature: Arc<Signature>,
}

/// What a function returns.
enum Returns {
    Nothing,
    Value(Shape),
    /// A result: the error is why the step failed.
    Result {
        ok: Option<Shape>,
        err: Option<Shape>,
        /// Whether the error says by its case what helps, as that of wflo's own steps does.
        tells: bool,
    },
}

impl TypedFunction {
    /// Finds a function of a component.
    pub(crate) fn find(
        component: &Component,
        engine: &Engine,
        name: &FunctionName,
    ) -> Result<Self, FunctionError> {
        let Some(interface) = name.interface() else {
            let ty = component.component_type();
            let all = ty.exports(engine).map(|(name, export)| (name, export.ty));
            let (export, func) = pick(None, name.function(), all)?;
            let index = component.get_export_index(None, &export).expect("it was just listed");
            return Self::of(name, index, &func);
        };
        let ty = component.component_type();
        let mut has = Vec::new();
        let mut found = Vec::new();
        for (export, it) in ty.exports(engine) {
            let ComponentItem::ComponentInstance(instance) = it.ty else { continue };
            if export.starts_with(HANDLER) {
                continue;
            }
            has.push(export.to_owned());
            if export == interface || export.split('@').next() == Some(interface) {
                found.push((export.to_owned(), instance));
            }
        }
        let interface = interface.to_owned();
        let (of, instance) = match found.as_slice() {
            [one] => one,
            [] => return Err(FunctionError::NoInterface { interface, has }),
            several => {
                let has = several.iter().map(|(export, _)| export.clone()).collect();
                return Err(FunctionError::Ambiguous { interface, has });
            }
        };
        let all = instance.exports(engine).map(|(name, export)| (name, export.ty));
        let (export, func) = pick(Some(of), name.function(), all)?;
        let outer = component.get_export_index(None, of).expect("it was just listed");
        let index = component.get_export_index(Some(&outer), &export).expect("it was just listed");
        Self::of(name, index, &func)
    }

    fn of(
        name: &FunctionName,
        index: ComponentExportIndex,
        func: &ComponentFunc,
    ) -> Result<Self, FunctionError> {
        let unsupported =
            |part: String| move |what| FunctionError::Unsupported { function: name.to_string(), part, what };
        if func.async_() {
            return Err(unsupported("it".to_owned())("an asynchronous result, which no step has yet"));
        }
        let mut shapes = Shapes::default();
        let mut parameters = Vec::new();
        for (parameter, ty) in func.params() {
            let shape = shapes.of(&ty).map_err(unsupported(format!("parameter `{parameter}`")))?;
            parameters.push((Name::new(parameter), shape));
        }
        let result: Option<Type> = func.results().next();
        let result = result.map(|ty| shapes.of(&ty)).transpose();
        let result = result.map_err(unsupported("its result".to_owned()))?;
        let signature = Arc::new(signature(&parameters, result.as_ref()));
        let returns = match result {
            None => Returns::Nothing,
            Some(Shape::Result { ok, err }) => {
                let (ok, err) = (ok.map(|ok| *ok), err.map(|err| *err));
                let tells = err.as_ref().is_some_and(tells);
                Returns::Result { ok, err, tells }
            }
            Some(shape) => Returns::Value(shape),
        };
        Ok(Self { name: name.clone(), index, parameters, returns, signature })
    }

    pub(crate) fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    /// The values that its arguments are.
    ///
    /// # Errors
    /// Why they are none, in words for people.
    pub(crate) fn arguments(&self, given: &Map<String, Value>) -> Result<Vec<Val>, String> {
        let wrong = |misfit: Misfit| format!("what is given to `{}` does not fit: {misfit}", self.name);
        let values = record(&self.parameters, given).map_err(wrong)?;
        Ok(values.into_iter().map(|(_, value)| value).collect())
    }

    /// Calls it: the output as JSON text, or the guest's failure.
    pub(crate) async fn call(
        &self,
        instance: &Instance,
        store: &mut Store<State>,
        arguments: &[Val],
        most: u64,
    ) -> wasmtime::Result<Result<String, Failure>> {
        let function = instance.get_func(&mut *store, self.index).ok_or_else(|| {
            wasmtime::Error::from(Stop::Host(format!("the instance has no `{}`", self.name)))
        })?;
        let mut results = match self.returns {
            Returns::Nothing => Vec::new(),
            Returns::Value(_) | Returns::Result { .. } => vec![Val::Bool(false)],
        };
        function.call_async(&mut *store, arguments, &mut results).await?;
        Ok(self.returned(results.pop(), most)?)
    }

    fn returned(&self, value: Option<Val>, most: u64) -> Result<Result<String, Failure>, Stop> {
        let null = || Ok("null".to_owned());
        let text = |shape: &Shape, value: &Val| lift(shape, value, most).map_err(|why| self.unwritable(why));
        match (&self.returns, value) {
            (Returns::Nothing, _) => Ok(null()),
            (Returns::Value(shape), Some(value)) => text(shape, &value).map(Ok),
            (Returns::Result { ok, .. }, Some(Val::Result(Ok(value)))) => match (ok, value) {
                (Some(shape), Some(value)) => text(shape, &value).map(Ok),
                _ => Ok(null()),
            },
            (Returns::Result { err, tells, .. }, Some(Val::Result(Err(value)))) => {
                Ok(Err(match (err, value.map(|value| *value)) {
                    (Some(_), Some(Val::Variant(case, Some(why)))) if *tells => failure(&case, *why),
                    (Some(_), Some(Val::String(message))) => permanent(message),
                    (Some(shape), Some(value)) => permanent(text(shape, &value)?),
                    _ => permanent(format!("`{}` returned an error that says nothing", self.name)),
                }))
            }
            _ => Err(self.unwritable(Unwritable::NotOfItsType)),
        }
    }

    fn unwritable(&self, why: Unwritable) -> Stop {
        match why {
            Unwritable::TooLong { limit } => LimitHit::Output { bytes: limit + 1, limit }.into(),
            Unwritable::NotFinite { at } => {
                let at = if at.is_empty() { String::new() } else { format!(" at `{at}`") };
                let message = format!(
                    "`{}` returned a number{at} that JSON does not have: it is not finite",
                    self.name
                );
                Stop::Fault(Fault { kind: FaultKind::BadOutput, message })
            }
            Unwritable::NotOfItsType => {
                Stop::Host(format!("`{}` returned what is not of its type", self.name))
            }
        }
    }
}

/// The export of that name, if it is a function.
fn pick<'a>(
    interface: Option<&str>,
    function: &str,
    all: impl Iterator<Item = (&'a str, ComponentItem)>,
) -> Result<(String, ComponentFunc), FunctionError> {
    // A step's name, which is the function's if nothing else is said, may have what WIT has in no name.
    let wanted = function.replace('_', "-");
    let mut has = Vec::new();
    for (name, item) in all {
        let ComponentItem::ComponentFunc(func) = item else { continue };
        if name == wanted {
            return Ok((name.to_owned(), func));
        }
        // Methods and the like belong to resources.
        if !name.starts_with('[') {
            has.push(name.to_owned());
        }
    }
    let interface = interface.map(ToOwned::to_owned);
    Err(FunctionError::NoFunction { interface, function: function.to_owned(), has })
}

fn signature(parameters: &[(Name, Shape)], result: Option<&Shape>) -> Signature {
    let all: Vec<_> = parameters.iter().map(|(name, of)| format!("{}: {}", name.wit, wit(of))).collect();
    let returns = result.map_or_else(String::new, |of| format!(" -> {}", wit(of)));
    let output = match result {
        Some(Shape::Result { ok, .. }) => ok.as_deref(),
        other => other,
    };
    Signature {
        wit: format!("func({}){returns}", all.join(", ")),
        parameters: parameters.iter().map(parameter).collect(),
        output: output.map_or_else(|| json!({ "type": "null" }), schema),
    }
}

fn parameter((name, shape): &(Name, Shape)) -> Parameter {
    let fields = match shape {
        Shape::Record(fields) => fields.iter().map(parameter).collect(),
        _ => Vec::new(),
    };
    Parameter {
        name: name.json.clone(),
        wit: wit(shape),
        schema: schema(shape),
        is_optional: shape.may_be_null(),
        fields,
    }
}

/// Whether an error is of the cases, or of some of them, that wflo's own failures have: each with a text.
fn tells(shape: &Shape) -> bool {
    let Shape::Variant(cases) = shape else { return false };
    cases.iter().all(|(name, of)| of == &Some(Shape::Text) && kind(&name.wit).is_some())
}

fn kind(case: &str) -> Option<FailureKind> {
    match case {
        "permanent" => Some(FailureKind::Permanent),
        "retryable" => Some(FailureKind::Retryable),
        "redo" => Some(FailureKind::Redo),
        _ => None,
    }
}

fn failure(case: &str, why: Val) -> Failure {
    let message = if let Val::String(message) = why { message } else { String::new() };
    Failure { kind: kind(case).unwrap_or(FailureKind::Permanent), message }
}

const fn permanent(message: String) -> Failure {
    Failure { kind: FailureKind::Permanent, message }
}

fn there(interface: Option<&str>) -> String {
    interface.map_or_else(String::new, |interface| format!(" in `{interface}`"))
}

/// What there is instead: some of it, where there is much.
fn listed(has: &[String]) -> String {
    const MOST: usize = 10;
    let more = if has.len() > MOST { ", .." } else { "" };
    let all: Vec<_> = has.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    if all.is_empty() {
        "there is none at all".to_owned()
    } else {
        format!("there is {}{more}", all.join(", "))
    }
}
