//! The role that each route needs, and its check.

use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::request::Parts;

use super::Caller;
use crate::core::TokenRole;
use crate::web::AppState;
use crate::web::answer::ApiError;

use TokenRole::{Approver, Operator, Viewer};

/// The routes that ask for no caller.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/api/v1/openapi.json"),
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/language/{to}"),
    ("GET", "/assets/{file}"),
];

/// The method and the path of each other route, as the router has them, and its role.
const ROUTES: &[(&str, &str, TokenRole)] = &[
    ("GET", "/api/v1/overview", Viewer),
    ("GET", "/api/v1/events", Viewer),
    ("GET", "/api/v1/broadcasts", Viewer),
    ("GET", "/api/v1/broadcasts/{id}", Viewer),
    ("POST", "/api/v1/broadcasts/{id}/edit", Operator),
    ("POST", "/api/v1/broadcasts/{id}/approve", Approver),
    ("POST", "/api/v1/broadcasts/{id}/reject", Approver),
    ("POST", "/api/v1/broadcasts/{id}/{act}", Operator),
    ("GET", "/api/v1/broadcasts/{id}/recipients", Viewer),
    ("GET", "/api/v1/broadcasts/{id}/recipients/{seq}/message", Viewer),
    ("GET", "/api/v1/broadcasts/{id}/export", Viewer),
    ("GET", "/api/v1/sends", Viewer),
    ("POST", "/api/v1/sends/{id}/{act}", Operator),
    ("GET", "/api/v1/jobs", Viewer),
    ("GET", "/api/v1/jobs/{name}", Viewer),
    ("POST", "/api/v1/jobs/{name}/{act}", Operator),
    ("GET", "/api/v1/runs", Viewer),
    ("GET", "/api/v1/runs/{id}", Viewer),
    ("GET", "/api/v1/runs/{id}/output", Viewer),
    ("GET", "/api/v1/scripts", Viewer),
    ("POST", "/api/v1/scripts/run", Operator),
    ("POST", "/api/v1/scripts/rehearse", Operator),
    ("GET", "/api/v1/rehearsals/{id}", Viewer),
    ("POST", "/api/v1/run-files", Operator),
    ("GET", "/api/v1/suppressions", Viewer),
    ("POST", "/api/v1/suppressions", Operator),
    ("POST", "/api/v1/suppressions/remove", Operator),
    ("GET", "/api/v1/log", Viewer),
    ("GET", "/api/v1/quotas", Viewer),
    ("GET", "/api/v1/activity", Viewer),
    ("GET", "/api/v1/session", Viewer),
    ("GET", "/api/v1/audit", Approver),
    ("GET", "/metrics", Viewer),
    ("GET", "/", Viewer),
    ("GET", "/broadcasts", Viewer),
    ("GET", "/broadcasts/{id}", Viewer),
    ("GET", "/broadcasts/{id}/edit", Operator),
    ("GET", "/broadcasts/{id}/approve", Approver),
    ("POST", "/broadcasts/{id}/approve", Approver),
    ("GET", "/broadcasts/{id}/reject", Approver),
    ("POST", "/broadcasts/{id}/reject", Approver),
    ("POST", "/broadcasts/{id}/edit", Operator),
    ("GET", "/broadcasts/{id}/{act}", Operator),
    ("POST", "/broadcasts/{id}/{act}", Operator),
    ("GET", "/broadcasts/{id}/recipients/{seq}", Viewer),
    ("GET", "/broadcasts/{id}/recipients/{seq}/picture", Viewer),
    ("GET", "/sends/{id}/{act}", Operator),
    ("POST", "/sends/{id}/{act}", Operator),
    ("GET", "/job", Viewer),
    ("GET", "/job/{act}", Operator),
    ("POST", "/job/{act}", Operator),
    ("GET", "/run", Viewer),
    ("GET", "/run/output", Viewer),
    ("GET", "/script/run", Operator),
    ("POST", "/script/run", Operator),
    ("GET", "/rehearsals/{id}", Viewer),
    ("GET", "/rehearsals/{id}/{act}", Operator),
    ("POST", "/rehearsals/{id}/{act}", Operator),
    ("GET", "/suppressions", Viewer),
    ("POST", "/suppressions", Operator),
    ("GET", "/suppressions/remove", Operator),
    ("POST", "/suppressions/remove", Operator),
    ("GET", "/log", Viewer),
    ("GET", "/audit", Approver),
    ("GET", "/events", Viewer),
];

/// Checks the caller of a request against the role that its route needs, and adds the caller to the request. An address
/// that is no route needs none.
///
/// # Errors
///
/// Those of [`Caller::identify`], and 403 if the caller's role is not enough.
pub(super) async fn check(state: &AppState, head: &mut Parts) -> Result<(), ApiError> {
    let path = head.extensions.get::<MatchedPath>().cloned();
    let Some(role) = path.and_then(|path| needed_for(&head.method, path.as_str())) else { return Ok(()) };
    let caller = Caller::identify(state, head).await?;
    caller.require(role)?;
    head.extensions.insert(caller);
    Ok(())
}

/// The role that a method of a route needs. None for a route that asks for no caller. A method that the tables do not have
/// needs the highest role of its path, and a path that they do not have the highest of all.
pub(in crate::web) fn needed_for(method: &Method, path: &str) -> Option<TokenRole> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    if OPEN.contains(&(method, path)) {
        return None;
    }
    let of_path = || ROUTES.iter().filter(|(_, route, _)| *route == path);
    let own = of_path().find(|(of, ..)| *of == method).map(|(.., role)| *role);
    let highest = || of_path().map(|(.., role)| *role).max();
    Some(own.or_else(highest).unwrap_or(TokenRole::Admin))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The methods and paths of `.route("PATH", get(…).post(…))` in a source file.
    fn routes_in(source: &str) -> BTreeSet<(&str, String)> {
        let mut found = BTreeSet::new();
        for route in source.split(".route(").skip(1) {
            let mut parts = route.splitn(3, '"');
            let path = parts.nth(1).unwrap();
            let handlers = parts.next().unwrap().lines().next().unwrap();
            let before = found.len();
            for (method, call) in [("GET", "get("), ("POST", "post("), ("DELETE", "delete("), ("PUT", "put(")]
            {
                if handlers.contains(&format!(", {call}")) || handlers.contains(&format!(").{call}")) {
                    found.insert((method, path.to_owned()));
                }
            }
            assert!(found.len() > before, "{path}: {handlers}");
        }
        found
    }

    #[test]
    fn each_route_has_a_role_or_is_open_and_no_role_is_of_a_route_that_is_gone() {
        let mut found = routes_in(include_str!("../page/mod.rs"));
        assert!(found.len() > 30, "{found:#?}");
        found.extend(routes_in(include_str!("../metrics/mod.rs")));
        let api = crate::web::api::operations();
        found.extend(api.iter().map(|(method, path)| (*method, format!("/api/v1{path}"))));
        found.insert(("GET", "/api/v1/openapi.json".to_owned()));
        let of = |(method, path): (&'static str, &str)| (method, path.to_owned());
        let mut listed: BTreeSet<_> = OPEN.iter().copied().map(of).collect();
        let open = listed.len();
        listed.extend(ROUTES.iter().map(|(method, path, _)| (*method, (*path).to_owned())));
        assert_eq!(listed.len(), open + ROUTES.len(), "a route is listed twice");
        assert_eq!(listed, found, "{:#?}", listed.symmetric_difference(&found));
    }
}
