//! The description of the API.

use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, SecurityRequirement, Server};

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
    for (path, item) in &mut document.paths.paths {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            complete(path, operation);
        }
    }
    document
}

/// Adds what every operation of its kind may answer, and says in words what a status means.
fn complete(path: &str, operation: &mut Operation) {
    let mut problem = |status: &str, means: &str| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let mut answer = Response::new(means);
        answer.content.insert("application/json".to_owned(), content.into());
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(answer));
    };
    problem("401", "who asks is not known");
    problem("429", "too many attempts to say who asks");
    if path.contains('{') || operation.parameters.is_some() {
        problem("400", "the path or the query cannot be read");
    }
    if path.starts_with("/runs/{run}") {
        problem("404", "there is no such run");
        problem("410", "the run was erased");
    }
    if path.starts_with("/approvals/{id}") {
        problem("404", "there is no such approval");
    }
    if operation.request_body.is_some() {
        problem("400", "the body is no JSON");
        problem("413", "the body is too long");
        problem("415", "the body is not said to be JSON");
        problem("422", "the body is not as it must be");
    }
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            let means = if status == "200" { "what was asked for" } else { "what went wrong" };
            means.clone_into(&mut answer.description);
        }
    }
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

    /// What the specification requires of it, as far as it is easily missed.
    #[test]
    fn every_answer_says_what_it_means_and_every_parameter_where_it_stands() {
        let document = serde_json::to_value(super::document()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let means = answer["description"].as_str().unwrap_or_default();
                    assert!(!means.is_empty(), "{method} {path}: {status}");
                }
                assert!(operation["responses"]["401"].is_object(), "{method} {path}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let in_path = path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
                    assert_eq!(
                        parameter["in"],
                        if in_path { "path" } else { "query" },
                        "{path}: {parameter}"
                    );
                    assert_eq!(
                        parameter["required"].as_bool().unwrap_or(false),
                        in_path,
                        "{path}: {parameter}"
                    );
                }
            }
        }
    }
}
