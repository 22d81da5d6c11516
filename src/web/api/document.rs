//! The OpenAPI document, generated from the handlers.

use axum::Router;
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

/// The responses that every handler can give, so that handlers do not repeat them.
const ALL: [(&str, &str); 5] = [
    ("401", "No token, or none that is in force"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too long"),
    ("421", "The host is not known by the name that it was asked for under"),
    ("503", "The daemon stops, or its ledger cannot be written or read now"),
];

/// The 403 responses of reading and of acting handlers.
const LOOKS: (&str, &str) = ("403", "A page of another origin asks through a browser");
const ACTS: (&str, &str) = ("403", "The token may only look, or a page of another origin asks");

/// The document without paths.
pub(super) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Mooncast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Looks at a daemon (`mooncast serve`) and steers it. Instants are texts like `2026-06-01T08:00:00Z`, \
             lengths of time are seconds. `mooncast tokens renew` makes the tokens: one of who may look, one of who may act too.",
        ))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token")).build();
    let cookie = ApiKeyValue::with_description("mooncast", "What a browser has that logged in on the page");
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/api/v1")]))
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new("bearer", [""; 0]),
            SecurityRequirement::new("cookie", [""; 0]),
        ]))
        .build()
}

/// Serves the document at its own path. It contains nothing about the project, so it needs no token.
pub(super) fn serve(router: Router<AppState>, mut api: OpenApi) -> Router<AppState> {
    for item in api.paths.paths.values_mut() {
        item.get.iter_mut().for_each(|get| complete(get, LOOKS));
        item.post.iter_mut().chain(&mut item.delete).for_each(|acts| complete(acts, ACTS));
    }
    // Serializing a document that was built here cannot fail; an empty one would show a bug.
    let json = Bytes::from(api.to_json().unwrap_or_default());
    let document = async move || ([(CONTENT_TYPE, "application/json")], json);
    router.route("/openapi.json", get(document))
}

fn complete(operation: &mut Operation, forbidden: (&str, &str)) {
    for (status, description) in ALL.into_iter().chain([forbidden]) {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
        let response = ResponseBuilder::new().description(description).content("application/json", problem);
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
    }
}
