//! Requests to other services in a test: none is sent, and the test defines the responses.

use std::rc::Rc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::protocol::{HostResponse, HttpRequest, HttpValue, HttpValuePart, RequestFailure};
use crate::run::budget::MemoryReservation;
use crate::run::outbound::{HttpOut, OutboundHttp};
use crate::run::variables::GrantedVariables;

use super::Testbed;

/// The response to requests to an address.
#[derive(Debug)]
pub(super) struct TestHttpReply {
    url: String,
    status: u16,
    body: String,
}

impl TestHttpReply {
    fn is_for(&self, url: &str) -> bool {
        match self.url.strip_suffix('*') {
            Some(beginning) => url.starts_with(beginning),
            None => url == self.url,
        }
    }
}

/// A request that a script made.
#[derive(Debug)]
pub(super) struct TestHttpRequest {
    method: String,
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// Answers requests as the test defines.
pub(in super::super) struct TestHttp {
    pub(in super::super) testbed: Rc<Testbed>,
    /// Checks the requests, and sends none.
    pub(in super::super) network: OutboundHttp,
}

#[async_trait(?Send)]
impl HttpOut for TestHttp {
    async fn request(
        &self,
        request: HttpRequest,
        variables: &GrantedVariables,
        _: &mut MemoryReservation,
    ) -> Result<HostResponse, RequestFailure> {
        self.network.look(&request, variables)?;
        self.testbed.request(&request)
    }
}

impl Testbed {
    /// Sets the response to requests to an address.
    pub(super) fn reply(
        &self,
        url: String,
        status: u16,
        body: String,
    ) -> Result<HostResponse, RequestFailure> {
        if !(100..=599).contains(&status) {
            return Err(RequestFailure::invalid(
                "status",
                format!("status: {status} is not between 100 and 599"),
            ));
        }
        // The newest reply is found first.
        self.replies.borrow_mut().insert(0, TestHttpReply { url, status, body });
        Ok(HostResponse::Nothing)
    }

    /// Records a granted request, and answers it.
    fn request(&self, request: &HttpRequest) -> Result<HostResponse, RequestFailure> {
        let headers =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), shown(value))).collect();
        self.requests.borrow_mut().push(TestHttpRequest {
            method: request.method.clone(),
            url: request.url.clone(),
            query: request.query.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
            headers,
            body: request.body.as_ref().map(shown),
        });
        let replies = self.replies.borrow();
        let reply = replies.iter().find(|reply| reply.is_for(&request.url)).ok_or_else(|| {
            RequestFailure::denied(format!(
                "a test sends no requests; define the answer to this one: t.reply(\"{}\", {{ status = 200, \
                 body = \"…\" }})",
                request.url
            ))
        })?;
        Ok(HostResponse::Response {
            status: reply.status,
            headers: Vec::new(),
            body: Bytes::from(reply.body.clone().into_bytes()),
        })
    }

    /// Returns the requests, in order.
    pub(super) fn requests(&self) -> Value {
        let requests = self.requests.borrow();
        let one = |request: &TestHttpRequest| {
            let map = |pairs: &[(String, String)]| -> serde_json::Map<_, _> {
                pairs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
            };
            let mut one =
                json!({ "method": request.method, "url": request.url, "headers": map(&request.headers) });
            if !request.query.is_empty() {
                one["query"] = map(&request.query).into();
            }
            if let Some(body) = &request.body {
                one["body"] = body.clone().into();
            }
            one
        };
        requests.iter().map(one).collect()
    }
}

/// Returns a text of a request, with secrets shown by name.
fn shown(value: &HttpValue) -> String {
    let part = |part: &HttpValuePart| match part {
        HttpValuePart::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        HttpValuePart::Secret(name) => format!("<secret {name}>"),
    };
    value.0.iter().map(part).collect()
}
