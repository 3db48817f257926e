//! The runs.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Html;
use maud::html;
use serde::Deserialize;
use wflo_model::RunId;

use super::layout::{moment, status};
use super::{PageError, Visitor};
use crate::site::App;

/// Runs on a page.
const PAGE: usize = 50;

#[derive(Deserialize)]
pub(super) struct Which {
    before: Option<RunId>,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Visitor(person): Visitor,
    Query(Which { before }): Query<Which>,
) -> Result<Html<String>, PageError> {
    let runs = app.site.runtime.runs_before(before, PAGE).await?;
    let last = runs.last().filter(|_| runs.len() == PAGE).map(|line| line.run);
    let body = html! {
        @if runs.is_empty() { p.empty { "There are no runs." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Runs" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Run" } th scope="col" { "Workflow" } th scope="col" { "Status" }
                            th scope="col" { "Asked for by" } th scope="col" { "Created" } th.number scope="col" { "USD" }
                        }
                    }
                    tbody {
                        @for run in &runs {
                            tr {
                                td { a href={ "/runs/" (run.run) } { code { (run.run) } } }
                                td { (run.workflow) " " (run.version) }
                                td { (status(&run.status.to_string())) }
                                td { (run.requester) }
                                td { (moment(&run.created_at)) }
                                td.number { (run.cost_usd) }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(last) = last { p { a href={ "/runs?before=" (last) } { "Older" } } }
    };
    Ok(super::page(&person, "Runs", "/runs", body))
}
