//! Extractors for the path, the query and the body of a request. Invalid input becomes an [`ApiError`].

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Form, Json};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::input::decode_json;
use crate::web::AppState;
use crate::web::answer::ApiError;

/// The query parameters.
pub(in crate::web) struct ApiQuery<T>(pub(in crate::web) T);

/// The path parameters.
pub(in crate::web) struct ApiPath<T>(pub(in crate::web) T);

/// The fields of a form of the page.
pub(in crate::web) struct PageForm<T>(pub(in crate::web) T);

/// A JSON body: an object without repeated keys.
pub(super) struct ApiJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|refused| {
            let why = refused.body_text();
            let why = why.strip_prefix("Failed to deserialize query string: ").unwrap_or(&why);
            ApiError::new(StatusCode::BAD_REQUEST, format!("the query after the `?` is invalid: {why}"))
        })
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let named = Path::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|refused| {
            let why = refused.body_text();
            let why = why.strip_prefix("Invalid URL: ").unwrap_or(&why);
            ApiError::new(StatusCode::BAD_REQUEST, format!("the path is invalid: {why}"))
        })
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for PageForm<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let said = Form::from_request(request, state).await;
        said.map(|Form(said)| Self(said)).map_err(|refused| {
            let why = refused.body_text();
            let why = why.strip_prefix("Failed to deserialize form body: ").unwrap_or(&why);
            ApiError::new(refused.status(), format!("the form is invalid: {why}"))
        })
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let said: Result<Json<Box<RawValue>>, _> = Json::from_request(request, state).await;
        let wrong = |why: &str| ApiError::new(StatusCode::BAD_REQUEST, format!("the body is invalid: {why}"));
        let Json(said) = said.map_err(|refused| match &refused {
            JsonRejection::MissingJsonContentType(_) => ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be JSON, with `Content-Type: application/json`",
            ),
            _ => wrong(&refused.body_text()),
        })?;
        let said = decode_json(said.get().as_bytes()).map_err(|why| wrong(&why.to_string()))?;
        // serde would also accept a list of the values in the same order.
        let said: Map<String, Value> = serde_json::from_value(said).map_err(|why| wrong(&why.to_string()))?;
        serde_json::from_value(Value::Object(said)).map(Self).map_err(|why| wrong(&why.to_string()))
    }
}

/// A number from 1 to `most`, or `otherwise` if none is given.
pub(super) fn within(name: &str, value: Option<u32>, most: u32, otherwise: u32) -> Result<u32, ApiError> {
    let number = value.unwrap_or(otherwise);
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::new(StatusCode::BAD_REQUEST, format!("`{name}` is {number}; it must be from 1 to {most}")))
}

/// Cuts a page from rows that were queried with one more than `limit`. Returns the number of the page's last row if
/// more rows follow.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32, number: impl Fn(&T) -> i64) -> Option<i64> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.last().filter(|_| more).map(number)
}

/// An optional number that must be at least `least`.
pub(super) fn from(name: &str, value: Option<i64>, least: i64) -> Result<Option<i64>, ApiError> {
    match value {
        Some(number) if number < least => {
            let why = format!("`{name}` is {number}; it must be {least} or more");
            Err(ApiError::new(StatusCode::BAD_REQUEST, why))
        }
        fine => Ok(fine),
    }
}
