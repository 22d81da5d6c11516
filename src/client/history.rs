//! Finds and fetches the service's history files.
//!
//! The file of an hour is not at the app's address. Its URL carries its own permission: the fetch has no token and follows
//! no redirect.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use reqwest::{Method, Request, Url};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::call::{CallSpec, lost, refusal};
use super::failure::CallError;
use super::transport::{HttpResponse, HttpTransport, TransportError, ended};
use super::{Client, ServiceResponse};

const HISTORY: CallSpec = CallSpec::get("/chatmessages/{hour}");
const FILE: CallSpec = CallSpec::get("(the history file)");

/// The most bytes of a history file, as it is sent (DESIGN: 1 GiB).
const FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// The longest time in which a file is fetched.
const FETCH_TIME: Duration = Duration::from_hours(1);
/// The parts of a file that wait for their reader.
const PARTS: usize = 4;

/// The address of a history file. It is never shown, because it permits the fetch.
pub struct HistoryAddress(Url);

impl std::fmt::Debug for HistoryAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("HistoryAddress").field(&self.0.host_str().unwrap_or_default()).finish()
    }
}

#[derive(Deserialize)]
struct HistoryAnswer {
    data: (HistoryEntry,),
}

#[derive(Deserialize)]
struct HistoryEntry {
    url: String,
}

impl Client {
    /// Asks for the address of an hour's history file. `hour` is written `yyyyMMddHH`. The service allows 10 calls a
    /// minute.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. [`super::FailureClass::Permanent`] if the service has no file of the hour, not yet or no
    /// longer.
    pub async fn history_address(&self, hour: &str) -> Result<HistoryAddress, CallError> {
        let url = self.url(&["chatmessages", hour]);
        let success = self.call(HISTORY, || Ok(Request::new(Method::GET, url.clone()).into())).await?;
        let HistoryAnswer { data: (HistoryEntry { url },) } = success.read()?;
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url =
            url.ok_or_else(|| HISTORY.refuse("the service named a history file without a valid URL"))?;
        let is_secure = url.scheme() == "https" || self.0.prefix.scheme() == "http";
        if !is_secure || !url.username().is_empty() || url.password().is_some() {
            return Err(
                HISTORY.refuse("the service named a history file whose URL is not https or has a user")
            );
        }
        Ok(HistoryAddress(url))
    }

    /// Fetches a history file and gives it to `read` while it arrives, on a thread where blocking is allowed. Only a few
    /// parts of it are in memory. What `read` returns counts only if this returns no error.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`].
    pub async fn fetch_history<T, F>(&self, address: &HistoryAddress, read: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce(HistoryDownload) -> T + Send + 'static,
    {
        let (sender, parts) = mpsc::channel(PARTS);
        let download = HistoryDownload { parts, part: Bytes::new(), ended: false };
        let transport = &self.0.transport;
        let reading = tokio::task::spawn_blocking(move || read(download));
        let fetched = transport.download(address.0.clone(), sender).await;
        // What is left is read in real time.
        let _hold = transport.clock().hold();
        let read = reading.await;
        match fetched {
            Ok(Some(answer)) => return Err(refusal(FILE, &answer, &[])),
            Ok(None) => {}
            Err(broken) => return Err(lost(FILE, &broken, broken.connected, &[])),
        }
        read.map_err(|_| FILE.refuse("the reader of the history file failed"))
    }
}

/// A history file while it arrives. Its end is an error if the file was not fetched to its end.
#[derive(Debug)]
pub struct HistoryDownload {
    parts: mpsc::Receiver<Option<Bytes>>,
    part: Bytes,
    ended: bool,
}

impl Read for HistoryDownload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Some(part)) => self.part = part,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.part.len().min(buffer.len());
        let Some(target) = buffer.get_mut(..count) else { return Ok(0) };
        self.part.copy_to_slice(target);
        Ok(count)
    }
}

impl HttpTransport {
    /// Fetches a file without a token and hands its parts on; `None` follows the last one. Returns an answer that is not
    /// the file. A file that the receiver no longer wants is not fetched to its end.
    async fn download(
        &self,
        url: Url,
        to: mpsc::Sender<Option<Bytes>>,
    ) -> Result<Option<HttpResponse>, TransportError> {
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(wire) = self.in_process() {
            let request = self.whole(request).await?;
            // The transfer of the file takes simulated time, and reading it takes real time.
            let carry = async { Ok(wire.carry(request).await) };
            let carried = ended(self.clock().timeout(FETCH_TIME, carry).await, FETCH_TIME)?;
            let _hold = self.clock().hold();
            let (status, body) = match carried {
                ServiceResponse::Whole(response) => (response.status(), response.into_body()),
                ServiceResponse::Truncated(_) => return Err(TransportError::lost("the answer broke off")),
                ServiceResponse::Reset => return Err(TransportError::lost("the connection was reset")),
            };
            if !status.is_success() {
                return Ok(Some(HttpResponse {
                    status: status.as_u16(),
                    retry_after: None,
                    location: None,
                    body: Some(body),
                }));
            }
            // Fails only if the reader has ended.
            let _ = to.send(Some(body)).await;
            let _ = to.send(None).await;
            return Ok(None);
        }
        let _hold = self.clock().hold();
        let limits = self.limits_within(FETCH_TIME);
        let client = self.http();
        let mut response = self.stage(limits, None, client.execute(request)).await?;
        if !response.status().is_success() {
            return Ok(Some(self.refused(limits, response).await));
        }
        let mut bytes = 0;
        while let Some(part) = self.stage(limits, None, response.chunk()).await? {
            bytes += part.len() as u64;
            if bytes > FILE_BYTES {
                return Err(TransportError::lost(format!(
                    "the history file is longer than {FILE_BYTES} bytes"
                )));
            }
            if to.send(Some(part)).await.is_err() {
                return Ok(None);
            }
        }
        let _ = to.send(None).await;
        Ok(None)
    }
}
