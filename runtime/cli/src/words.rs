//! Events in words, one line each.

use serde_json::Value;
use wflo_engine::policy::{Because, Firing};
use wflo_engine::{AttemptEnd, Event, Reapplied, Recorded, Resolution};
use wflo_model::Call;

/// What happened, in one line.
pub(crate) fn describe(recorded: &Recorded) -> String {
    let step = recorded.place.unit_id().map(|unit| format!("{unit}: ")).unwrap_or_default();
    format!("{step}{}", what(recorded))
}

fn what(recorded: &Recorded) -> String {
    match &recorded.event {
        Event::RunCreated { workflow, version, requester, forked: Some(forked), .. } => {
            format!(
                "run of {workflow} {version} forked from event {} of {} by {requester}",
                forked.seq, forked.run
            )
        }
        Event::RunCreated { workflow, version, requester, .. } => {
            format!("run of {workflow} {version} asked for by {requester}")
        }
        Event::ApprovalOpened { id, rule, follows, amount, .. } => {
            let who: Vec<String> = rule.approvers.iter().map(ToString::to_string).collect();
            let amount = amount.map(|amount| format!(" for {amount} USD")).unwrap_or_default();
            let instead = follows.map(|before| format!(", in the place of {before}")).unwrap_or_default();
            format!("{id} asks {}{amount}{instead}", who.join(", "))
        }
        Event::Edited { approval, by, comment, .. } => {
            let comment = comment.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("{by} changes what {approval} is about{comment}")
        }
        Event::RunPermitted { consumes: Some(id) } => format!("the run goes on, as {id} permits"),
        Event::RunPermitted { consumes: None } => "the run goes on in spite of that".to_owned(),
        Event::BudgetAlert { percent, settled_usd, limit_usd, .. } => {
            format!("{percent}% of the budget is spent: {settled_usd} of {limit_usd} USD")
        }
        Event::ToppedUp { amount, consumes } => {
            format!("its budget is raised by {amount} USD, as {consumes} permits")
        }
        Event::ComputeHeld { amount } => format!("holds {amount} USD for its fuel and time"),
        Event::ComputeCharged { fuel, ms, usd, .. } => {
            format!("is charged {usd} USD for {fuel} units of fuel and {ms} ms")
        }
        Event::Voted { approval, by, verdict, comment, late, .. } => {
            let comment = comment.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            let late = if *late { ", too late" } else { "" };
            let verdict = format!("{verdict:?}").to_lowercase();
            format!("{by} votes {verdict} on {approval}{late}{comment}")
        }
        Event::PolicyFired(firing) => fired(firing),
        Event::ApprovalClosed { approval, outcome } => format!("{approval} is {outcome}"),
        Event::AttemptStarted { consumes, .. } => {
            let consumes = consumes.map(|id| format!(", as {id} permits")).unwrap_or_default();
            format!("attempt {} begins{consumes}", recorded.place.attempt)
        }
        Event::Intent { performed: Some(changed), hold, .. } => {
            let hold = if hold.pico() > 0 { format!(", holding {hold} USD") } else { String::new() };
            format!("calls {}, as people have changed it{hold}", call(changed))
        }
        Event::Intent { asked, hold, .. } if hold.pico() > 0 => {
            format!("calls {}, holding {hold} USD", call(asked))
        }
        Event::Intent { asked, .. } => format!("calls {}", call(asked)),
        Event::Returned(wflo_engine::Returned { reported: Some(reported), .. }) => {
            format!("reports a cost of {} USD, {}: {}", reported.usd, reported.kind, short(&reported.note))
        }
        Event::Returned(wflo_engine::Returned { queued: Some(_), call: Some(asked), performed, .. }) => {
            queued(performed.as_ref().unwrap_or(asked))
        }
        Event::Returned(wflo_engine::Returned { artifact: Some(made), .. }) => {
            format!("makes artifact {}, {} bytes", made.artifact, made.bytes)
        }
        Event::Returned(returned) => {
            let name = match (&returned.call, returned.intent) {
                (Some(asked), _) => call(asked),
                // Others may have been made since.
                (None, Some(intent)) if returned.beside => format!("call {intent}"),
                (None, _) => "it".to_owned(),
            };
            let cost = returned.spend.as_ref().map_or_else(String::new, |spend| {
                let estimated = if spend.estimated { " (estimated)" } else { "" };
                let (input, output) = (spend.input_tokens, spend.output_tokens);
                format!(", {input} + {output} tokens, {} USD{estimated}", spend.cost_usd)
            });
            match &returned.result {
                Ok(value) => format!("{name} returned {}{cost}", shape(value)),
                Err(error) => format!("{name} failed: {error}{cost}"),
            }
        }
        Event::Abandoned { cost, .. } => format!("a call was cut off; {cost} USD charged for it"),
        Event::Denied { call: denied, error, .. } => format!("denied {}: {error}", call(denied)),
        Event::Logged { level, message, .. } => format!("[{level}] {message}"),
        Event::Committing { databases, changes, inserted, .. } => {
            let in_bulk = |label| inserted.get(label).map_or(0, wflo_model::Inserted::row_count);
            let rows = |label| match changes.get(label).map(|it| it.row_count() as u64 + in_bulk(label)) {
                Some(1) => " (1 row changed)".to_owned(),
                Some(rows) => format!(" ({rows} rows changed)"),
                None => String::new(),
            };
            let labels: Vec<String> =
                databases.iter().map(|label| format!("{label}{}", rows(label))).collect();
            format!("commits to {}", labels.join(", "))
        }
        Event::RollbackStarted { by, to, only } => {
            let by = by.as_ref().map_or("the workflow".to_owned(), ToString::to_string);
            let of: Vec<_> = only.iter().map(|unit| format!("`{unit}`")).collect();
            match to {
                Some(to) => format!("{by} has it rolled back to `{to}`"),
                None if of.is_empty() => format!("{by} has it rolled back"),
                None => format!("{by} has what {} did undone", of.join(", ")),
            }
        }
        Event::RollbackPlanned { plan } => format!(
            "to compensate: {}, to undo: {}, to stay: {}",
            plan.compensate.len(),
            plan.undo.len() + plan.reapply.len(),
            plan.left.len()
        ),
        Event::Undoing { database, steps } => {
            let rows: u64 = steps.iter().map(|step| step.rows).sum();
            let left: usize = steps.iter().map(|step| step.conflicts.len()).sum();
            format!("undoes {rows} rows in {database}, leaving {left}")
        }
        Event::Undone { database, error: None } => format!("{database} is undone"),
        Event::Undone { database, error: Some(error) } => format!("{database} cannot be undone: {error}"),
        Event::Reapplied { terraform, came_to, .. } => match came_to {
            Reapplied::Done { .. } => format!("what {terraform} had before is applied again"),
            Reapplied::Left { why } => format!("{terraform} is left as it is: {why}"),
            Reapplied::Failed { why } => {
                format!("what {terraform} had before cannot be applied again: {why}")
            }
            other => format!("{terraform}: {other:?}"),
        },
        Event::RollbackEnded { status } => format!("{status}"),
        Event::AttemptEnded { end, ms, .. } => match end {
            AttemptEnd::Succeeded { .. } => format!("succeeded after {ms} ms"),
            AttemptEnd::Failed(failure) => format!("failed: {failure}"),
            AttemptEnd::Fault(fault) => format!("stopped: {fault}"),
            AttemptEnd::Interrupted { message } => format!("interrupted: {message}"),
            AttemptEnd::Skipped { reason } => format!("skipped: {reason}"),
            AttemptEnd::Unpaid { message } => message.clone(),
            AttemptEnd::Cancelled => "stopped".to_owned(),
            other => format!("{other:?}"),
        },
        Event::Parked { reason } => format!("parked: {reason}"),
        Event::Unparked { by } => format!("{by} lets it go on"),
        Event::StepEnded { skipped: true, reason } => format!("skipped: {reason}"),
        Event::StepEnded { reason, .. } => format!("failed: {reason}"),
        Event::FannedOut { items, consumes } => {
            let consumes = consumes.map(|id| format!(", as {id} permits")).unwrap_or_default();
            format!("fans out over {} items{consumes}", items.len())
        }
        Event::Inherited { output: Some(output), .. } => {
            format!("has its output from the parent: {}", shape(output))
        }
        Event::Lent(lent) => format!("has the answer to {} from the parent", call(&lent.call)),
        Event::Inherited { output: None, .. } => "was left out in the parent".to_owned(),
        Event::Superseded { by } => format!("run {by} goes on in its place"),
        Event::Joined => "all items have ended".to_owned(),
        Event::TimerFired => "its time has come".to_owned(),
        Event::Woke { .. } => "goes on while its requests are under way".to_owned(),
        Event::CancelRequested { by, reason } => {
            let reason = reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("{by} cancels the run{reason}")
        }
        Event::Resolved { intent, resolution, by } => match resolution {
            Resolution::Done { value } => format!("{by} says that call {intent} was done: {}", shape(value)),
            Resolution::Compensate => format!("{by} has what call {intent} may have done compensated"),
            _ => format!("{by} says that call {intent} was not done"),
        },
        Event::RunEnded { status, error: None } => format!("the run {status}"),
        Event::RunEnded { status, error: Some(error) } => format!("the run {status}: {error}"),
        other => format!("{other:?}"),
    }
}

/// A message that leaves when the step has succeeded.
fn queued(call: &Call) -> String {
    let args = &call.args;
    let text = |name: &str| short(args[name].as_str().unwrap_or_default());
    match args["to"].as_array() {
        Some(to) => {
            let to: Vec<_> = to.iter().filter_map(Value::as_str).collect();
            format!("queues mail to {}: {}", short(&to.join(", ")), text("subject"))
        }
        None => format!("queues a message to {}: {}", text("address"), text("title")),
    }
}

/// A policy that fired: why, and on which values.
fn fired(firing: &Firing) -> String {
    let values: Vec<_> = firing.values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let because = match &firing.because {
        Because::Held => String::new(),
        Because::Missing { names } => format!(", since it cannot know {}", names.join(", ")),
        Because::Unevaluable { error } => format!(", since it cannot be told: {error}"),
        other => format!(", {other:?}"),
    };
    format!("policy `{}` fired at {} on {}{because}", firing.policy, firing.on, short(&values.join(", ")))
}

/// A call with the argument that says most.
fn call(call: &Call) -> String {
    let args = &call.args;
    let most = match (args["db"].as_str(), args["sql"].as_str(), args["model"].as_str()) {
        (Some(db), Some(sql), _) => format!(" on {db}: {}", short(sql)),
        (_, _, Some(model)) => format!(" with {model}"),
        _ if call.interface == "wflo:knowledge/search" => {
            let text = |name: &str| short(args[name].as_str().unwrap_or_default());
            format!(" of {}: {}", text("knowledge"), text("query"))
        }
        _ => match (args["db"].as_str(), args["statement"].as_str(), args["name"].as_str()) {
            (Some(db), Some(statement), _) => format!(" of {statement} on {db}"),
            (_, _, Some(name)) if call.function == "fact" => {
                format!(" {name} = {}", short(&args["value"].to_string()))
            }
            _ => match (args["terraform"].as_str(), args["adds"].as_u64()) {
                (Some(folder), Some(_)) => format!(" on {folder}: {}", counts(args)),
                (Some(folder), None) => format!(" on {folder}"),
                _ => String::new(),
            },
        },
    };
    format!("{call}{most}")
}

/// What a plan of terraform counts.
fn counts(plan: &Value) -> String {
    let outputs = plan["outputs"].as_u64().or_else(|| Some(plan["outputs"].as_array()?.len() as u64));
    format!(
        "{} to add, {} to change, {} to destroy, {} outputs to change",
        plan["adds"],
        plan["changes"],
        plan["destroys"],
        outputs.unwrap_or_default()
    )
}

fn shape(value: &Value) -> String {
    if value["adds"].is_u64() {
        return counts(value);
    }
    if value["plan"]["adds"].is_u64() {
        return counts(&value["plan"]);
    }
    if let (Some(serial), Some(resources)) = (value["serial"].as_u64(), value["resources"].as_array()) {
        return format!("serial {serial}, {} resources", resources.len());
    }
    match (value["rows"].as_array(), value["changed"].as_u64(), value["text"].as_str()) {
        (Some(rows), _, _) => format!("{} rows", rows.len()),
        (_, Some(changed), _) => format!("{changed} changed"),
        (_, _, Some(text)) => short(text),
        _ if value.as_array().is_some_and(|all| all.iter().all(|it| it["source"].is_string())) => {
            format!("{} passages", value.as_array().map_or(0, Vec::len))
        }
        _ => short(&value.to_string()),
    }
}

fn short(text: &str) -> String {
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() > 72 { flat.chars().take(71).chain(['…']).collect() } else { flat }
}
