//! What went wrong, as answers.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wflo::RuntimeError;
use wflo_journal::ReadError;

use crate::person::Unknown;

/// Why a run was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// There is no such workflow here.
    #[error("there is no workflow `{name}` here")]
    NoSuchWorkflow {
        /// The name asked for.
        name: String,
    },
    /// The workflow or its inputs are not as they must be.
    #[error("{message}")]
    Refused {
        /// What is wrong.
        message: String,
    },
    /// The runtime did not accept it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// An error as the API answers it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// What went wrong.
    pub(crate) error: String,
}

/// An error, and the status that says whose it is.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl std::fmt::Display) -> Self {
        Self { status, message: message.to_string(), retry_after: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut answer = (self.status, Json(Problem { error: self.message })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"wflo\""));
        }
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

impl From<Unknown> for ApiError {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Nobody => Self::new(StatusCode::UNAUTHORIZED, "who you are is not known"),
            Unknown::Closed(wait) => Self {
                retry_after: Some(wait.as_secs() + 1),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too many attempts; wait a while")
            },
            Unknown::Failed(error) => error.into(),
        }
    }
}

impl From<RuntimeError> for ApiError {
    fn from(error: RuntimeError) -> Self {
        let status = match &error {
            RuntimeError::NoSuchRun { .. }
            | RuntimeError::NoSuchStep { .. }
            | RuntimeError::NoSuchApproval { .. }
            | RuntimeError::NoSuchArtifact { .. } => StatusCode::NOT_FOUND,
            RuntimeError::Journal(ReadError::Erased { .. }) => StatusCode::GONE,
            RuntimeError::Vote(_) | RuntimeError::Denied { .. } | RuntimeError::NotPermitted(_) => {
                StatusCode::FORBIDDEN
            }
            RuntimeError::Mute { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            RuntimeError::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            RuntimeError::NotAuthenticated(_) => StatusCode::UNAUTHORIZED,
            RuntimeError::Ended { .. } | RuntimeError::HasForks { .. } | RuntimeError::KeyTaken { .. } => {
                StatusCode::CONFLICT
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "a request failed");
        }
        Self::new(status, error)
    }
}

impl From<NotStarted> for ApiError {
    fn from(error: NotStarted) -> Self {
        match error {
            NotStarted::NoSuchWorkflow { .. } => Self::new(StatusCode::NOT_FOUND, error),
            NotStarted::Refused { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error),
            NotStarted::Runtime(error) => error.into(),
        }
    }
}
