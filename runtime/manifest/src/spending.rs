//! What may be spent above single runs: by the whole deployment, and by each workflow, in a day and in a month.

use std::collections::BTreeMap;

use wflo_model::{PicoUsd, WorkflowName};

use crate::reader::{Reader, Section};

/// The most that may be spent in windows of time, UTC. They are the deployment's: they hold for every run at once, and
/// change with the file.
///
/// ```
/// use wflo_manifest::Deployment;
/// let text = "[budget]\nmonth_usd = \"1000\"\n[budget.workflow.refunds]\nday_usd = \"5\"\n";
/// let spending = Deployment::parse("wflo.toml", text).unwrap().spending;
/// assert_eq!(spending.all.month, Some("1000".parse().unwrap()));
/// assert_eq!(spending.of(&"refunds".parse().unwrap()).day, Some("5".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// All runs together.
    pub all: WindowLimits,
    /// The runs of a workflow.
    pub workflows: BTreeMap<WorkflowName, WindowLimits>,
}

/// The most that may be spent in a window of time; no limit where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowLimits {
    /// In a day.
    pub day: Option<PicoUsd>,
    /// In a month of the calendar.
    pub month: Option<PicoUsd>,
}

impl Spending {
    /// The limits of a workflow.
    #[must_use]
    pub fn of(&self, workflow: &WorkflowName) -> WindowLimits {
        self.workflows.get(workflow).copied().unwrap_or_default()
    }
}

/// Reads the limits that stand in `[budget]`.
pub(crate) fn read_spending(reader: &mut Reader, budget: &mut Section<'_>) -> Spending {
    let mut this = Spending { all: read_windows(reader, budget), workflows: BTreeMap::new() };
    let section = budget.take("workflow").and_then(|node| node.section(reader, "[budget.workflow]"));
    if let Some(section) = section {
        for (name, node) in section.named::<WorkflowName>(reader) {
            if let Some(mut section) = node.section(reader, "[budget.workflow.<name>]") {
                let limits = read_windows(reader, &mut section);
                section.finish(reader);
                this.workflows.insert(name.value, limits);
            }
        }
    }
    this
}

fn read_windows(reader: &mut Reader, section: &mut Section<'_>) -> WindowLimits {
    let mut money = |key: &'static str| {
        let money = section.take(key).and_then(|node| node.money(reader))?;
        Some(money.value)
    };
    WindowLimits { day: money("day_usd"), month: money("month_usd") }
}
