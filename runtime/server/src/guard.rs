//! What every answer says to the browser, and what every change has to show.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::site::App;

/// Nothing but our own style sheet is loaded, and forms lead only here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Refuses changes that another site asks for, and adds the headers.
pub(crate) async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut answer = if changes && !is_from_here(request.headers()) {
        ApiError::new(StatusCode::FORBIDDEN, "this was asked for by another site").into_response()
    } else {
        next.run(request).await
    };
    let headers = answer.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    set(REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    // What is shown is of people and their data: no shared cache or disk keeps it.
    set(CACHE_CONTROL, "no-store");
    if app.site.secure {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    answer
}

/// Whether the page that asks is one of ours. Programs send no origin. (`null` is what our own policy about referrers has
/// browsers send with forms.)
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(HeaderName::from_static("sec-fetch-site")).is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    let Some(origin) = text(ORIGIN).filter(|origin| *origin != "null") else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_pages_and_programs_may_ask_for_changes() {
        let asks = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            is_from_here(&pairs.collect())
        };
        assert!(asks(&[]));
        assert!(asks(&[("host", "127.0.0.1:7878"), ("origin", "http://127.0.0.1:7878"), ("sec-fetch-site", "same-origin")]));
        assert!(asks(&[("host", "127.0.0.1:7878"), ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!asks(&[("host", "127.0.0.1:7878"), ("origin", "http://127.0.0.1:7879")]));
        assert!(!asks(&[("host", "127.0.0.1:7878"), ("sec-fetch-site", "same-site")]));
        assert!(!asks(&[("host", "127.0.0.1:7878"), ("origin", "null"), ("sec-fetch-site", "cross-site")]));
    }
}
