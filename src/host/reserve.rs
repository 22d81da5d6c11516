//! What each request may need of a run's memory in the host.
//!
//! A request to another service has a place to wait for first, and takes its memory by itself then: a call that holds memory
//! waits for nothing that another call of its run has.

use crate::protocol::{BroadcastStep, HostRequest, StoreStep};

use super::files::MAX_READ;
use super::sources::MAX_SOURCE;
use super::store::{PAGE_BYTES, VALUE_BYTES};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The names of a folder, at the most.
const NAMES: u64 = 13 * MIB;

/// A page of the service's lists.
const LIST: u64 = 256 * KIB;

/// A page of a file of recipients.
const RECIPIENTS: u64 = 2 * MIB;

/// How many times its text a JSON value takes at the most once it is read.
const READ_JSON: u64 = 16;

/// Bytes of a request besides its content, until it is answered.
const CALL: u64 = 6 * KIB;

/// Bytes of a JSON value besides its text, for each of its parts.
const PART: u64 = 48;

/// What the answer may hold until it is written to the worker. It is taken before the work begins; what an answer turned
/// out not to need is given back.
pub(super) fn of_answer(request: &HostRequest) -> u64 {
    match request {
        HostRequest::FileRead(_) => MAX_READ + 1,
        HostRequest::FileList(_) => NAMES,
        HostRequest::Require(_) => MAX_SOURCE,
        HostRequest::Groups { .. } | HostRequest::Members { .. } => LIST,
        HostRequest::Store(request) => match request.step {
            StoreStep::List { .. } => (PAGE_BYTES + VALUE_BYTES) as u64 * 2,
            StoreStep::Get(_) => VALUE_BYTES as u64 * 2,
            _ => 0,
        },
        HostRequest::Broadcast(step) => match step {
            BroadcastStep::Page { .. } | BroadcastStep::Take { .. } => RECIPIENTS,
            BroadcastStep::Append { batch, .. } => batch.len() as u64 * READ_JSON,
            BroadcastStep::Begin { spec, .. } => spec.len() as u64 * READ_JSON,
            _ => 0,
        },
        _ => 0,
    }
}

/// What a request of `size` bytes holds until it is answered.
pub(super) fn of_request(request: &HostRequest, size: usize) -> u64 {
    match request {
        // Once it is checked, a message waits for its permit as text and as values.
        HostRequest::Send { message, .. } => {
            let parts = message.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
            CALL + 3 * size as u64 + PART * parts as u64
        }
        _ => CALL + size as u64,
    }
}
