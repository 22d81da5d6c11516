//! What the host tells a worker, until it is written into the pipe.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::Notify;

use crate::clock::{Clock, ClockHold};
use crate::host::budget::MemoryReservation;
use crate::protocol::{FailureKind, HostResponse, RequestFailure, StartFrame, ToWorker, encode};

/// Frames share a batch until it has so many bytes.
const BATCH: usize = 64 * 1024;

/// What a frame takes besides its content, at the most.
const FRAME: usize = 64;

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub(super) struct OutgoingFrames {
    batches: RefCell<VecDeque<FrameBatch>>,
    more: Notify,
    closed: Cell<bool>,
    /// Answers so far.
    answers: Cell<u64>,
    /// Keeps a simulated clock still while the worker computes.
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

    /// An answer; from now on it holds what it takes here, until it is written.
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
        // A large one has a batch of its own, so that its memory is free as soon as it is written.
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
                format!("the answer cannot be handed over: {error}"),
            );
            // A failure is small: it fits.
            let _ = encode(&ToWorker::Answer(*id, HostResponse::Failed(Box::new(failure))), &mut batch.bytes);
        }
        if let Some(mut memory) = memory {
            memory.set((batch.bytes.len() - before) as u64);
            batch.held.push(memory);
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
    pub(super) fn release_clock(&self) {
        self.computing.take();
    }

    /// Nothing more is to be written, and what waits is let go of.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.batches.borrow_mut().clear();
        self.more.notify_one();
    }

    /// Writes whatever gathers, in batches, until it is closed or the worker's end of the pipe is.
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

/// The bytes of a frame that may be large.
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
