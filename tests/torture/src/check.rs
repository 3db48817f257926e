//! What must hold of a run that has come to its end, however often it was killed on the way.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::journal::{Call, Journal};
use crate::money::pico;
use crate::stage::Stage;

/// How a run looks that nobody has disturbed.
pub(crate) struct Reference {
    steps: BTreeMap<String, Step>,
    /// How many calls of models there are.
    calls: usize,
    /// What they cost.
    cost: i128,
    /// The rows it wrote: step and item.
    effects: Vec<String>,
}

/// What of a step must be the same in every run.
#[derive(PartialEq)]
struct Step {
    status: Value,
    attempts: Value,
    output: Value,
    items: Value,
}

/// What is known of a run that was checked.
pub(crate) struct Checked {
    pub(crate) journal: Journal,
    /// Requests beyond those of an undisturbed run.
    pub(crate) again: usize,
}

impl Reference {
    /// Takes a run that nobody has disturbed, which is checked as every other.
    pub(crate) fn of(stage: &Stage, run: &str) -> Result<Self> {
        let view = stage.json(&["show", run, "--json"])?;
        let journal = export(stage, run)?;
        let reference = Self {
            steps: steps(&view)?,
            calls: journal.models.len(),
            cost: journal.cost,
            effects: effects(stage, run)?,
        };
        for (key, call) in &journal.models {
            ensure!(*call == Call { intents: 1, abandoned: 0, answered: 1 }, "undisturbed, {key}: {call:?}");
        }
        ensure!(reference.calls > 5 && reference.effects.len() > 5, "the workflow does too little");
        Ok(reference)
    }

    /// Checks everything about a run that has ended and was killed `kills` times.
    pub(crate) fn check(&self, stage: &Stage, run: &str, kills: usize) -> Result<Checked> {
        let view = stage.json(&["show", run, "--json"])?;
        ensure!(view["status"] == "succeeded", "the run {}: {}", view["status"], view["error"]);
        self.same_steps(&view)?;

        let journal = export(stage, run)?;
        self.same_calls(&journal, kills)?;
        let again = requests(stage, &journal)? - self.calls;
        let cost = pico(view["cost_usd"].as_str().context("a run has a cost")?)?;
        ensure!(cost == journal.cost, "it cost {cost}, and its events say {}", journal.cost);
        ensure!(cost >= self.cost, "it cost {cost}, less than undisturbed: {}", self.cost);
        ensure!(view["held_usd"] == "0", "{} USD are still held", view["held_usd"]);
        let costs = stage.json(&["cost", run, "--json"])?;
        ensure!(costs["cost_usd"] == view["cost_usd"], "`wflo cost` says {}", costs["cost_usd"]);
        decided_once(&journal)?;

        let effects = effects(stage, run)?;
        ensure!(effects == self.effects, "its effects are {effects:?}, undisturbed {:?}", self.effects);
        once(stage)?;

        let replayed = stage.json(&["replay", run, "--json"])?;
        ensure!(replayed["identical"] == true, "a replay differs: {replayed}");
        ensure!(requests(stage, &journal)? == self.calls + again, "a replay has asked a model");
        Ok(Checked { journal, again })
    }

    fn same_steps(&self, view: &Value) -> Result<()> {
        let steps = steps(view)?;
        for (name, was) in &self.steps {
            let is = steps.get(name).with_context(|| format!("step `{name}` is not there"))?;
            for (what, is, was) in [
                ("its status is", &is.status, &was.status),
                ("its attempts are", &is.attempts, &was.attempts),
                ("its items are", &is.items, &was.items),
                ("it returned", &is.output, &was.output),
            ] {
                ensure!(is == was, "step `{name}`: {what} {}, undisturbed {}", cut(is), cut(was));
            }
        }
        Ok(())
    }

    fn same_calls(&self, journal: &Journal, kills: usize) -> Result<()> {
        ensure!(journal.models.len() == self.calls, "{} calls of models", journal.models.len());
        for (key, call) in &journal.models {
            ensure!(call.answered == 1, "call {key} was answered {} times", call.answered);
            ensure!(
                call.abandoned <= kills,
                "call {key} was cut off {} times by {kills} kills",
                call.abandoned
            );
            ensure!(call.intents == call.abandoned + 1, "call {key}: {call:?}");
        }
        Ok(())
    }
}

/// The requests that have reached the server for the calls of a run. Each has an intent: an answer that was lost with
/// the process is asked for again, and nothing else is.
fn requests(stage: &Stage, journal: &Journal) -> Result<usize> {
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for key in stage.requests() {
        *made.entry(key).or_default() += 1;
    }
    let mut all = 0;
    for (key, call) in &journal.models {
        let made = made.get(key).copied().unwrap_or_default();
        ensure!((1..=call.intents).contains(&made), "{made} requests for call {key}: {call:?}");
        all += made;
    }
    Ok(all)
}

/// Each approval was given once, closed once, and used once.
fn decided_once(journal: &Journal) -> Result<()> {
    ensure!(journal.closed.len() == 2, "approvals: {:?}", journal.closed);
    for (id, outcomes) in &journal.closed {
        ensure!(outcomes == &["approved"], "approval {id} was closed as {outcomes:?}");
        for (what, times) in [("consumed", &journal.consumed), ("voted on", &journal.votes)] {
            ensure!(times.get(id) == Some(&1), "approval {id} was {what} {:?} times", times.get(id));
        }
    }
    Ok(())
}

/// No effect has happened twice, by three counts of the database's own.
fn once(stage: &Stage) -> Result<()> {
    let count = |sql: &str| Ok::<_, anyhow::Error>(stage.rows(sql)?.concat());
    let twice = count(
        "SELECT count(*) FROM (SELECT 1 FROM counted GROUP BY run, step, item HAVING count(*) > 1) AS twice",
    )?;
    ensure!(twice == "0", "{twice} effects were counted twice");
    let wrong = count(
        "SELECT count(*) FROM tally WHERE n <>
         (SELECT count(*) FROM effects WHERE effects.step = tally.step AND effects.item = tally.item)",
    )?;
    ensure!(wrong == "0", "{wrong} numbers were not raised once for each effect");
    Ok(())
}

/// What a run wrote: step and item.
fn effects(stage: &Stage, run: &str) -> Result<Vec<String>> {
    stage.rows(&format!("SELECT step, item FROM effects WHERE run = '{run}' ORDER BY step, item"))
}

/// Exports a run, has the file verified, and reads it.
pub(crate) fn export(stage: &Stage, run: &str) -> Result<Journal> {
    let file = stage.folder().join("run.audit");
    let name = file.to_str().context("a path of text")?;
    stage.wflo(&["audit", "export", run, "-o", name])?.expect(&[0])?;
    stage.wflo(&["audit", "verify", name])?.expect(&[0])?;
    Journal::read(&file)
}

fn steps(view: &Value) -> Result<BTreeMap<String, Step>> {
    let Some(steps) = view["steps"].as_array() else { bail!("a run without steps: {view}") };
    let step = |step: &Value| {
        let part = |name: &str| step[name].clone();
        let name = step["name"].as_str().unwrap_or_default().to_owned();
        let (status, attempts) = (part("status"), part("attempts"));
        (name, Step { status, attempts, output: part("output"), items: part("items") })
    };
    Ok(steps.iter().map(step).collect())
}

/// As much of a value as a message can hold.
fn cut(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= 500 { value.clone() } else { json!(text.chars().take(500).collect::<String>()) }
}
