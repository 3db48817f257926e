//! The pinned form of a workflow: what a run executes, and what its digest is taken over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{
    Digest, FunctionName, InputName, Label, ModelName, PicoUsd, StatementName, StepName, WorkflowName,
};

use crate::approval::{ApprovalRule, Approver};
use crate::compute::ComputePrice;
use crate::expression::Expression;
use crate::policy::Policy;
use crate::policy_value::{BareName, ValueType};
use crate::price::{Price, UnknownPrice};
use crate::statement::Statement;
use crate::{Grants, Limits, Retry};

/// A workflow pinned to one set of components, prices and limits. Nothing in it changes while a run lasts.
///
/// It serialises as JSON; [`Plan::bytes`] is the canonical form that the journal keeps, and [`Plan::digest`]
/// names it. Every granted model has a price, every limit is within the deployment's ceiling, and the steps
/// form no cycle.
///
/// ```
/// use std::collections::BTreeMap;
/// use wflo_manifest::{Deployment, Directory, Pinning, Plan, Workflow};
/// use wflo_model::Digest;
///
/// let text = "[workflow]\nname = \"hello\"\ncomponent = \"hello.wasm\"\n[[step]]\nname = \"greet\"\n";
/// let workflow = Workflow::parse("workflow.toml", text).unwrap();
/// let components = workflow.components().into_iter().map(|path| (path.clone(), Digest::of(b"its bytes")));
/// let plan = Plan::new(
///     &workflow,
///     &Pinning {
///         components: &components.collect(),
///         deployment: &Deployment::default(),
///         known: &Directory::default(),
///         prompts: &BTreeMap::new(),
///     },
/// )
/// .unwrap();
/// assert_eq!(plan.steps[0].component, Digest::of(b"its bytes"));
/// assert_eq!(plan.digest(), Digest::of(&plan.bytes()));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the workflow.
    pub workflow: WorkflowName,
    /// Version of the workflow, as written.
    pub version: String,
    /// The steps, in the order of the file.
    pub steps: Vec<PlanStep>,
    /// The inputs a run takes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<InputName, PlanInput>,
    /// What the run may spend; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<PicoUsd>,
    /// What happens to a run whose next call would exceed the budget.
    pub on_exceeded: OnExceeded,
    /// Who may raise the budget of a run, a distinct person of each; nobody if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_approvers: Vec<Approver>,
    /// What of the budget is kept for undoing what the run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_reserve: Option<PicoUsd>,
    /// Who must agree to a rollback that somebody asks for, a distinct person of each; nobody if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollback_approvers: Vec<Approver>,
    /// Parts of the budget, in percent, of which people are told once when they are spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_alerts: Vec<u32>,
    /// Channels that are told of that, and when more money is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_notify: Vec<String>,
    /// What happens to the effects of a run that failed.
    pub on_failure: OnFailure,
    /// What happens to the effects of a run that is cancelled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_cancel: OnCancel,
    /// How many steps may run at the same time; no limit but the host's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// The price of every model that some step was granted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<ModelName, Price>,
    /// Digest of the whole price table these were taken from.
    pub price_table: Digest,
    /// What held for models without a price when this was pinned.
    pub on_unknown_price: UnknownPrice,
    /// A call whose answer could have fewer tokens than this, given the money left, is refused unmade.
    pub min_output_tokens: u32,
    /// What it costs that steps compute.
    #[serde(default, skip_serializing_if = "ComputePrice::is_free")]
    pub compute: ComputePrice,
    /// Versions of the prompts that the host's own task verbs use, by task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, Digest>,
    /// Named statements, by the database they are for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statements: BTreeMap<Label, BTreeMap<StatementName, Statement>>,
    /// The policies, in the order of the file, which says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
}

/// One step of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its name, unique in the plan.
    pub name: StepName,
    /// What it runs in the component: a step of it, or a function of its own types.
    pub function: FunctionName,
    /// What such a function is called with, by parameter, where [it is not what is called so](Plan::arguments).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Expression>,
    /// The component.
    pub component: Digest,
    /// The steps whose success it waits for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<StepName>,
    /// What it may reach.
    pub grants: Grants,
    /// How much an attempt may use.
    pub limits: Limits,
    /// Who has to approve it before its first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// JSON Schema of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// How often it is tried.
    pub retry: Retry,
    /// Whether its effects are to be kept reversible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    /// The condition under which it runs, evaluated once when all it depends on is done; it is skipped otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// The list it runs for, an item for each element; evaluated once, with `when`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<Expression>,
    /// How many of its items may run at the same time; 64 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// What an item that fails does to the step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_item_failure: OnItemFailure,
    /// What the step may spend, all items and attempts together; no limit but the run's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<PicoUsd>,
    /// What one item may spend, all its attempts together; no limit but the step's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_budget: Option<PicoUsd>,
    /// The facts it may claim, and what each is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<BareName, ValueType>,
    /// The labels of the data it handles: its own, those of the inputs and of what it may read, and those of every step
    /// it depends on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<Label>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One input of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanInput {
    /// JSON Schema of the value.
    pub schema: Value,
    /// The value if none is given; an input without one is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What happens to a run whose next call would exceed its budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    /// It parks until the budget is raised.
    #[default]
    Park,
    /// It fails.
    Fail,
}

/// What happens to the effects of a run that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// They stay.
    #[default]
    Keep,
    /// They are undone.
    Rollback,
}

/// What happens to the effects of a run that is cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnCancel {
    /// They stay.
    #[default]
    Keep,
    /// They are undone.
    Rollback,
}

/// What an item that fails does to the step that fans out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnItemFailure {
    /// The step fails.
    #[default]
    Fail,
    /// The step goes on, and the failure stands in its output at the item's place.
    Collect,
}

impl PlanStep {
    /// A step that reaches nothing, waits for nothing, and is the function of its name in `component`.
    ///
    /// ```
    /// use wflo_manifest::PlanStep;
    /// use wflo_model::Digest;
    /// let step = PlanStep::new("look".parse().unwrap(), Digest::of(b"its bytes"));
    /// let step = PlanStep { when: Some("inputs.deep".parse().unwrap()), ..step };
    /// assert_eq!(step.function.as_str(), "look");
    /// ```
    #[must_use]
    pub fn new(name: StepName, component: Digest) -> Self {
        Self {
            function: name.clone().into(),
            args: BTreeMap::new(),
            name,
            component,
            depends_on: BTreeSet::new(),
            grants: Grants::default(),
            limits: Limits::default(),
            approval: None,
            output: None,
            retry: Retry::default(),
            rollback: false,
            when: None,
            for_each: None,
            max_parallel: None,
            on_item_failure: OnItemFailure::Fail,
            budget: None,
            item_budget: None,
            facts: BTreeMap::new(),
            labels: BTreeSet::new(),
        }
    }
}

impl Plan {
    /// The canonical JSON bytes: what the journal keeps.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wflo_model::canonical(self).expect("a plan has text keys and finite numbers only")
    }

    /// SHA-256 of [`bytes`](Self::bytes).
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// The step of that name.
    #[must_use]
    pub fn step(&self, name: &StepName) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.name == *name)
    }

    /// Every step that `name` depends on, directly or through others; not itself.
    #[must_use]
    pub fn transitive(&self, name: &StepName) -> BTreeSet<StepName> {
        let mut all = BTreeSet::new();
        let mut open = vec![name];
        while let Some(step) = open.pop().and_then(|next| self.step(next)) {
            for parent in &step.depends_on {
                if all.insert(parent.clone()) {
                    open.push(parent);
                }
            }
        }
        all
    }

    /// What the steps that run `component` may reach together: what its imports are checked against.
    #[must_use]
    pub fn component_grants(&self, component: &Digest) -> Grants {
        let mut all = Grants::default();
        self.steps
            .iter()
            .filter(|step| step.component == *component)
            .for_each(|step| all.widen(&step.grants));
        all
    }

    /// The components of the plan.
    #[must_use]
    pub fn components(&self) -> BTreeSet<Digest> {
        self.steps.iter().map(|step| step.component).collect()
    }
}
