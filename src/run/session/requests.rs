//! Handles the frames of a worker, and answers its requests.

use std::cell::Cell;
use std::rc::Rc;

use tokio::io::AsyncReadExt;
use tracing::Instrument as _;

use crate::protocol::{FrameDecoder, HostRequest, HostResponse, LoadMode, RequestFailure, ToHost, VERSION};

use super::super::budget::MemoryReservation;
use super::super::services::RunServices;
use super::super::{answers, reserve};
use super::{LAST_OUTPUT, LAST_WAIT, READ, SessionEnd, WorkerSession};

impl WorkerSession {
    /// Handles the frames that have arrived, until the total number of requests reaches `calls`.
    pub(super) fn take_in(&mut self, frames: &mut FrameDecoder<ToHost>, calls: u64) -> Option<SessionEnd> {
        loop {
            if self.calls >= calls {
                return None;
            }
            match frames.take() {
                Ok(None) => return None,
                Ok(Some(ToHost::Request(id, request))) => {
                    self.calls += 1;
                    if self.answering.len() > self.most_requests {
                        return Some(SessionEnd::Stop(
                            "the script's process sent more requests at once than it may".to_owned(),
                        ));
                    }
                    if self.mode == LoadMode::Check && !request.only_looks() {
                        match answers::refuse(&self.services, &request) {
                            // The request would have an effect, which a check must not have. As far as a check can
                            // tell, the script is correct.
                            None => return Some(SessionEnd::Done(Ok(()))),
                            Some(failure) => {
                                self.refuse(id, HostResponse::Failed(Box::new(failure)));
                            }
                        }
                    } else if self.mode == LoadMode::Check && matches!(request, HostRequest::Test(_)) {
                        // A file of tests is only checked.
                        self.refuse(id, HostResponse::Nothing);
                    } else if self.declaring && !request.only_looks() {
                        self.services.jobs.refuse();
                        let failure = answers::only_declares(&self.services, &request);
                        self.refuse(id, HostResponse::Failed(Box::new(failure)));
                    } else {
                        self.answer(id, request, frames.taken());
                    }
                }
                Ok(Some(ToHost::Print(bytes))) => self.services.output.print(&bytes),
                Ok(Some(ToHost::Log(line))) => self.services.output.log(&line.clipped()),
                Ok(Some(ToHost::Waiting(answers))) => self.outgoing.waiting(answers),
                Ok(Some(ToHost::Noted(number, place))) => self.services.policy.place(number, &place),
                Ok(Some(ToHost::Declared)) => {
                    self.declaring = false;
                    self.services.jobs.end();
                }
                Ok(Some(ToHost::Hello(VERSION))) => {}
                Ok(Some(ToHost::Hello(version))) => {
                    return Some(SessionEnd::Stop(format!(
                        "the program's file was replaced while it ran, so the script's process uses version {version} of the protocol and not {VERSION}; restart the program"
                    )));
                }
                Ok(Some(ToHost::Done(result))) => return Some(SessionEnd::Done(result)),
                Err(error) => {
                    return Some(SessionEnd::Stop(format!(
                        "the host could not read a message of the script's \
                     process: {error}"
                    )));
                }
            }
        }
    }

    /// Takes what a stopped worker has printed and logged before. Its other frames have no effect.
    pub(super) async fn take_last_output(
        &self,
        mut output: impl AsyncReadExt + Unpin,
        mut frames: FrameDecoder<ToHost>,
    ) {
        let reading = async {
            let mut read = 0;
            loop {
                while let Ok(Some(frame)) = frames.take() {
                    match frame {
                        ToHost::Print(bytes) => self.services.output.print(&bytes),
                        ToHost::Log(line) => self.services.output.log(&line.clipped()),
                        _ => {}
                    }
                }
                frames.make_room(READ);
                match output.read_buf(frames.buffer()).await {
                    Ok(count) if count > 0 && read < LAST_OUTPUT => read += count,
                    _ => return,
                }
            }
        };
        // The pipe ends with the process.
        let _ = self.clock.timeout(LAST_WAIT, reading).await;
    }

    /// Sends an answer to a request that is not carried out.
    fn refuse(&self, id: u64, answer: HostResponse) {
        let memory = self.services.memory.of_answer();
        self.outgoing.push_answer(id, answer, &self.services.clock, memory);
    }

    fn answer(&mut self, id: u64, request: HostRequest, size: usize) {
        let (services, outgoing) = (Rc::clone(&self.services), Rc::clone(&self.outgoing));
        let under_way = request.reaches_out().then(|| CallCountGuard::new(&self.under_way));
        let clock = self.services.clock.clone();
        let takes_time = request.takes_time();
        let asked = services.memory.of_request(reserve::of_request(&request, size));
        let needed = reserve::of_answer(&request);
        let mut memory = services.memory.of_answer();
        let granted = memory.try_grow(needed);
        let mut hold = (granted && !takes_time).then(|| clock.hold());
        // Boxed, because a task's future is moved several times before it runs.
        let answering = Box::pin(async move {
            let waited = if granted { Ok(()) } else { wait_for_memory(&services, &mut memory, needed).await };
            if !granted && !takes_time {
                hold = Some(clock.hold());
            }
            let answered = match waited {
                Ok(()) => answers::answer(&services, request, &mut memory).await,
                Err(failure) => Err(failure),
            };
            let answer = answered.unwrap_or_else(|failure| HostResponse::Failed(Box::new(failure)));
            drop((asked, under_way));
            outgoing.push_answer(id, answer, &clock, memory);
            drop(hold);
        });
        self.answering.spawn_local(answering.in_current_span());
    }
}

/// Waits until a call may hold `bytes`, or the run is stopped.
async fn wait_for_memory(
    services: &RunServices,
    memory: &mut MemoryReservation,
    bytes: u64,
) -> Result<(), RequestFailure> {
    let reserved = async {
        memory.grow(bytes).await;
        Ok(())
    };
    services
        .stop
        .unless_stopped("the call was cancelled before it began because the run ends", reserved)
        .await
}

/// Counts a call to outside until it is dropped.
struct CallCountGuard(Rc<Cell<usize>>);

impl CallCountGuard {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for CallCountGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
