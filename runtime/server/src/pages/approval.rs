//! One approval: what is decided on, and the decision.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wflo::{ApprovalView, Verdict};
use wflo_model::{ApprovalId, Digest};

use super::changes::{changes, without};
use super::data::data;
use super::inbox::is_asked;
use super::layout::{moment, status};
use super::{PageError, Visitor, subject};
use crate::api::{Decide, vote};
use crate::person::Person;
use crate::site::App;

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Visitor(person): Visitor,
    Path(id): Path<ApprovalId>,
) -> Result<Html<String>, PageError> {
    let it = app.site.runtime.approval(id).await?;
    let title = format!("{}: {}", it.workflow, subject(it.step.as_ref()));
    let body = html! {
        p.lead { (status(&it.status)) " " a href={ "/runs/" (it.run) } { "run " (it.run) } }
        (facts(&it))
        @if let Some(rows) = changes(&it.shows) {
            section aria-labelledby="rows" {
                h2 #rows { "Rows that will change" }
                div.card { (rows) }
            }
        }
        section aria-labelledby="shows" {
            h2 #shows { "What is decided on" }
            div.card { (data(&without(&it.shows))) }
        }
        @if it.status == "open" { (decision(&it, &person)) }
    };
    Ok(super::page(&person, &title, "", body))
}

/// What the form says.
#[derive(Deserialize)]
pub(super) struct Sent {
    #[serde(default)]
    csrf: String,
    verdict: Verdict,
    #[serde(default)]
    comment: String,
    subject: Digest,
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    Visitor(person): Visitor,
    Path(id): Path<ApprovalId>,
    Form(sent): Form<Sent>,
) -> Result<Response, PageError> {
    if !person.may_change(Some(&sent.csrf)) {
        return Err(PageError::new(StatusCode::FORBIDDEN, "this page is of another session: open it again"));
    }
    person.may_work().map_err(|error| PageError::new(StatusCode::FORBIDDEN, error))?;
    let Sent { verdict, comment, subject, .. } = sent;
    let decision = Decide { verdict, comment: Some(comment), subject_digest: subject };
    let view = vote(&app, &person, id, decision).await?;
    Ok(Redirect::to(&format!("/approvals/{}", view.id)).into_response())
}

fn facts(it: &ApprovalView) -> Markup {
    let who = it.approvers.join(", ");
    let any = it.quorum != it.approvers.len();
    html! {
        dl.facts {
            div { dt { "Who" } dd { @if any { "any " (it.quorum) " of " } (who) } }
            @if it.status == "open" { div { dt { "Lacking" } dd { (it.lacking.join(", ")) } } }
            div { dt { "Until" } dd { @match &it.expires_at { Some(at) => (moment(at)), None => "no limit" } } }
            @if let Some(item) = it.item { div { dt { "Item" } dd { (item) } } }
            @for vote in &it.votes {
                div {
                    dt { (vote.principal) }
                    dd {
                        @match vote.verdict { Verdict::Approve => "approved", Verdict::Reject => "rejected" }
                        " " (moment(&vote.at))
                        @if let Some(comment) = &vote.comment { ": " (comment) }
                    }
                }
            }
        }
    }
}

fn decision(it: &ApprovalView, person: &Person) -> Markup {
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Your decision" }
            @if is_asked(it, &person.voter) {
                form.card method="post" action={ "/approvals/" (it.id) } {
                    @if let Some(csrf) = &person.csrf { input type="hidden" name="csrf" value=(csrf); }
                    input type="hidden" name="subject" value=(it.subject_digest);
                    label for="comment" { "Comment" }
                    textarea #comment name="comment" rows="3" maxlength="4000" {}
                    p.hint { "Kept beside your decision, in the audit." }
                    div.actions {
                        button.good type="submit" name="verdict" value="approve" { "Approve" }
                        button.bad type="submit" name="verdict" value="reject" { "Reject" }
                    }
                }
            } @else if it.votes.iter().any(|vote| vote.principal == person.voter.name) {
                p { "You have decided. It waits for others." }
            } @else {
                p { "You are not among those asked." }
            }
        }
    }
}
