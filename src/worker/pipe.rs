//! The worker's end of the pipe, in batches. It blocks, but for one case: while the host takes nothing in, which is how
//! calls wait that are over the run's budget there, the answers that it sends are taken out of its way.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::stdio::{stdin, stdout};

use crate::protocol::{FrameDecoder, ProtocolError, ToHost, ToWorker, encode};

/// Bytes that wait before they are written without being asked.
const BATCH: usize = 64 * 1024;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// Standard input and output as frames.
#[derive(Debug)]
pub(super) struct HostPipe {
    input: File,
    output: File,
    frames: FrameDecoder<ToWorker>,
    /// Frames that were looked at before they were asked for.
    seen: VecDeque<ToWorker>,
    unsent: Vec<u8>,
    scratch: Box<[u8]>,
    /// Why nothing more can be written: the host has gone.
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

    /// Puts a frame on its way; it leaves with the next [`Pipe::flush`], or when enough has gathered.
    /// Says why where it cannot be sent.
    pub(super) fn try_send(&mut self, frame: &ToHost) -> Result<(), ProtocolError> {
        encode(frame, &mut self.unsent)?;
        if self.unsent.len() >= BATCH {
            self.flush();
        }
        Ok(())
    }

    /// The same for frames that are small by their nature.
    pub(super) fn send(&mut self, frame: &ToHost) {
        if self.try_send(frame).is_err() {
            self.broken = true;
        }
    }

    /// Writes all that waits. A host that has gone is noticed at the next [`Pipe::receive`].
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

    /// Waits until more can be written, and takes in meanwhile what the host writes.
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

    /// Reads what is there, or waits for it; false when the host has gone.
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

    /// Writes all that waits, and reads what is there without waiting for it. Gives whether the answer to `event` has come;
    /// it stays to be received.
    pub(super) fn has_answer(&mut self, event: u64) -> bool {
        self.flush();
        let mut end = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
        let readable = poll(&mut end, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        // What is wrong with the pipe is met again when the next frame is waited for.
        if readable && self.take_in().is_ok() {
            while let Ok(Some(frame)) = self.frames.take() {
                self.seen.push_back(frame);
            }
        }
        self.seen.iter().any(|frame| matches!(frame, ToWorker::Answer(answered, _) if *answered == event))
    }

    /// The next frame if one is already here.
    pub(super) fn received(&mut self) -> Result<Option<ToWorker>, PipeError> {
        match self.seen.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => Ok(self.frames.take()?),
        }
    }

    /// Writes all that waits, then waits for a frame. `None` when the host has gone.
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
