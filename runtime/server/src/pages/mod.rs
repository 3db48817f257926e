//! The pages: HTML and one style sheet.

mod approval;
mod changes;
mod data;
mod inbox;
mod layout;
mod login;
mod run;
mod runs;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use wflo_model::StepName;

use crate::error::ApiError;
use crate::person::{self, Person, Unknown};
use crate::site::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(inbox::inbox))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", axum::routing::post(login::log_out))
        .route("/approvals/{id}", get(approval::page).post(approval::decide))
        .route("/runs", get(runs::page))
        .route("/runs/{run}", get(run::page))
        .route("/style.css", get(style))
        .route("/health", get(|| async { "ok" }))
}

async fn style() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, include_str!("style.css")).into_response()
}

/// What is decided on or waits: a step, or the run before it begins.
fn subject(step: Option<&StepName>) -> &str {
    step.map_or("the run", StepName::as_str)
}

/// What is not there.
pub(crate) async fn not_found() -> PageError {
    PageError::new(StatusCode::NOT_FOUND, "there is no such page")
}

/// A page that went wrong.
pub(crate) struct PageError(ApiError);

impl PageError {
    fn new(status: StatusCode, message: impl std::fmt::Display) -> Self {
        Self(ApiError::new(status, message))
    }
}

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let ApiError { status, message, .. } = self.0;
        let body = html! {
            p.notice role="alert" { (sentence(&message)) }
            p { a href="/" { "To what waits for a decision" } }
        };
        (status, Html(layout::outside(&title(status), body).into_string())).into_response()
    }
}

fn title(status: StatusCode) -> String {
    match status {
        StatusCode::NOT_FOUND => "Not found".to_owned(),
        StatusCode::FORBIDDEN => "Not allowed".to_owned(),
        StatusCode::CONFLICT => "It has changed".to_owned(),
        _ => "Something went wrong".to_owned(),
    }
}

/// A message of ours as people read it on a page.
fn sentence(message: &str) -> String {
    let mut signs = message.chars();
    match signs.next() {
        Some(first) if !message.starts_with('`') => first.to_uppercase().chain(signs).chain(['.']).collect(),
        _ => format!("{message}."),
    }
}

/// Somebody who looks at a page; whoever is not known is sent to the login.
pub(crate) struct Visitor(pub(crate) Person);

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match Person::of(parts, app).await {
            Ok(person) => Ok(Self(person)),
            Err(Unknown::Nobody) => Err(to_login(parts)),
            Err(other) => Err(PageError::from(ApiError::from(other)).into_response()),
        }
    }
}

/// Where somebody goes who is not known. A link in another site or in a message comes without the cookie, which browsers
/// send along with our own requests alone: the page asks for itself once more.
fn to_login(parts: &Parts) -> Response {
    let site = parts.headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site == Some("cross-site") && person::secret(parts).is_none() {
        let page = html! {
            (maud::DOCTYPE)
            html lang="en" {
                head { meta charset="utf-8"; meta http-equiv="refresh" content="0"; title { "wflo" } }
                body { p { a href="" { "Go on" } } }
            }
        };
        return Html(page.into_string()).into_response();
    }
    let next = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Redirect::to(&format!("/login?next={}", encode(next))).into_response()
}

/// A path as the value of a parameter.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// A page for somebody who is known.
fn page(person: &Person, title: &str, here: &str, body: Markup) -> Html<String> {
    Html(layout::inside(person, title, here, body).into_string())
}
