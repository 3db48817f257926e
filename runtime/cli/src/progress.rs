//! What is said on stderr while a run goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use wflo::{RunStatus, RunView, StepStatus, StepView};
use wflo_model::{PicoUsd, StepName};

use crate::args::Global;
use crate::terminal;

/// How often a spinner turns: often enough to be seen to live, rarely enough to be left alone.
const TURN: Duration = Duration::from_millis(120);

/// Shows how the steps of a run come along: a line with a spinner for each that runs, on a terminal; else a line
/// whenever one changes; nothing beside `--json`.
pub(crate) struct Progress {
    shown: Shown,
    /// Where each step stood last; none before the run was first seen.
    seen: Option<BTreeMap<StepName, StepStatus>>,
    /// The newest event it was seen with.
    events: u64,
}

enum Shown {
    Nothing,
    Lines,
    Spinners { bars: MultiProgress, running: BTreeMap<StepName, ProgressBar>, foot: Option<ProgressBar> },
}

impl Progress {
    pub(crate) fn new(global: &Global) -> Self {
        let shown = if global.json {
            Shown::Nothing
        } else if terminal::stderr_moves() {
            let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            Shown::Spinners { bars, running: BTreeMap::new(), foot: None }
        } else {
            Shown::Lines
        };
        Self { shown, seen: None, events: 0 }
    }

    /// The run looks like this now.
    pub(crate) fn show(&mut self, run: &RunView) {
        // Looked at before something that was told meanwhile.
        if run.events < self.events {
            return;
        }
        self.events = run.events;
        let before = self.seen.replace(run.steps.iter().map(|it| (it.name.clone(), it.status)).collect());
        for step in &run.steps {
            let is_news = match &before {
                Some(before) => before.get(&step.name) != Some(&step.status),
                // What was so before this command is no news.
                None => step.status == StepStatus::Running,
            };
            if is_news && step.status != StepStatus::Pending && run.status != RunStatus::Cancelled {
                self.changed(run, step);
            }
        }
        if let Shown::Spinners { foot: Some(foot), .. } = &self.shown {
            foot.set_message(cost(run));
        }
    }

    /// It stops at a signal, which may take a while.
    pub(crate) fn stopping(&self) {
        let text =
            "stopping when the calls under way have ended, within ten seconds; once more ends it at once";
        match &self.shown {
            Shown::Spinners { bars, .. } => drop(bars.println(text)),
            Shown::Lines => crate::say(text),
            Shown::Nothing => {}
        }
    }

    fn changed(&mut self, run: &RunView, step: &StepView) {
        let colors = terminal::stderr_colors();
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Lines => crate::say(&format!("{} {}", step.name, step.status)),
            Shown::Spinners { bars, running, foot } => {
                let width = run.steps.iter().map(|step| step.name.as_str().len()).max().unwrap_or_default();
                if step.status == StepStatus::Running {
                    let foot = foot.get_or_insert_with(|| bars.add(line("  {msg}")));
                    let bar = bars.insert_before(foot, line(spinner(colors)));
                    bar.set_message(format!("{:width$}", step.name));
                    bar.enable_steady_tick(TURN);
                    running.insert(step.name.clone(), bar);
                    return;
                }
                if let Some(bar) = running.remove(&step.name) {
                    bar.finish_and_clear();
                }
                let status = terminal::status(&step.status, 10, colors);
                let spent = if step.attempts > 0 {
                    let time = seconds(Duration::from_millis(step.ms));
                    terminal::dim(&format!("{time:>7}  {} USD", step.cost_usd), colors)
                } else {
                    String::new()
                };
                let text = format!("{} {:width$}  {status}{spent}", mark(step.status, colors), step.name);
                let _ = bars.println(text.trim_end());
            }
        }
    }

    /// Takes away what moves; what was said stays.
    pub(crate) fn end(&mut self) {
        if let Shown::Spinners { bars, running, foot } = &mut self.shown {
            running.clear();
            let _ = bars.clear();
            // What was said stands apart from what is shown next.
            if foot.take().is_some() {
                crate::say("");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates are ours");
    ProgressBar::new_spinner().with_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "))
}

const fn spinner(colors: bool) -> &'static str {
    if colors { "{spinner:.cyan} {msg}  {elapsed:>7.dim}" } else { "{spinner} {msg}  {elapsed:>7}" }
}

fn mark(status: StepStatus, colors: bool) -> String {
    let (sign, code) = match status {
        StepStatus::Succeeded => ("✓", 32),
        StepStatus::Failed => ("✗", 31),
        StepStatus::Waiting | StepStatus::Parked => ("…", 33),
        _ => ("-", 2),
    };
    if colors { format!("\x1b[{code}m{sign}\x1b[0m") } else { sign.to_owned() }
}

fn cost(run: &RunView) -> String {
    let budget = run.budget_usd.map(|budget| format!(" of {budget}")).unwrap_or_default();
    let held = if run.held_usd > PicoUsd::ZERO { format!(", {} held", run.held_usd) } else { String::new() };
    let text = format!("{}{budget} USD so far{held}", run.cost_usd);
    terminal::dim(&text, terminal::stderr_colors())
}

fn seconds(time: Duration) -> String {
    if time.as_secs() == 0 {
        format!("{}ms", time.as_millis())
    } else if time.as_secs() < 60 {
        format!("{:.1}s", time.as_secs_f64())
    } else {
        format!("{}m{:02}s", time.as_secs() / 60, time.as_secs() % 60)
    }
}
