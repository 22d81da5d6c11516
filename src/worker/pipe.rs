//! The worker's end of the pipe, with batched frames. Its operations block. While a write blocks (the host stops
//! reading when the run is over its memory budget), the pipe reads the host's answers, so that the host can go on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::stdio::{stdin, stdout};

use crate::protocol::{FrameDecoder, ProtocolError, ToHost, ToWorker, encode};

/// The number of unsent bytes at which they are written without a flush.
const BATCH: usize = 64 * 1024;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// Frames over standard input and output.
#[derive(Debug)]
pub(super) struct HostPipe {
    input: File,
    output: File,
    frames: FrameDecoder<ToWorker>,
    /// Frames that were read before they were requested.
    seen: VecDeque<ToWorker>,
    unsent: Vec<u8>,
    scratch: Box<[u8]>,
    /// Whether nothing more can be written: the host has ended.
    broken: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum PipeError {
    #[error("the pipe to the host: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl HostPipe {
    pub(super) fn open() -> io::Result<Self> {
        let output = File::from(stdout().try_clone_to_owned()?);
        fcntl_setfl(&output, fcntl_getfl(&output)? | OFlags::NONBLOCK)?;
        Ok(Self {
            input: File::from(stdin().try_clone_to_owned()?),
            output,
            frames: FrameDecoder::default(),
            seen: VecDeque::new(),
            unsent: Vec::with_capacity(BATCH),
            scratch: vec![0; READ].into_boxed_slice(),
            broken: false,
        })
    }

    /// Queues a frame. It is written with the next [`HostPipe::flush`], or when enough bytes are queued.
    pub(super) fn try_send(&mut self, frame: &ToHost) -> Result<(), ProtocolError> {
        encode(frame, &mut self.unsent)?;
        if self.unsent.len() >= BATCH {
            self.flush();
        }
        Ok(())
    }

    /// Queues a frame that is always small.
    pub(super) fn send(&mut self, frame: &ToHost) {
        if self.try_send(frame).is_err() {
            self.broken = true;
        }
    }

    /// Whether queued bytes are not written yet.
    pub(super) const fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Writes all queued bytes. If the host has ended, the next [`HostPipe::receive`] reports it.
    pub(super) fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        let mut rest = &unsent[..];
        while !rest.is_empty() && !self.broken {
            match self.output.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.broken = self.wait_to_write().is_err();
                }
                Err(_) => self.broken = true,
            }
        }
        self.unsent = unsent;
        self.unsent.clear();
    }

    /// Waits until more can be written, and reads what the host writes meanwhile.
    fn wait_to_write(&mut self) -> io::Result<()> {
        let mut ends = [
            PollFd::new(self.output.as_fd(), PollFlags::POLLOUT),
            PollFd::new(self.input.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if ends[0].any().unwrap_or(true) {
            return Ok(());
        }
        if self.take_in()? { Ok(()) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    /// Reads the available bytes, or waits for some. Returns false if the host has ended.
    fn take_in(&mut self) -> io::Result<bool> {
        loop {
            match self.input.read(&mut self.scratch) {
                Ok(count) => {
                    self.frames.buffer().extend_from_slice(&self.scratch[..count]);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all queued bytes, and reads what is available without waiting. Returns whether the answer to `event`
    /// has arrived; the answer stays in the queue.
    pub(super) fn has_answer(&mut self, event: u64) -> bool {
        self.flush();
        let mut end = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
        let readable = poll(&mut end, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        // An error of the pipe occurs again when the next frame is awaited.
        if readable && self.take_in().is_ok() {
            while let Ok(Some(frame)) = self.frames.take() {
                self.seen.push_back(frame);
            }
        }
        self.seen.iter().any(|frame| matches!(frame, ToWorker::Answer(answered, _) if *answered == event))
    }

    /// Returns the next frame if it has already arrived.
    pub(super) fn received(&mut self) -> Result<Option<ToWorker>, PipeError> {
        match self.seen.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => Ok(self.frames.take()?),
        }
    }

    /// Writes all queued bytes, then waits for a frame. Returns `None` if the host has ended.
    pub(super) fn receive(&mut self) -> Result<Option<ToWorker>, PipeError> {
        self.flush();
        loop {
            if let Some(frame) = self.received()? {
                return Ok(Some(frame));
            }
            if self.broken || !self.take_in()? {
                return Ok(None);
            }
        }
    }
}
