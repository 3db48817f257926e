//! The JSON API, under `/api/v1`. `openapi.json` describes it.

mod extract;
mod schema;
mod shapes;

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use wflo::{ApprovalView, CostView, LogView, RunLine, RunView, Verdict};
use wflo_model::{ApprovalId, Digest, RunId};

use self::extract::{Body, Path, Query};
use crate::error::ApiError;
use crate::person::Person;
use crate::site::{App, WorkflowLine};

/// Most runs of one answer.
const PAGE: usize = 500;

type Answer<T> = Result<Json<T>, ApiError>;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/workflows", get(workflows))
        .route("/runs", get(runs).post(start))
        .route("/runs/{run}", get(run))
        .route("/runs/{run}/logs", get(logs))
        .route("/runs/{run}/cost", get(cost))
        .route("/runs/{run}/audit", get(audit))
        .route("/approvals", get(approvals))
        .route("/approvals/{id}", get(approval))
        .route("/approvals/{id}/decision", post(decide))
        .fallback(extract::nowhere)
        .method_not_allowed_fallback(extract::no_such_method)
}

/// Somebody who may change something: who shows the token with the request, or names what only our pages know.
pub(crate) struct Changing(pub(crate) Person);

impl FromRequestParts<Arc<App>> for Changing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let person = Person::from_request_parts(parts, app).await?;
        let named = parts.headers.get("wflo-csrf").and_then(|value| value.to_str().ok()).map(str::to_owned);
        if !person.may_change(named.as_deref()) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "the header `wflo-csrf` is missing or of another session",
            ));
        }
        person.may_work().map_err(|error| ApiError::new(StatusCode::FORBIDDEN, error))?;
        Ok(Self(person))
    }
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those made before this one.
    #[param(value_type = Option<String>)]
    before: Option<RunId>,
    /// At most so many; 100 unless said otherwise, 500 at most.
    limit: Option<usize>,
}

/// A run to start.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRun {
    /// The workflow.
    workflow: String,
    /// Its inputs.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Map<String, Value>,
    /// The same key is the same run of the workflow; with other inputs, or from somebody else, it is refused.
    key: Option<String>,
}

/// A run that was accepted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Started {
    /// Its id.
    #[schema(value_type = String)]
    run: RunId,
}

/// A decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decide {
    /// `approve` or `reject`.
    #[schema(value_type = String)]
    pub(crate) verdict: Verdict,
    /// Words to keep beside it.
    #[serde(default)]
    pub(crate) comment: Option<String>,
    /// The digest of what was decided on, as it was shown. When that is another by now, nothing is decided.
    #[schema(value_type = String)]
    pub(crate) subject_digest: Digest,
}

async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(schema::document())
}

/// What can be started.
#[utoipa::path(get, path = "/workflows", tag = "runs", responses((status = 200, body = [WorkflowLine])))]
pub(crate) async fn workflows(State(app): State<Arc<App>>, _: Person) -> Json<Vec<WorkflowLine>> {
    Json(app.site.workflows.list().await)
}

/// Runs, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", params(Which), responses((status = 200, body = [shapes::RunLine])))]
pub(crate) async fn runs(
    State(app): State<Arc<App>>,
    _: Person,
    Query(which): Query<Which>,
) -> Answer<Vec<RunLine>> {
    let limit = which.limit.unwrap_or(100).min(PAGE);
    Ok(Json(app.site.runtime.runs_before(which.before, limit).await?))
}

/// Accepts a run. It goes on by itself.
#[utoipa::path(
    post, path = "/runs", tag = "runs", request_body = StartRun,
    responses(
        (status = 202, description = "it goes on by itself", body = Started),
        (status = 403, description = "whoever asks may not start it", body = crate::error::Problem),
        (status = 404, description = "there is no such workflow", body = crate::error::Problem),
        (status = 409, description = "another run has the key", body = crate::error::Problem),
        (status = 422, description = "the workflow or its inputs are not as they must be", body = crate::error::Problem),
    )
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Changing(person): Changing,
    Body(wanted): Body<StartRun>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let StartRun { workflow, inputs, key } = wanted;
    let run = app.site.workflows.start(&workflow, inputs, &person.voter.name, key).await?;
    app.driver.drive(run);
    Ok((StatusCode::ACCEPTED, Json(Started { run })))
}

/// One run.
#[utoipa::path(
    get, path = "/runs/{run}", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = shapes::Run), (status = 404, body = crate::error::Problem))
)]
pub(crate) async fn run(State(app): State<Arc<App>>, _: Person, Path(run): Path<RunId>) -> Answer<RunView> {
    Ok(Json(app.site.runtime.show(run).await?))
}

/// What the steps of a run logged.
#[utoipa::path(
    get, path = "/runs/{run}/logs", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = [shapes::LogLine]))
)]
pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    _: Person,
    Path(run): Path<RunId>,
) -> Answer<Vec<LogView>> {
    Ok(Json(app.site.runtime.logs(run).await?))
}

/// What a run cost.
#[utoipa::path(
    get, path = "/runs/{run}/cost", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = shapes::Cost))
)]
pub(crate) async fn cost(State(app): State<Arc<App>>, _: Person, Path(run): Path<RunId>) -> Answer<CostView> {
    Ok(Json(app.site.runtime.cost(run).await?))
}

/// What happened in a run, in words.
#[utoipa::path(
    get, path = "/runs/{run}/audit", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = [EventLine]))
)]
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    _: Person,
    Path(run): Path<RunId>,
) -> Answer<Vec<EventLine>> {
    Ok(Json(timeline(&app, run).await?))
}

/// What waits for a decision.
#[utoipa::path(get, path = "/approvals", tag = "approvals", responses((status = 200, body = [shapes::Approval])))]
pub(crate) async fn approvals(State(app): State<Arc<App>>, _: Person) -> Answer<Vec<ApprovalView>> {
    Ok(Json(app.site.runtime.approvals(false).await?))
}

/// One approval: exactly what is decided on.
#[utoipa::path(
    get, path = "/approvals/{id}", tag = "approvals", params(("id" = String, Path)),
    responses((status = 200, body = shapes::Approval), (status = 404, body = crate::error::Problem))
)]
pub(crate) async fn approval(
    State(app): State<Arc<App>>,
    _: Person,
    Path(id): Path<ApprovalId>,
) -> Answer<ApprovalView> {
    Ok(Json(app.site.runtime.approval(id).await?))
}

/// Decides. The run goes on by itself.
#[utoipa::path(
    post, path = "/approvals/{id}/decision", tag = "approvals", params(("id" = String, Path)), request_body = Decide,
    responses(
        (status = 200, body = shapes::Approval),
        (status = 403, description = "whoever asks may not decide this", body = crate::error::Problem),
        (status = 404, description = "there is no such approval", body = crate::error::Problem),
        (status = 409, description = "it has changed since it was shown", body = crate::error::Problem),
    )
)]
pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    Changing(person): Changing,
    Path(id): Path<ApprovalId>,
    Body(decision): Body<Decide>,
) -> Answer<ApprovalView> {
    Ok(Json(vote(&app, &person, id, decision).await?))
}

/// Casts a vote on what was shown, and has the run go on.
pub(crate) async fn vote(
    app: &App,
    person: &Person,
    id: ApprovalId,
    decision: Decide,
) -> Result<ApprovalView, ApiError> {
    let shown = app.site.runtime.approval(id).await?;
    if shown.subject_digest != decision.subject_digest {
        return Err(ApiError::new(StatusCode::CONFLICT, "what is decided on has changed since it was shown"));
    }
    let comment = decision.comment.filter(|comment| !comment.trim().is_empty());
    let view = app.site.runtime.vote(id, &person.voter, decision.verdict, comment).await?;
    app.driver.drive(view.run);
    Ok(view)
}

/// One event, in words.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventLine {
    /// Its number.
    pub(crate) seq: u64,
    /// When, as RFC 3339.
    pub(crate) at: String,
    /// Seconds since the first event.
    pub(crate) since: f64,
    /// The step, and the item of one that fans out.
    pub(crate) step: Option<String>,
    /// What happened.
    pub(crate) text: String,
}

/// The events of a run, in words.
pub(crate) async fn timeline(app: &App, run: RunId) -> Result<Vec<EventLine>, ApiError> {
    let (mut lines, mut began) = (Vec::new(), None);
    let line = |event: wflo_engine::Recorded| {
        let began = *began.get_or_insert(event.time);
        lines.push(EventLine {
            seq: event.seq,
            at: event.time.to_string(),
            since: event.time.since(began).as_secs_f64(),
            step: event.place.unit_id().map(|unit| unit.to_string()),
            text: (app.site.describe)(&event),
        });
        Ok(())
    };
    app.site.runtime.each_event(run, 0, line).await?;
    Ok(lines)
}
