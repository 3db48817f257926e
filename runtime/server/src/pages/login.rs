//! Logging in and out.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequestParts as _, Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;
use wflo_model::PrincipalName;

use super::{PageError, layout};
use crate::error::ApiError;
use crate::person::{Person, Unknown, address, check, secret};
use crate::session::COOKIE;
use crate::site::App;

#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
struct LogIn {
    name: String,
    token: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct LogOut {
    #[serde(default)]
    csrf: String,
}

pub(super) async fn page(Query(Next { next }): Query<Next>) -> Response {
    form(StatusCode::OK, None, next.as_deref().unwrap_or("/"), "")
}

pub(super) async fn log_in(State(app): State<Arc<App>>, request: Request) -> Result<Response, PageError> {
    let (parts, body) = request.into_parts();
    let from = address(&parts);
    let LogIn { name, token, next } = read(Request::from_parts(parts, body)).await?;
    let next = within(&next);
    let Ok(principal) = name.trim().parse::<PrincipalName>() else {
        app.attempts.failed(from, tokio::time::Instant::now());
        return Ok(form(
            StatusCode::UNAUTHORIZED,
            Some("This name and token do not go together."),
            next,
            &name,
        ));
    };
    match check(&app, from, &principal, token.trim(), true).await {
        Ok(voter) => {
            let known = app.site.runtime.principals(&app.site.host).await?;
            let begun = known
                .0
                .get(&voter.name)
                .map(|it| app.sessions.begin(voter.name.clone(), it, &*app.site.entropy));
            let begun = begun
                .transpose()
                .map_err(|error| PageError::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
            let Some(secret) = begun.flatten() else {
                return Ok(form(
                    StatusCode::UNAUTHORIZED,
                    Some("This name and token do not go together."),
                    next,
                    &name,
                ));
            };
            tracing::info!(%from, name = %voter.name, "logged in");
            let mut answer = Redirect::to(next).into_response();
            answer.headers_mut().append(SET_COOKIE, cookie(&secret, app.site.secure, None));
            Ok(answer)
        }
        Err(Unknown::Nobody) => {
            Ok(form(StatusCode::UNAUTHORIZED, Some("This name and token do not go together."), next, &name))
        }
        Err(Unknown::Closed(_)) => {
            let error = Some("Too many attempts. Wait a minute, and try again.");
            Ok(form(StatusCode::TOO_MANY_REQUESTS, error, next, &name))
        }
        Err(other) => Err(ApiError::from(other).into()),
    }
}

pub(super) async fn log_out(State(app): State<Arc<App>>, request: Request) -> Result<Response, PageError> {
    let (mut parts, body) = request.into_parts();
    let held = secret(&parts);
    let person = Person::from_request_parts(&mut parts, &app).await.ok();
    let LogOut { csrf } = read(Request::from_parts(parts, body)).await?;
    if let (Some(held), Some(person)) = (held, person) {
        if !person.may_change(Some(&csrf)) {
            return Err(PageError::new(StatusCode::FORBIDDEN, "this was asked for by another site"));
        }
        app.sessions.end(&held);
    }
    let mut answer = Redirect::to("/login").into_response();
    answer.headers_mut().append(SET_COOKIE, cookie("", app.site.secure, Some(0)));
    Ok(answer)
}

async fn read<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, PageError> {
    use axum::extract::FromRequest as _;
    let form = Form::<T>::from_request(request, &()).await;
    form.map(|Form(form)| form).map_err(|error| PageError::new(error.status(), error.body_text()))
}

/// Only scripts, of which there are none, and other sites are kept from it: browsers send it with our own requests.
fn cookie(secret: &str, secure: bool, age: Option<u32>) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let age = age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::from_str(&text).expect("hex digits can be sent")
}

/// A path of this site, and no other address.
fn within(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r']);
    if is_path && next.is_ascii() { next } else { "/" }
}

fn form(status: StatusCode, error: Option<&str>, next: &str, name: &str) -> Response {
    let body = html! {
        @if let Some(error) = error { p.notice role="alert" { (error) } }
        form.card method="post" action="/login" {
            input type="hidden" name="next" value=(within(next));
            label for="name" { "Name" }
            input #name name="name" value=(name) autocomplete="username" autocapitalize="none" spellcheck="false" required;
            label for="token" { "Token" }
            input #token name="token" type="password" autocomplete="current-password" required;
            p.hint { "The token that " code { "wflo identity add" } " printed." }
            button type="submit" { "Log in" }
        }
    };
    (status, Html(layout::outside("Log in", body).into_string())).into_response()
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn the_way_back_leads_nowhere_else() {
        assert_eq!(within("/approvals/apr_1?x=2"), "/approvals/apr_1?x=2");
        for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "", "evil", "/a\r\nb"] {
            assert_eq!(within(bad), "/", "{bad}");
        }
    }
}
