//! What the host tells a worker, until it is written into the pipe.

use std::cell::{Cell, RefCell};

use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::Notify;

use crate::clock::{Clock, Hold};
use crate::protocol::{Answer, Failure, Kind, ToWorker, encode};

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: RefCell<Vec<u8>>,
    more: Notify,
    closed: Cell<bool>,
    /// Answers so far.
    answers: Cell<u64>,
    /// Keeps a simulated clock still while the worker computes.
    computing: RefCell<Option<Hold>>,
}

impl Outgoing {
    pub(super) fn push(&self, frame: &ToWorker, clock: &Clock) {
        if matches!(frame, ToWorker::Answer(..)) {
            self.answers.set(self.answers.get() + 1);
        }
        self.computing.borrow_mut().get_or_insert_with(|| clock.hold());
        let mut bytes = self.bytes.borrow_mut();
        if let Err(error) = encode(frame, &mut bytes)
            && let ToWorker::Answer(id, _) = frame
        {
            let failure = Failure::new(Kind::Invalid, format!("the answer cannot be handed over: {error}"));
            // A failure is small: it fits.
            let _ = encode(&ToWorker::Answer(*id, Answer::Failed(Box::new(failure))), &mut bytes);
        }
        self.more.notify_one();
    }

    /// Every task of the worker waits, after so many answers. It computes all the same if more are on their way to it.
    pub(super) fn waiting(&self, answers: u64) {
        if answers == self.answers.get() {
            self.computing.take();
        }
    }

    /// Lets a simulated clock go on: there is nothing that it waits for.
    pub(super) fn let_clock_go(&self) {
        self.computing.take();
    }

    /// Nothing more is to be written.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.more.notify_one();
    }

    /// Writes whatever gathers, in batches, until it is closed or the worker's end of the pipe is.
    pub(super) async fn write_to(&self, mut input: ChildStdin) {
        while !self.closed.get() {
            let batch = std::mem::take(&mut *self.bytes.borrow_mut());
            if batch.is_empty() {
                self.more.notified().await;
            } else if input.write_all(&batch).await.is_err() {
                return;
            }
        }
    }
}
