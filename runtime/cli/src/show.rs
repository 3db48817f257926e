//! What people are shown.

use std::fmt::Write as _;

use serde::Deserialize as _;
use wflo::{AccountView, ApprovalView, CostView, ItemsView, RunLine, RunStatus, RunView};
use wflo_engine::RollbackPlan;
use wflo_model::{PicoUsd, RunId, StepName, Timestamp};

use crate::changes;
use crate::command::CostLine;
use crate::session::{EventView, ReportView, SystemEventView};
use crate::terminal::{self, tame, tame_lines};
use crate::undoing;

/// Characters of an output that are shown.
const RESULT: usize = 300;
/// Most of what a run waits for that is shown. Thousands of items may wait for people.
const WAITS: usize = 5;

/// One run: where it stands, its steps, what to do next.
pub(crate) fn run(run: &RunView, colors: bool) -> String {
    let status = terminal::status(&run.status, 0, colors);
    let mut text = format!("{}  {} {}  {status}\n\n", run.run, run.workflow, run.version);
    let width = run.steps.iter().map(|step| step.name.as_str().len()).max().unwrap_or_default();
    for step in &run.steps {
        // Filled up only where something follows.
        let filled = if step.attempts > 0 { 10 } else { 0 };
        let _ = write!(text, "  {:width$}  {}", step.name, terminal::status(&step.status, filled, colors));
        if step.attempts > 0 {
            let _ = write!(text, "  {:>6} ms  {} USD", step.ms, step.cost_usd);
        }
        if let Some(items) = &step.items {
            let _ = write!(text, "  {}", counted(items));
        }
        text.push('\n');
        if let Some(error) = &step.error {
            let _ = writeln!(text, "  {:width$}  {}", "", tame_lines(error, width + 4));
        }
    }
    text.push('\n');
    if let Some(output) = result(run) {
        let _ = writeln!(text, "output  {output}");
    }
    let budget = run.budget_usd.map(|budget| format!(" of {budget}")).unwrap_or_default();
    let _ = writeln!(text, "cost  {}{budget} USD", run.cost_usd);
    if let Some(error) = &run.error {
        let _ = writeln!(text, "error  {}", tame_lines(error, "error  ".len()));
    }
    // The first one first; what a later one has tried again is told there.
    for (at, rollback) in run.rollbacks.iter().enumerate().rev() {
        let since: Vec<_> = run.rollback.iter().chain(&run.rollbacks[..at]).collect();
        let _ = write!(text, "\n{}", undoing::rolled_back(rollback, &since, colors));
    }
    if let Some(rollback) = &run.rollback {
        let did = undoing::rolled_back(rollback, &[], colors);
        let _ = write!(text, "\n{did}");
        if run.status == wflo::RunStatus::RolledBack && did.lines().count() == 1 {
            let _ = writeln!(text, "  there was nothing to undo");
        }
    }
    for wait in run.waiting_for.iter().take(WAITS) {
        let who = unit(wait.step.as_ref(), wait.item);
        let who = who.map_or_else(|| "the run".to_owned(), |unit| format!("`{unit}`"));
        match (&wait.id, &wait.message) {
            (Some(id), _) => {
                let until = wait.until.as_ref().map(|at| format!(" until {at}")).unwrap_or_default();
                let _ = writeln!(text, "\n{who} waits for approval {id}{until}");
                let _ = writeln!(text, "  wflo approvals show {id}");
                let _ = writeln!(text, "  WFLO_TOKEN=... wflo approve {id} --as NAME");
            }
            (None, message) => {
                let message = message.as_deref().unwrap_or_default();
                let _ = writeln!(text, "\n{who} is parked: {message}");
                let next = match (wait.kind.as_str(), wait.intent) {
                    ("unknown", Some(intent)) if !wait.committed.is_empty() => halfway(run.run, intent),
                    ("unknown", Some(intent)) => vec![
                        format!("wflo resolve {} {intent} --done VALUE", run.run),
                        format!("wflo resolve {} {intent} --not-done", run.run),
                        format!("wflo resolve {} {intent} --compensate", run.run),
                    ],
                    ("diverged", _) => vec![format!("wflo audit show {}", run.run)],
                    _ => vec![format!("wflo resume {}", run.run)],
                };
                for command in next {
                    let _ = writeln!(text, "  {command}");
                }
            }
        }
    }
    if let Some(more) = run.waiting_for.len().checked_sub(WAITS).filter(|more| *more > 0) {
        let _ = writeln!(text, "\nand so do {more} more: `wflo approvals` lists what is asked");
    }
    text
}

/// What can be done about a step that not all of its databases have committed.
fn halfway(run: RunId, intent: u64) -> Vec<String> {
    let resolve = |how: &str, what: &str| format!("wflo resolve {run} {intent} {how:12}  # {what}");
    vec![
        resolve("--not-done", "try again: it commits there as soon as its statements come to the same again"),
        resolve("--done null", "the step has succeeded: what is missing is written there by hand"),
        resolve("--compensate", "the step has failed: what has committed is undone"),
    ]
}

/// A step, or the item of it.
fn unit(step: Option<&StepName>, item: Option<u32>) -> Option<String> {
    let step = step?;
    Some(item.map_or_else(|| step.to_string(), |item| format!("{step}[{item}]")))
}

/// How far the items of a step have come.
fn counted(items: &ItemsView) -> String {
    let ItemsView { total, succeeded, waiting, failed, .. } = items;
    let rest = [(waiting, "waiting"), (failed, "failed")].into_iter().filter(|(count, _)| **count > 0);
    rest.fold(format!("{succeeded} of {total} items"), |text, (count, what)| {
        format!("{text}, {count} {what}")
    })
}

/// What a run came to, in one line: the output of its last step. `--json` has all of them, whole.
fn result(run: &RunView) -> Option<String> {
    let last = run.steps.last().filter(|_| run.status == RunStatus::Succeeded)?;
    let output = tame(&last.output.as_ref()?.to_string());
    let cut: String = output.chars().take(RESULT).collect();
    Some(if cut.len() < output.len() { format!("{cut}…") } else { output })
}

/// The events of a run, with the time since its first.
pub(crate) fn timeline(events: &[EventView], colors: bool) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let when = terminal::dim(&format!("{:>5}  {:>9.3}s", event.seq, event.since), colors);
        let _ = writeln!(text, "{when}  {}", tame(&event.text));
        text
    })
}

/// Events of the store's own log.
pub(crate) fn system(events: &[SystemEventView], colors: bool) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let when = terminal::dim(&format!("{:>5}  {}", event.seq, event.at), colors);
        let _ = writeln!(text, "{when}  {}", tame(&event.text));
        text
    })
}

/// Who did what.
pub(crate) fn report(lines: &[ReportView], colors: bool) -> String {
    let person = |line: &ReportView| line.person.as_ref().map_or("-".to_owned(), ToString::to_string);
    let width = lines.iter().map(|line| person(line).chars().count()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |mut text, line| {
        let (at, who) = (terminal::dim(&line.at, colors), person(line));
        let it = line;
        let run = it.run.map(|run| format!("  run {run}")).unwrap_or_default();
        let step = it.step.as_ref().map(|step| format!(" {step}")).unwrap_or_default();
        let note = it.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let by = it.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        let what = tame(&format!("{}{note}{by}", it.what));
        let _ = writeln!(text, "{at}  {who:width$}  {:12}{run}{step}  {what}", it.action);
        text
    })
}

/// The list of runs.
pub(crate) fn runs(runs: &[RunLine], colors: bool) -> String {
    runs.iter().fold(String::new(), |mut text, run| {
        let (workflow, created, cost) = (&run.workflow, &run.created_at, run.cost_usd);
        let status = terminal::status(&run.status, 10, colors);
        let _ = writeln!(text, "{}  {status}  {workflow} {}  {created}  {cost} USD", run.run, run.version);
        text
    })
}

/// The list of approvals.
pub(crate) fn approvals(approvals: &[ApprovalView], now: Timestamp) -> String {
    approvals.iter().fold(String::new(), |mut text, it| {
        let lacking = tame(&it.lacking.join(", "));
        let what = about(it);
        let _ = write!(text, "{}  {}  {what} of run {}, lacking {lacking}", it.id, it.workflow, it.run);
        match it.expires_at.as_ref().map(|until| (until, until.parse::<Timestamp>())) {
            // Nobody has driven its run since.
            Some((_, Ok(until))) if until <= now => {
                let _ = writeln!(text, ", too late: `wflo resume {}` goes on", it.run);
            }
            Some((until, _)) => _ = writeln!(text, ", until {until}"),
            None => text.push('\n'),
        }
        text
    })
}

/// What an approval is about, in a word.
fn about(it: &ApprovalView) -> String {
    match (unit(it.step.as_ref(), it.item), it.at) {
        (Some(unit), _) => unit,
        (None, wflo::GateAt::TopUp) => "more money".to_owned(),
        (None, wflo::GateAt::Rollback) => "rollback".to_owned(),
        (None, _) => "start".to_owned(),
    }
}

/// Exactly what is decided on.
pub(crate) fn approval(it: &ApprovalView, colors: bool) -> String {
    let mut text = format!("{}  {}\n\n", it.id, terminal::status(&it.status, 0, colors));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line(if it.step.is_some() { "step" } else { "about" }, &about(it));
    line("run", &it.run.to_string());
    line("workflow", &it.workflow);
    line("approvers", &tame(&it.approvers.join(", ")));
    line("lacking", &tame(&it.lacking.join(", ")));
    line("until", it.expires_at.as_deref().unwrap_or("for ever"));
    line("subject", &it.subject_digest.to_string());
    if let Some(before) = &it.follows {
        line("follows", &before.to_string());
    }
    if !it.authors.is_empty() {
        let authors: Vec<_> = it.authors.iter().map(ToString::to_string).collect();
        line("authors", &authors.join(", "));
    }
    for vote in &it.votes {
        let verdict = format!("{:?}", vote.verdict).to_lowercase();
        let comment = vote.comment.as_deref().map(|text| format!(": {}", tame(text))).unwrap_or_default();
        line("vote", &format!("{} {verdict}{comment}", vote.principal));
    }
    let mut shows = it.shows.clone();
    if let Some(rows) = changes::of_approval(&shows, colors) {
        let _ = writeln!(text, "\nwhat would change:\n{}", rows.trim_end());
        // They have been told.
        shows.as_object_mut().map(|shows| shows.remove("changes"));
    }
    if let Some(differs) = changes::differs(&shows) {
        let _ =
            writeln!(text, "\nnot what was shown before:\n  {differs}\n  hint: {}", changes::DIFFERS_HINT);
        shows.as_object_mut().map(|shows| shows.remove("differs"));
    }
    if let Some(planned) = planned(&mut shows) {
        let _ = writeln!(text, "\nwhat terraform has planned:\n{planned}");
    }
    if let Some(plan) = rollback(&mut shows) {
        let _ = writeln!(text, "\nwhat would be undone:\n{plan}");
    }
    let _ = writeln!(text, "\nwhat would be done:\n{}", terminal::json(&shows));
    text
}

/// The rollback that is decided on, as `--dry-run` shows it; it is taken out of the rest.
fn rollback(shows: &mut serde_json::Value) -> Option<String> {
    let plan = RollbackPlan::deserialize(shows.get("rollback")?).ok()?;
    shows.as_object_mut()?.remove("rollback");
    Some(undoing::plan(&plan))
}

/// The plan of terraform that is decided on, as terraform shows it; it is taken out of the rest.
fn planned(shows: &mut serde_json::Value) -> Option<String> {
    let call = shows.get_mut("call").filter(|call| call["interface"] == "wflo:infra/terraform")?;
    let text = call.get_mut("args")?.as_object_mut()?.remove("text")?;
    let lines = text.as_str()?.lines().map(|line| format!("  {}", tame(line)).trim_end().to_owned());
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// What runs cost.
pub(crate) fn cost(costs: &[CostView]) -> String {
    costs.iter().fold(String::new(), |mut text, it| {
        let left = it.left_usd.map(|left| format!(", {left} left")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}  {}  {} USD spent, {} held{left}",
            it.run, it.workflow, it.cost_usd, it.held_usd
        );
        for (step, cost) in &it.steps {
            let _ = writeln!(text, "  step {step}  {cost} USD");
        }
        for (model, totals) in &it.models {
            let (calls, input, output) = (totals.calls, totals.input_tokens, totals.output_tokens);
            let word = if calls == 1 { "call" } else { "calls" };
            let _ = writeln!(
                text,
                "  model {model}  {} USD  {calls} {word}, {input} + {output} tokens",
                totals.cost_usd
            );
        }
        if it.compute_usd > PicoUsd::ZERO {
            let _ = writeln!(text, "  fuel and time  {} USD", it.compute_usd);
        }
        text
    })
}

/// What the accounts above the runs stand at.
pub(crate) fn accounts(accounts: &[AccountView]) -> String {
    let width = accounts.iter().map(|it| it.account.chars().count()).max().unwrap_or_default();
    accounts.iter().fold(String::new(), |mut text, it| {
        let limit = match (it.limit_usd, it.left_usd) {
            (Some(limit), Some(left)) => format!(" of {limit}, {left} left"),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "{:width$}  {:5}  since {}  {} USD spent, {} held{limit}",
            it.account, it.window, it.since, it.settled_usd, it.held_usd
        );
        text
    })
}

/// What runs cost together, summed up.
pub(crate) fn cost_lines(lines: &[CostLine]) -> String {
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or_default();
    let costs: Vec<String> = lines.iter().map(|line| line.cost_usd.to_string()).collect();
    let digits = costs.iter().map(String::len).max().unwrap_or_default();
    lines.iter().zip(costs).fold(String::new(), |mut text, (line, cost)| {
        let runs = if line.runs == 1 { "1 run".to_owned() } else { format!("{} runs", line.runs) };
        let _ = write!(text, "{:width$}  {cost:>digits$} USD  {runs}", line.name);
        if let Some(calls) = line.calls {
            let _ = write!(text, ", {calls} {}", if calls == 1 { "call" } else { "calls" });
        }
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{Timestamp, steers};

    use super::{approval, approvals};

    #[test]
    fn who_is_asked_does_not_steer_the_terminal() {
        let names = ["team", "\u{1b}[2J\u{202e}x\nstatus approved"];
        let view = serde_json::from_value(json!({
            "id": wflo_model::ApprovalId::derive(&wflo_model::Digest::ZERO, 1),
            "run": wflo_model::RunId::from_bytes([1; 16]), "workflow": "w", "step": "s",
            "subject_digest": wflo_model::Digest::ZERO, "approvers": names, "quorum": 2, "votes": [],
            "status": "open", "at": "start", "expires_at": null, "shows": {}, "lacking": names,
        }));
        let view = view.expect("an approval");
        for shown in [approval(&view, false), approvals(&[view], Timestamp::default())] {
            assert!(!shown.contains(|sign| steers(sign) && sign != '\n'), "{shown:?}");
            assert!(!shown.contains("\nstatus"), "{shown}");
        }
    }
}
