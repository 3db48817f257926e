//! `wflo cost`: money spent, held, left.

use std::collections::BTreeMap;

use serde::Serialize;
use wflo::CostView;
use wflo_model::{PicoUsd, RunId};

use super::{output, say_if_none};
use crate::args::{CostBy, Global};
use crate::failure::Failure;
use crate::project::Project;
use crate::session::{self, Session};
use crate::show;

/// What is said where there is nothing to list.
const NOTHING: &str = "nothing was spent";

/// What some runs cost together.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CostLine {
    /// The step, model, workflow, day or principal.
    pub(crate) name: String,
    pub(crate) cost_usd: PicoUsd,
    /// Runs that had a part in it.
    pub(crate) runs: usize,
    /// Calls of models, where those were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<u64>,
}

/// Shows what one run cost, or all of them, one by one or summed up.
pub(crate) async fn cost(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: Option<RunId>,
    by: Option<CostBy>,
) -> Result<(), Failure> {
    if by == Some(CostBy::Account) {
        let accounts = session.ask(session::Accounts { deploy: project.deploy()? }).await?;
        output(global, &accounts, || show::accounts(&accounts));
        return Ok(());
    }
    let costs = session.ask(session::Costs { run }).await?;
    match (by, run) {
        (Some(by), _) => {
            let lines = summed(&costs, by);
            output(global, &lines, || show::cost_lines(&lines));
            say_if_none(global, &lines, NOTHING);
        }
        (None, Some(_)) if costs.len() == 1 => output(global, &costs[0], || show::cost(&costs)),
        (None, _) => {
            output(global, &costs, || show::cost(&costs));
            say_if_none(global, &costs, NOTHING);
        }
    }
    Ok(())
}

/// Sums costs up, the dearest first. Steps are told apart by their workflow; what no model was asked for has no model.
fn summed(costs: &[CostView], by: CostBy) -> Vec<CostLine> {
    let mut sums: BTreeMap<String, CostLine> = BTreeMap::new();
    let mut add = |name: String, cost: PicoUsd, calls: Option<u64>| {
        let line = sums.entry(name.clone()).or_insert(CostLine {
            name,
            cost_usd: PicoUsd::ZERO,
            runs: 0,
            calls: calls.map(|_| 0),
        });
        line.cost_usd += cost;
        line.runs += 1;
        line.calls = line.calls.zip(calls).map(|(all, more)| all + more);
    };
    for run in costs {
        match by {
            CostBy::Step => {
                for (step, cost) in &run.steps {
                    add(format!("{}/{step}", run.workflow), *cost, None);
                }
            }
            CostBy::Model => {
                for (model, totals) in &run.models {
                    add(model.to_string(), totals.cost_usd, Some(totals.calls));
                }
            }
            CostBy::Workflow => add(run.workflow.clone(), run.cost_usd, None),
            CostBy::Day => add(run.day.clone(), run.cost_usd, None),
            // They are not summed up from runs.
            CostBy::Account => {}
            CostBy::Principal => add(run.requester.to_string(), run.cost_usd, None),
        }
    }
    let mut lines: Vec<_> = sums.into_values().collect();
    if by != CostBy::Day {
        lines.sort_by(|a, b| b.cost_usd.cmp(&a.cost_usd).then_with(|| a.name.cmp(&b.name)));
    }
    lines
}
