//! What every answer says to the browser, and what every change has to show.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::site::App;

/// Nothing but our own style sheet is loaded, and forms lead only here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Refuses what is asked for under another's name, and changes that another site asks for; adds the headers.
pub(crate) async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut answer = if !is_ours(request.headers(), app.site.host.outside.pages()) {
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "nothing is served under this name").into_response()
    } else if changes && !is_from_here(request.headers()) {
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

/// Whether the name that a request is for is ours: an address, this machine, or where people find the pages. Any other
/// name was made to lead here by somebody whose page would then count as one of ours.
fn is_ours(headers: &HeaderMap, pages: Option<&str>) -> bool {
    // One, and no second by which whoever stands in between might go.
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|value| value.to_str().ok()), hosts.next()) else {
        return false;
    };
    let ours =
        pages.and_then(|url| url.split_once("://")).map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<IpAddr>().is_ok() || ours == Some(host) || ours == Some(name)
}

/// Whether the page that asks is one of ours. Programs send no origin. (`null` is what our own policy about referrers has
/// browsers send with forms.)
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| !matches!(site, "same-origin" | "none"))
    {
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
    fn a_name_that_somebody_made_lead_here_is_not_ours() {
        let asks = |host: &str, pages| {
            is_ours(&HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]), pages)
        };
        for ours in ["127.0.0.1:7878", "[::1]:7878", "localhost", "localhost:7878", "10.0.0.5"] {
            assert!(asks(ours, None), "{ours}");
        }
        assert!(!asks("evil.example", None) && !asks("evil.example:7878", Some("https://wflo.example.org")));
        assert!(asks("wflo.example.org", Some("https://wflo.example.org/x")));
        assert!(asks("wflo.example.org:8443", Some("https://wflo.example.org:8443")));
        assert!(!is_ours(&HeaderMap::new(), None));
    }

    #[test]
    fn only_our_pages_and_programs_may_ask_for_changes() {
        let asks = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            is_from_here(&pairs.collect())
        };
        assert!(asks(&[]));
        assert!(asks(&[
            ("host", "127.0.0.1:7878"),
            ("origin", "http://127.0.0.1:7878"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(asks(&[("host", "127.0.0.1:7878"), ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!asks(&[("host", "127.0.0.1:7878"), ("origin", "http://127.0.0.1:7879")]));
        assert!(!asks(&[("host", "127.0.0.1:7878"), ("sec-fetch-site", "same-site")]));
        assert!(!asks(&[("host", "127.0.0.1:7878"), ("origin", "null"), ("sec-fetch-site", "cross-site")]));
    }
}
