//! One run: its steps, its cost, and what happened.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};
use wflo::{CostView, RunView, StepView};
use wflo_model::{PicoUsd, RunId};

use super::data::data;
use super::layout::{moment, status};
use super::{PageError, Visitor, subject};
use crate::api::{EventLine, timeline};
use crate::site::App;

/// Events on the page: the newest.
const MOST: usize = 1000;

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Visitor(person): Visitor,
    Path(id): Path<RunId>,
) -> Result<Html<String>, PageError> {
    let run = app.site.runtime.show(id).await?;
    let cost = app.site.runtime.cost(id).await?;
    let events = timeline(&app, id).await?;
    let body = html! {
        p.lead { (status(&run.status.to_string())) " " code { (run.run) } }
        @if let Some(error) = &run.error { p.notice { (error) } }
        (waits(&run))
        (facts(&run, &cost))
        h2 { "Steps" }
        @for step in &run.steps { (one(step)) }
        @if !cost.models.is_empty() { h2 { "Models" } (models(&cost)) }
        h2 { "What happened" }
        (happened(id, &events))
    };
    Ok(super::page(&person, &format!("{} {}", run.workflow, run.version), "", body))
}

fn waits(run: &RunView) -> Markup {
    html! {
        @if !run.waiting_for.is_empty() {
            ul.cards {
                @for wait in &run.waiting_for {
                    li {
                        @match &wait.id {
                            Some(id) => a.card href={ "/approvals/" (id) } {
                                strong { (subject(wait.step.as_ref())) } span { "waits for a decision" }
                                @if let Some(at) = &wait.until { span.hint { "until " (moment(at)) } }
                            },
                            None => div.card {
                                strong { (subject(wait.step.as_ref())) } span { "is parked: " (wait.kind) }
                                @if let Some(message) = &wait.message { span.hint { (message) } }
                            },
                        }
                    }
                }
            }
        }
    }
}

fn facts(run: &RunView, cost: &CostView) -> Markup {
    html! {
        dl.facts {
            div { dt { "Asked for by" } dd { (run.requester) } }
            div { dt { "Created" } dd { (moment(&run.created_at)) } }
            div { dt { "Spent" } dd { (cost.cost_usd) " USD" @if let Some(budget) = cost.budget_usd { " of " (budget) } } }
            div { dt { "Held" } dd { (cost.held_usd) " USD" } }
            @if cost.compute_usd > PicoUsd::ZERO { div { dt { "Fuel and time" } dd { (cost.compute_usd) " USD" } } }
            @if let Some(left) = cost.left_usd { div { dt { "Left" } dd { (left) " USD" } } }
        }
    }
}

fn one(step: &StepView) -> Markup {
    html! {
        details.card {
            summary {
                strong { (step.name) } " " (status(&step.status.to_string()))
                @if step.attempts > 0 { span.hint { (step.ms) " ms · " (step.cost_usd) " USD" } }
            }
            dl.facts {
                div { dt { "Attempts" } dd { (step.attempts) } }
                div { dt { "Fuel" } dd { (step.fuel) } }
                div { dt { "Memory" } dd { (step.memory_peak / 1024) " KiB" } }
                @if let Some(items) = &step.items {
                    div { dt { "Items" } dd { (items.succeeded) " of " (items.total) " succeeded, " (items.waiting) " waiting, " (items.failed) " failed" } }
                }
            }
            @if let Some(error) = &step.error { p.notice { (error) } }
            @if let Some(output) = &step.output { h3 { "Output" } (data(output)) }
        }
    }
}

fn models(cost: &CostView) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Models" {
            table {
                thead {
                    tr {
                        th scope="col" { "Model" } th.number scope="col" { "Calls" } th.number scope="col" { "Tokens in" }
                        th.number scope="col" { "Tokens out" } th.number scope="col" { "USD" }
                    }
                }
                tbody {
                    @for (model, totals) in &cost.models {
                        tr {
                            td { (model) } td.number { (totals.calls) } td.number { (totals.input_tokens) }
                            td.number { (totals.output_tokens) } td.number { (totals.cost_usd) }
                        }
                    }
                }
            }
        }
    }
}

fn happened(run: RunId, events: &[EventLine]) -> Markup {
    let (earlier, events) = events.split_at(events.len().saturating_sub(MOST));
    html! {
        @if !earlier.is_empty() {
            p.hint { (earlier.len()) " earlier events: " code { "wflo audit show " (run) } " prints all of them." }
        }
        ol.timeline {
            @for event in events {
                li value=(event.seq) {
                    time datetime=(event.at) { (format!("{:.3} s", event.since)) }
                    span { (event.text) }
                }
            }
        }
    }
}
