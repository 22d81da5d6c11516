//! Extractors for the path, the query and the body of a request. Invalid input becomes an [`ApiError`].

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::web::AppState;
use crate::web::answer::ApiError;

/// The query parameters.
pub(super) struct ApiQuery<T>(pub(super) T);

/// The path parameters.
pub(super) struct ApiPath<T>(pub(super) T);

/// A JSON body.
pub(super) struct ApiJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &AppState) -> Result<Self, ApiError> {
        let asked = Query::from_request_parts(parts, site).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|refused| {
            let why = refused.body_text();
            let why = why.strip_prefix("Failed to deserialize query string: ").unwrap_or(&why);
            ApiError::new(StatusCode::BAD_REQUEST, format!("what stands after the `?` is not right: {why}"))
        })
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &AppState) -> Result<Self, ApiError> {
        let named = Path::from_request_parts(parts, site).await;
        named.map(|Path(named)| Self(named)).map_err(|refused| {
            let why = refused.body_text();
            let why = why.strip_prefix("Invalid URL: ").unwrap_or(&why);
            ApiError::new(StatusCode::BAD_REQUEST, format!("the address is not right: {why}"))
        })
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, site: &AppState) -> Result<Self, ApiError> {
        // The body must be an object: serde would also accept a list of the values in the same order.
        let said: Result<Json<Map<String, Value>>, _> = Json::from_request(request, site).await;
        let wrong =
            |why: &str| ApiError::new(StatusCode::BAD_REQUEST, format!("the body is not right: {why}"));
        let Json(said) = said.map_err(|refused| match &refused {
            JsonRejection::MissingJsonContentType(_) => ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be JSON, and its `Content-Type` application/json",
            ),
            _ => wrong(&refused.body_text()),
        })?;
        serde_json::from_value(Value::Object(said)).map(Self).map_err(|why| wrong(&why.to_string()))
    }
}

/// A number from 1 to `most`, or `otherwise` if none is given.
pub(super) fn within(name: &str, asked: Option<u32>, most: u32, otherwise: u32) -> Result<u32, ApiError> {
    let number = asked.unwrap_or(otherwise);
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::new(StatusCode::BAD_REQUEST, format!("`{name}` is {number}; 1 to {most} is right")))
}

/// Cuts a page from rows that were queried with one more than `limit`. Returns the number of the page's last row if
/// more rows follow.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32, number: impl Fn(&T) -> i64) -> Option<i64> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.last().filter(|_| more).map(number)
}

/// An optional number that must be at least `least`.
pub(super) fn from(name: &str, asked: Option<i64>, least: i64) -> Result<Option<i64>, ApiError> {
    match asked {
        Some(number) if number < least => {
            let why = format!("`{name}` is {number}; {least} or more is right");
            Err(ApiError::new(StatusCode::BAD_REQUEST, why))
        }
        fine => Ok(fine),
    }
}
