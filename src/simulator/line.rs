//! The raw connection under HTTP, which a fault can reset or close in the middle of an answer.

use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: u8 = 0;
const TRUNCATE: u8 = 1;
const RESET: u8 = 2;
const CUT: u8 = 3;

/// Ends its connection at the next write. The other half is a [`CuttableStream`].
#[derive(Clone)]
pub(super) struct ConnectionCutter {
    state: Arc<AtomicU8>,
    peer: SocketAddr,
}

impl ConnectionCutter {
    /// Resets the connection. Nothing more is written.
    pub(super) fn reset(&self) {
        self.state.store(RESET, Ordering::Relaxed);
    }

    /// Ends the stream in the middle of the next answer's body.
    pub(super) fn truncate(&self) {
        self.state.store(TRUNCATE, Ordering::Relaxed);
    }
}

impl fmt::Debug for ConnectionCutter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(formatter)
    }
}

/// A listener whose connections can be cut.
pub(super) struct CuttableListener(pub(super) TcpListener);

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = ConnectionCutter;

    async fn accept(&mut self) -> (CuttableStream, ConnectionCutter) {
        // If the system is out of file descriptors, this waits and tries again.
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for one another. A closed connection is reported when it is read.
        let _ = stream.set_nodelay(true);
        let state = Arc::new(AtomicU8::new(WHOLE));
        (CuttableStream { stream, state: state.clone() }, ConnectionCutter { state, peer })
    }

    fn local_addr(&self) -> Result<ConnectionCutter> {
        Ok(ConnectionCutter { state: Arc::default(), peer: self.0.local_addr()? })
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for ConnectionCutter {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection that can be cut.
pub(super) struct CuttableStream {
    stream: TcpStream,
    state: Arc<AtomicU8>,
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let cut = || Error::new(ErrorKind::ConnectionAborted, "cut by a fault");
        match self.state.load(Ordering::Relaxed) {
            TRUNCATE => {
                // HTTP writes the head and a short body in one piece.
                let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
                let part = head + (bytes.len() - head) / 2;
                let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..part]);
                if written.is_ready() {
                    self.state.store(CUT, Ordering::Relaxed);
                }
                written
            }
            RESET => {
                // Closing the socket with no linger time sends a reset. If the system refuses this, the peer sees the
                // end of the stream instead, which is also a broken answer.
                let _ = self.stream.set_zero_linger();
                Poll::Ready(Err(cut()))
            }
            CUT => Poll::Ready(Err(cut())),
            _ => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| &**part);
        self.poll_write(context, first)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
