//! Calls a service in this process instead of over a network. Its delays are in simulated time.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;

use super::decode;
use super::transport::{
    Deadline, ExchangeLimits, HttpResponse, HttpTransport, TransportError, caused_by, chain, ended, location,
};
use super::upload::stream::FileChangedError;

#[async_trait]
pub trait InProcessService: Debug + Send + Sync {
    /// Whether there is a connection for the next request. Nothing of the request is written before.
    async fn connect(&self) -> bool {
        true
    }

    /// Handles one request. The implementation waits for the time that the request and the answer take on their way. If
    /// it never returns, the client's timeouts apply.
    async fn carry(&self, request: Request<Bytes>) -> ServiceResponse;
}

#[derive(Debug)]
pub enum ServiceResponse {
    /// A complete answer.
    Whole(Response<Bytes>),
    /// An answer whose body was cut off.
    Truncated(Response<()>),
    /// The connection was reset, so no answer came.
    Reset,
}

impl HttpTransport {
    /// Makes one request to the in-process service.
    pub(super) async fn carried(
        &self,
        wire: &dyn InProcessService,
        request: reqwest::Request,
        deadline: Option<Deadline>,
    ) -> Result<HttpResponse, TransportError> {
        if !wire.connect().await {
            let refused = TransportError::lost("the connection was refused");
            return Err(TransportError { connected: false, ..refused });
        }
        let request = self.whole(request).await?;
        let now = self.clock().now();
        let limits = ExchangeLimits { end: now + self.timeouts.overall, deadline };
        let (limit, given) = limits.tightest(self.timeouts.read, now);
        let carried =
            ended(self.clock().timeout(limit, async { Ok(wire.carry(request).await) }).await, given)?;
        let (head, body) = match carried {
            ServiceResponse::Whole(response) => {
                let (head, body) = response.into_parts();
                (head, Some(body))
            }
            ServiceResponse::Truncated(response) if response.status().is_success() => {
                return Err(TransportError::lost("the answer broke off"));
            }
            ServiceResponse::Truncated(response) => (response.into_parts().0, None),
            ServiceResponse::Reset => return Err(TransportError::lost("the connection was reset")),
        };
        let codings = decode::ContentEncodings::of(&head.headers);
        let body = body.map(|body| decode::text(&codings, body, usize::MAX)).transpose();
        let body = body.map_err(|error| TransportError::lost(error.to_string()))?;
        Ok(HttpResponse {
            status: head.status.as_u16(),
            retry_after: self.retry_after(&head.headers),
            location: head.status.is_redirection().then(|| location(&head.headers)).flatten(),
            body,
        })
    }

    /// Reads the request's body into one piece. A file is read in real time; the simulated clock stands still
    /// meanwhile.
    pub(super) async fn whole(&self, request: reqwest::Request) -> Result<Request<Bytes>, TransportError> {
        let _hold = self.clock().hold();
        let broken = |error: &(dyn Error + 'static)| TransportError {
            detail: chain(error),
            connected: true,
            file_changed: caused_by::<FileChangedError>(error),
            overdue: false,
        };
        let (head, body) =
            Request::<reqwest::Body>::try_from(request).map_err(|error| broken(&error))?.into_parts();
        let body = body.collect().await.map_err(|error| broken(&error))?;
        Ok(Request::from_parts(head, body.to_bytes()))
    }
}
