//! A workflow that is right in itself: whether a deployment can run it is for [`Plan::new`](crate::Plan::new).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use wflo_model::{
    DbAccess, FunctionName, GroupName, HttpGrant, InputName, Label, ModelName, PicoUsd, StepName,
    WorkflowName,
};

use crate::approval_toml::ApprovalToml;
use crate::component::ComponentRef;
use crate::diagnostic::{Diagnostics, Source};
use crate::expression_check::check_steps;
use crate::expression_toml::ExpressionToml;
use crate::graph::cycles;
use crate::interface::InterfaceGrants;
use crate::limits;
use crate::near::did_you_mean;
use crate::plan::{OnCancel, OnExceeded, OnFailure, PlanInput};
use crate::policy_check::check_policies;
use crate::policy_toml::{Declared, PolicyToml};
use crate::reach_toml::ReachToml;
use crate::reader::{Reader, Spanned};
use crate::retry::Retry;
use crate::row_filter::check_filters;
use crate::schema::{compile, violations};
use crate::statement::{Statements, check_calls};
use crate::typed::{self, Signatures, Typed};
use crate::workflow_toml::{InputToml, ItemsToml, StepToml, WorkflowToml};

/// A validated `workflow.toml`: names are unique, dependencies exist and form no cycle, schemas are schemas.
///
/// ```
/// use wflo_manifest::Workflow;
/// let text = r#"
/// [workflow]
/// name = "hello"
/// component = "hello.wasm"
///
/// [[step]]
/// name = "greet"
/// "#;
/// let workflow = Workflow::parse("workflow.toml", text).unwrap();
/// assert_eq!(workflow.name().as_str(), "hello");
/// assert_eq!(workflow.steps().count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Workflow {
    pub(crate) source: Arc<Source>,
    pub(crate) hints: Diagnostics,
    pub(crate) name: WorkflowName,
    pub(crate) version: String,
    pub(crate) budget: Option<PicoUsd>,
    pub(crate) on_failure: OnFailure,
    pub(crate) on_exceeded: OnExceeded,
    pub(crate) budget_approvers: Vec<Spanned<GroupName>>,
    pub(crate) rollback_reserve: Option<PicoUsd>,
    pub(crate) rollback_approvers: Vec<Spanned<GroupName>>,
    pub(crate) budget_alerts: Vec<u32>,
    pub(crate) budget_notify: Vec<Spanned<String>>,
    pub(crate) on_cancel: OnCancel,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) inputs: BTreeMap<InputName, PlanInput>,
    /// Those of all inputs: a step sees them all.
    pub(crate) input_labels: BTreeSet<Label>,
    pub(crate) steps: Vec<Step>,
    pub(crate) statements: Statements,
    pub(crate) policies: Vec<PolicyToml>,
}

/// A validated step, with the places that a deployment may object to.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: StepName,
    pub(crate) function: FunctionName,
    pub(crate) args: BTreeMap<String, ExpressionToml>,
    /// Where it is known to be a function of the component's own types.
    pub(crate) typed: Option<Typed>,
    pub(crate) component: Spanned<ComponentRef>,
    pub(crate) depends_on: BTreeSet<StepName>,
    pub(crate) db: BTreeMap<Label, Spanned<DbAccess>>,
    pub(crate) llm: Vec<Spanned<ModelName>>,
    pub(crate) interfaces: InterfaceGrants,
    pub(crate) http: Vec<Spanned<HttpGrant>>,
    pub(crate) output: Option<Value>,
    pub(crate) limits: limits::Written,
    pub(crate) retry: Retry,
    pub(crate) rollback: bool,
    pub(crate) approval: Option<ApprovalToml>,
    pub(crate) when: Option<ExpressionToml>,
    pub(crate) items: ItemsToml,
    pub(crate) budget: Option<PicoUsd>,
    pub(crate) facts: Declared,
    pub(crate) reach: ReachToml,
    pub(crate) labels: BTreeSet<Label>,
}

impl Workflow {
    /// Reads a file. `file` is its name, as messages shall show it.
    ///
    /// # Errors
    /// Everything that is wrong with it, and what is to be said besides, in the order of the text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::read(Reader::new(&Source::new(file, text)))
    }

    pub(crate) fn read(reader: Reader) -> Result<Self, Diagnostics> {
        Self::read_with(reader, &Signatures::new())
    }

    pub(crate) fn read_with(mut reader: Reader, known: &Signatures) -> Result<Self, Diagnostics> {
        let workflow = WorkflowToml::read(&mut reader).and_then(|mut toml| {
            typed::apply(&mut reader, &mut toml, known);
            Self::check(&mut reader, toml)
        });
        let source = reader.source.clone();
        let found = reader.finish();
        match workflow {
            Some(workflow) if !found.has_errors() => Ok(Self { source, hints: found, ..workflow }),
            _ => Err(found),
        }
    }

    /// What is to be said about a file that has no errors.
    #[must_use]
    pub fn hints(&self) -> &Diagnostics {
        &self.hints
    }

    /// The name of the workflow.
    #[must_use]
    pub fn name(&self) -> &WorkflowName {
        &self.name
    }

    /// The version, `0.0.0` if none is written.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The names of the steps, in the order of the file.
    pub fn steps(&self) -> impl Iterator<Item = &StepName> + Clone {
        self.steps.iter().map(|step| &step.name)
    }

    /// The components that steps are in: what [`Pinning::components`](crate::Pinning) must have.
    #[must_use]
    pub fn components(&self) -> BTreeSet<&ComponentRef> {
        self.steps.iter().map(|step| &step.component.value).collect()
    }

    /// The component that a step is in, and what it runs there.
    #[must_use]
    pub fn component(&self, step: &StepName) -> Option<(&ComponentRef, &FunctionName)> {
        let step = self.steps.iter().find(|other| other.name == *step)?;
        Some((&step.component.value, &step.function))
    }

    /// The inputs.
    #[must_use]
    pub fn inputs(&self) -> &BTreeMap<InputName, PlanInput> {
        &self.inputs
    }

    fn check(reader: &mut Reader, toml: WorkflowToml) -> Option<Self> {
        check_names(reader, &toml.steps);
        check_cycles(reader, &toml.steps);
        check_steps(reader, &toml);
        check_calls(reader, &toml);
        check_filters(reader, &toml);
        check_policies(reader, &toml);
        let input_labels = toml.inputs.values().flat_map(|input| input.labels.iter().cloned()).collect();
        let inputs = toml.inputs.into_iter();
        let inputs = inputs.map(|(name, input)| (name.clone(), check_input(reader, &name, input))).collect();
        let mut steps = Vec::new();
        for step in toml.steps {
            let component = step.component.or_else(|| toml.component.clone());
            if component.is_none() {
                let span = step.name.as_ref().map_or_else(|| step.span.clone(), |name| name.span.clone());
                let found = reader.error(span, "the step is in no component");
                found.hint("set `component = \"<file>.wasm\"` in `[workflow]`, or in the step");
            }
            let (Some(name), Some(component)) = (step.name, component) else { continue };
            steps.push(Step {
                function: step.function.map_or_else(|| name.value.clone().into(), |name| name.value),
                args: step.args,
                typed: step.typed,
                name: name.value,
                component,
                depends_on: step.depends_on.into_iter().map(|name| name.value).collect(),
                db: step.db,
                llm: step.llm,
                interfaces: step.interfaces,
                http: step.http,
                output: step.output,
                limits: step.limits,
                retry: step.retry,
                rollback: step.rollback,
                approval: step.approval,
                when: step.when,
                items: step.items,
                budget: step.budget,
                facts: step.facts,
                reach: step.reach,
                labels: step.labels,
            });
        }
        Some(Self {
            source: reader.source.clone(),
            hints: Diagnostics::default(),
            name: toml.name?.value,
            version: toml.version.unwrap_or_else(|| "0.0.0".to_owned()),
            budget: toml.budget,
            on_failure: toml.on_failure,
            on_exceeded: toml.on_exceeded,
            budget_approvers: toml.budget_approvers,
            rollback_reserve: toml.rollback_reserve,
            rollback_approvers: toml.rollback_approvers,
            budget_alerts: toml.budget_alerts,
            budget_notify: toml.budget_notify,
            on_cancel: toml.on_cancel,
            max_parallel: toml.max_parallel,
            inputs,
            input_labels,
            steps,
            statements: toml.statements,
            policies: toml.policies,
        })
    }
}

/// Steps have names of their own, and depend on steps that exist.
fn check_names(reader: &mut Reader, steps: &[StepToml]) {
    let names: Vec<_> = steps.iter().filter_map(|step| step.name.as_ref()).collect();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = names[..index].iter().find(|first| first.value == name.value) {
            let (line, _) = reader.source.position(first.span.start);
            let message = format!("there are two steps named `{}`", name.value);
            reader.error(name.span.clone(), message).label(format!("the first is in line {line}"));
        }
    }
    for step in steps {
        for wanted in &step.depends_on {
            if !names.iter().any(|name| name.value == wanted.value) {
                let own = step.name.as_ref().map(|name| &name.value);
                let others =
                    names.iter().filter(|name| Some(&name.value) != own).map(|name| name.value.as_str());
                let hint = did_you_mean(wanted.value.as_str(), "the other steps are", others);
                let message = format!("there is no step `{}` to depend on", wanted.value);
                reader.error(wanted.span.clone(), message).hint = hint;
            }
        }
    }
}

fn check_cycles(reader: &mut Reader, steps: &[StepToml]) {
    let name = |step: &StepToml| step.name.as_ref().map(|name| name.value.clone());
    let index = |wanted: &StepName| steps.iter().position(|step| name(step).as_ref() == Some(wanted));
    let edges: Vec<Vec<usize>> = steps
        .iter()
        .map(|step| step.depends_on.iter().filter_map(|wanted| index(&wanted.value)).collect())
        .collect();
    for cycle in cycles(&edges) {
        let (first, next) = (&steps[cycle[0]], cycle[1 % cycle.len()]);
        let edge = first.depends_on.iter().find(|wanted| index(&wanted.value) == Some(next));
        let span = edge.map_or_else(|| first.span.clone(), |wanted| wanted.span.clone());
        let way: Vec<_> = cycle.iter().chain(&cycle[..1]).filter_map(|&step| name(&steps[step])).collect();
        let way: Vec<_> = way.iter().map(|step| format!("`{step}`")).collect();
        let message = match cycle.len() {
            1 => format!("{} depends on itself", way[0]),
            _ => format!("steps wait for each other: {}", way.join(" -> ")),
        };
        reader.error(span, message).hint("remove one of these dependencies");
    }
}

/// The default of an input is a value that the input takes.
fn check_input(reader: &mut Reader, name: &InputName, input: InputToml) -> PlanInput {
    if let (Some(default), Ok(validator)) = (&input.default, compile(&input.schema)) {
        for text in violations(&validator, &default.value) {
            let message = format!("the default of input `{name}` does not match its schema: {text}");
            reader.error(default.span.clone(), message);
        }
    }
    PlanInput { schema: input.schema, default: input.default.map(|default| default.value) }
}
