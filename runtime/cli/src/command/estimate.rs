//! `wflo run --estimate`: what a run may cost, before there is one.
//!
//! Nothing bounds how often a step asks a model but the budgets: those are the upper bound. Beside it stands what runs
//! of the workflow have come to before.

use std::fmt::Write as _;

use serde::Serialize;
use wflo::{CostView, RunStatus};
use wflo_manifest::Plan;
use wflo_model::{ModelName, PicoUsd, RunId, StepName};

use crate::failure::{Code, Failure};
use crate::session::{self, Session};

/// What a run may cost.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Estimate {
    workflow: String,
    /// The most it can cost; none without a budget.
    budget_usd: Option<PicoUsd>,
    /// What runs that have succeeded have cost.
    past: Option<Past>,
    steps: Vec<StepEstimate>,
}

/// What runs, or a step in them, have cost.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Past {
    /// Runs that were counted.
    runs: usize,
    least_usd: PicoUsd,
    median_usd: PicoUsd,
    most_usd: PicoUsd,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct StepEstimate {
    name: StepName,
    /// The most it can cost; none where only the run's budget bounds it.
    budget_usd: Option<PicoUsd>,
    /// The most one of its items can cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    item_budget_usd: Option<PicoUsd>,
    /// The most that the fuel and time of one attempt can cost, from one place where it waits to the next, where the
    /// deployment prices them.
    #[serde(skip_serializing_if = "Option::is_none")]
    compute_usd: Option<PicoUsd>,
    past: Option<Past>,
    models: Vec<ModelPrice>,
}

/// What a model costs, and where that was read.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ModelPrice {
    model: ModelName,
    input_per_million_usd: PicoUsd,
    output_per_million_usd: PicoUsd,
    source: String,
}

/// Estimates a run of a plan.
pub(crate) async fn estimate(session: &mut Session, plan: &Plan) -> Result<Estimate, Failure> {
    let name = plan.workflow.to_string();
    let runs =
        session::Runs { workflow: Some(name.clone()), status: Some(RunStatus::Succeeded), limit: None };
    let mut costs = Vec::new();
    for line in session.ask(runs).await? {
        let run: RunId = line.run;
        match session.ask(session::Costs { run: Some(run) }).await {
            // It was erased or dropped: what it was spent on is forgotten.
            Err(failure) if failure.code == Code::NotFound => {}
            cost => costs.extend(cost?),
        }
    }
    let steps = plan.steps.iter().map(|step| {
        let spent = costs.iter().map(|cost| of_step(cost, &step.name)).collect();
        let models = step.grants.llm.iter().filter_map(|model| {
            let price = plan.prices.get(model)?;
            Some(ModelPrice {
                model: model.clone(),
                input_per_million_usd: price.input * 1_000_000,
                output_per_million_usd: price.output * 1_000_000,
                source: price.source.clone(),
            })
        });
        StepEstimate {
            name: step.name.clone(),
            budget_usd: step.budget,
            item_budget_usd: step.item_budget,
            compute_usd: (!plan.compute.is_free()).then(|| plan.compute.quote(&step.limits)),
            past: past(spent),
            models: models.collect(),
        }
    });
    Ok(Estimate {
        workflow: name,
        budget_usd: plan.budget,
        past: past(costs.iter().map(|cost| cost.cost_usd).collect()),
        steps: steps.collect(),
    })
}

fn of_step(cost: &CostView, name: &StepName) -> PicoUsd {
    cost.steps.iter().find(|(step, _)| step == name).map(|(_, cost)| *cost).unwrap_or_default()
}

fn past(mut spent: Vec<PicoUsd>) -> Option<Past> {
    spent.sort_unstable();
    let (least_usd, most_usd) = (*spent.first()?, *spent.last()?);
    Some(Past { runs: spent.len(), least_usd, median_usd: spent[spent.len() / 2], most_usd })
}

/// The estimate, for people.
pub(crate) fn show(it: &Estimate) -> String {
    let mut text = match it.budget_usd {
        Some(budget) => format!("{}: at most {budget} USD\n", it.workflow),
        None => format!("{}: no budget bounds it\n", it.workflow),
    };
    match &it.past {
        Some(past) => {
            let _ = writeln!(text, "  {}", words(past));
        }
        None => text.push_str("  no run of it has succeeded yet\n"),
    }
    for step in &it.steps {
        let budget = step.budget_usd.map(|budget| format!(", at most {budget} USD")).unwrap_or_default();
        let item = step.item_budget_usd.map(|budget| format!(", {budget} USD an item")).unwrap_or_default();
        let past = step.past.as_ref().map(|past| format!("  {}", words(past))).unwrap_or_default();
        let _ = writeln!(text, "step {}{budget}{item}{past}", step.name);
        if let Some(most) = step.compute_usd {
            let _ = writeln!(text, "  fuel and time of an attempt  at most {most} USD");
        }
        for price in &step.models {
            let ModelPrice { model, input_per_million_usd, output_per_million_usd, source } = price;
            let _ = writeln!(
                text,
                "  {model}  {input_per_million_usd} + {output_per_million_usd} USD a million tokens  ({source})"
            );
        }
    }
    text
}

fn words(past: &Past) -> String {
    let Past { runs, least_usd, median_usd, most_usd } = past;
    let runs = if *runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    format!("{median_usd} USD in the middle of {runs}, {least_usd} to {most_usd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_told_by_its_middle_and_its_ends() {
        let usd = |text: &str| text.parse().unwrap();
        let past = past(vec![usd("3"), usd("1"), usd("2")]).unwrap();
        assert_eq!(words(&past), "2 USD in the middle of 3 runs, 1 to 3");
        assert_eq!(super::past(Vec::new()), None);
    }
}
