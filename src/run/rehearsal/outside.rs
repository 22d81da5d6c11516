//! Effects outside the program, such as requests to other services and recalls: a rehearsal lists them and skips
//! them.

use std::rc::Rc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;

use crate::client::RestAnswer;
use crate::protocol::{HostResponse, HttpRequest, HttpValue, HttpValuePart, RequestFailure};
use crate::run::budget::MemoryReservation;
use crate::run::outbound::{HttpOut, OutboundHttp};
use crate::run::rest::{GrantedRest, RestOut};
use crate::run::services::RunServices;
use crate::run::variables::GrantedVariables;

use super::Rehearsal;

/// The most effects that are listed.
const MOST: usize = 1000;

/// The header that tells the author of the script why a response is empty.
const HEADER: &str = "x-mooncast-rehearsal";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedEffect {
    /// What was requested: for example `POST https://api.example.com/orders`, or a recall.
    pub what: String,
    /// Bytes of the request's body, without its secrets; 0 for a recall.
    pub bytes: u64,
}

/// Sends the GET requests of a rehearsal, and lists the others.
pub(in super::super) struct RehearsedHttp {
    pub(in super::super) rehearsal: Rc<Rehearsal>,
    pub(in super::super) network: OutboundHttp,
}

#[async_trait(?Send)]
impl HttpOut for RehearsedHttp {
    async fn request(
        &self,
        request: HttpRequest,
        variables: &GrantedVariables,
        memory: &mut MemoryReservation,
    ) -> Result<HostResponse, RequestFailure> {
        if request.method.eq_ignore_ascii_case("GET") {
            return self.network.request(request, variables, memory).await;
        }
        self.network.look(&request, variables)?;
        Ok(self.rehearsal.http(&request))
    }
}

impl Rehearsal {
    /// Lists a granted request, and answers as if it had succeeded.
    fn http(&self, request: &HttpRequest) -> HostResponse {
        let bytes = request.body.as_ref().map_or(0, known_bytes);
        let url = request.url.split(['?', '#']).next().unwrap_or_default();
        self.list(SkippedEffect { what: format!("{} {url}", request.method), bytes });
        HostResponse::Response {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), Bytes::from_static(b"application/json")),
                (HEADER.to_owned(), Bytes::from_static(b"not sent")),
            ],
            body: Bytes::from_static(b"{}"),
        }
    }

    pub(super) fn list(&self, not_sent: SkippedEffect) {
        let mut outside = self.outside.borrow_mut();
        if outside.len() < MOST {
            outside.push(not_sent);
        }
    }
}

#[async_trait(?Send)]
impl RestOut for Rehearsal {
    /// Reads the service where the rehearsal may read its lists, and lists every other call.
    async fn call(
        &self,
        services: &RunServices,
        GrantedRest { app, call, options }: GrantedRest,
    ) -> Result<Option<RestAnswer>, RequestFailure> {
        if call.method.only_reads()
            && let Ok((lists, _hold)) = services.lists.open(app)
        {
            let stop = services.stop.stop();
            return lists.rest(&call, &options, &stop, &services.tally).await.map(Some);
        }
        let bytes = call.body.as_ref().map_or(0, |body| body.len() as u64);
        self.list(SkippedEffect { what: format!("{} {} (im.request)", call.method, call.path), bytes });
        Ok(None)
    }
}

fn known_bytes(value: &HttpValue) -> u64 {
    let known =
        |part: &HttpValuePart| if let HttpValuePart::Text(text) = part { text.len() as u64 } else { 0 };
    value.0.iter().map(known).sum()
}
