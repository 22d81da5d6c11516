//! The body of a send. It knows whether its request was written.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

const IDLE: u8 = 0;
const WRITTEN: u8 = 1;
const SEALED: u8 = 2;

/// Whether a request is written or given up. The first of the two transitions wins.
///
/// The HTTP library asks for the body's bytes after it has put the request's head into its buffer and before it writes
/// that buffer out. So a library that has not asked has not written.
#[derive(Debug)]
struct WriteState(AtomicU8);

impl WriteState {
    fn turn(&self, to: u8) -> bool {
        self.0.compare_exchange(IDLE, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The sender's side of a [`WriteState`]. After it is dropped or asked, an unwritten request is never written.
#[derive(Debug)]
pub(super) struct WriteCanceller(Arc<WriteState>);

impl WriteCanceller {
    /// Gives the request up. Returns true if none of it was written; none of it will be then.
    pub(super) fn nothing_written(&self) -> bool {
        self.0.turn(SEALED) || self.0.0.load(Ordering::Acquire) == SEALED
    }
}

impl Drop for WriteCanceller {
    fn drop(&mut self) {
        self.0.turn(SEALED);
    }
}

/// The error of a request that was given up before it was written.
#[derive(Debug, thiserror::Error)]
#[error("the request was cancelled")]
pub(super) struct AbandonedError;

/// A body in one piece. It calls `on_write` when its request is about to be written.
pub(super) struct WatchedBody<F> {
    data: Option<Bytes>,
    state: Arc<WriteState>,
    // The mutex is never locked. It makes the body `Sync`, which the library requires.
    on_write: Mutex<Option<F>>,
}

impl<F> WatchedBody<F> {
    /// A body of `data`, which must not be empty, because the library never asks for an empty body.
    pub(super) fn new(data: Bytes, on_write: Option<F>) -> (Self, WriteCanceller) {
        let state = Arc::new(WriteState(AtomicU8::new(IDLE)));
        (
            Self { data: Some(data), state: Arc::clone(&state), on_write: Mutex::new(on_write) },
            WriteCanceller(state),
        )
    }
}

// No field is pinned.
impl<F> Unpin for WatchedBody<F> {}

impl<F: FnOnce()> Body for WatchedBody<F> {
    type Data = Bytes;
    type Error = AbandonedError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AbandonedError>>> {
        let Some(data) = self.data.take() else { return Poll::Ready(None) };
        if !self.state.turn(WRITTEN) {
            return Poll::Ready(Some(Err(AbandonedError)));
        }
        if let Some(on_write) = self.on_write.get_mut().ok().and_then(Option::take) {
            on_write();
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn says_when_it_is_written() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let on_write = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let (mut body, canceller) = WatchedBody::new(Bytes::from_static(b"hello"), Some(on_write));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        let frame = body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert!(body.is_end_stream());
        assert!(!canceller.nothing_written());
    }

    #[test]
    fn what_was_given_up_is_never_written() {
        for asked in [true, false] {
            let (mut body, canceller) =
                WatchedBody::new(Bytes::from_static(b"hello"), Some(|| panic!("written")));
            if asked {
                assert!(canceller.nothing_written());
                assert!(canceller.nothing_written());
            }
            drop(canceller);
            assert!(body.frame().now_or_never().unwrap().unwrap().is_err());
        }
    }
}
