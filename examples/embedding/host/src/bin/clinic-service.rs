//! The clinic as a service: runs are started and shown over HTTP, and people decide there.
//!
//! `clinic-service FOLDER STATE`: it prints the address on which it listens, on loopback.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clinic::Clinic;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wflo::{ApprovalView, RunView, RuntimeError, Verdict, Voter};
use wflo_model::{ApprovalId, RunId};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).map(PathBuf::from);
    let usage = "usage: clinic-service FOLDER STATE";
    let clinic = Clinic::open(&args.next().context(usage)?, &args.next().context(usage)?).await?;
    // What a process before this one has left goes on where it was.
    for run in clinic.runtime.unfinished().await? {
        clinic.go_on(run);
    }
    tokio::spawn(Arc::clone(&clinic).keep_going());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, routes(clinic)).await?;
    Ok(())
}

fn routes(clinic: Arc<Clinic>) -> Router {
    Router::new()
        .route("/runs", post(start))
        .route("/runs/{run}", get(show))
        .route("/approvals", get(asked))
        .route("/approvals/{id}", post(decide))
        .with_state(clinic)
}

/// Accepts a run. It is durable when this answers, and goes on by itself.
async fn start(
    State(clinic): State<Arc<Clinic>>,
    Json(inputs): Json<Map<String, Value>>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let run = clinic.start(inputs).await.map_err(|error| Refused::Inputs(error.to_string()))?;
    clinic.go_on(run);
    Ok((StatusCode::ACCEPTED, Json(json!({ "run": run }))))
}

async fn show(State(clinic): State<Arc<Clinic>>, Path(run): Path<RunId>) -> Result<Json<RunView>, Refused> {
    Ok(Json(clinic.runtime.show(run).await?))
}

async fn asked(State(clinic): State<Arc<Clinic>>) -> Result<Json<Vec<ApprovalView>>, Refused> {
    Ok(Json(clinic.runtime.approvals(false).await?))
}

/// A decision, as somebody posts it.
#[derive(Deserialize)]
struct Decision {
    verdict: Verdict,
    comment: Option<String>,
}

/// Takes a vote, and lets the run go on. Who votes is told by what they log in with, never by what they post.
async fn decide(
    State(clinic): State<Arc<Clinic>>,
    Path(id): Path<ApprovalId>,
    headers: HeaderMap,
    Json(Decision { verdict, comment }): Json<Decision>,
) -> Result<Json<ApprovalView>, Refused> {
    let voter = who(&clinic, &headers).ok_or(Refused::Nobody)?;
    let approval = clinic.runtime.vote(id, &voter, verdict, comment).await?;
    clinic.go_on(approval.run);
    Ok(Json(approval))
}

/// The clinic's own log-in: a session that some other part of it has checked stands in a header.
fn who(clinic: &Clinic, headers: &HeaderMap) -> Option<Voter> {
    let session = headers.get("x-clinic-user")?.to_str().ok()?;
    clinic.voter(&session.parse().ok()?)
}

/// Why a request is not done.
enum Refused {
    Nobody,
    Inputs(String),
    Runtime(RuntimeError),
}

impl From<RuntimeError> for Refused {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Nobody => (StatusCode::UNAUTHORIZED, "nobody is logged in".to_owned()),
            Self::Inputs(message) => (StatusCode::UNPROCESSABLE_ENTITY, message),
            Self::Runtime(error) => (status_of(&error), error.to_string()),
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}

/// Errors are cut by what the caller does next.
fn status_of(error: &RuntimeError) -> StatusCode {
    match error {
        RuntimeError::NoSuchRun { .. } | RuntimeError::NoSuchApproval { .. } => StatusCode::NOT_FOUND,
        RuntimeError::Vote(_) => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
