//! The frames that the host sends to a worker, until they are written to the pipe.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::Notify;

use crate::clock::{Clock, ClockHold};
use crate::protocol::{FailureKind, HostResponse, RequestFailure, StartFrame, ToWorker, encode};
use crate::run::budget::MemoryReservation;

/// The size in bytes up to which frames share a batch.
const BATCH: usize = 64 * 1024;

/// The most bytes of a frame besides its content.
const FRAME: usize = 64;

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub(super) struct OutgoingFrames {
    batches: RefCell<VecDeque<FrameBatch>>,
    more: Notify,
    closed: Cell<bool>,
    /// The number of answers so far.
    answers: Cell<u64>,
    /// Holds a simulated clock while the worker computes.
    computing: RefCell<Option<ClockHold>>,
}

/// Bytes that are written at once, and the memory that their calls hold until then.
#[derive(Debug, Default)]
struct FrameBatch {
    bytes: Vec<u8>,
    held: Vec<MemoryReservation>,
}

impl OutgoingFrames {
    pub(super) fn push_start(&self, start: Box<StartFrame>, clock: &Clock) {
        self.push(&ToWorker::Start(start), clock, None);
    }

    /// Adds an answer. From now on its call holds only the memory of the encoded answer, until it is written.
    pub(super) fn push_answer(
        &self,
        id: u64,
        answer: HostResponse,
        clock: &Clock,
        memory: MemoryReservation,
    ) {
        self.answers.set(self.answers.get() + 1);
        self.push(&ToWorker::Answer(id, answer), clock, Some(memory));
    }

    fn push(&self, frame: &ToWorker, clock: &Clock, memory: Option<MemoryReservation>) {
        self.computing.borrow_mut().get_or_insert_with(|| clock.hold());
        if self.closed.get() {
            return;
        }
        let mut batches = self.batches.borrow_mut();
        // A large frame gets a batch of its own, so that its memory is released as soon as it is written.
        let expected = content(frame) + FRAME;
        if batches.back().is_none_or(|batch| batch.bytes.len() + expected > BATCH) {
            batches.push_back(FrameBatch { bytes: Vec::with_capacity(expected), held: Vec::new() });
        }
        let Some(batch) = batches.back_mut() else { return };
        let before = batch.bytes.len();
        if let Err(error) = encode(frame, &mut batch.bytes)
            && let ToWorker::Answer(id, _) = frame
        {
            let failure = RequestFailure::new(
                FailureKind::Invalid,
                format!("the answer cannot be sent to the script's process: {error}"),
            );
            // A failure is small, so it fits into a frame.
            let _ = encode(&ToWorker::Answer(*id, HostResponse::Failed(Box::new(failure))), &mut batch.bytes);
        }
        if let Some(mut memory) = memory {
            memory.set((batch.bytes.len() - before) as u64);
            batch.held.push(memory);
        }
        self.more.notify_one();
    }

    /// Handles the worker's report that every task waits, after it received `answers` answers. If more answers are on
    /// their way, the worker still has work to do.
    pub(super) fn waiting(&self, answers: u64) {
        if answers == self.answers.get() {
            self.computing.take();
        }
    }

    /// Releases a simulated clock, because nothing requires it to stand still.
    pub(super) fn release_clock(&self) {
        self.computing.take();
    }

    /// Stops writing, and discards the frames that wait.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.batches.borrow_mut().clear();
        self.more.notify_one();
    }

    /// Writes the frames in batches, until this queue or the worker's end of the pipe is closed.
    pub(super) async fn write_to(&self, mut input: ChildStdin) {
        while !self.closed.get() {
            let batch = self.batches.borrow_mut().pop_front();
            match batch {
                None => self.more.notified().await,
                Some(batch) => {
                    if input.write_all(&batch.bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Returns the number of content bytes of a frame; only some kinds of frames can be large.
fn content(frame: &ToWorker) -> usize {
    match frame {
        ToWorker::Answer(_, HostResponse::Bytes(bytes) | HostResponse::Json(bytes)) => bytes.len(),
        ToWorker::Answer(_, HostResponse::Response { body, headers, .. }) => {
            headers.iter().map(|(name, value)| name.len() + value.len() + FRAME).sum::<usize>() + body.len()
        }
        ToWorker::Answer(_, HostResponse::Source(source)) => source.text.len(),
        _ => 0,
    }
}
