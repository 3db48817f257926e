//! What waits for a decision.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use wflo::{ApprovalView, Voter};

use super::layout::moment;
use super::{PageError, Visitor, page, subject};
use crate::site::App;

pub(super) async fn inbox(
    State(app): State<Arc<App>>,
    Visitor(person): Visitor,
) -> Result<Html<String>, PageError> {
    let open = app.site.runtime.approvals(false).await?;
    let (mine, others): (Vec<_>, Vec<_>) = open.iter().partition(|it| is_asked(it, &person.voter));
    let body = html! {
        @if mine.is_empty() { p.empty { "Nothing waits for you." } } @else { (list(&mine)) }
        @if !others.is_empty() {
            h2 { "Waiting for others" }
            (list(&others))
        }
    };
    Ok(page(&person, "Decisions", "/", body))
}

/// Whether somebody is among those asked, has not voted, and wrote no part of it.
pub(super) fn is_asked(it: &ApprovalView, voter: &Voter) -> bool {
    let named = |name: &String| {
        name == voter.name.as_str() || voter.groups.iter().any(|group| group.as_str() == name)
    };
    it.approvers.iter().any(named)
        && !it.votes.iter().any(|vote| vote.principal == voter.name)
        && !it.authors.contains(&voter.name)
}

fn list(all: &[&ApprovalView]) -> Markup {
    html! {
        ul.cards {
            @for it in all {
                li {
                    a.card href={ "/approvals/" (it.id) } {
                        strong { (subject(it.step.as_ref())) @if let Some(item) = it.item { " " (item) } }
                        span { (it.workflow) }
                        span.hint {
                            "lacking " (it.lacking.join(", "))
                            @if let Some(at) = &it.expires_at { " · until " (moment(at)) }
                        }
                    }
                }
            }
        }
    }
}
