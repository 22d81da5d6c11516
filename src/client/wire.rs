//! A way to the service that is no network: the service is in this process, and what passes takes simulated time.

use std::error::Error;
use std::fmt::Debug;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;

use super::decode;
use super::transport::{Answer, Broken, Deadline, Limits, Transport, caused_by, chain, ended, location};
use super::upload::FileChanged;

/// Carries requests to a service and its answers back.
pub trait Wire: Debug + Send + Sync {
    /// Carries one request. Time on the way is the carrier's to wait for; an answer that never comes is waited for as
    /// long as the client's timeouts say.
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'_, Carried>;
}

/// What comes back.
#[derive(Debug)]
pub enum Carried {
    /// The whole answer.
    Whole(Response<Bytes>),
    /// An answer that broke off in its body.
    Truncated(Response<()>),
    /// The connection was reset, and no answer came.
    Reset,
}

impl Transport {
    /// Makes one request over the wire.
    pub(super) async fn carried(
        &self,
        wire: &dyn Wire,
        request: reqwest::Request,
        deadline: Option<Deadline>,
    ) -> Result<Answer, Broken> {
        let request = self.whole(request).await?;
        let now = self.clock().now();
        let limits = Limits { end: now + self.timeouts.overall, deadline };
        let (limit, given) = limits.tightest(self.timeouts.read, now);
        let carried =
            ended(self.clock().timeout(limit, async { Ok(wire.carry(request).await) }).await, given)?;
        let (head, body) = match carried {
            Carried::Whole(response) => response.into_parts(),
            Carried::Truncated(response) if response.status().is_success() => {
                return Err(Broken::lost("the answer broke off"));
            }
            Carried::Truncated(response) => (response.into_parts().0, Bytes::new()),
            Carried::Reset => return Err(Broken::lost("the connection was reset")),
        };
        let body = decode::text(&decode::Codings::of(&head.headers), body, usize::MAX)
            .map_err(|error| Broken::lost(error.to_string()))?;
        Ok(Answer {
            status: head.status.as_u16(),
            retry_after: self.retry_after(&head.headers),
            location: head.status.is_redirection().then(|| location(&head.headers)).flatten(),
            body,
        })
    }

    /// The request with its body in one piece. A file is read in real time: the clock stands still for it.
    async fn whole(&self, request: reqwest::Request) -> Result<Request<Bytes>, Broken> {
        let _hold = self.clock().hold();
        let broken = |error: &(dyn Error + 'static)| Broken {
            detail: chain(error),
            connected: true,
            file_changed: caused_by::<FileChanged>(error),
            overdue: false,
        };
        let (head, body) =
            Request::<reqwest::Body>::try_from(request).map_err(|error| broken(&error))?.into_parts();
        let body = body.collect().await.map_err(|error| broken(&error))?;
        Ok(Request::from_parts(head, body.to_bytes()))
    }
}
