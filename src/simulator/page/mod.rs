//! The simulator's own page: what each recipient received, in order, as a phone would show it.
//!
//! `GET /` is the page, `/_sim/page.css` its style, and `/_sim/picture/{uuid}` an uploaded picture. The server renders all of
//! it; there is no script, and the headers permit none. Everything that a message says is escaped.
//!
//! - `view`: what the page shows. Its texts are in `words/`.

mod view;

use std::sync::LazyLock;

use axum::extract::Query;
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::Simulator;
use super::answer::{json, response};
use crate::language::{Language, Translations};
use view::PageQuery;

const TEMPLATE: &str = "page.html";

/// No script, no frame, and nothing of another host.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// A picture that is opened by itself can do nothing.
const PICTURE_POLICY: &str = "default-src 'none'; sandbox";

static TEXTS: LazyLock<Translations> =
    LazyLock::new(|| Translations::read(include_str!("words/en.toml"), include_str!("words/zh.toml")));

static TEMPLATES: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.add_template(TEMPLATE, include_str!("page.html"))?;
    templates.add_function("t", t);
    Ok(templates)
});

/// `{{ t('name', n=3) }}`: a text of the page.
#[expect(clippy::needless_pass_by_value, reason = "minijinja gives it away")]
fn t(state: &State, name: &str, given: Kwargs) -> Result<String, Error> {
    let mut values = Vec::new();
    for key in given.args() {
        values.push((key, given.get::<Value>(key)?.to_string()));
    }
    let tag = state.lookup("lang");
    let language = tag.as_ref().and_then(|tag| Language::of(tag.as_str()?)).unwrap_or(Language::English);
    let missing = || Error::new(ErrorKind::InvalidOperation, format!("there is no text `{name}`"));
    TEXTS.say(language, name, &values).ok_or_else(missing)
}

/// Answers `GET /`.
pub(super) fn page(simulator: &Simulator, request: &Request<Bytes>) -> Response<Bytes> {
    let query = Query::<PageQuery>::try_from_uri(request.uri()).map(|Query(query)| query).unwrap_or_default();
    let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|accepted| accepted.to_str().ok());
    let language = Language::preferred(accepted.unwrap_or_default());
    let view = view::of(simulator, &query, language.tag());
    let rendered = TEMPLATES.as_ref().map_err(Error::to_string).and_then(|templates| {
        let template = templates.get_template(TEMPLATE);
        template.and_then(|found| found.render(Serde(&view))).map_err(|error| format!("{error:#}"))
    });
    match rendered {
        Ok(html) => with_headers(response(StatusCode::OK, "text/html; charset=utf-8", html), POLICY),
        Err(error) => {
            tracing::error!("cannot render the simulator's page: {error}");
            let problem = serde_json::json!({ "error": "the page cannot be rendered" });
            json(StatusCode::INTERNAL_SERVER_ERROR, &problem)
        }
    }
}

/// Answers `GET /_sim/page.css`.
pub(super) fn style() -> Response<Bytes> {
    with_headers(response(StatusCode::OK, "text/css; charset=utf-8", include_str!("page.css")), POLICY)
}

/// Answers `GET /_sim/picture/{uuid}`. None if there is no such upload, or it is no picture.
pub(super) fn picture(simulator: &Simulator, uuid: &str) -> Option<Response<Bytes>> {
    let bytes = simulator.stored_file(uuid)?;
    let kind = picture_type(&bytes)?;
    Some(with_headers(response(StatusCode::OK, kind, bytes), PICTURE_POLICY))
}

/// Returns the media type of a picture by its first bytes. A type that can contain a script is none.
fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'B', b'M', ..] => Some("image/bmp"),
        _ => None,
    }
}

fn with_headers(mut response: Response<Bytes>, policy: &'static str) -> Response<Bytes> {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_text_is_there_in_both_languages() {
        super::TEXTS.check(30);
    }
}
