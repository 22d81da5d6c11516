//! What a request says in its address and its body: understood, or refused in the words of [`Problem`].

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::web::AppState;
use crate::web::answer::ApiError;

/// What stands after the `?`.
pub(super) struct ApiQuery<T>(pub(super) T);

/// The names and numbers in the path.
pub(super) struct ApiPath<T>(pub(super) T);

/// A body in JSON.
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
        // An object: a list of the same values in the same order would pass as well.
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

/// A number within its bounds, or the one that stands for none.
pub(super) fn within(name: &str, asked: Option<u32>, most: u32, otherwise: u32) -> Result<u32, ApiError> {
    let number = asked.unwrap_or(otherwise);
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::new(StatusCode::BAD_REQUEST, format!("`{name}` is {number}; 1 to {most} is right")))
}

/// Cuts a page off rows of which one more than `limit` were asked for. Gives the number of its last row where more rows
/// come after it.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32, number: impl Fn(&T) -> i64) -> Option<i64> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.last().filter(|_| more).map(number)
}

/// A number that is not too small, where there is one.
pub(super) fn from(name: &str, asked: Option<i64>, least: i64) -> Result<Option<i64>, ApiError> {
    match asked {
        Some(number) if number < least => {
            let why = format!("`{name}` is {number}; {least} or more is right");
            Err(ApiError::new(StatusCode::BAD_REQUEST, why))
        }
        fine => Ok(fine),
    }
}
