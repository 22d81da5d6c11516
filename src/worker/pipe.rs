//! The worker's end of the pipe: blocking, and in batches.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::stdio::{stdin, stdout};

use crate::protocol::{Frames, ProtocolError, ToHost, ToWorker, encode};

/// Bytes that wait before they are written without being asked.
const BATCH: usize = 64 * 1024;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// Standard input and output as frames.
#[derive(Debug)]
pub(super) struct Pipe {
    input: File,
    output: File,
    frames: Frames<ToWorker>,
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

impl Pipe {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            input: File::from(stdin().try_clone_to_owned()?),
            output: File::from(stdout().try_clone_to_owned()?),
            frames: Frames::default(),
            unsent: Vec::with_capacity(BATCH),
            scratch: vec![0; READ].into_boxed_slice(),
            broken: false,
        })
    }

    /// Puts a frame on its way; it leaves with the next [`Pipe::flush`], or when enough has gathered.
    /// Returns its size, or why it cannot be sent.
    pub(super) fn try_send(&mut self, frame: &ToHost) -> Result<usize, ProtocolError> {
        let before = self.unsent.len();
        encode(frame, &mut self.unsent)?;
        let size = self.unsent.len() - before;
        if self.unsent.len() >= BATCH {
            self.flush();
        }
        Ok(size)
    }

    /// The same for frames that are small by their nature.
    pub(super) fn send(&mut self, frame: &ToHost) {
        if self.try_send(frame).is_err() {
            self.broken = true;
        }
    }

    /// Writes all that waits. A host that has gone is noticed at the next [`Pipe::receive`].
    pub(super) fn flush(&mut self) {
        if !self.unsent.is_empty() && !self.broken {
            self.broken = self.output.write_all(&self.unsent).is_err();
        }
        self.unsent.clear();
    }

    /// The next frame if one is already here.
    pub(super) fn received(&mut self) -> Result<Option<ToWorker>, PipeError> {
        Ok(self.frames.take()?)
    }

    /// Writes all that waits, then waits for a frame. `None` when the host has gone.
    pub(super) fn receive(&mut self) -> Result<Option<ToWorker>, PipeError> {
        self.flush();
        loop {
            if let Some(frame) = self.frames.take()? {
                return Ok(Some(frame));
            }
            if self.broken {
                return Ok(None);
            }
            match self.input.read(&mut self.scratch) {
                Ok(0) => return Ok(None),
                Ok(count) => self.frames.buffer().extend_from_slice(&self.scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
