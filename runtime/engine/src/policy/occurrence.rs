//! What policies are asked about.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use wflo_manifest::{PlanStep, Policy, PolicyEvent, Scope, Statement, TERRAFORM_COUNTS, ValueType};
use wflo_model::Call;

/// Something that happens in a run: what it binds, and what its schema declares that it binds.
#[derive(Clone, Debug)]
pub struct Occurrence<'a> {
    on: PolicyEvent,
    declares: BTreeMap<String, ValueType>,
    values: BTreeMap<&'a str, &'a Value>,
    whole: Whole<'a>,
}

/// All of what happens.
#[derive(Clone, Copy, Debug)]
enum Whole<'a> {
    Inputs(&'a Map<String, Value>),
    Fact(&'a str, &'a Value),
    Output(&'a Value),
    Call(&'a Call),
}

impl<'a> Occurrence<'a> {
    /// A run is about to start. It binds no bare name: its inputs are in the scope.
    #[must_use]
    pub fn run_start(inputs: &'a Map<String, Value>) -> Self {
        Self::new(PolicyEvent::RunStart, BTreeMap::new(), Whole::Inputs(inputs))
    }

    /// A step claims a fact; `None` if its manifest does not declare one of that name.
    #[must_use]
    pub fn fact(step: &PlanStep, name: &'a str, value: &'a Value) -> Option<Self> {
        let declared = *step.facts.get(name)?;
        let declares = [(name.to_owned(), declared)].into();
        let mut this = Self::new(PolicyEvent::Fact, declares, Whole::Fact(name, value));
        this.values.insert(name, value);
        Some(this)
    }

    /// A step has returned an output.
    #[must_use]
    pub fn output(step: &PlanStep, output: &'a Value) -> Self {
        let types = step.output_types().into_iter();
        let declares = types.map(|(name, declared)| (name.as_str().to_owned(), declared)).collect();
        let mut this = Self::new(PolicyEvent::StepOutput, declares, Whole::Output(output));
        let fields = output.as_object().into_iter().flatten();
        this.values = fields.map(|(name, value)| (name.as_str(), value)).collect();
        this
    }

    /// A step is about to make a call.
    #[must_use]
    pub fn call(call: &'a Call) -> Self {
        Self::new(PolicyEvent::HostCall, BTreeMap::new(), Whole::Call(call))
    }

    /// A step is about to call a named statement with these parameters.
    #[must_use]
    pub fn statement(call: &'a Call, statement: &Statement, params: &'a Map<String, Value>) -> Self {
        let declared = statement.params.iter().map(|(name, declared)| (name.as_str().to_owned(), *declared));
        let values = params.iter().map(|(name, value)| (name.as_str(), value)).collect();
        Self { declares: declared.collect(), values, ..Self::call(call) }
    }

    /// A step is about to apply a plan of terraform: it binds what the plan counts.
    #[must_use]
    pub fn terraform_apply(call: &'a Call) -> Self {
        let declares = TERRAFORM_COUNTS.map(|name| (name.to_owned(), ValueType::Integer)).into();
        let counted = |name: &'static str| Some((name, call.args.get(name)?));
        let values = TERRAFORM_COUNTS.into_iter().filter_map(counted).collect();
        Self { on: PolicyEvent::TerraformApply, declares, values, ..Self::call(call) }
    }

    fn new(on: PolicyEvent, declares: BTreeMap<String, ValueType>, whole: Whole<'a>) -> Self {
        Self { on, declares, values: BTreeMap::new(), whole }
    }

    /// What it is.
    #[must_use]
    pub fn on(&self) -> PolicyEvent {
        self.on
    }

    /// Whether a policy is to be looked at.
    pub(super) fn concerns(&self, policy: &Policy) -> bool {
        let mut bare = policy.when.bare_names().peekable();
        self.on.is_heard_on(&policy.on)
            && (bare.peek().is_none() || bare.any(|name| self.declares.contains_key(name)))
    }

    /// Binds what it has. What is declared and absent, null or of another type is returned, and is not bound even
    /// where an earlier fact was.
    pub(super) fn bind(&self, scope: &mut Scope<'a>) -> BTreeSet<&str> {
        let mut missing = BTreeSet::new();
        for (name, declared) in &self.declares {
            match self.values.get(name.as_str()).and_then(|value| declared.read(value)) {
                Some(bound) => _ = scope.bind(&[name], bound),
                None => {
                    scope.remove(name);
                    missing.insert(name.as_str());
                }
            }
        }
        if let Whole::Call(call) = self.whole {
            scope.bind(&["call", "interface"], call.interface.as_str());
            scope.bind(&["call", "function"], call.function.as_str());
            scope.bind(&["call", "args"], &call.args);
        }
        missing
    }

    /// All of it, under a name of its own: what a policy that names nothing of it is about.
    pub(super) fn whole(&self) -> (String, Value) {
        let (name, value) = match self.whole {
            Whole::Inputs(inputs) => ("inputs", Value::Object(inputs.clone())),
            Whole::Fact(name, value) => ("fact", json!({ name: value })),
            Whole::Output(output) => ("output", output.clone()),
            Whole::Call(call) => {
                ("call", json!({ "interface": call.interface, "function": call.function, "args": call.args }))
            }
        };
        (name.to_owned(), value)
    }
}
