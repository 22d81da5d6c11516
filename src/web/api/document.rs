//! The OpenAPI document, generated from the handlers.

use axum::Router;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder,
};
use utoipa::openapi::{SecurityRequirement, Server};

use crate::web::AppState;
use crate::web::guard::needed_for;

/// The responses that every handler can give, so that handlers do not repeat them.
const ALL: [(&str, &str); 6] = [
    ("401", "The token is missing or invalid, expired or revoked"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too long"),
    ("421", "The `Host` header of the request is not a name of this host"),
    (
        "429",
        "The address has shown too many wrong tokens within a minute; `Retry-After` says when to try again",
    ),
    ("503", "The daemon is shutting down, or cannot read or write its ledger"),
];

/// The document without paths.
pub(super) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Mooncast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Reads the state of a daemon (`mooncast serve`) and controls it. Times are texts like `2026-06-01T08:00:00Z`; \
             durations are in seconds. `mooncast tokens add NAME --role ROLE` makes tokens. Each operation names the role that it needs in its 403 response: viewer, \
             operator, approver or admin, each of which includes those before it.",
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `mooncast tokens add`"))
        .build();
    let cookie =
        ApiKeyValue::with_description("mooncast", "The cookie of a browser that logged in on the page");
    let proxy = ApiKeyValue::with_description(
        "X-Forwarded-User",
        "The user, as a proxy of `[serve] trusted_proxies` names it. `[serve] user_header` turns this on and names the header.",
    );
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    components.add_security_scheme("proxy", SecurityScheme::ApiKey(ApiKey::Header(proxy)));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/api/v1")]))
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new("bearer", [""; 0]),
            SecurityRequirement::new("cookie", [""; 0]),
            SecurityRequirement::new("proxy", [""; 0]),
        ]))
        .build()
}

/// Serves the document at its own path. It contains nothing about the project, so it needs no token.
pub(super) fn serve(router: Router<AppState>, mut api: OpenApi) -> Router<AppState> {
    for (path, item) in &mut api.paths.paths {
        let methods = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in methods {
            for operation in operation.iter_mut() {
                complete(operation, &forbidden(&method, path));
            }
        }
    }
    // Serializing a document that was built here cannot fail; an empty one would show a bug.
    let json = Bytes::from(api.to_json().unwrap_or_default());
    let document = async move || ([(CONTENT_TYPE, "application/json")], json);
    router.route("/openapi.json", get(document))
}

/// The description of an operation's 403 response.
fn forbidden(method: &Method, path: &str) -> String {
    let foreign = "a browser sent the request for a page of another origin";
    match needed_for(method, &format!("/api/v1{path}")) {
        Some(role) => format!("The caller does not have the role {}, or {foreign}", role.or_above()),
        None => format!("There is no caller to refuse, but {foreign}"),
    }
}

fn complete(operation: &mut Operation, forbidden: &str) {
    for (status, description) in ALL.into_iter().chain([("403", forbidden)]) {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("ApiErrorBody"))).build();
        let response = ResponseBuilder::new().description(description).content("application/json", problem);
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
    }
}
