//! A request with its secrets filled in. From here on none of it is logged or shown.

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, Request, Url};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::protocol::{HttpRequest, HttpValue, HttpValuePart, RequestFailure};

use super::super::variables::GrantedVariables;

/// The most headers of one request, and their most bytes: the limits of common servers.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Headers that belong to the connection, which a script may not set. A different `host` would reach another service
/// behind the granted address.
const OF_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The most bytes of a query that is added to an address, before percent-encoding.
const MAX_QUERY_BYTES: usize = 8 * 1024;

/// A complete request except for its address.
pub(super) struct OutboundRequest {
    method: Method,
    query: Vec<(String, Zeroizing<String>)>,
    headers: HeaderMap,
    body: Option<Zeroizing<Vec<u8>>>,
    /// The name of a secret that it contains, if there is one.
    pub(super) secret: Option<String>,
    /// Whether the request can be repeated without doing more than once.
    pub(super) repeatable: bool,
}

impl OutboundRequest {
    pub(super) fn request(self, mut url: Url) -> Request {
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.query.iter().map(|(name, value)| (name, value.as_str())));
        }
        let mut request = Request::new(self.method, url);
        *request.headers_mut() = self.headers;
        *request.body_mut() = self.body.map(|body| Body::from(Bytes::from_owner(body)));
        request
    }
}

/// Checks a request and fills in its secrets.
pub(super) fn prepare(
    request: &HttpRequest,
    variables: &GrantedVariables,
) -> Result<OutboundRequest, RequestFailure> {
    let method = method(&request.method)?;
    let mut filler = SecretFiller { variables, secret: None };
    let mut headers = HeaderMap::new();
    if request.headers.len() > MAX_HEADERS {
        return Err(RequestFailure::invalid("headers", format!("more than {MAX_HEADERS} headers")));
    }
    let mut bytes = 0;
    for (name, value) in &request.headers {
        let (name, value) = header(name, value, &mut filler)?;
        bytes += name.as_str().len() + value.len();
        headers.append(name, value);
    }
    if bytes > MAX_HEADER_BYTES {
        let message = format!("the headers have {bytes} bytes; at most {MAX_HEADER_BYTES} are allowed");
        return Err(RequestFailure::invalid("headers", message));
    }
    let query = query(&request.query, &mut filler)?;
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip, deflate"));
    let body = request.body.as_ref().map(|body| filler.fill(body)).transpose()?;
    let repeatable = method.is_idempotent();
    Ok(OutboundRequest { method, query, headers, body, secret: filler.secret, repeatable })
}

fn method(text: &str) -> Result<Method, RequestFailure> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if !matches!(method, Method::CONNECT | Method::TRACE) => Ok(method),
        _ => {
            Err(RequestFailure::invalid("method", format!("`{}` is not an HTTP method", text.escape_debug())))
        }
    }
}

/// Fills in the values of a query.
fn query(
    given: &[(String, HttpValue)],
    filler: &mut SecretFiller,
) -> Result<Vec<(String, Zeroizing<String>)>, RequestFailure> {
    let mut query = Vec::with_capacity(given.len());
    let mut bytes = 0;
    for (name, value) in given {
        let value = filler.fill(value)?;
        bytes += name.len() + value.len();
        // The value is not shown, because it may contain a secret.
        let text = std::str::from_utf8(&value).map_err(|_| {
            RequestFailure::invalid(format!("query.{}", name.escape_debug()), "the value is not UTF-8")
        })?;
        query.push((name.clone(), Zeroizing::new(text.to_owned())));
    }
    if bytes > MAX_QUERY_BYTES {
        let message = format!("the query has {bytes} bytes; at most {MAX_QUERY_BYTES} are allowed");
        return Err(RequestFailure::invalid("query", message));
    }
    Ok(query)
}

fn header(
    name: &str,
    value: &HttpValue,
    filler: &mut SecretFiller,
) -> Result<(HeaderName, HeaderValue), RequestFailure> {
    let field = || format!("headers.{}", name.escape_debug());
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(RequestFailure::invalid(
            field(),
            format!("`{}` is not a header name", name.escape_debug()),
        ));
    };
    if OF_CONNECTION.contains(&parsed.as_str()) {
        return Err(RequestFailure::invalid(
            field(),
            format!("the header `{parsed}` is set only by the host"),
        ));
    }
    let bytes = filler.fill(value)?;
    let Ok(mut value) = HeaderValue::from_bytes(&bytes) else {
        // The value is not shown, because it may contain a secret.
        let message = format!(
            "the value of the header `{parsed}` holds a character that headers do not allow, such as a line break"
        );
        return Err(RequestFailure::invalid(field(), message));
    };
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// The expected maximum length of a secret, in bytes.
const LONGEST_SECRET: usize = 4096;

struct SecretFiller<'a> {
    variables: &'a GrantedVariables,
    secret: Option<String>,
}

impl SecretFiller<'_> {
    /// Returns the text with its secrets filled in. It is zeroed when it is dropped.
    fn fill(&mut self, value: &HttpValue) -> Result<Zeroizing<Vec<u8>>, RequestFailure> {
        let texts = value.0.iter().map(|part| match part {
            HttpValuePart::Text(text) => text.len(),
            HttpValuePart::Secret(_) => LONGEST_SECRET,
        });
        // Large enough from the start: growth would leave a copy of the secret behind.
        let mut filled = Zeroizing::new(Vec::with_capacity(texts.sum()));
        for part in &value.0 {
            match part {
                HttpValuePart::Text(text) => filled.extend_from_slice(text),
                HttpValuePart::Secret(name) => {
                    filled.extend_from_slice(self.variables.secret(name)?.expose_secret().as_bytes());
                    self.secret = Some(name.clone());
                }
            }
        }
        Ok(filled)
    }
}
