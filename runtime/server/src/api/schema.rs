//! The description of the API.

use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{SecurityRequirement, Server};

use crate::session::COOKIE;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "wflo",
        description = "Runs, what waits for a decision, and what was spent. Programs show the name and token of a \
                       principal with each request; pages have a session."
    ),
    paths(
        super::workflows,
        super::runs,
        super::start,
        super::run,
        super::logs,
        super::cost,
        super::audit,
        super::approvals,
        super::approval,
        super::decide
    )
)]
struct Api;

/// The whole document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Api::openapi();
    document.servers = Some(vec![Server::new("/api/v1")]);
    let components = document.components.get_or_insert_default();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
    let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
    components.add_security_scheme("token", token);
    components.add_security_scheme("session", session);
    let none: [&str; 0] = [];
    document.security =
        Some(vec![SecurityRequirement::new("token", none), SecurityRequirement::new("session", none)]);
    document
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_is_named_is_described() {
        let document = serde_json::to_value(super::document()).unwrap();
        let text = document.to_string();
        for piece in text.split("#/components/schemas/").skip(1) {
            let name = piece.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "`{name}` is not described");
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), 9);
    }
}
