//! What a request holds, read as axum reads it; what cannot be read is answered as every other error of the API is.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// What stands in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(it)| Self(it))
            .map_err(|why| ApiError::new(why.status(), why.body_text()))
    }
}

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(it)| Self(it))
            .map_err(|why| ApiError::new(why.status(), why.body_text()))
    }
}

/// The body, in JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = axum::Json::from_request(request, state).await;
        read.map(|axum::Json(it)| Self(it)).map_err(|why| ApiError::new(why.status(), why.body_text()))
    }
}

/// An address of the API that there is not.
pub(crate) async fn nowhere() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "there is nothing at this address; `openapi.json` has all there are")
}

/// A method that an address does not have.
pub(crate) async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this address has no such method")
}
